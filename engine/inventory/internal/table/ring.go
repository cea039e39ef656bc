package table

import "sync/atomic"

// ring has the free rows of a slab, the oldest first. Any number of callers take rows from it; one goroutine at a time
// puts rows into it.
//
// A taker reads the row at the next position, then decides by a compare-and-swap of the position. Positions only rise,
// and a place is overwritten only after its position was taken. So a taker that was delayed between its two steps
// fails. The ring has room for every row of its slab, each of which is in it once at most.
type ring struct {
	chunks []atomic.Pointer[[ChunkRows]Word32] // made by put, since many slabs never have a free row
	mask   uint64
	taken  Word64 // rows taken so far
	_      [56]byte
	filled Word64 // rows put so far
	_      [56]byte
}

func (r *ring) init(rows int) {
	size := uint64(ChunkRows)
	for size < uint64(rows) {
		size *= 2
	}
	r.mask = size - 1
	r.chunks = make([]atomic.Pointer[[ChunkRows]Word32], size>>ChunkBits)
}

// empty reports whether there is no free row.
func (r *ring) empty() bool { return r.taken.Load() >= r.filled.Load() }

func (r *ring) take() (row uint32, ok bool) {
	for {
		at := r.taken.Load()
		if at >= r.filled.Load() {
			return 0, false
		}
		row := r.place(at).Load()
		// From here on the row is the caller's.
		if r.taken.CompareAndSwap(at, at+1) {
			return row, true
		}
	}
}

func (r *ring) put(row uint32) {
	at := r.filled.Load()
	if chunk := &r.chunks[at&r.mask>>ChunkBits]; chunk.Load() == nil {
		chunk.Store(new([ChunkRows]Word32))
	}
	r.place(at).Store(row)
	r.filled.Store(at + 1)
}

func (r *ring) place(at uint64) *Word32 {
	return &r.chunks[at&r.mask>>ChunkBits].Load()[at&chunkMask]
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
