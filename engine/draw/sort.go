package draw

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// keyed is an entry with eight bytes to sort it by, so that most comparisons need not fetch its account.
type keyed struct {
	key   uint64
	entry uint32
}

// sortAccounts returns the indices of unsorted entries in ascending order of their accounts' bytes. When an account
// occurs twice, twin is a place in that order whose successor has the same account; otherwise it is -1.
func sortAccounts(unsorted *Entries) (order []uint32, twin int) {
	keys := make([]keyed, unsorted.Len())
	for i := range keys {
		keys[i].entry = uint32(i)
	}
	sortFrom(unsorted, keys, make([]keyed, len(keys)), 0)
	order = make([]uint32, len(keys))
	twin = -1
	for place := range keys {
		order[place] = keys[place].entry
		if place > 0 && keys[place].key == twinKey {
			twin = place - 1
		}
	}
	return order, twin
}

// twinKey marks, after sorting, an entry whose account equals that of the entry before. No eight bytes of a name are
// all 0xff, so no account has this key.
const twinKey = ^uint64(0)

// sortFrom sorts entries that agree in all bytes before depth: by the next eight bytes, and then each run that
// agrees in these by the ones after. Names hold no zero byte, so a shorter name padded with zeros sorts before a longer one,
// and a run whose key ends in zero consists of equal names.
func sortFrom(unsorted *Entries, keys, scratch []keyed, depth int) {
	for i := range keys {
		keys[i].key = eightBytes(unsorted.Account(int(keys[i].entry)), depth)
	}
	sortKeys(keys, scratch)
	for first := 0; first < len(keys); {
		key, end := keys[first].key, first+1
		for end < len(keys) && keys[end].key == key {
			end++
		}
		if run := keys[first:end]; len(run) > 1 && byte(key) == 0 {
			for i := range run[1:] {
				run[i+1].key = twinKey
			}
		} else if len(run) > 1 {
			sortFrom(unsorted, run, scratch[first:end], depth+8)
		}
		first = end
	}
}

// eightBytes returns bytes depth to depth+7 of a name as a number that compares as they do; what is past the end
// counts as zero.
func eightBytes(name []byte, depth int) uint64 {
	if len(name) >= depth+8 {
		return binary.BigEndian.Uint64(name[depth:])
	}
	var padded [8]byte
	copy(padded[:], name[min(depth, len(name)):])
	return binary.BigEndian.Uint64(padded[:])
}

const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
	radix     = 1 << digitBits
)

// sortKeys sorts by key and keeps the order of entries with equal keys. Large inputs go through a least-significant-digit radix
// sort, six passes without a comparison, of which those are left out whose digit all keys share.
func sortKeys(keys, scratch []keyed) {
	if len(keys) < 2*radix {
		slices.SortStableFunc(keys, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
		return
	}
	var counts [digits][radix]uint32
	for i := range keys {
		for digit := range digits {
			counts[digit][keys[i].key>>(digit*digitBits)%radix]++
		}
	}
	from, to := keys, scratch
	for digit := range digits {
		count, shift := &counts[digit], digit*digitBits
		if int(count[from[0].key>>shift%radix]) == len(from) {
			continue
		}
		sum := uint32(0)
		for value := range count {
			count[value], sum = sum, sum+count[value]
		}
		for _, one := range from {
			value := one.key >> shift % radix
			to[count[value]] = one
			count[value]++
		}
		from, to = to, from
	}
	if &from[0] != &keys[0] {
		copy(keys, from)
	}
}
