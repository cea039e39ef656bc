package inventory

import "math"

// Sweep finds reservations whose time is over. It remembers the earliest expiry of each chunk of rows, so it visits
// only chunks in which something is due or that still fill up. One goroutine uses it.
type Sweep struct {
	v        *Inventory
	earliest []int64 // by chunk: nothing in it is due before; 0 if that is not known of every row
}

// NewSweep returns a sweep of the inventory.
func (v *Inventory) NewSweep() *Sweep {
	return &Sweep{v: v, earliest: make([]int64, len(v.reservations.chunks))}
}

// Expire ends every held reservation whose time is over at now (ms) and returns how many it ended.
func (s *Sweep) Expire(now int64) int {
	expired := 0
	end := s.v.reservations.end()
	for first := uint32(0); first < end; first += chunkRows {
		if at := first >> chunkBits; s.earliest[at] <= now {
			n, earliest := s.chunk(max(first, 1), min(end, first+chunkRows), now)
			if end < first+chunkRows {
				earliest = 0 // more rows will follow in this chunk
			}
			s.earliest[at] = earliest
			expired += n
		}
	}
	return expired
}

func (s *Sweep) chunk(from, to uint32, now int64) (expired int, earliest int64) {
	earliest = math.MaxInt64
	for row := from; row < to; row++ {
		r := s.v.reservations.find(row)
		if r == nil {
			return expired, 0
		}
		switch State(r.state.Load()) {
		case free, pending:
			earliest = 0 // its caller has not finished: visit it again
		case Held:
			if now < r.expires {
				earliest = min(earliest, r.expires)
			} else if s.v.expire(r, row) {
				expired++
			}
		}
	}
	return expired, earliest
}
