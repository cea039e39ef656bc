package redis

import (
	"github.com/seathold/seathold/engine/journal"
)

// kept is the newest entries of this leader, in memory: what Redis may lose. Their bytes are copies, so that the caller's
// buffer is free when Append returns, however many attempts are still on their way.
type kept struct {
	limit   int      // bytes
	before  position // of the entry before the oldest one kept
	entries []*entry // the oldest first
	bytes   int
	spare   []byte // of an entry that was dropped, for the next one
}

// begin forgets all and keeps a claim.
func (k *kept) begin(claim *entry) {
	*k = kept{limit: k.limit, before: claim.previous, entries: []*entry{claim}}
}

// group keeps a group, dropping the oldest entries for it, and returns the entry.
func (k *kept) group(at id, previous position, g journal.Group) *entry {
	k.bytes += len(g.Records)
	for k.bytes > k.limit && len(k.entries) > 0 {
		oldest := k.entries[0]
		k.before, k.entries[0] = oldest.at, nil
		k.entries = k.entries[1:]
		k.bytes -= len(oldest.group.Records)
		if cap(oldest.group.Records) > cap(k.spare) {
			k.spare = oldest.group.Records
		}
	}
	g.Records = append(k.spare[:0], g.Records...)
	k.spare = nil
	e := &entry{at: position{at, groupSum(at, previous, g)}, previous: previous, group: g}
	k.entries = append(k.entries, e)
	return e
}

func (k *kept) newest() *entry { return k.entries[len(k.entries)-1] }

// behind returns the entries that follow the given place, up to and including the last one asked for; nil when that one or
// a later one stands at the place, so that nothing is missing; false when the place is not among those that are kept.
func (k *kept) behind(place position, last *entry) ([]*entry, bool) {
	from, to := -1, -1
	if place == k.before {
		from = 0
	}
	for i, e := range k.entries {
		if e.at == place {
			from = i + 1
		}
		if e == last {
			to = i
		}
	}
	switch {
	case from < 0:
		return nil, false
	case from > to:
		return nil, true
	}
	return k.entries[from : to+1], true
}
