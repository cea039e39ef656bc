//go:build seathold_yield

package table

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Yield runs before every access. Its arguments are the word, and whether the access may change it. By default it often
// yields the processor, so that callers interleave richly on few processors. The explorer of interleavings sets its
// scheduler.
var Yield = func(unsafe.Pointer, bool) {
	if rand.IntN(8) == 0 {
		runtime.Gosched()
	}
}

// Word64 is an atomic.Uint64 that yields before each access.
type Word64 struct{ plain atomic.Uint64 }

// Load yields first.
func (w *Word64) Load() uint64 {
	Yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

// Store yields first.
func (w *Word64) Store(value uint64) {
	Yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

// Add yields first.
func (w *Word64) Add(delta uint64) uint64 {
	Yield(unsafe.Pointer(w), true)
	return w.plain.Add(delta)
}

// And yields first.
func (w *Word64) And(mask uint64) (old uint64) {
	Yield(unsafe.Pointer(w), true)
	return w.plain.And(mask)
}

// CompareAndSwap yields first.
func (w *Word64) CompareAndSwap(old, value uint64) bool {
	Yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// Word32 is an atomic.Uint32 that yields before each access.
type Word32 struct{ plain atomic.Uint32 }

// Load yields first.
func (w *Word32) Load() uint32 {
	Yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

// Store yields first.
func (w *Word32) Store(value uint32) {
	Yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

// CompareAndSwap yields first.
func (w *Word32) CompareAndSwap(old, value uint32) bool {
	Yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// Pointer is an atomic.Pointer that yields before each access.
type Pointer[T any] struct{ plain atomic.Pointer[T] }

// Load yields first.
func (p *Pointer[T]) Load() *T {
	Yield(unsafe.Pointer(p), false)
	return p.plain.Load()
}

// Store yields first.
func (p *Pointer[T]) Store(value *T) {
	Yield(unsafe.Pointer(p), true)
	p.plain.Store(value)
}

// What follows is for the explorer alone. It runs thousands of schedules in one inventory, whose words keep their
// addresses.

// Peek is Load without yielding.
func (w *Word64) Peek() uint64 { return w.plain.Load() }

// Reset forgets all rows, of which there are no more than rows.
func (s *Slab[T]) Reset(rows int) {
	if chunk := s.chunks[0].Load(); chunk != nil {
		clear(chunk[:rows])
	}
	s.used.plain.Store(1)
	s.free.taken.plain.Store(0)
	s.free.filled.plain.Store(0)
}

// Counter returns the word that counts claims.
func (s *Slab[T]) Counter() *Word64 { return &s.used }

// Reset forgets all strings, of which there are no more than strings.
func (t *Texts) Reset(strings int) {
	t.short.Reset(strings)
	t.long.Reset(strings)
}

// Counters returns the words that count claims.
func (t *Texts) Counters() (short, long *Word64) { return &t.short.used, &t.long.used }

// Ring is the ring of the free rows of a slab.
type Ring struct{ r *ring }

// Ring returns the ring of free rows. Its words keep their addresses from then on.
func (s *Slab[T]) Ring() Ring {
	if s.free.chunks[0].Load() == nil {
		s.free.chunks[0].Store(new([ChunkRows]Word32))
	}
	return Ring{&s.free}
}

// Rings returns the rings of free cells.
func (t *Texts) Rings() (short, long Ring) { return t.short.Ring(), t.long.Ring() }

// Taken returns the word that counts the rows that were taken.
func (r Ring) Taken() *Word64 { return &r.r.taken }

// Filled returns the word that counts the rows that were put.
func (r Ring) Filled() *Word64 { return &r.r.filled }

// Next returns the row that the next store to Filled frees.
func (r Ring) Next() uint32 { return r.r.chunks[0].Load()[r.r.filled.Peek()].plain.Load() }

// IsPlace reports whether the word is a place of the ring.
func (r Ring) IsPlace(word unsafe.Pointer) bool {
	chunk := r.r.chunks[0].Load()
	at := uintptr(word) - uintptr(unsafe.Pointer(chunk))
	return at < unsafe.Sizeof(*chunk)
}

// Rows returns the free rows.
func (r Ring) Rows() (free []uint32) {
	chunk := r.r.chunks[0].Load()
	for at := r.r.taken.Peek(); at < r.r.filled.Peek(); at++ {
		free = append(free, chunk[at].plain.Load())
	}
	return free
}

// Reset forgets all entries of an index that has not grown.
func (x *Index) Reset() { clear(x.root.Load().slots) }

// Rows returns the rows of all entries of an index, from the root on.
func (x *Index) Rows() (rows []uint32) {
	for t := x.root.Load(); t != nil; t = t.next.Load() {
		for i := range t.slots {
			if row := rowOf(t.slots[i].Peek()); row != 0 {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// Moves lets the entries of an index move on, to the same table in every schedule.
type Moves struct {
	x        *Index
	from, to *table
}

// Moves returns the moves of an index that has not grown.
func (x *Index) Moves() *Moves {
	m := &Moves{x, x.root.Load(), newTable(minSlots)}
	m.to.generation = m.from.generation + 1
	return m
}

// Begin begins a move.
func (m *Moves) Begin() { m.from.next.CompareAndSwap(nil, m.to) }

// Running reports whether entries are moving.
func (m *Moves) Running() bool { return m.x.root.Load() == m.from && m.from.next.Load() != nil }

// Slot returns the slot of its table that a word is.
func (m *Moves) Slot(word unsafe.Pointer) (slot int, ok bool) {
	for _, t := range [...]*table{m.from, m.to} {
		if at := (uintptr(word) - uintptr(unsafe.Pointer(&t.slots[0]))) / 8; at < minSlots {
			return int(at), true
		}
	}
	return 0, false
}

// Home returns the slot at which a look-up of the hash begins.
func (m *Moves) Home(hash uint32) int { return m.from.home(hash) }

// Reset undoes a move.
func (m *Moves) Reset() {
	for _, t := range [...]*table{m.from, m.to} {
		clear(t.slots)
		clear(t.done)
		t.next.Store(nil)
		t.elected.plain.Store(0)
		t.claimed.plain.Store(0)
		t.copied.plain.Store(0)
	}
	m.x.root.Store(m.from)
}
