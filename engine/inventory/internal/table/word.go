//go:build !seathold_yield

package table

import "sync/atomic"

// Word64 is a word that callers share. In this build it is the plain atomic and costs nothing more. With the build tag
// seathold_yield each access yields first (word_yield.go), so that tests can run any other caller between any two
// accesses.
//
// Pointers to the chunks of a slab and to the tables of an index are plain atomics in both builds. Each is set once
// from nil, by whichever caller needs it first, and the root of an index only moves on to the next table.
type Word64 = atomic.Uint64

// Word32 is likewise a word that callers share.
type Word32 = atomic.Uint32

// Pointer is a pointer that callers share and that changes more than once.
type Pointer[T any] = atomic.Pointer[T]
