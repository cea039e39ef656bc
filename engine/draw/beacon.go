package draw

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudflare/circl/sign/bls"
	"github.com/go-json-experiment/json"
)

// Sizes of compressed points of BLS12-381, in bytes.
const (
	signatureSize = 48 // on G1
	publicKeySize = 96 // on G2
)

// maxRound is the limit below which the time of a round cannot overflow.
const maxRound = 1 << 40

// Errors of a beacon: [ParseBeacon] returns the first, [Run] the others. Fetch the beacon again from another relay.
var (
	ErrBeaconSyntax = errors.New("draw: not a drand beacon")
	ErrOtherRound   = errors.New("draw: beacon of another round")
	ErrRandomness   = errors.New("draw: the beacon's randomness is not the SHA-256 of its signature")
	ErrSignature    = errors.New("draw: the beacon's signature is not by the chain")
)

// Errors of a chain.
var (
	errPublicKey        = fmt.Errorf("%w: public key of the beacon chain", ErrTerms)
	errRoundBeforeClose = fmt.Errorf("%w: the round must be published after registration closes", ErrTerms)
	errPublishWithin    = fmt.Errorf("%w: too little time between the close of registration and the round", ErrTerms)
)

// Chain is a drand chain of the scheme bls-unchained-g1-rfc9380, for example quicknet.
//
// The message of a round is the SHA-256 of its number as eight big-endian bytes, hashed to G1 under the domain
// BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_. The signature is a point of G1, the public key a point of G2, and the
// randomness the SHA-256 of the signature. (https://docs.drand.love/docs/cryptography)
type Chain struct {
	Hash      string        // identifies the chain: 64 lower-case hexadecimal digits
	PublicKey string        // a compressed point of G2: 192 lower-case hexadecimal digits
	Genesis   time.Time     // of round 1, a whole second
	Period    time.Duration // from one round to the next: whole seconds, up to a day
}

func (c *Chain) check() error {
	if err := parseHex("chain hash", make([]byte, sha256.Size), c.Hash); err != nil {
		return fmt.Errorf("%w: %w", ErrTerms, err)
	}
	switch {
	case !isWholeSecond(c.Genesis):
		return fmt.Errorf("%w: the chain's genesis must be a %s, not %v", ErrTerms, secondRule, c.Genesis)
	case c.Period < time.Second || c.Period > 24*time.Hour || c.Period%time.Second != 0:
		return fmt.Errorf("%w: the chain's period must be whole seconds from 1s to 24h, not %s", ErrTerms, c.Period)
	}
	_, err := c.publicKey()
	return err
}

func (c *Chain) publicKey() (*bls.PublicKey[bls.KeyG2SigG1], error) {
	encoded, key := make([]byte, publicKeySize), new(bls.PublicKey[bls.KeyG2SigG1])
	if err := parseHex("public key", encoded, c.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", errPublicKey, err)
	}
	if err := key.UnmarshalBinary(encoded); err != nil {
		return nil, fmt.Errorf("%w: must be a point of G2: %w", errPublicKey, err)
	}
	return key, nil
}

// RoundTime returns when a round is published. The round must be from 1 to 2^40.
func (c *Chain) RoundTime(round uint64) time.Time {
	return time.Unix(c.Genesis.Unix()+int64(round-1)*int64(c.Period/time.Second), 0).UTC()
}

// RoundFrom returns the first round that is published at the instant or after it.
func (c *Chain) RoundFrom(at time.Time) uint64 {
	period := int64(c.Period / time.Second)
	since := at.Unix() - c.Genesis.Unix()
	if at.Nanosecond() > 0 {
		since++
	}
	if since <= 0 {
		return 1
	}
	return uint64((since+period-1)/period) + 1
}

// checkRound refuses a round that is not published at least within after the close, unless it is a stand-in. A within
// of 0, as in format 1, requires a round after the close.
func (c *Chain) checkRound(round uint64, closesAt time.Time, within time.Duration, standIn bool) error {
	if round < 1 || round > maxRound {
		return fmt.Errorf("%w: the round must be from 1 to %d, not %d", ErrTerms, uint64(maxRound), round)
	}
	at, earliest := c.RoundTime(round), closesAt.Add(within)
	if !isWholeSecond(at) {
		return fmt.Errorf("%w: round %d is published after the year 9999", ErrTerms, round)
	}
	switch {
	case standIn:
		return nil
	case !at.After(closesAt):
		return fmt.Errorf("%w: round %d is published at %s, registration closes at %s; the first round after it is %d",
			errRoundBeforeClose, round, stamp(at), stamp(closesAt), c.RoundFrom(closesAt.Add(time.Nanosecond)))
	case at.Before(earliest):
		return fmt.Errorf("%w: round %d is published at %s, registration closes at %s; the first round %s later is %d",
			errPublishWithin, round, stamp(at), stamp(closesAt), within, c.RoundFrom(earliest))
	}
	return nil
}

// Beacon is what a drand chain published for one round.
type Beacon struct {
	Round      uint64
	Randomness Digest
	Signature  [signatureSize]byte
}

// ParseBeacon reads the answer of a drand relay to GET /{chain hash}/public/{round}:
//
//	{"round":1000,"randomness":"fe29…","signature":"b446…"}
//
// Members may be in any order. Unknown, duplicate or missing members, upper-case digits and trailing bytes are refused
// with [ErrBeaconSyntax]. ParseBeacon does not verify the beacon; [Run] does.
func ParseBeacon(data []byte) (Beacon, error) {
	var text struct {
		Round      *uint64 `json:"round"`
		Randomness string  `json:"randomness"`
		Signature  string  `json:"signature"`
	}
	if len(data) > 4096 {
		return Beacon{}, fmt.Errorf("%w: %d bytes of at most 4096", ErrBeaconSyntax, len(data))
	}
	if err := json.Unmarshal(data, &text, json.RejectUnknownMembers(true)); err != nil {
		return Beacon{}, fmt.Errorf("%w: %w", ErrBeaconSyntax, err)
	}
	if text.Round == nil || *text.Round < 1 || *text.Round > maxRound {
		return Beacon{}, fmt.Errorf("%w: the round must be from 1 to %d", ErrBeaconSyntax, uint64(maxRound))
	}
	beacon := Beacon{Round: *text.Round}
	if err := cmp.Or(parseHex("randomness", beacon.Randomness[:], text.Randomness),
		parseHex("signature", beacon.Signature[:], text.Signature)); err != nil {
		return Beacon{}, fmt.Errorf("%w: %w", ErrBeaconSyntax, err)
	}
	return beacon, nil
}

// parseHex fills into from exactly as many lower-case hexadecimal digits as it needs. The error names them as what.
func parseHex(what string, into []byte, digits string) error {
	_, err := hex.Decode(into, []byte(digits[:min(len(digits), 2*len(into))]))
	if err != nil || len(digits) != 2*len(into) || strings.ToLower(digits) != digits {
		return fmt.Errorf("the %s must be %d lower-case hexadecimal digits, not %q", what, 2*len(into), digits)
	}
	return nil
}

// Verify checks offline that the chain published the beacon for this round: the number of the round, the randomness as
// the SHA-256 of the signature, and the signature. It takes a few milliseconds. Errors: [ErrOtherRound],
// [ErrRandomness], [ErrSignature], and [ErrTerms] if the chain's public key is invalid.
func (c *Chain) Verify(round uint64, beacon Beacon) error {
	key, err := c.publicKey()
	if err != nil {
		return err
	}
	if beacon.Round != round {
		return fmt.Errorf("%w: %d instead of %d", ErrOtherRound, beacon.Round, round)
	}
	if randomness := Digest(sha256.Sum256(beacon.Signature[:])); beacon.Randomness != randomness {
		return fmt.Errorf("%w: %s instead of %s", ErrRandomness, beacon.Randomness, randomness)
	}
	message := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
	if !bls.Verify(key, message[:], beacon.Signature[:]) {
		return fmt.Errorf("%w: chain %s, round %d", ErrSignature, c.Hash, round)
	}
	return nil
}
