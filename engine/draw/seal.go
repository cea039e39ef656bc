package draw

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// Secret hides the accounts of a draw. Whoever has it can compute the handle of any account, and so test who entered.
// An export never contains it.
//
// The operator gains nothing by choosing it. The ranks follow from the handles and the beacon, so a choice pays only
// with the beacon in hand. The root fixes every handle before the beacon is known: another secret gives other handles,
// and those give another root. Without the beacon every secret is as good as any other.
//
// The secret is random and is made when the draw is announced. Its commitment is public from then on, and part of the
// terms that are published with the root. An auditor who later receives the secret and the accounts can therefore check
// that it is the same secret, and compute every handle from its account. An account that entered under two handles, or
// a handle without an account, shows then.
type Secret [32]byte

// String does not reveal the secret.
func (Secret) String() string { return "(secret)" }

// Commitment is the SHA-256 of the secret. It is public and does not reveal the secret.
func (s *Secret) Commitment() Digest { return sha256.Sum256(s[:]) }

// Salt returns the salt of an account's handle: HMAC-SHA256(secret, account). Only the account itself receives it.
func (s *Secret) Salt(account string) Digest {
	return newSealer(s).salt([]byte(account))
}

// HandleOf returns the 32 bytes that stand for an account in a draw: SHA-256("e", salt, account). The salt hides the
// account from everyone who does not have it. With the salt the handle opens to this account and to no other, since
// that would be a collision of SHA-256.
func HandleOf(salt Digest, account string) Digest {
	return handleOf(&salt, []byte(account))
}

func handleOf(salt *Digest, account []byte) Digest {
	var buffer [1 + len(salt) + maxName]byte
	opened := append(buffer[:0], 'e')
	opened = append(opened, salt[:]...)
	return sha256.Sum256(append(opened, account...))
}

// sealer computes the salts of one account after another. See ticket for why it keeps its hash.
type sealer struct {
	mac hash.Hash
	sum Digest
}

func newSealer(secret *Secret) *sealer { return &sealer{mac: hmac.New(sha256.New, secret[:])} }

func (s *sealer) salt(account []byte) Digest {
	s.mac.Reset()
	s.mac.Write(account) // a hash.Hash never returns an error
	s.mac.Sum(s.sum[:0])
	return s.sum
}

func (s *sealer) handle(account []byte) Digest {
	salt := s.salt(account)
	return handleOf(&salt, account)
}
