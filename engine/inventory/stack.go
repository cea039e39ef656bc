package inventory

import (
	"unsafe"
)

// stack is where outcomes get their place in the journal's order: a stack of finished outcomes, pushed by one
// compare-and-swap and taken whole by one atomic step. A push decides the order at once and leaves no gap: either the
// outcome is on the stack, complete, or it is nowhere. A ring of claimed slots was rejected because a caller stalled
// between its claim and its write would hold up every outcome behind it.
//
//	63             32 31  30 29         0
//	+----------------+------+-----------+
//	| count of pushes| kind |   index   |   kind and index together name the top outcome; 0 is an empty stack
//	+----------------+------+-----------+
//
// The count stays when the stack is taken, so a caller knows the sequence of its outcome from its own push.
type stack struct {
	_   [56]byte
	top word64
	_   [56]byte
}

// Kind says what a placed outcome is about.
type Kind uint8

const (
	Took  Kind = iota // a reservation was taken; Index is its row
	Ended             // a reservation was confirmed, released or expired; Index is its row
	Noted             // something else the engine wants in the order; Index is the note
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

// note is an outcome that is not about a reservation: a value that the engine understands.
type note struct {
	value uint64
	below uint32
	_     uint32
}

// below returns where the outcome keeps its link to the one pushed before it. Each outcome is pushed once in its life, so
// the link needs no memory of its own and no reuse can confuse it.
func (v *Inventory) below(o Outcome) *uint32 {
	if o.Kind == Noted {
		return &v.notes.at(o.Index).below
	}
	return &v.details.at(o.Index).below[o.Kind]
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
		// Decides the order of this outcome among all others (I6): what is pushed later is logged later.
		if v.placed.top.CompareAndSwap(w, count<<32|packed) {
			if uint32(w) == 0 && v.wake != nil {
				v.wake() // the stack was empty: whoever drains it may be asleep
			}
			return v.sequence(uint32(count))
		}
	}
}

// sequence widens the count of a push. Fewer than 2^31 outcomes lie between it and the last one drained.
func (v *Inventory) sequence(count uint32) uint64 {
	drained := v.drained.Load()
	return drained + uint64(int64(int32(count-uint32(drained))))
}

// Resume makes the sequences go on behind last. It is called before anything is placed.
func (v *Inventory) Resume(last uint64) {
	v.drained.Store(last)
	v.placed.top.Store(last << 32)
}

// Placed returns the sequence of the outcome placed last.
func (v *Inventory) Placed() uint64 { return v.sequence(uint32(v.placed.top.Load() >> 32)) }

// Drained returns the sequence of the outcome drained last.
func (v *Inventory) Drained() uint64 { return v.drained.Load() }

// Drain takes all placed outcomes, gives them to visit in their order, and returns the sequence of the last one. Only one
// goroutine drains.
func (v *Inventory) Drain(visit func(Outcome)) uint64 {
	w := v.placed.top.And(0xffffffff00000000) // takes the whole stack, keeps the count
	last := v.sequence(uint32(w >> 32))
	order := v.order[:0]
	for top := uint32(w); top != 0; {
		o := unpackOutcome(top)
		if o.Kind != Noted {
			prefetch(unsafe.Pointer(v.reservations.at(o.Index))) // most were written by other processors
		}
		order = append(order, top)
		top = *v.below(o)
	}
	v.order = order
	for i := len(order) - 1; i >= 0; i-- {
		if i >= aheadOutcomes {
			v.prefetchAccount(unpackOutcome(order[i-aheadOutcomes]))
		}
		o := unpackOutcome(order[i])
		if o.Kind != Noted {
			v.details.at(o.Index).logged.Store(uint32(o.Kind) + 1)
		}
		visit(o)
	}
	v.drained.Store(last)
	return last
}

// aheadOutcomes is how many outcomes pass between an account's being asked for and its being there.
const aheadOutcomes = 8

func (v *Inventory) prefetchAccount(o Outcome) {
	if o.Kind != Noted {
		prefetch(unsafe.Pointer(v.accounts.at(v.reservations.at(o.Index).account)))
	}
}

// Note places a value of the engine's own among the outcomes and returns its sequence; false when the table is full.
func (v *Inventory) Note(value uint64) (uint64, bool) {
	i, ok := v.notes.claim()
	if !ok {
		return 0, false
	}
	v.notes.at(i).value = value
	return v.place(Outcome{Kind: Noted, Index: i}), true
}

// NoteValue returns the value of a note.
func (v *Inventory) NoteValue(index uint32) uint64 { return v.notes.at(index).value }
