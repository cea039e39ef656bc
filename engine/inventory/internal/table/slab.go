package table

import "sync/atomic"

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

// Slab is an array that grows by pieces and never moves a row. A piece is one chunk at first, later a region of chunks.
// T holds no pointers, so the garbage collector scans only the table of chunks. Row 0 is never handed out: index 0
// means none. Rows that were given back are handed out again, the oldest first, before the array grows.
//
// A piece takes long to make, so it is made before it is needed, and by one caller: the one that claims the row from
// which half of the present piece is left. Should that caller stall, the one that claims the row from which a quarter
// is left makes the next piece, and so on. A row has one claimer, so at most log2(rows of a piece) callers make one,
// however many claim rows. Where all of those stall, each claimer that needs a chunk makes that chunk alone: none is
// ever stopped.
type Slab[T any] struct {
	chunks []atomic.Pointer[[ChunkRows]T] // each nil until it is made, then never changed
	limit  uint64                         // rows 1 to limit-1 may be claimed
	used   Word64                         // new rows handed out, row 0 included; may run past limit
	spare  uint64                         // rows after those
	spared Word64                         // spare rows handed out
	over   Word64                         // rows that are not handed out any more, see DropSpare
	make   func(chunks int) [][ChunkRows]T
	_      [8]byte // keeps the claims of one slab off the cache line of the next
	free   ring
}

// Init sets the number of rows. It makes the first chunk.
func (s *Slab[T]) Init(rows int) { s.InitSpare(rows, 0) }

// InitSpare is Init with so many spare rows, for ClaimSpare.
func (s *Slab[T]) InitSpare(rows, spare int) {
	s.limit, s.spare = uint64(rows)+1, uint64(spare)
	s.chunks = make([]atomic.Pointer[[ChunkRows]T], (s.limit+uint64(spare)+chunkMask)>>ChunkBits)
	s.used.Store(1)
	s.make = makeChunks[T]
	s.makeChunk(0)
	s.free.init(rows + spare)
}

// Claim returns the index of a row that is the caller's alone; false if at some instant of the call every row was
// claimed and not yet given back. A new row is zero, and one that was given back is as it was then.
func (s *Slab[T]) Claim() (uint32, bool) {
	if !s.free.empty() {
		if row, ok := s.free.take(); ok {
			return row, true
		}
	}
	if s.used.Load() < s.limit {
		if i := s.used.Add(1) - 1; i < s.limit {
			s.Grow(uint32(i))
			return uint32(i), true
		}
	}
	// No row is new from here on, but one may have been given back since the first look. If there is none now, the slab
	// is full now.
	return s.free.take()
}

// ClaimSpare is Claim once the slab is full: it returns a spare row. Nobody else claims one meanwhile. A spare row that
// is given back is like any other.
func (s *Slab[T]) ClaimSpare() (uint32, bool) {
	spared := s.spared.Load()
	if spared == s.spare {
		return 0, false
	}
	i := s.limit + spared
	s.spared.Store(spared + 1)
	s.Grow(uint32(i))
	return uint32(i), true
}

// DropSpare takes as many free rows out of use as there are more than the limit; false if there are not so many. Nobody
// claims one meanwhile.
func (s *Slab[T]) DropSpare() bool {
	for s.over.Load() < s.spared.Load() {
		if _, ok := s.free.take(); !ok {
			return false
		}
		s.over.Store(s.over.Load() + 1)
	}
	return true
}

// Full reports whether at some instant of the call there was no row to claim, nor a spare one if those count.
func (s *Slab[T]) Full(spare bool) bool {
	return s.used.Load() >= s.limit && s.free.empty() && !(spare && s.spared.Load() < s.spare)
}

// Free gives a row back. Nobody else has access to it. One goroutine at a time calls Free.
func (s *Slab[T]) Free(row uint32) { s.free.put(row) }

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

// Chunks returns how many chunks the rows have, spare ones included.
func (s *Slab[T]) Chunks() int { return len(s.chunks) }

// Claims returns how often a row was claimed.
func (s *Slab[T]) Claims() uint64 { return s.free.taken.Load() + uint64(s.End()) - 1 }

// InUse returns how many rows are claimed and were not given back.
func (s *Slab[T]) InUse() int {
	free := s.free.count() // first, so that the result is not negative: a row is claimed before it is given back
	return int(s.End()) - 1 - free - int(s.over.Load())
}

// End returns the index after the last row that was ever claimed.
func (s *Slab[T]) End() uint32 { return uint32(min(s.used.Load(), s.limit) + s.spared.Load()) }
