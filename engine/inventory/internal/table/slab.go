package table

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// A chunk of reservations is one mebibyte: large enough that the table of chunks stays in the cache, small enough
// that zeroing a new one causes no noticeable delay.
const (
	ChunkBits = 14
	ChunkRows = 1 << ChunkBits
	chunkMask = ChunkRows - 1
)

// regionChunks is how many chunks are made together once there are that many: enough for large pages. A region begins
// at a multiple of it.
const regionChunks = 16

// Slab is an append-only array that grows by pieces and never moves a row. A piece is one chunk at first, later a
// region of chunks. T holds no pointers, so the garbage collector scans only the table of chunks. Row 0 is never handed
// out: index 0 means none.
//
// A piece takes long to make, so it is made before it is needed, and by one caller: the one that claims the row from
// which half of the present piece is left. Should that caller stall, the one that claims the row from which a quarter
// is left makes the next piece, and so on. A row has one claimer, so at most log2(rows of a piece) callers make one,
// however many claim rows. Where all of those stall, each claimer that needs a chunk makes that chunk alone: none is
// ever stopped.
type Slab[T any] struct {
	chunks []atomic.Pointer[[ChunkRows]T] // each nil until it is made, then never changed
	limit  uint64                         // rows 1 to limit-1 may be claimed
	used   Word64                         // rows handed out, row 0 included; may run past limit
	make   func(chunks int) [][ChunkRows]T
	_      [32]byte // keeps the claims of one slab off the cache line of the next
}

// Init sets the number of rows. It makes the first chunk.
func (s *Slab[T]) Init(rows int) {
	s.limit = uint64(rows) + 1
	s.chunks = make([]atomic.Pointer[[ChunkRows]T], (s.limit+chunkMask)>>ChunkBits)
	s.used.Store(1)
	s.make = makeChunks[T]
	s.makeChunk(0)
}

// Claim returns the index of a zeroed row that is the caller's alone; false when the slab is full.
func (s *Slab[T]) Claim() (uint32, bool) {
	if s.used.Load() >= s.limit {
		return 0, false
	}
	i := s.used.Add(1) - 1
	if i >= s.limit {
		return 0, false
	}
	s.Grow(uint32(i))
	return uint32(i), true
}

// Grow makes the chunk of the row if it is not there, and the next piece if the row's claimer is one that has to.
func (s *Slab[T]) Grow(row uint32) {
	chunk := row >> ChunkBits
	if s.chunks[chunk].Load() == nil {
		s.makeChunk(chunk)
	}
	size := uint32(1) // of the piece, in chunks
	if chunk >= regionChunks {
		size = regionChunks
	}
	next := chunk - chunk%size + size
	left := next<<ChunkBits - row
	if left&(left-1) == 0 && left < size<<ChunkBits && int(next) < len(s.chunks) {
		s.makePiece(next)
	}
}

// makePiece makes the piece that begins with the chunk, unless it is there.
func (s *Slab[T]) makePiece(first uint32) {
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

func (s *Slab[T]) makeChunk(chunk uint32) {
	s.chunks[chunk].CompareAndSwap(nil, &s.make(1)[0])
}

func makeChunks[T any](n int) [][ChunkRows]T {
	chunks := make([][ChunkRows]T, n)
	if n > 1 {
		inHugePages(chunks)
	}
	return chunks
}

// At returns a row that was claimed.
func (s *Slab[T]) At(i uint32) *T {
	return &s.chunks[i>>ChunkBits].Load()[i&chunkMask]
}

// Find returns the row, or nil if its claimer has not yet made its chunk. i is below End.
func (s *Slab[T]) Find(i uint32) *T {
	if chunk := s.chunks[i>>ChunkBits].Load(); chunk != nil {
		return &chunk[i&chunkMask]
	}
	return nil
}

// Limit returns how many rows may be claimed.
func (s *Slab[T]) Limit() int { return int(s.limit) - 1 }

// Chunks returns how many chunks the rows up to the limit have.
func (s *Slab[T]) Chunks() int { return len(s.chunks) }

// Claimed returns how many rows callers have tried to claim, row 0 included; it may exceed the limit.
func (s *Slab[T]) Claimed() uint64 { return s.used.Load() }

// End returns the index after the last claimed row.
func (s *Slab[T]) End() uint32 { return uint32(min(s.used.Load(), s.limit)) }

// Arena keeps strings of up to 255 bytes. They are never freed. It grows by chunks like a slab, so room that is not
// used takes no memory. Chunks are made ahead of their use, by few callers, as those of a slab are.
type Arena struct {
	chunks []atomic.Pointer[[ArenaChunk]byte]
	used   Word64
	make   func() *[ArenaChunk]byte
}

const ArenaChunk, LongestText = 1 << 20, 255

// Ref names a string in the arena: start<<8 | length. 0 is the empty string.
type Ref uint64

// Init makes room for strings of so many bytes in all. A string that would straddle two chunks is put into the second
// one, so each chunk may lose almost the length of one string.
func (a *Arena) Init(bytes int) {
	a.chunks = make([]atomic.Pointer[[ArenaChunk]byte], bytes/(ArenaChunk-LongestText)+1)
	a.make = func() *[ArenaChunk]byte { return new([ArenaChunk]byte) }
	a.makeChunk(0)
}

func (a *Arena) makeChunk(chunk uint64) {
	if a.chunks[chunk].Load() == nil {
		a.chunks[chunk].CompareAndSwap(nil, a.make())
	}
}

// Put keeps a copy of s and returns a reference to it. The owner puts no more than there is room for.
func (a *Arena) Put(s string) Ref {
	if s == "" {
		return 0
	}
	for {
		end := a.used.Add(uint64(len(s)))
		start := end - uint64(len(s))
		chunk := start / ArenaChunk
		if chunk >= uint64(len(a.chunks)) {
			panic("BUG: more texts than there can be")
		}
		if (end-1)/ArenaChunk != chunk {
			continue // it would straddle two chunks: waste the rest of this one
		}
		a.makeChunk(chunk)
		// The string that takes up half of the chunk's remaining room makes the next chunk, as in a slab.
		before, after := (chunk+1)*ArenaChunk-start, (chunk+1)*ArenaChunk-end
		if bits.Len64(after-1) < bits.Len64(before-1) && chunk+1 < uint64(len(a.chunks)) {
			a.makeChunk(chunk + 1)
		}
		copy(a.chunks[chunk].Load()[start%ArenaChunk:], s)
		return Ref(start<<8 | uint64(len(s)))
	}
}

// Used returns how many bytes the strings take, with the ends of chunks that are wasted.
func (a *Arena) Used() uint64 { return a.used.Load() }

// Text returns the string without copying it. It never changes.
func (a *Arena) Text(ref Ref) string {
	start, size := uint64(ref)>>8, ref&0xff
	if size == 0 {
		return ""
	}
	return unsafe.String(&a.chunks[start/ArenaChunk].Load()[start%ArenaChunk], int(size))
}
