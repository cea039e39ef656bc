package inventory

import (
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/order"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Kind is what a placed outcome is about.
type Kind = order.Kind

// Took: a row was made; a reservation was taken, or changed. Ended: a reservation was confirmed, released or expired.
// Index is the row of both. Noted: a Note; Index names it for NoteAt.
const Took, Ended, Noted = order.Took, order.Ended, order.Noted

// Outcome is one entry of the journal's order.
type Outcome = order.Outcome

// Note is an outcome that is not about a reservation. Only the engine understands what it is about.
type Note = order.Note

// below returns where the outcome keeps its link to the one placed before it. An outcome is placed once in its life,
// and its row is used again only after it was drained, so its link needs no other memory.
func (v *Inventory) below(o Outcome) *order.Link {
	if o.Kind == Noted {
		return &v.notes.At(o.Index).Below
	}
	return &v.details.At(o.Index).below[o.Kind]
}

// place gives the outcome its position in the journal and returns its sequence; 0 when the inventory keeps no journal.
func (v *Inventory) place(o Outcome) uint64 {
	if !v.journalled {
		return 0
	}
	seq, first := v.placed.Push(o.Link(), v.below(o))
	if first && v.wake != nil {
		v.wake() // nothing was placed before, so the drainer may be asleep
	}
	return seq
}

// Resume continues the sequences after last. It is called before anything is placed.
func (v *Inventory) Resume(last uint64) { v.placed.Resume(last) }

// Placed returns the sequence of the outcome placed last.
func (v *Inventory) Placed() uint64 { return v.placed.Last() }

// Drained returns the sequence of the outcome that was drained last, with all those of one Drain at once.
func (v *Inventory) Drained() uint64 { return v.placed.Drained.Load() }

// aheadOutcomes is how many outcomes before its own an account is prefetched.
const aheadOutcomes = 8

// Drain takes all placed outcomes, calls visit with each in order, and returns the sequence of the last one. Only one
// goroutine drains.
func (v *Inventory) Drain(visit func(Outcome)) uint64 {
	top, last := v.placed.Take()
	taken := v.taken[:0]
	for top != 0 {
		o := top.Outcome()
		if o.Kind != Noted {
			table.Prefetch(unsafe.Pointer(v.reservations.At(o.Index))) // most were written by other processors
		}
		taken = append(taken, top)
		top = *v.below(o)
	}
	v.taken = taken
	// The stack has the newest outcome first.
	for i := len(taken) - 1; i >= 0; i-- {
		if i >= aheadOutcomes {
			if next := taken[i-aheadOutcomes].Outcome(); next.Kind != Noted {
				table.Prefetch(unsafe.Pointer(v.accounts.At(v.reservations.At(next.Index).account)))
			}
		}
		o := taken[i].Outcome()
		if o.Kind != Noted {
			v.log(o, last-uint64(i))
		}
		visit(o)
		if o.Kind == Noted {
			v.notes.Free(o.Index) // nobody else reads it
		}
	}
	v.placed.Drained.Store(last)
	return last
}

// log notes that an outcome about a reservation is drained. A change is about the row that it made and the one before
// it, which comes second: a checkpoint visits that one first, and must not miss both.
func (v *Inventory) log(o Outcome, seq uint64) {
	r, d := v.reservations.At(o.Index), v.details.At(o.Index)
	d.logged.Store(packLogged(seq, r.stateAfter(o.Kind)))
	if old := d.old.Load() &^ named; o.Kind == Took && old != 0 {
		state := superseded
		if r.origin == OriginReplace {
			state = Released
		}
		v.details.At(old).logged.Store(packLogged(seq, state))
	}
}

// Note places a note among the outcomes and returns its sequence; false when the table is full.
func (v *Inventory) Note(n Note) (uint64, bool) {
	i, ok := v.notes.Claim()
	if !ok {
		return 0, false
	}
	*v.notes.At(i) = n.Row()
	return v.place(Outcome{Kind: Noted, Index: i}), true
}

// NoteAt returns the note with this index.
func (v *Inventory) NoteAt(index uint32) Note { return v.notes.At(index).Note() }
