package draw

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// quicknet is the chain of the League of Entropy, as described at https://api.drand.sh/52db9ba7…/info.
func quicknet() Chain {
	return Chain{
		Hash: "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
		PublicKey: "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451" +
			"0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
		Genesis: time.Unix(1692803367, 0).UTC(),
		Period:  3 * time.Second,
	}
}

// published reads a round that quicknet published from testdata.
func published(t testing.TB, round uint64) Beacon {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("testdata/quicknet_%d.json", round))
	require.NoError(t, err)
	beacon, err := ParseBeacon(data)
	require.NoError(t, err)
	return beacon
}

func TestPublishedRoundsVerify(t *testing.T) {
	chain := quicknet()
	for _, round := range []uint64{123, 1000, 12040883, 32281667} {
		require.NoError(t, chain.Verify(round, published(t, round)), "round %d", round)
	}
}

func TestForgedBeaconsAreRefused(t *testing.T) {
	chain, beacon := quicknet(), published(t, 1000)
	require.ErrorIs(t, chain.Verify(1001, beacon), ErrOtherRound)

	renumbered := published(t, 123)
	renumbered.Round = 1000
	require.ErrorIs(t, chain.Verify(1000, renumbered), ErrSignature, "a valid signature of another round")

	drawn := beacon
	drawn.Randomness[31] ^= 1
	require.ErrorIs(t, chain.Verify(1000, drawn), ErrRandomness)

	for bit := range 8 * signatureSize {
		forged := beacon
		forged.Signature[bit/8] ^= 1 << (bit % 8)
		forged.Randomness = sha(forged.Signature[:])
		require.ErrorIs(t, chain.Verify(1000, forged), ErrSignature, "bit %d of the signature", bit)
	}

	infinity := Beacon{Round: 1000, Signature: [signatureSize]byte{0xc0}}
	infinity.Randomness = sha(infinity.Signature[:])
	require.ErrorIs(t, chain.Verify(1000, infinity), ErrSignature, "the point at infinity")

	other := chain // the generator of G2, the key whose secret is 1
	other.PublicKey = "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e" +
		"024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
	require.ErrorIs(t, other.Verify(1000, beacon), ErrSignature)
	for _, key := range []string{"", "83cf", strings.ToUpper(chain.PublicKey), chain.PublicKey[:190] + "5b",
		"c0" + strings.Repeat("00", 95)} {
		other.PublicKey = key
		require.ErrorIs(t, other.Verify(1000, beacon), errPublicKey, "key %q", key)
	}
}

func TestBeaconSyntax(t *testing.T) {
	data, err := os.ReadFile("testdata/quicknet_1000.json")
	require.NoError(t, err)
	good := strings.TrimSpace(string(data))
	reordered := `{"signature":` +
		`"b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",` +
		`"round":1000,"randomness":"fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"}`
	beacon, err := ParseBeacon([]byte(reordered))
	require.NoError(t, err)
	require.Equal(t, published(t, 1000), beacon)

	for name, text := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"array":             "[" + good + "]",
		"trailing object":   good + good,
		"trailing byte":     good + "x",
		"cut":               good[:len(good)-1],
		"unknown member":    strings.Replace(good, "{", `{"previous_signature":"00",`, 1),
		"duplicate member":  strings.Replace(good, "{", `{"round":1000,`, 1),
		"case of a member":  strings.Replace(good, "round", "Round", 1),
		"no round":          strings.Replace(good, `"round":1000,`, "", 1),
		"round null":        strings.Replace(good, "1000", "null", 1),
		"round zero":        strings.Replace(good, "1000", "0", 1),
		"round negative":    strings.Replace(good, "1000", "-1", 1),
		"round fraction":    strings.Replace(good, "1000", "1000.0", 1),
		"round text":        strings.Replace(good, "1000", `"1000"`, 1),
		"round too large":   strings.Replace(good, "1000", "1099511627777", 1),
		"round overflowing": strings.Replace(good, "1000", "18446744073709551616", 1),
		"short randomness":  strings.Replace(good, "fe29", "fe", 1),
		"upper randomness":  strings.Replace(good, "fe29", "FE29", 1),
		"no hex":            strings.Replace(good, "fe29", "ge29", 1),
		"long signature":    strings.Replace(good, "b446", "b44600", 1),
		"no signature":      good[:strings.Index(good, `,"signature"`)] + "}",
		"bad UTF-8":         strings.Replace(good, "fe29", "\xff\xfe29", 1),
		"too large":         good + strings.Repeat(" ", 4096),
	} {
		_, err := ParseBeacon([]byte(text))
		require.ErrorIs(t, err, ErrBeaconSyntax, name)
	}
}

func TestRoundAfterTheClose(t *testing.T) {
	chain := quicknet()
	for _, c := range []struct {
		after time.Duration // of the instant, since genesis
		round uint64
	}{
		{-time.Hour, 1}, {-time.Nanosecond, 1}, {0, 1}, {time.Nanosecond, 2}, {3*time.Second - 1, 2}, {3 * time.Second, 2},
		{3*time.Second + 1, 3}, {365 * 24 * time.Hour, 10512001},
	} {
		at := chain.Genesis.Add(c.after)
		require.Equal(t, c.round, chain.RoundFrom(at), "%s after genesis", c.after)
		require.False(t, chain.RoundTime(c.round).Before(at))
		require.True(t, c.round == 1 || chain.RoundTime(c.round-1).Before(at))
	}
	closes := chain.Genesis.Add(time.Hour)
	check := func(round uint64, within time.Duration, standIn bool) error {
		return chain.checkRound(round, closes, within, standIn)
	}
	require.ErrorIs(t, check(1201, 0, false), errRoundBeforeClose, "a round at the instant of the close")
	require.ErrorContains(t, check(1201, 0, false), "the first round after it is 1202")
	require.NoError(t, check(1202, 0, false))
	require.NoError(t, check(1201, 0, true), "a stand-in may be before the close")
	require.ErrorIs(t, check(1400, 10*time.Minute, false), errPublishWithin, "three seconds too soon")
	require.ErrorContains(t, check(1400, 10*time.Minute, false), "the first round 10m0s later is 1401")
	require.NoError(t, check(1401, 10*time.Minute, false))
	require.ErrorIs(t, check(0, 0, true), ErrTerms)
	require.ErrorIs(t, check(maxRound+1, 0, true), ErrTerms)
}

func FuzzParseBeacon(f *testing.F) {
	data, err := os.ReadFile("testdata/quicknet_1000.json")
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"round":1,"randomness":"","signature":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		beacon, err := ParseBeacon(data)
		if err != nil {
			require.ErrorIs(t, err, ErrBeaconSyntax)
			return
		}
		again, err := ParseBeacon(fmt.Appendf(nil, `{"round":%d,"randomness":"%s","signature":"%x"}`,
			beacon.Round, beacon.Randomness, beacon.Signature))
		require.NoError(t, err)
		require.Equal(t, beacon, again)
	})
}
