package inventory

import (
	"math"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Sweep finds reservations whose time is over. Inventory.earliest has for each chunk of rows an instant (ms) before
// which nothing in it is due, or 0 if that is not known. So a sweep visits only chunks in which something is due, or
// that have got new reservations. One goroutine uses it.
//
// The sweep stores looking before it looks at a chunk, and its result counts only if looking is still stored then. A
// caller that makes a row pending stores 0 after that. So either the sweep has seen the row, or its result does not
// count.
type Sweep struct {
	v  *Inventory
	at int // the chunk where the next call begins, so that calls that end early still visit every chunk
}

// looking is the earliest expiry of a chunk at which the sweep looks.
const looking = 1<<64 - 1

// NewSweep returns a sweep of the inventory.
func (v *Inventory) NewSweep() *Sweep { return &Sweep{v: v} }

// Expire ends held reservations whose time is over at now (ms), at most so many, and returns how many it ended. If that
// is fewer than most, no other was due.
func (s *Sweep) Expire(now int64, most int) (expired int) {
	chunks := int(s.v.reservations.End()+table.ChunkRows-1) >> table.ChunkBits
	for range chunks {
		s.at %= chunks
		first, word := uint32(s.at)<<table.ChunkBits, &s.v.earliest[s.at]
		if word.Load() <= uint64(now) {
			word.Store(looking)
			end := s.v.reservations.End() // not before: a caller that publishes a row while the word is 0 stores nothing
			call := s.v.Begin(uint32(s.at))
			n, earliest := s.chunk(max(first, 1), min(end, first+table.ChunkRows), now, most-expired)
			call.End()
			word.CompareAndSwap(looking, uint64(earliest))
			if expired += n; expired == most {
				return expired // the next call begins with the rest of this chunk
			}
		}
		s.at++
	}
	return expired
}

func (s *Sweep) chunk(from, to uint32, now int64, most int) (expired int, earliest int64) {
	earliest = math.MaxInt64
	for row := from; row < to; row++ {
		if expired == most {
			return expired, 0
		}
		r := s.v.reservations.Find(row)
		if r == nil {
			return expired, 0
		}
		switch State(r.state.Load()) {
		case pending:
			earliest = 0 // its caller has not finished: visit it again
		case Held:
			if now < r.expires {
				earliest = min(earliest, r.expires)
			} else if s.v.expire(r, row, now) {
				expired++
			}
		}
	}
	return expired, earliest
}
