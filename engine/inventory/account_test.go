package inventory

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMostAccounts: a restore uses more rows than the table may have later, and all are within the bound.
func TestMostAccounts(t *testing.T) {
	const limit = 1 << 14
	v, err := New(Config{Pools: []PoolConfig{{Units: 1}}, Sessions: []SessionConfig{{Limit: 1}}, Caps: []int{1},
		MaxReservations: 10, MaxAccounts: limit, MaxNotes: 10, Pause: yieldingPause(1)})
	require.NoError(t, err)
	restored := Restored{Request: &Request{ID: idOf(1), Account: "ann", Lines: []Line{{Quantity: 1}}, Expires: 1},
		State: Held}
	require.NoError(t, v.RestoreTaken(restored))
	rows := 1
	for ; ; rows++ {
		row, ok := v.Keep(fmt.Sprintf("account%d", rows))
		if !ok {
			break
		}
		require.LessOrEqual(t, int(row), v.MostAccounts())
	}
	require.Greater(t, rows, 2*limit)
	require.LessOrEqual(t, rows, v.MostAccounts())
}
