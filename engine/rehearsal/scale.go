package rehearsal

import (
	"math"
	"slices"
	"strconv"

	"github.com/seathold/seathold/engine/catalog"
)

// scaled returns a copy of the sale that is as crowded at a fraction of its size. The tickets of each pool that are on
// sale, those that are withheld, the places that a phase has of a session and the winners of an access slot are
// multiplied by the scale and rounded, but not to 0. Prices, limits, caps, sessions and the calendar are the same.
func scaled(s *catalog.Sale, scale float64) *catalog.Sale {
	small := *s
	small.Pools = slices.Clone(s.Pools)
	for i := range small.Pools {
		p := &small.Pools[i]
		onSale := fraction(p.Capacity-p.Withheld, scale)
		p.Withheld = fraction(p.Withheld, scale)
		p.Capacity = onSale + p.Withheld
	}
	small.Quotas = scaledPlaces(s, scale)
	small.Phases = slices.Clone(s.Phases)
	for i := range small.Phases {
		slots := &small.Phases[i].Slots
		slots.Places = fraction(slots.Places, scale)
	}
	return &small
}

// withStandIns gives every draw whose beacon round is not yet published that of the first draw of Paris 2024, so that a
// sale can be rehearsed in advance.
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

// fraction scales n, but not to 0.
func fraction(n int, scale float64) int {
	if n == 0 {
		return 0
	}
	return max(1, int(math.Round(float64(n)*scale)))
}

// crowd is all accounts that take part, numbered from 0.
type crowd struct {
	entrants int // of each draw
	all      int
}

const fullEntrants = 4_000_000

func crowdOf(scale float64) crowd {
	n := fraction(fullEntrants, scale)
	return crowd{entrants: n, all: n + n/2 + 1}
}

// entrant returns the i-th account that enters a draw. Each draw begins a quarter of its entrants after the previous
// one, so that consecutive draws share three quarters of their entrants.
func (c crowd) entrant(draw, i int) uint32 {
	return uint32((draw*(c.entrants/4) + i) % c.all)
}

// account returns an account's name.
func account(number uint32) string {
	var b [16]byte
	return string(strconv.AppendUint(append(b[:0], "buyer-"...), uint64(number), 10))
}

// dice is a SplitMix64 sequence, the only source of randomness.
type dice uint64

// newDice returns the dice of the person or instant that the parts identify.
func newDice(parts ...uint64) dice {
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

// below returns a number from 0 to n-1; n is at least 1. The tiny bias towards small numbers does not matter here.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }

// perMille returns true n times in a thousand.
func (d *dice) perMille(n int) bool { return d.below(1000) < n }
