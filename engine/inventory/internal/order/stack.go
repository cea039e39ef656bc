package order

import "github.com/seathold/seathold/engine/inventory/internal/table"

// Stack orders outcomes for the journal. A finished outcome is pushed by one compare-and-swap, and the drainer takes
// the whole stack in one step. A push decides the order at once and leaves no gap: an outcome is on the stack,
// complete, or it is not visible at all. A ring of claimed slots was rejected because a caller that stalls between
// its claim and its write would hold up every outcome after it.
//
//	63              32 31             0
//	+-----------------+---------------+
//	| count of pushes |     Link      |   the link names the top outcome; 0 is an empty stack
//	+-----------------+---------------+
//
// Taking the stack keeps the count, so a caller learns the sequence of its outcome from its own push. Sequences are the
// count widened to 64 bits, and have no gap.
//
// A push is right whenever the word is the one that it loaded, whatever happened in between: its link names the top of
// that moment, and its count is the next. Only an outcome that is removed alone could be confused with another one,
// and none is: the drainer takes the whole stack by one And, and no other goroutine takes any.
//
// The stack has no memory of its own. Each outcome has a link to the one that was pushed before it, and its owner
// keeps that. The pusher writes the link before its push; from then on only the drainer reads it, after it took the
// stack. The owner must not push an outcome again, nor use the link for another one, before the drainer has passed it.
//
// Any number of goroutines may push, and one at a time drains. All words are atomic, and no method allocates or blocks.
type Stack struct {
	_   [56]byte // keeps the pushes off the cache lines of what is around
	top table.Word64
	_   [56]byte

	Drained table.Word64 // sequence of the last outcome that was drained; only the drainer writes it
}

// links are the bits of the word that have the link.
const links uint64 = 1<<32 - 1

// Push puts the outcome that o names on the stack. It is complete, and may be drained at once. below is where it keeps
// its link to the one before. Push returns the sequence of the outcome, and whether the stack was empty, so that the
// drainer may be asleep. It is just small enough to be inlined.
func (s *Stack) Push(o Link, below *Link) (seq uint64, first bool) {
	for {
		w := s.top.Load()
		*below = Link(w)
		next := (w | links) + 1 | uint64(o) // the count after that of w
		// From here on the outcome has its position in the journal (I6): what is pushed later is logged later.
		if s.top.CompareAndSwap(w, next) {
			return s.sequence(uint32(next >> 32)), Link(w) == 0
		}
	}
}

// Take empties the stack for the drainer. It returns the link to the outcome pushed last, from which the others follow,
// and its sequence; where the stack was empty, 0 and the sequence of the outcome before. The drainer stores the
// sequence in Drained after it has visited them all.
func (s *Stack) Take() (top Link, last uint64) {
	// The sequence comes from the same word: a later load would cover outcomes that were not taken.
	w := s.top.And(^links)
	return Link(w), s.sequence(uint32(w >> 32))
}

// sequence widens the count of a push to 64 bits. Fewer than 2^31 outcomes lie between it and the last one drained.
func (s *Stack) sequence(count uint32) uint64 {
	drained := s.Drained.Load()
	return drained + uint64(int32(count-uint32(drained)))
}

// Resume continues the sequences after last. It is called before the first push.
func (s *Stack) Resume(last uint64) {
	s.Drained.Store(last)
	s.top.Store(last << 32)
}

// Last returns the sequence of the outcome pushed last.
func (s *Stack) Last() uint64 { return s.sequence(uint32(s.top.Load() >> 32)) }
