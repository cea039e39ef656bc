package inventory

import (
	"math"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Sweep finds reservations whose time is over. It remembers the earliest expiry of each chunk of rows, so it visits
// only chunks in which something is due or that still fill up. One goroutine uses it.
type Sweep struct {
	v        *Inventory
	earliest []int64 // by chunk: nothing in it is due before; 0 if that is not known of every row
	at       int     // the chunk where the next call begins, so that calls that end early still visit every chunk
}

// NewSweep returns a sweep of the inventory.
func (v *Inventory) NewSweep() *Sweep {
	return &Sweep{v: v, earliest: make([]int64, v.reservations.Chunks())}
}

// Expire ends held reservations whose time is over at now (ms), at most so many, and returns how many it ended. If that
// is fewer than most, no other was due.
func (s *Sweep) Expire(now int64, most int) (expired int) {
	end := s.v.reservations.End()
	chunks := int(end+table.ChunkRows-1) >> table.ChunkBits
	for range chunks {
		s.at %= chunks
		first := uint32(s.at) << table.ChunkBits
		if s.earliest[s.at] <= now {
			n, earliest := s.chunk(max(first, 1), min(end, first+table.ChunkRows), now, most-expired)
			if end < first+table.ChunkRows {
				earliest = 0 // more rows will follow in this chunk
			}
			s.earliest[s.at] = earliest
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
		case free, pending:
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
