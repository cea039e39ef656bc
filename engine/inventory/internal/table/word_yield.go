//go:build seathold_yield

package table

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Yield runs before every access to a word; writes reports whether the access may change it. By default it often
// yields the processor, so that callers interleave richly on few processors. The explorer of interleavings sets its
// scheduler.
var Yield = func(word unsafe.Pointer, writes bool) {
	if rand.IntN(8) == 0 {
		runtime.Gosched()
	}
}

// Word64 is an atomic.Uint64 that yields before each access.
type Word64 struct{ plain atomic.Uint64 }

func (w *Word64) Load() uint64 {
	Yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

func (w *Word64) Store(value uint64) {
	Yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

func (w *Word64) Add(delta uint64) uint64 {
	Yield(unsafe.Pointer(w), true)
	return w.plain.Add(delta)
}

func (w *Word64) And(mask uint64) (old uint64) {
	Yield(unsafe.Pointer(w), true)
	return w.plain.And(mask)
}

func (w *Word64) CompareAndSwap(old, value uint64) bool {
	Yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// Word32 is an atomic.Uint32 that yields before each access.
type Word32 struct{ plain atomic.Uint32 }

func (w *Word32) Load() uint32 {
	Yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

func (w *Word32) Store(value uint32) {
	Yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

func (w *Word32) CompareAndSwap(old, value uint32) bool {
	Yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// Pointer is an atomic.Pointer that yields before each access.
type Pointer[T any] struct{ plain atomic.Pointer[T] }

func (p *Pointer[T]) Load() *T {
	Yield(unsafe.Pointer(p), false)
	return p.plain.Load()
}

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
}

// Counter returns the word that counts claims.
func (s *Slab[T]) Counter() *Word64 { return &s.used }

// Reset forgets all strings.
func (a *Arena) Reset() { a.used.plain.Store(0) }

// Counter returns the word that counts bytes.
func (a *Arena) Counter() *Word64 { return &a.used }

// Reset forgets all entries of an index that has not grown.
func (x *Index) Reset() { clear(x.root.Load().slots) }
