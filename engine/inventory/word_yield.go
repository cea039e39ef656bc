//go:build seathold_yield

package inventory

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// yield runs before every access to a word; writes reports whether the access may change it. By default it often
// yields the processor, so that callers interleave richly on few processors. The explorer of interleavings sets its
// scheduler.
var yield = func(word unsafe.Pointer, writes bool) {
	if rand.IntN(8) == 0 {
		runtime.Gosched()
	}
}

// word64 is an atomic.Uint64 that yields before each access.
type word64 struct{ plain atomic.Uint64 }

func (w *word64) Load() uint64 {
	yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

func (w *word64) Store(value uint64) {
	yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

func (w *word64) Add(delta uint64) uint64 {
	yield(unsafe.Pointer(w), true)
	return w.plain.Add(delta)
}

func (w *word64) And(mask uint64) (old uint64) {
	yield(unsafe.Pointer(w), true)
	return w.plain.And(mask)
}

func (w *word64) CompareAndSwap(old, value uint64) bool {
	yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// word32 is an atomic.Uint32 that yields before each access.
type word32 struct{ plain atomic.Uint32 }

func (w *word32) Load() uint32 {
	yield(unsafe.Pointer(w), false)
	return w.plain.Load()
}

func (w *word32) Store(value uint32) {
	yield(unsafe.Pointer(w), true)
	w.plain.Store(value)
}

func (w *word32) CompareAndSwap(old, value uint32) bool {
	yield(unsafe.Pointer(w), true)
	return w.plain.CompareAndSwap(old, value)
}

// sharedPointer is an atomic.Pointer that yields before each access.
type sharedPointer[T any] struct{ plain atomic.Pointer[T] }

func (p *sharedPointer[T]) Load() *T {
	yield(unsafe.Pointer(p), false)
	return p.plain.Load()
}

func (p *sharedPointer[T]) Store(value *T) {
	yield(unsafe.Pointer(p), true)
	p.plain.Store(value)
}
