package draw

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// SeedOf returns the seed of a draw: SHA-256 of the 32 bytes of the root followed by the 32 bytes of the randomness.
func SeedOf(root, randomness Digest) Digest {
	return sha256.Sum256(append(root[:], randomness[:]...))
}

// ticket computes HMAC-SHA256(seed, account) for one account after another. After its first Reset the hash starts each
// from the states that follow the padded key, which halves the work.
type ticket struct {
	mac hash.Hash
	sum []byte
}

func newTicket(seed Digest) *ticket {
	return &ticket{mac: hmac.New(sha256.New, seed[:]), sum: make([]byte, 0, sha256.Size)}
}

// of returns the 32 bytes that rank the account. They are valid until the next call.
func (t *ticket) of(account []byte) []byte {
	t.mac.Reset()
	t.mac.Write(account) // a hash.Hash never returns an error
	t.sum = t.mac.Sum(t.sum[:0])
	return t.sum
}

// rank returns the positions of the entries in ascending order of HMAC-SHA256(seed, account), compared as bytes. Should two be
// equal, which takes a collision of SHA-256, the account that sorts first is first.
func rank(entries *Entries, seed Digest) []uint32 {
	keys := make([]keyed, entries.Len())
	inParallel(len(keys), 4096, func() func(first, end int) {
		mac := newTicket(seed)
		return func(first, end int) {
			for i := first; i < end; i++ {
				keys[i] = keyed{binary.BigEndian.Uint64(mac.of(entries.Account(i))), uint32(i)}
			}
		}
	})
	sortKeys(keys, make([]keyed, len(keys)))
	mac := newTicket(seed)
	breakTies(keys, func(position uint32) []byte { return bytes.Clone(mac.of(entries.Account(int(position)))) })
	byRank := make([]uint32, len(keys))
	for place := range keys {
		byRank[place] = keys[place].entry
	}
	return byRank
}

// breakTies sorts the runs of entries whose keys are equal by the whole value that the key is the beginning of, and then by
// position. Among four million there is such a run once in two million draws.
func breakTies(keys []keyed, whole func(position uint32) []byte) {
	for first := 0; first < len(keys); {
		end := first + 1
		for end < len(keys) && keys[end].key == keys[first].key {
			end++
		}
		if end-first > 1 {
			slices.SortFunc(keys[first:end], func(a, b keyed) int {
				return cmp.Or(bytes.Compare(whole(a.entry), whole(b.entry)), cmp.Compare(a.entry, b.entry))
			})
		}
		first = end
	}
}
