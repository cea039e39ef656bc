//go:build !seathold_yield

package table

import "sync/atomic"

// Every word that callers share is a Word64 or a Word32. In this build they are the plain atomics and cost nothing
// more. With the build tag seathold_yield each access yields first (word_yield.go), so that tests can run any other
// caller between any two accesses.
//
// Pointers to the chunks of a slab and to the tables of an index are plain atomics in both builds. Each is set once
// from nil, by whichever caller needs it first, and the root of an index only moves on to the next table.
type (
	Word64 = atomic.Uint64
	Word32 = atomic.Uint32
)

// Pointer is a pointer that callers share and that changes more than once.
type Pointer[T any] = atomic.Pointer[T]
