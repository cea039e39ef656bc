package redis

import (
	"slices"

	"github.com/seathold/seathold/engine/journal"
)

// resendBuffer holds this leader's most recent entries in memory, in case Redis loses them. It copies their bytes, so
// that the caller's buffer is free when Append returns, even while abandoned attempts are still in flight.
type resendBuffer struct {
	limit   int      // bytes
	before  position // of the entry before the oldest one in the buffer
	entries []*entry // oldest first
	bytes   int
	spare   []byte // memory of an evicted entry, for the next one
}

// reset empties the buffer and adds a claim.
func (b *resendBuffer) reset(claim *entry) {
	*b = resendBuffer{limit: b.limit, before: claim.previous, entries: []*entry{claim}}
}

// add makes an entry of a group, evicting the oldest entries if the buffer is full, and returns it.
func (b *resendBuffer) add(at id, previous position, g journal.Group) *entry {
	b.bytes += len(g.Records)
	for b.bytes > b.limit && len(b.entries) > 0 {
		oldest := b.entries[0]
		b.before, b.entries[0] = oldest.at, nil
		b.entries = b.entries[1:]
		b.bytes -= len(oldest.group.Records)
		if cap(oldest.group.Records) > cap(b.spare) {
			b.spare = oldest.group.Records
		}
	}
	g.Records = append(b.spare[:0], g.Records...)
	b.spare = nil
	e := &entry{at: position{at, groupSum(at, previous, g)}, previous: previous, group: g}
	b.entries = append(b.entries, e)
	return e
}

func (b *resendBuffer) newest() *entry { return b.entries[len(b.entries)-1] }

// after returns the entries after the given position, up to and including last. It returns nil when last or a later
// entry is at that position, so that nothing is missing, and false when the position is not in the buffer.
func (b *resendBuffer) after(at position, last *entry) ([]*entry, bool) {
	end := slices.Index(b.entries, last)
	known := slices.IndexFunc(b.entries, func(e *entry) bool { return e.at == at })
	switch {
	case known < 0 && at != b.before:
		return nil, false
	case known >= end:
		return nil, true
	}
	return b.entries[known+1 : end+1], true
}
