package outcomes

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// What ended is forgotten Memory.Forget after its time was over, by two means: a checkpoint leaves it out, and a replay
// does not restore it, whether or not there is a checkpoint. Held and confirmed reservations are never forgotten. Rows
// are not used again while an engine runs, so memory comes back with a start. A standby forgets when it starts, too. If
// its tables fill up over several terms of its leaders, it stops following, and the engine that is opened in its place
// forgets again.

// forgets reports whether a reservation that has ended, and whose time was over at this instant (ms), is forgotten now.
func (m *Memory) forgets(expiresMs, now int64) bool { return expiresMs < now-m.Forget.Milliseconds() }

// past holds, during a replay, the reservations that are forgotten if they have ended: those whose time was over
// Memory.Forget before the replay. Such a reservation gets a row only when the journal shows that it was confirmed, or
// at the end of the replay if it is still held. So a replay needs room for what is remembered, not for all that the
// journal has.
//
// The instant that judges is the sale clock's when the replay began, or the latest in the journal so far if that is
// later. Once the engine leads, the sale clock is never before either, so nothing is forgotten earlier than
// Memory.Forget after its time. Outcomes do not depend on the instant; only what is remembered of ended ones does.
//
//   - Stock and ledgers do not depend on it (I6): they are those of the held and confirmed reservations, and these are
//     all restored. An ended one counts nowhere.
//   - An id that is forgotten is free (I9), as it is after a checkpoint that left it out: a repeat is a new
//     reservation. It is taken after the first one's time, so a journal that has both restores the second.
//   - A journal whose end of a reservation was never preceded by its taking is still refused: the reservations in past
//     are exactly those taken and not yet ended.
type past struct {
	began int64 // ms
	held  map[inventory.ID]inventory.Restored
}

// passes reports whether the reservation of the record gets no row, or not yet.
func (p *Replay) passes(r *record.Record) bool {
	// A row that the checkpoint has already takes its end like any other.
	if r.State == inventory.Confirmed || !p.m.forgets(r.Request.Expires, max(p.past.began, p.latest)) ||
		p.m.Inventory.Find(r.Request.ID) != 0 {
		return false
	}
	if r.State == inventory.Held {
		request := r.Request // the decoder uses r again
		request.Lines = slices.Clone(request.Lines)
		held := restored(r)
		held.Request = &request
		p.past.held[request.ID] = held
	}
	return true
}

// ends reports whether the record ends a reservation of the past that thereby is forgotten. One that was confirmed is
// restored as held, and the record applies to it as to any other.
func (p *Replay) ends(r *record.Record) (forgotten bool, err error) {
	held, ok := p.past.held[r.Request.ID]
	if !ok {
		return false, nil
	}
	delete(p.past.held, r.Request.ID)
	if r.State != inventory.Confirmed {
		return true, nil
	}
	return false, p.named(p.m.Inventory.RestoreTaken(held))
}

// restorePast restores the reservations of the past that are still held. They are due.
func (p *Replay) restorePast() error {
	byCreation := slices.SortedFunc(maps.Values(p.past.held), func(a, b inventory.Restored) int {
		return cmp.Or(cmp.Compare(a.Request.Created, b.Request.Created), slices.Compare(a.Request.ID[:], b.Request.ID[:]))
	})
	for _, held := range byCreation {
		if err := p.named(p.m.Inventory.RestoreTaken(held)); err != nil {
			return err
		}
	}
	clear(p.past.held)
	return nil
}
