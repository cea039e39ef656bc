package outcomes

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// What ended is forgotten Memory.Forget after its time was over, by two means: a checkpoint leaves it out, and a replay
// does not restore it, whether or not there is a checkpoint. Held and confirmed reservations are never forgotten, nor
// are returned ones whose tickets are withheld, since they account for the places. A replay that had to restore a
// reservation before the journal shows its end remembers it until the next start, however old it is. Rows are not used
// again while an engine runs, so memory comes back with a start. A standby forgets when it starts, too. If its tables
// fill up over several terms of its leaders, it stops following, and the engine that is opened in its place forgets
// again.

// forgets reports whether a reservation in this state, with its last outcome at an instant (ms), is forgotten now. The
// time of a returned one is over with its return, that of others at their end.
func (m *Memory) forgets(state inventory.State, flags uint8, expiresMs, atMs, now int64) bool {
	over := expiresMs
	switch state {
	case inventory.Held, inventory.Confirmed:
		return false
	case inventory.Returned:
		if flags&inventory.FlagWithheld != 0 {
			return false
		}
		over = max(expiresMs, atMs)
	}
	return m.isPast(over, now)
}

// isPast reports whether a time that was over at an instant (ms) is so long ago that what has ended is forgotten.
func (m *Memory) isPast(over, now int64) bool { return over < now-m.Forget.Milliseconds() }

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
//     are exactly those held.
type past struct {
	began int64 // ms
	held  map[inventory.ID]hold
}

// hold is a held reservation that has no row yet.
type hold struct {
	inventory.Restored
	changed bool // it comes from the record of a change, or from a checkpoint's row of a changed reservation
}

// has reports whether the outcome of a record is in the hold already.
func (h *hold) has(seq uint64) bool { return h.Seq != 0 && seq != 0 && seq <= h.Seq }

// passes reports whether the reservation of the record gets no row, or not yet. The record replaces what is known of a
// reservation of the past. If the record is no change of a held reservation, the known one is restored as held, so that
// the inventory refuses the record.
func (p *Replay) passes(r *record.Record) (passed bool, err error) {
	id := r.Request.ID
	if known, ok := p.past.held[id]; ok {
		if known.has(r.Seq) {
			return true, nil
		}
		delete(p.past.held, id)
		if known.Seq != 0 && !changesHold(r) {
			return false, p.restoreHold(known)
		}
	}
	// A row that the checkpoint has already takes its end like any other.
	if p.m.Inventory.Find(id) != 0 {
		return false, nil
	}
	now := max(p.past.began, p.latest)
	if r.State != inventory.Held {
		return p.m.forgets(r.State, r.Request.Flags, r.Request.Expires, r.AtMs, now), nil
	}
	if !p.m.isPast(r.Request.Expires, now) {
		return false, nil
	}
	request := r.Request // the decoder uses r again
	request.Lines = slices.Clone(request.Lines)
	held := hold{Restored: restored(r), changed: changesHold(r)}
	held.Request = &request
	p.past.held[id] = held
	return true, nil
}

// changesHold reports whether the record's outcome can follow a held reservation under its id. A checkpoint's row of a
// changed reservation follows the one of the row before it, whatever happened in between.
func changesHold(r *record.Record) bool {
	switch r.Kind {
	case record.KindExtended, record.KindChanged:
		return true
	case record.KindReduced:
		return r.State == inventory.Held
	}
	return false
}

// ends reports whether the outcome ends a reservation of the past, which is thereby forgotten. One that was confirmed
// is restored as held, and the outcome applies to it as to any other.
func (p *Replay) ends(o inventory.Restored) (forgotten bool, err error) {
	held, ok := p.past.held[o.Request.ID]
	if !ok {
		return false, nil
	}
	if held.has(o.Seq) {
		return true, nil
	}
	delete(p.past.held, o.Request.ID)
	if o.State != inventory.Confirmed {
		return true, nil
	}
	return false, p.restoreHold(held)
}

// restoreHold gives a reservation of the past its row.
func (p *Replay) restoreHold(h hold) error {
	if h.changed {
		return p.named(p.m.Inventory.RestoreChanged(h.Restored))
	}
	return p.named(p.m.Inventory.RestoreTaken(h.Restored))
}

// restorePast restores the reservations of the past that are still held. They are due.
func (p *Replay) restorePast() error {
	byCreation := slices.SortedFunc(maps.Values(p.past.held), func(a, b hold) int {
		return cmp.Or(cmp.Compare(a.Request.Created, b.Request.Created), slices.Compare(a.Request.ID[:], b.Request.ID[:]))
	})
	for _, held := range byCreation {
		if err := p.restoreHold(held); err != nil {
			return err
		}
	}
	clear(p.past.held)
	return nil
}
