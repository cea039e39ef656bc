package inventory

import (
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

// regionChunks is how many chunks are made together once there are that many: enough for large pages.
const regionChunks = 16

// slab is an append-only array that grows by chunks, later by regions of chunks, and never moves a row. T holds no
// pointers, so the garbage collector scans only the table of chunks. Row 0 is never handed out: index 0 means none.
type slab[T any] struct {
	chunks []atomic.Pointer[[chunkRows]T] // each nil until a claimer needs it, then never changed
	limit  uint64                         // rows 1 to limit-1 may be claimed
	used   word64                         // rows handed out, row 0 included; may run past limit
	_      [40]byte                       // keeps the claims of one slab off the cache line of the next
}

// init sets the number of rows. It allocates only the table of chunks.
func (s *slab[T]) init(rows int) {
	s.limit = uint64(rows) + 1
	s.chunks = make([]atomic.Pointer[[chunkRows]T], (s.limit+chunkMask)>>chunkBits)
	s.used.Store(1)
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
	s.grow(uint32(i >> chunkBits))
	return uint32(i), true
}

// grow makes the chunk, or its region, if it is not there.
func (s *slab[T]) grow(chunk uint32) {
	if s.chunks[chunk].Load() != nil {
		return
	}
	if chunk < regionChunks {
		s.chunks[chunk].CompareAndSwap(nil, new([chunkRows]T))
		return
	}
	region := make([][chunkRows]T, regionChunks)
	inHugePages(region)
	first := chunk - chunk%regionChunks
	for i := range uint32(min(regionChunks, len(s.chunks)-int(first))) {
		// If two callers grow at once, each chunk comes from one of them. The memory of the other is never used.
		s.chunks[first+i].CompareAndSwap(nil, &region[i])
	}
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

// arena keeps strings of up to 255 bytes. They are never freed. It grows by chunks like a slab, so room that is not used
// takes no memory.
type arena struct {
	chunks []atomic.Pointer[[arenaChunk]byte]
	used   word64
}

const arenaChunk, longestText = 1 << 20, 255

// textRef names a string in the arena: start<<8 | length. 0 is the empty string.
type textRef uint64

// init makes room for strings of so many bytes in all. A string that would straddle two chunks is put into the second
// one, so each chunk may lose almost the length of one string.
func (a *arena) init(bytes int) {
	a.chunks = make([]atomic.Pointer[[arenaChunk]byte], bytes/(arenaChunk-longestText)+1)
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
		if a.chunks[chunk].Load() == nil {
			a.chunks[chunk].CompareAndSwap(nil, new([arenaChunk]byte))
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
