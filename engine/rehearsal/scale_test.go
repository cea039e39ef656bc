package rehearsal

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

func TestScaled(t *testing.T) {
	whole := catalog.Paris2024()
	require.Equal(t, whole, scaled(whole, 1))
	before := slices.Clone(whole.Pools)
	tenth := scaled(whole, 0.1)
	require.Equal(t, before, whole.Pools, "the sale is not modified")
	require.Equal(t, 600, tenth.Phases[0].Slots.Places)
	require.InDelta(t, whole.PlacesOnSale()/10, tenth.PlacesOnSale(), float64(len(whole.Pools)))
	tiny := scaled(whole, MinScale)
	for i := range whole.Pools {
		p, of := &tiny.Pools[i], &whole.Pools[i]
		require.Equal(t, of.Capacity > of.Withheld, p.Capacity > p.Withheld, "the same pools are on sale")
		require.Equal(t, of.Withheld > 0, p.Withheld > 0)
	}
	require.Equal(t, whole.Sessions, tiny.Sessions)
	require.True(t, tiny.Phases[0].Sells(whole.Pools[slices.IndexFunc(whole.Pools, func(p catalog.Pool) bool {
		return whole.Phases[0].Sells(p.Session)
	})].Session))
}

func TestCrowd(t *testing.T) {
	c := crowdOf(0.01)
	require.Equal(t, 40_000, c.entrants)
	shared := map[uint32]bool{}
	for i := range c.entrants {
		shared[c.entrant(0, i)] = true
	}
	require.Len(t, shared, c.entrants, "one entry per account")
	both := 0
	for i := range c.entrants {
		if shared[c.entrant(1, i)] {
			both++
		}
	}
	require.Equal(t, 30_000, both)
	require.Equal(t, "buyer-4294967295", account(1<<32-1))
}

// Prices and medals move the demand as documented.
func TestAppeal(t *testing.T) {
	require.Equal(t, 3*appealOf(false, 5000, 5000), appealOf(true, 5000, 5000))
	require.Equal(t, uint64(7000), appealOf(false, 5000, 5000))
	require.Equal(t, uint64(14000), appealOf(false, 5000, 2500), "half the price, twice the demand")
	require.Equal(t, uint64(28000), appealOf(false, 5000, 0), "at most four times")
	require.Equal(t, uint64(1750), appealOf(false, 5000, 100_000), "at least a quarter")
	d := newDemand(catalog.Paris2024(), 0, nil)
	chance := dice(1)
	picked := make([]float64, len(d.pools))
	const n = 2_000_000
	for range n {
		picked[weighted(d.sums, &chance)]++
	}
	total := float64(d.sums[len(d.sums)-1])
	chi, last := 0.0, uint64(0)
	for i, sum := range d.sums {
		expected := n * float64(sum-last) / total
		chi += (picked[i] - expected) * (picked[i] - expected) / expected
		last = sum
	}
	freedom := float64(len(d.pools) - 1)
	require.InDelta(t, freedom, chi, 5*math.Sqrt2*math.Sqrt(freedom), "picks follow the appeal")
}
