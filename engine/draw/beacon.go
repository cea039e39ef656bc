package draw

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cloudflare/circl/sign/bls"
	"github.com/go-json-experiment/json"
)

// Sizes of compressed points of BLS12-381, in bytes.
const (
	signatureSize = 48 // on G1
	publicKeySize = 96 // on G2
)

// maxRound keeps the time of a round far from overflow.
const maxRound = 1 << 40

// What a chain or a beacon is refused for.
var (
	ErrPublicKey        = errors.New("draw: beacon chain's public key")
	ErrRoundBeforeClose = errors.New("draw: the round does not lie after the close of registration")
	ErrBeaconSyntax     = errors.New("draw: not a drand beacon")
	ErrOtherRound       = errors.New("draw: beacon of another round")
	ErrRandomness       = errors.New("draw: beacon's randomness is not the SHA-256 of its signature")
	ErrSignature        = errors.New("draw: beacon's signature is not that of the chain")
)

// Chain is a drand chain of the scheme bls-unchained-g1-rfc9380, for example quicknet.
//
// A round's message is the SHA-256 of its number as eight big-endian bytes, hashed to G1 under the domain
// BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_; the signature is a point of G1, the public key one of G2, and the
// randomness is the SHA-256 of the signature. (https://docs.drand.love/docs/cryptography)
type Chain struct {
	Hash      string        // names the chain among drand's: 64 lower-case hexadecimal digits
	PublicKey string        // a compressed point of G2: 192 lower-case hexadecimal digits
	Genesis   time.Time     // of round 1, a whole second
	Period    time.Duration // from one round to the next, whole seconds up to a day
}

func (c *Chain) check() error {
	var hash [sha256.Size]byte
	switch {
	case !decodeHex(hash[:], c.Hash):
		return fmt.Errorf("%w: the chain hash %q is not 64 lower-case hexadecimal digits", ErrTerms, c.Hash)
	case !isWholeSecond(c.Genesis):
		return fmt.Errorf("%w: the chain's genesis %v is not a whole second of the years 1970 to 9999", ErrTerms, c.Genesis)
	case c.Period < time.Second || c.Period > 24*time.Hour || c.Period%time.Second != 0:
		return fmt.Errorf("%w: the chain's period %s is not in whole seconds from 1s to 24h", ErrTerms, c.Period)
	}
	_, err := c.publicKey()
	return err
}

func (c *Chain) publicKey() (*bls.PublicKey[bls.KeyG2SigG1], error) {
	var encoded [publicKeySize]byte
	if !decodeHex(encoded[:], c.PublicKey) {
		return nil, fmt.Errorf("%w: %q is not %d lower-case hexadecimal digits", ErrPublicKey, c.PublicKey, 2*publicKeySize)
	}
	key := new(bls.PublicKey[bls.KeyG2SigG1])
	if err := key.UnmarshalBinary(encoded[:]); err != nil {
		return nil, fmt.Errorf("%w: not a point of G2: %w", ErrPublicKey, err)
	}
	return key, nil
}

// RoundTime returns when a round is due, for rounds from 1 to 2^40.
func (c *Chain) RoundTime(round uint64) time.Time {
	return time.Unix(c.Genesis.Unix()+int64(round-1)*int64(c.Period/time.Second), 0).UTC()
}

// RoundAfter returns the first round whose time lies after the close of registration: the one to name in a
// sale definition. A round due at the very instant of the close does not count.
func (c *Chain) RoundAfter(closesAt time.Time) uint64 {
	since := closesAt.Unix() - c.Genesis.Unix()
	if since < 0 {
		return 1
	}
	return uint64(since/int64(c.Period/time.Second)) + 2
}

// CheckRound refuses a round that does not lie after the close, unless it is a stand-in.
func (c *Chain) CheckRound(round uint64, closesAt time.Time, standIn bool) error {
	if round < 1 || round > maxRound {
		return fmt.Errorf("%w: round %d, not 1 to %d", ErrTerms, round, uint64(maxRound))
	}
	at := c.RoundTime(round)
	if !isWholeSecond(at) {
		return fmt.Errorf("%w: round %d lies after the year 9999", ErrTerms, round)
	}
	if !standIn && !at.After(closesAt) {
		return fmt.Errorf("%w: round %d is of %s, registration closes at %s; the first round after is %d", ErrRoundBeforeClose,
			round, at.Format(time.RFC3339), closesAt.UTC().Format(time.RFC3339), c.RoundAfter(closesAt))
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
// Members may come in any order; unknown, duplicate or missing ones, upper-case digits and bytes after the object are
// refused with [ErrBeaconSyntax]. What it says is not yet verified.
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
		return Beacon{}, fmt.Errorf("%w: no round from 1 to %d", ErrBeaconSyntax, uint64(maxRound))
	}
	beacon := Beacon{Round: *text.Round}
	if !decodeHex(beacon.Randomness[:], text.Randomness) {
		return Beacon{}, fmt.Errorf("%w: the randomness %q is not %d lower-case hexadecimal digits", ErrBeaconSyntax, text.Randomness, 2*sha256.Size)
	}
	if !decodeHex(beacon.Signature[:], text.Signature) {
		return Beacon{}, fmt.Errorf("%w: the signature %q is not %d lower-case hexadecimal digits", ErrBeaconSyntax, text.Signature, 2*signatureSize)
	}
	return beacon, nil
}

// decodeHex fills into from lower-case hexadecimal digits; false unless they are exactly as many as it takes.
func decodeHex(into []byte, digits string) bool {
	if len(digits) != hex.EncodedLen(len(into)) || bytes.ContainsAny([]byte(digits), "ABCDEF") {
		return false
	}
	_, err := hex.Decode(into, []byte(digits))
	return err == nil
}

// Verify checks offline that the beacon is the chain's for this round: its number, that its randomness follows from its signature,
// and the signature itself. It takes some milliseconds. Errors: [ErrPublicKey], [ErrOtherRound], [ErrRandomness],
// [ErrSignature].
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
