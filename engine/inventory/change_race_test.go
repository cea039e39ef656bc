package inventory

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAChangeBesideAConfirmation: a change that fails because its hold is confirmed does not look at what the
// confirmation is writing just then. Only the race detector shows it.
func TestAChangeBesideAConfirmation(t *testing.T) {
	c := Config{Pools: []PoolConfig{{Units: 1000}}, Sessions: []SessionConfig{{Limit: 1000}}, Caps: []int{1000},
		Journalled: true, MaxReservations: 2000, MaxAccounts: 1, Pause: yieldingPause(1 << 16), Wake: runtime.Gosched}
	v, err := New(c)
	require.NoError(t, err)
	d, moved := &drained{t: t, v: v}, 0
	for n := range uint64(500) {
		held := v.Reserve(&Request{ID: idOf(n), Account: "ann", Lines: lines(0, 1), Expires: 10})
		require.Equal(t, Done, held.Verdict)
		d.drain() // so that the next outcome wakes: in the midst of the confirmation, the change goes on
		var results [2]Result
		each(2, func(i int) {
			if uint64(i) == n%2 { // the one that is second often runs first
				results[0] = v.Confirm(held.Row, 0, "r", nil)
			} else {
				results[1] = v.Extend(Decided{held.Row, Held}, 0, 20)
			}
		})
		require.Equal(t, Done, results[0].Verdict)
		if results[1].Verdict == Moved {
			moved++
		}
	}
	require.Positive(t, moved)
	require.Equal(t, 500, v.texts.InUse())
}
