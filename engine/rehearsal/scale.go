package rehearsal

import (
	"math"
	"slices"
	"strconv"

	"github.com/seathold/seathold/engine/catalog"
)

// Scaled returns a copy of the sale that is as crowded at a fraction of its size. Multiplied by the scale and rounded, never
// below one where there was one: the places of each pool that are on sale, those that are withheld, and the winners of an access
// slot. Prices, limits, caps, sessions and the calendar are the same.
func Scaled(s *catalog.Sale, scale float64) *catalog.Sale {
	scaled := *s
	scaled.Pools = slices.Clone(s.Pools)
	for i := range scaled.Pools {
		p := &scaled.Pools[i]
		onSale := fraction(p.Capacity-p.Withheld, scale)
		p.Withheld = fraction(p.Withheld, scale)
		p.Capacity = onSale + p.Withheld
	}
	scaled.Phases = slices.Clone(s.Phases)
	for i := range scaled.Phases {
		slots := &scaled.Phases[i].Slots
		slots.Places = fraction(slots.Places, scale)
	}
	return &scaled
}

// withStandIns gives every draw whose round is yet to come one that was published: a sale can be rehearsed before it is
// held. It is the one that stands in for the first draw of Paris 2024.
func withStandIns(s *catalog.Sale) *catalog.Sale {
	decided := *s
	decided.Draws = slices.Clone(s.Draws)
	for i := range decided.Draws {
		if b := &decided.Draws[i].Beacon; b.Signature == "" {
			*b = catalog.Paris2024().Draws[0].Beacon
		}
	}
	return &decided
}

// fraction scales n, but not to nothing.
func fraction(n int, scale float64) int {
	if n == 0 {
		return 0
	}
	return max(1, int(math.Round(float64(n)*scale)))
}

// crowd is everybody who takes part, numbered from 0.
type crowd struct {
	entrants int // of each draw
	all      int
}

const fullEntrants = 4_000_000

func crowdOf(scale float64) crowd {
	n := fraction(fullEntrants, scale)
	return crowd{entrants: n, all: n + n/2 + 1}
}

// entrant returns the i-th account to enter a draw. Each draw begins a quarter of the crowd behind the one before, so that
// neighbours share three quarters of their entrants.
func (c crowd) entrant(draw, i int) uint32 {
	return uint32((draw*(c.entrants/4) + i) % c.all)
}

// account returns an account's name.
func account(number uint32) string {
	var b [16]byte
	return string(strconv.AppendUint(append(b[:0], "buyer-"...), uint64(number), 10))
}

// dice are all the chance there is: a SplitMix64 sequence that follows from its start.
type dice uint64

// throw makes the dice of one person out of what tells it apart.
func throw(parts ...uint64) dice {
	d := dice(0x5ea7401d)
	for _, part := range parts {
		d ^= dice(part)
		d = dice(d.next())
	}
	return d
}

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1; n is at least 1. The tiny preference for small ones does not matter here.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }

// perMille is true so many times in a thousand.
func (d *dice) perMille(n int) bool { return d.below(1000) < n }
