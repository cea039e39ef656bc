package draw

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// keyed is an entry with the eight bytes to sort it by, so that most comparisons do not load its account.
type keyed struct {
	key   uint64
	entry uint32
}

// sortHandles returns the indices of unsorted entries in ascending order of their handles' bytes. Handles are uniform,
// so their first eight bytes decide almost always. twin is as in sortAccounts.
func sortHandles(unsorted *Entries) (order []uint32, twin int) {
	keys := make([]keyed, unsorted.Len())
	for i := range keys {
		keys[i] = keyed{binary.BigEndian.Uint64(unsorted.name(i)), uint32(i)}
	}
	sortKeys(keys, make([]keyed, len(keys)))
	breakTies(keys, func(i uint32) []byte { return unsorted.name(int(i)) })
	order, twin = make([]uint32, len(keys)), -1
	for i := range keys {
		order[i] = keys[i].entry
		if i > 0 && keys[i].key == keys[i-1].key &&
			bytes.Equal(unsorted.name(int(order[i])), unsorted.name(int(order[i-1]))) {
			twin = i - 1
		}
	}
	return order, twin
}

// sortAccounts returns the indices of unsorted entries in ascending order of their accounts' bytes. If an account
// occurs twice, twin is a position in that order whose successor has the same account; otherwise it is -1.
func sortAccounts(unsorted *Entries) (order []uint32, twin int) {
	keys := make([]keyed, unsorted.Len())
	for i := range keys {
		keys[i].entry = uint32(i)
	}
	sortFrom(unsorted, keys, make([]keyed, len(keys)), 0)
	order = make([]uint32, len(keys))
	twin = -1
	for i := range keys {
		order[i] = keys[i].entry
		if i > 0 && keys[i].key == twinKey {
			twin = i - 1
		}
	}
	return order, twin
}

// twinKey marks, after sorting, an entry whose account equals that of the previous entry. No name contains the byte
// 0xff, so no account has this key.
const twinKey = ^uint64(0)

// sortFrom sorts entries that agree in all bytes before depth: by the next eight bytes, and then each run that agrees
// in these by the following bytes. Names contain no zero byte. A shorter name, padded with zeros, therefore sorts
// before a longer one, and a run whose key ends in zero consists of equal names.
func sortFrom(unsorted *Entries, keys, scratch []keyed, depth int) {
	for i := range keys {
		keys[i].key = eightBytes(unsorted.name(int(keys[i].entry)), depth)
	}
	sortKeys(keys, scratch)
	eachTie(keys, func(first, end int) {
		if byte(keys[first].key) != 0 {
			sortFrom(unsorted, keys[first:end], scratch[first:end], depth+8)
			return
		}
		for i := first + 1; i < end; i++ {
			keys[i].key = twinKey
		}
	})
}

// eachTie calls do for each run of two or more equal keys. do may reorder the run and change its keys.
func eachTie(keys []keyed, do func(first, end int)) {
	for first := 0; first < len(keys); {
		key, end := keys[first].key, first+1
		for end < len(keys) && keys[end].key == key {
			end++
		}
		if end-first > 1 {
			do(first, end)
		}
		first = end
	}
}

// eightBytes returns bytes depth to depth+7 of a name as a number that sorts as they do. Bytes after the end are zero.
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

// sortKeys is a stable sort by key. Large inputs use a least-significant-digit radix sort: up to six passes without
// comparisons, skipping each digit that is the same in all keys.
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
