package stock

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPool (I1): units are taken, settled and given back, and the counts add up at each step.
func TestPool(t *testing.T) {
	var p Pool
	p.Fill(10, 10, 0, 0)
	counts := func(want ...int) {
		available, held, sold, withheld := p.Count()
		require.Equal(t, want, []int{available, held, sold, withheld})
	}
	counts(10, 0, 0, 0)
	_, _, took := p.Take(4, false)
	require.True(t, took)
	_, _, took = p.Take(3, true)
	require.True(t, took)
	counts(3, 7, 0, 0)
	available, unsettled, took := p.Take(4, true)
	require.False(t, took)
	require.Equal(t, []uint32{3, 3}, []uint32{available, unsettled}, "in doubt")
	p.GiveBack(2)
	p.Settle(1)
	counts(5, 5, 0, 0)
	available, unsettled, took = p.Take(6, false)
	require.False(t, took)
	require.Equal(t, []uint32{5, 0}, []uint32{available, unsettled}, "sold out")
	p.Sold.Add(4)
	counts(5, 1, 4, 0)
	p.Mark(2)
	p.Returned.Add(2)
	p.GiveBack(2)
	p.Withheld.Add(1)
	counts(7, 1, 1, 1)
	p.Add(-8)
	available, unsettled = p.Units()
	require.EqualValues(t, -1, int32(available))
	require.Zero(t, unsettled)
}
