package table

import "sync/atomic"

// ring has the free rows of a slab, the oldest first. Any number of callers take rows from it; one goroutine at a time
// puts rows into it.
//
// A taker reads the row at the next position, then decides by a compare-and-swap of the position. Positions only rise,
// and a place is overwritten only after its position was taken. So a taker that was delayed between its two steps
// fails. Each row is in the ring once at most.
//
// Places are in chunks. Only those from the next position on to the last one filled are there, so the memory of a ring
// follows the number of free rows. The others are given up or used again when the next one begins, since all of their
// positions were taken.
type ring struct {
	chunks []atomic.Pointer[[ChunkRows]Word32] // by their number, in a circle that is larger than all rows
	mask   uint64
	oldest uint64 // number of the oldest chunk that is there; only put uses it
	taken  Word64 // rows taken so far
	_      [56]byte
	filled Word64 // rows put so far
	_      [56]byte
}

func (r *ring) init(rows int) {
	size := uint64(1)
	for size < uint64(rows)>>ChunkBits+2 { // the first and the last chunk may have one free row each
		size *= 2
	}
	r.mask = size - 1
	r.chunks = make([]atomic.Pointer[[ChunkRows]Word32], size)
}

// chunk returns where the chunk of a position is.
func (r *ring) chunk(at uint64) *atomic.Pointer[[ChunkRows]Word32] {
	return &r.chunks[at>>ChunkBits&r.mask]
}

// empty reports whether there is no free row.
func (r *ring) empty() bool { return r.taken.Load() >= r.filled.Load() }

func (r *ring) take() (row uint32, ok bool) {
	for {
		at := r.taken.Load()
		if at >= r.filled.Load() {
			return 0, false
		}
		chunk := r.chunk(at).Load()
		if chunk == nil {
			continue // the position was taken meanwhile, like all of its chunk
		}
		row := chunk[at&chunkMask].Load()
		// From here on the row is the caller's.
		if r.taken.CompareAndSwap(at, at+1) {
			return row, true
		}
	}
}

func (r *ring) put(row uint32) {
	at := r.filled.Load()
	if at&chunkMask == 0 {
		r.begin(at)
	}
	r.chunk(at).Load()[at&chunkMask].Store(row)
	r.filled.Store(at + 1)
}

// begin makes the chunk that begins with a position, if possible of one whose positions were all taken.
func (r *ring) begin(at uint64) {
	var old *[ChunkRows]Word32
	for end := r.taken.Load() >> ChunkBits; r.oldest < end; r.oldest++ {
		old = r.chunks[r.oldest&r.mask].Swap(nil)
	}
	if old == nil {
		old = new([ChunkRows]Word32)
	}
	r.chunk(at).CompareAndSwap(nil, old)
}

// count returns how many rows were free at some instant of the call.
func (r *ring) count() int {
	for {
		taken, filled := r.taken.Load(), r.filled.Load()
		if r.taken.Load() == taken { // so it was that when filled was read: positions only rise
			return int(filled - taken)
		}
	}
}
