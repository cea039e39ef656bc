package inventory

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// A chunk of reservations is one mebibyte: large enough that the table of chunks stays in the cache, small enough
// that zeroing a new one causes no noticeable delay.
const (
	chunkBits = 14
	chunkRows = 1 << chunkBits
	chunkMask = chunkRows - 1
)

// regionChunks is how many chunks are made together once there are that many: enough for large pages. A region begins
// at a multiple of it.
const regionChunks = 16

// slab is an append-only array that grows by pieces and never moves a row. A piece is one chunk at first, later a
// region of chunks. T holds no pointers, so the garbage collector scans only the table of chunks. Row 0 is never handed
// out: index 0 means none.
//
// A piece takes long to make, so it is made before it is needed, and by one caller: the one that claims the row from
// which half of the present piece is left. Should that caller stall, the one that claims the row from which a quarter
// is left makes the next piece, and so on. A row has one claimer, so at most log2(rows of a piece) callers make one,
// however many claim rows. Where all of those stall, each claimer that needs a chunk makes that chunk alone: none is
// ever stopped.
type slab[T any] struct {
	chunks []atomic.Pointer[[chunkRows]T] // each nil until it is made, then never changed
	limit  uint64                         // rows 1 to limit-1 may be claimed
	used   word64                         // rows handed out, row 0 included; may run past limit
	make   func(chunks int) [][chunkRows]T
	_      [32]byte // keeps the claims of one slab off the cache line of the next
}

// init sets the number of rows. It makes the first chunk.
func (s *slab[T]) init(rows int) {
	s.limit = uint64(rows) + 1
	s.chunks = make([]atomic.Pointer[[chunkRows]T], (s.limit+chunkMask)>>chunkBits)
	s.used.Store(1)
	s.make = makeChunks[T]
	s.makeChunk(0)
}

// claim returns the index of a zeroed row that is the caller's alone; false when the slab is full.
func (s *slab[T]) claim() (uint32, bool) {
	if s.used.Load() >= s.limit {
		return 0, false
	}
	i := s.used.Add(1) - 1
	if i >= s.limit {
		return 0, false
	}
	s.grow(uint32(i))
	return uint32(i), true
}

// grow makes the chunk of the row if it is not there, and the next piece if the row's claimer is one that has to.
func (s *slab[T]) grow(row uint32) {
	chunk := row >> chunkBits
	if s.chunks[chunk].Load() == nil {
		s.makeChunk(chunk)
	}
	size := uint32(1) // of the piece, in chunks
	if chunk >= regionChunks {
		size = regionChunks
	}
	next := chunk - chunk%size + size
	left := next<<chunkBits - row
	if left&(left-1) == 0 && left < size<<chunkBits && int(next) < len(s.chunks) {
		s.makePiece(next)
	}
}

// makePiece makes the piece that begins with the chunk, unless it is there.
func (s *slab[T]) makePiece(first uint32) {
	switch {
	case s.chunks[first].Load() != nil:
	case first < regionChunks:
		s.makeChunk(first)
	default:
		region := s.make(regionChunks)
		for i := range min(regionChunks, len(s.chunks)-int(first)) {
			// If two callers make it, each chunk comes from one of them. The memory of the other is never used.
			s.chunks[int(first)+i].CompareAndSwap(nil, &region[i])
		}
	}
}

func (s *slab[T]) makeChunk(chunk uint32) {
	s.chunks[chunk].CompareAndSwap(nil, &s.make(1)[0])
}

func makeChunks[T any](n int) [][chunkRows]T {
	chunks := make([][chunkRows]T, n)
	if n > 1 {
		inHugePages(chunks)
	}
	return chunks
}

// at returns a row that was claimed.
func (s *slab[T]) at(i uint32) *T {
	return &s.chunks[i>>chunkBits].Load()[i&chunkMask]
}

// find returns the row, or nil if its claimer has not yet made its chunk. i is below end.
func (s *slab[T]) find(i uint32) *T {
	if chunk := s.chunks[i>>chunkBits].Load(); chunk != nil {
		return &chunk[i&chunkMask]
	}
	return nil
}

// end returns the index after the last claimed row.
func (s *slab[T]) end() uint32 { return uint32(min(s.used.Load(), s.limit)) }

// arena keeps strings of up to 255 bytes. They are never freed. It grows by chunks like a slab, so room that is not
// used takes no memory. Chunks are made ahead of their use, by few callers, as those of a slab are.
type arena struct {
	chunks []atomic.Pointer[[arenaChunk]byte]
	used   word64
	make   func() *[arenaChunk]byte
}

const arenaChunk, longestText = 1 << 20, 255

// textRef names a string in the arena: start<<8 | length. 0 is the empty string.
type textRef uint64

// init makes room for strings of so many bytes in all. A string that would straddle two chunks is put into the second
// one, so each chunk may lose almost the length of one string.
func (a *arena) init(bytes int) {
	a.chunks = make([]atomic.Pointer[[arenaChunk]byte], bytes/(arenaChunk-longestText)+1)
	a.make = func() *[arenaChunk]byte { return new([arenaChunk]byte) }
	a.makeChunk(0)
}

func (a *arena) makeChunk(chunk uint64) {
	if a.chunks[chunk].Load() == nil {
		a.chunks[chunk].CompareAndSwap(nil, a.make())
	}
}

// put keeps a copy of s and returns a reference to it. The owner puts no more than there is room for.
func (a *arena) put(s string) textRef {
	if s == "" {
		return 0
	}
	for {
		end := a.used.Add(uint64(len(s)))
		start := end - uint64(len(s))
		chunk := start / arenaChunk
		if chunk >= uint64(len(a.chunks)) {
			panic("BUG: more texts than there can be")
		}
		if (end-1)/arenaChunk != chunk {
			continue // it would straddle two chunks: waste the rest of this one
		}
		a.makeChunk(chunk)
		// The string that takes up half of the chunk's remaining room makes the next chunk, as in a slab.
		before, after := (chunk+1)*arenaChunk-start, (chunk+1)*arenaChunk-end
		if bits.Len64(after-1) < bits.Len64(before-1) && chunk+1 < uint64(len(a.chunks)) {
			a.makeChunk(chunk + 1)
		}
		copy(a.chunks[chunk].Load()[start%arenaChunk:], s)
		return textRef(start<<8 | uint64(len(s)))
	}
}

// text returns the string without copying it. It never changes.
func (a *arena) text(ref textRef) string {
	start, size := uint64(ref)>>8, ref&0xff
	if size == 0 {
		return ""
	}
	return unsafe.String(&a.chunks[start/arenaChunk].Load()[start%arenaChunk], int(size))
}
