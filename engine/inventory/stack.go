package inventory

import (
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// stack orders outcomes for the journal. A finished outcome is pushed by one compare-and-swap, and the drainer takes
// the whole stack in one step. A push decides the order at once and leaves no gap: an outcome is on the stack,
// complete, or it is not visible at all. A ring of claimed slots was rejected because a caller that stalls between
// its claim and its write would hold up every outcome after it.
//
//	63             32 31  30 29         0
//	+----------------+------+-----------+
//	| count of pushes| kind |   index   |   kind and index name the top outcome; 0 is an empty stack
//	+----------------+------+-----------+
//
// Draining keeps the count, so a caller learns the sequence of its outcome from its own push. The count also keeps
// the compare-and-swap of a push from confusing two states of the stack.
type stack struct {
	_   [56]byte
	top table.Word64
	_   [56]byte
}

// Kind is what a placed outcome is about.
type Kind uint8

const (
	Took  Kind = iota // a row was made: a reservation was taken, or changed; Index is the row
	Ended             // a reservation was confirmed, released or expired; Index is its row
	Noted             // a Note; Index names it for NoteAt
)

// Outcome is one entry of the journal's order.
type Outcome struct {
	Kind  Kind
	Index uint32
}

const indexBits = 30

func (o Outcome) pack() uint32 { return uint32(o.Kind)<<indexBits | o.Index }

func unpackOutcome(w uint32) Outcome {
	return Outcome{Kind: Kind(w >> indexBits), Index: w & (1<<indexBits - 1)}
}

// Note is an outcome that is not about a reservation. Only the engine understands what it is about.
type Note struct {
	Subject uint32
	What    uint16
	AtMs    int64 // ms since 1970, below 2^48: until the year 10889
}

// note is a Note in 16 bytes. All but below is written before the note is placed.
type note struct {
	subject uint32
	atLow   uint32 // AtMs, its lower 32 bits
	atHigh  uint16
	what    uint16
	below   uint32 // link of the stack, as in detail
}

// below returns where the outcome keeps its link to the one pushed before it. An outcome is pushed once in its life,
// and its row is used again only after it was drained, so its link needs no other memory.
func (v *Inventory) below(o Outcome) *uint32 {
	if o.Kind == Noted {
		return &v.notes.At(o.Index).below
	}
	return &v.details.At(o.Index).below[o.Kind]
}

// place puts the outcome on the stack and returns its sequence; 0 when the inventory keeps no journal.
func (v *Inventory) place(o Outcome) uint64 {
	if !v.journalled {
		return 0
	}
	link, packed := v.below(o), uint64(o.pack())
	for {
		w := v.placed.top.Load()
		*link = uint32(w)
		count := w>>32 + 1
		// From here on the outcome has its position in the journal (I6): what is pushed later is logged later.
		if v.placed.top.CompareAndSwap(w, count<<32|packed) {
			if uint32(w) == 0 && v.wake != nil {
				v.wake() // the stack was empty, so the drainer may be asleep
			}
			return v.sequence(uint32(count))
		}
	}
}

// sequence widens the count of a push to 64 bits. Fewer than 2^31 outcomes lie between it and the last one drained.
func (v *Inventory) sequence(count uint32) uint64 {
	drained := v.drained.Load()
	return drained + uint64(int64(int32(count-uint32(drained))))
}

// Resume continues the sequences after last. It is called before anything is placed.
func (v *Inventory) Resume(last uint64) {
	v.drained.Store(last)
	v.placed.top.Store(last << 32)
}

// Placed returns the sequence of the outcome placed last.
func (v *Inventory) Placed() uint64 { return v.sequence(uint32(v.placed.top.Load() >> 32)) }

// Drain takes all placed outcomes, calls visit with each in order, and returns the sequence of the last one. Only one
// goroutine drains.
func (v *Inventory) Drain(visit func(Outcome)) uint64 {
	// Takes the whole stack and keeps the count. The sequence comes from the same word: a later load would cover
	// outcomes that are not in this drain.
	w := v.placed.top.And(0xffffffff00000000)
	last := v.sequence(uint32(w >> 32))
	order := v.order[:0]
	for top := uint32(w); top != 0; {
		o := unpackOutcome(top)
		if o.Kind != Noted {
			table.Prefetch(unsafe.Pointer(v.reservations.At(o.Index))) // most were written by other processors
		}
		order = append(order, top)
		top = *v.below(o)
	}
	v.order = order
	// The stack has the newest outcome first.
	for i := len(order) - 1; i >= 0; i-- {
		if i >= aheadOutcomes {
			v.prefetchAccount(unpackOutcome(order[i-aheadOutcomes]))
		}
		o := unpackOutcome(order[i])
		if o.Kind != Noted {
			v.log(o, last-uint64(i))
		}
		visit(o)
		if o.Kind == Noted {
			v.notes.Free(o.Index) // nobody else reads it
		}
	}
	v.drained.Store(last)
	return last
}

// log notes that an outcome about a reservation is drained. A change is about the row that it made and the one before
// it, which comes second: a checkpoint visits that one first, and must not miss both.
func (v *Inventory) log(o Outcome, seq uint64) {
	r, d := v.reservations.At(o.Index), v.details.At(o.Index)
	d.logged.Store(packLogged(seq, r.stateAfter(o.Kind)))
	old := d.old.Load() &^ named
	if o.Kind != Took || old == 0 {
		return
	}
	state := superseded
	if r.origin == OriginReplace {
		state = Released
	}
	v.details.At(old).logged.Store(packLogged(seq, state))
}

// aheadOutcomes is how many outcomes before its own an account is prefetched.
const aheadOutcomes = 8

func (v *Inventory) prefetchAccount(o Outcome) {
	if o.Kind != Noted {
		table.Prefetch(unsafe.Pointer(v.accounts.At(v.reservations.At(o.Index).account)))
	}
}

// Note places a note among the outcomes and returns its sequence; false when the table is full.
func (v *Inventory) Note(n Note) (uint64, bool) {
	i, ok := v.notes.Claim()
	if !ok {
		return 0, false
	}
	at := v.notes.At(i)
	at.subject, at.what, at.atLow, at.atHigh = n.Subject, n.What, uint32(n.AtMs), uint16(n.AtMs>>32)
	return v.place(Outcome{Kind: Noted, Index: i}), true
}

// NoteAt returns the note with this index.
func (v *Inventory) NoteAt(index uint32) Note {
	n := v.notes.At(index)
	return Note{Subject: n.subject, What: n.what, AtMs: int64(n.atHigh)<<32 | int64(n.atLow)}
}
