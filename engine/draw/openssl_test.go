package draw

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// openssl runs the command-line tool, an independent implementation of SHA-256 and HMAC.
func openssl(t *testing.T, input []byte, arguments ...string) string {
	command := exec.Command("openssl", append([]string{"dgst", "-sha256"}, arguments...)...)
	command.Stdin = bytes.NewReader(input)
	out, err := command.Output()
	require.NoError(t, err, "this test needs the command openssl")
	fields := strings.Fields(string(out))
	return fields[len(fields)-1]
}

func unhex(t *testing.T, text string) []byte {
	data, err := hex.DecodeString(text)
	require.NoError(t, err)
	return data
}

// opensslRoot is the Merkle tree hash, computed with openssl.
func opensslRoot(t *testing.T, leaves []string) string {
	if len(leaves) == 1 {
		return openssl(t, []byte("\x00"+leaves[0]))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	node := append([]byte{1}, unhex(t, opensslRoot(t, leaves[:k]))...)
	return openssl(t, append(node, unhex(t, opensslRoot(t, leaves[k:]))...))
}

// A draw of either format is recomputed from its exported files with openssl, by the README of the export and without
// this package.
func TestDrawRecomputedWithOpenSSL(t *testing.T) {
	for dir, result := range bothDraws(t) {
		t.Run(dir, func(t *testing.T) { recomputeWithOpenSSL(t, export(t, result)) })
	}
}

func recomputeWithOpenSSL(t *testing.T, files fstest.MapFS) {
	var stated struct {
		Terms                             string
		Root, Randomness, Signature, Seed string
		Opens                             time.Time `json:"phase_opens_at"`
		Closes                            time.Time `json:"phase_closes_at"`
		Length                            int64     `json:"slot_length_seconds"`
		Step                              int64     `json:"slot_step_seconds"`
		Places                            int       `json:"slot_places"`
		Days                              int64     `json:"priority_days"`
		Group                             string    `json:"priority_group"`
	}
	require.NoError(t, json.Unmarshal(files["draw.json"].Data, &stated))
	sealed := files["terms.json"] != nil
	header := []string{"rank", "account", "group", "hmac", "slot", "opens_at", "closes_at", "priority"}
	if sealed {
		require.NoError(t, json.Unmarshal(files["terms.json"].Data, &stated))
		require.Equal(t, openssl(t, files["terms.json"].Data), stated.Terms)
		header = []string{"rank", "handle", "group", "weight", "hmac", "slot", "opens_at", "closes_at", "priority"}
	}
	entries, err := csv.NewReader(bytes.NewReader(files["entries.csv"].Data)).ReadAll()
	require.NoError(t, err)
	entries = entries[1:]
	slices.SortFunc(entries, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var leaves []string
	for _, one := range entries {
		if sealed {
			leaves = append(leaves, string(unhex(t, one[0]))+"\x01"+one[1])
		} else {
			leaves = append(leaves, one[0]+"\x1f"+one[1])
		}
	}
	require.Equal(t, opensslRoot(t, leaves), stated.Root)
	require.Equal(t, openssl(t, unhex(t, stated.Signature)), stated.Randomness)
	require.Equal(t, openssl(t, append(unhex(t, stated.Root), unhex(t, stated.Randomness)...)), stated.Seed)

	var drawn [][]string // hmac, account, group
	for _, one := range entries {
		message := []byte(one[0])
		if sealed {
			message = append(unhex(t, one[0]), 0)
		}
		mac := openssl(t, message, "-mac", "HMAC", "-macopt", "hexkey:"+stated.Seed)
		drawn = append(drawn, []string{mac, one[0], one[1]})
	}
	slices.SortFunc(drawn, func(a, b []string) int { return strings.Compare(a[0], b[0]) })

	var early, late []int64 // opening instants, one for each place
	for opens := stated.Opens.Unix(); opens+stated.Length <= stated.Closes.Unix(); opens += stated.Step {
		for range stated.Places {
			if opens < stated.Opens.Unix()+stated.Days*86400 {
				early = append(early, opens)
			} else {
				late = append(late, opens)
			}
		}
	}
	want := [][]string{header}
	for i, one := range drawn {
		line := []string{strconv.Itoa(i + 1), one[1], one[2], one[0], "", "", "", "false"}
		places := &late
		if one[2] == stated.Group && len(early) > 0 {
			places, line[7] = &early, "true"
		}
		if len(*places) > 0 {
			opens := (*places)[0]
			*places = (*places)[1:]
			line[4] = strconv.FormatInt((opens-stated.Opens.Unix())/stated.Step, 10)
			line[5] = time.Unix(opens, 0).UTC().Format(time.RFC3339)
			line[6] = time.Unix(opens+stated.Length, 0).UTC().Format(time.RFC3339)
		}
		if sealed {
			line = slices.Insert(line, 3, "1")
		}
		want = append(want, line)
	}
	got, err := csv.NewReader(bytes.NewReader(files["result.csv"].Data)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, want, got)
}
