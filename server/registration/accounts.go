package registration

import (
	"hash/maphash"

	"github.com/seathold/seathold/engine/draw"
)

// accountSet is a set of accounts by 64 bits of hash. Four million take 63 MB; a map of the same hashes takes 144 MB.
// Of four million accounts two have the same hash with a chance of one in two million. The second is then sent as
// repeated, and the server, which compares names, enters it.
type accountSet struct {
	seed  maphash.Seed
	slots []uint64 // open-addressed; 0 is empty
	used  int
}

func newAccountSet() *accountSet {
	return &accountSet{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<12)}
}

// note adds an account and reports whether it was there before. A set of draw.MaxEntries ignores further accounts: no
// draw has more.
func (s *accountSet) note(account string) (hash uint64, before bool) {
	hash = max(maphash.String(s.seed, account), 1)
	at, found := s.find(hash)
	if found || s.used >= draw.MaxEntries {
		return hash, found
	}
	s.slots[at] = hash
	if s.used++; 2*s.used > len(s.slots) {
		s.grow()
	}
	return hash, false
}

// find returns the index of the hash, or of the empty slot where it belongs.
func (s *accountSet) find(hash uint64) (at int, found bool) {
	mask := uint64(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s.slots[i] == 0 || s.slots[i] == hash {
			return int(i), s.slots[i] == hash
		}
	}
}

func (s *accountSet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, hash := range old {
		if hash != 0 {
			at, _ := s.find(hash)
			s.slots[at] = hash
		}
	}
}
