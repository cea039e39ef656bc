package peers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCalls: in several rounds each call takes effect on every reservation, and none allocates.
func TestCalls(t *testing.T) {
	const accounts, per, rounds = 1 << 12, 1 << 10, 6
	names := NewNames(accounts)
	c, err := NewCore(names, accounts, 1<<17)
	require.NoError(t, err)
	calls := NewCalls(c, names, accounts, per)
	contestants := calls.Contestants()
	for range rounds {
		for _, contestant := range contestants {
			operations, took, err := contestant.Measure()
			require.NoError(t, err, contestant.Name)
			require.Equal(t, per, operations)
			require.Positive(t, took)
		}
	}
	for _, contestant := range contestants {
		require.Positive(t, contestant.Cost.Took, contestant.Name)
		if !raced {
			require.Less(t, contestant.Cost.Mallocs, uint64(rounds*per), contestant.Name)
		}
	}
	taken, sold := 0, 0
	for pool := range CorePools {
		stock := c.inventory.Stock(pool)
		taken, sold = taken+plenty-stock.Available, sold+stock.Sold
	}
	require.Equal(t, 6*per*rounds, taken, "what was confirmed again is taken, all else was returned or given back")
	require.Equal(t, taken, sold)
}
