package redis

import (
	"slices"
	"sort"
)

// boundary is the position of a group or claim and the last record up to it.
type boundary struct {
	record uint64
	at     position
}

// boundaries are known boundaries in ascending order. A checkpoint is replayed from the newest boundary that is not
// after its start, so any boundary but the first may be missing: replay is then longer. The newest ones are all kept,
// because checkpoints start at recent records.
type boundaries struct {
	list []boundary
}

// maxBoundaries bounds the list. When it is full, every second one of its older three quarters is dropped.
const maxBoundaries = 4096

func (b *boundaries) add(next boundary) {
	if len(b.list) == maxBoundaries {
		old := b.list[:maxBoundaries*3/4]
		thin := b.list[:0]
		for i := 0; i < len(old); i += 2 {
			thin = append(thin, old[i])
		}
		b.list = append(thin, b.list[len(old):]...)
	}
	b.list = append(b.list, next)
}

// atOrBefore returns the newest boundary at or before a record; false when every known boundary is after it.
func (b *boundaries) atOrBefore(record uint64) (boundary, bool) {
	i := sort.Search(len(b.list), func(i int) bool { return b.list[i].record > record })
	if i == 0 {
		return boundary{}, false
	}
	return b.list[i-1], true
}

// dropBefore drops the boundaries before the given one.
func (b *boundaries) dropBefore(first boundary) {
	b.list = slices.DeleteFunc(b.list, func(o boundary) bool { return o.at.id.compare(first.at.id) < 0 })
}
