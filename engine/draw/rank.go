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

// ticket computes the value by which an entry is ranked, for one entry after another: HMAC-SHA256(seed, handle and a
// zero byte), or in format 1 HMAC-SHA256(seed, account). It reuses one hash, because after the first Reset the hash
// starts from the saved states after the padded key, which halves the work.
type ticket struct {
	mac    hash.Hash
	number []byte // follows the handle: the number of the entry's only ticket
	sum    []byte
}

func newTicket(seed Digest, sealed bool) *ticket {
	t := &ticket{mac: hmac.New(sha256.New, seed[:]), sum: make([]byte, 0, sha256.Size)}
	if sealed {
		t.number = []byte{0}
	}
	return t
}

// of returns the 32 bytes that determine the rank of an entry. They are valid until the next call.
func (t *ticket) of(name []byte) []byte {
	t.mac.Reset()
	t.mac.Write(name) // a hash.Hash never returns an error
	t.mac.Write(t.number)
	t.sum = t.mac.Sum(t.sum[:0])
	return t.sum
}

// rank returns the positions of the entries in ascending order of their tickets, compared as bytes. Two equal values,
// which require a collision of SHA-256, are ordered by position.
func rank(entries *Entries, seed Digest) []uint32 {
	keys := make([]keyed, entries.Len())
	inParallel(len(keys), 4096, func() func(first, end int) {
		mac := newTicket(seed, entries.sealed())
		return func(first, end int) {
			for i := first; i < end; i++ {
				keys[i] = keyed{binary.BigEndian.Uint64(mac.of(entries.name(i))), uint32(i)}
			}
		}
	})
	sortKeys(keys, make([]keyed, len(keys)))
	mac := newTicket(seed, entries.sealed())
	breakTies(keys, func(position uint32) []byte { return bytes.Clone(mac.of(entries.name(int(position)))) })
	byRank := make([]uint32, len(keys))
	for i := range keys {
		byRank[i] = keys[i].entry
	}
	return byRank
}

// breakTies sorts runs of entries with equal keys by the whole value, of which the key is the first eight bytes, and
// then by position. With four million entries such a run occurs once in two million draws.
func breakTies(keys []keyed, whole func(position uint32) []byte) {
	eachTie(keys, func(first, end int) {
		slices.SortFunc(keys[first:end], func(a, b keyed) int {
			return cmp.Or(bytes.Compare(whole(a.entry), whole(b.entry)), cmp.Compare(a.entry, b.entry))
		})
	})
}
