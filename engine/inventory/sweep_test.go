package inventory

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// TestSweep: every hold expires once, at its time and in whichever chunk its row is, and no sweep expires it earlier.
// A sweep in pieces ends the same holds: a piece that was full goes on where it stopped.
func TestSweep(t *testing.T) {
	for _, most := range []int{1 << 20, 5000, 7} {
		t.Run(fmt.Sprint("most=", most), func(t *testing.T) { testSweep(t, most) })
	}
}

func testSweep(t *testing.T, most int) {
	v := testInventory(t, 1, 1<<20, false)
	const holds = 2*table.ChunkRows + 100
	for n := range uint64(holds) {
		res := v.Reserve(&Request{ID: idOf(n), Account: fmt.Sprint(n), Lines: lines(0, 1), Expires: int64(10 + n%5*10)})
		require.Equal(t, Done, res.Verdict)
		if n%7 == 0 {
			require.Equal(t, Done, v.Confirm(res.Row, 0, "", nil).Verdict)
		}
	}
	s, ended := v.NewSweep(), 0
	for _, now := range []int64{9, 10, 19, 20, 30, 40, 49, 50, 60} {
		for n := most; n == most; {
			n = s.Expire(now, most)
			require.LessOrEqual(t, n, most)
			ended += n
		}
		due := 0
		for n := range int64(holds) {
			if n%7 != 0 && 10+n%5*10 <= now {
				due++
			}
		}
		require.Equal(t, due, ended, "at %d", now)
		require.Zero(t, s.Expire(now, most))
	}
	require.Equal(t, Stock{Available: 1<<20 - (holds+6)/7, Sold: (holds + 6) / 7}, v.Stock(0))
}
