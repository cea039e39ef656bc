package inventory

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// twoProgrammes has sessions 0 and 1 in programme 0, and sessions 2 and 3 in programme 1. Each has three pools.
func twoProgrammes(t *testing.T) *Inventory {
	c := Config{Caps: []int{12, 8}, Pause: yieldingPause(1000)}
	for s := range 4 {
		c.Sessions = append(c.Sessions, SessionConfig{Programme: uint8(s / 2), Limit: 100})
		for range 3 {
			c.Pools = append(c.Pools, PoolConfig{Session: uint32(s), Units: 100})
		}
	}
	v, err := New(c)
	require.NoError(t, err)
	return v
}

// TestSeveralProgrammes: a reservation of sessions that are in several programmes now counts in each of them with its
// lines there.
func TestSeveralProgrammes(t *testing.T) {
	v := twoProgrammes(t)
	q := Request{ID: ID{1}, Account: "a", Lines: []Line{{Pool: 1, Quantity: 5}, {Pool: 9, Quantity: 4}}, Expires: 1}
	require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
	require.NoError(t, v.CountStock())
	for _, want := range []struct {
		pool      uint32
		programme uint8
		held, cap int
	}{{4, 0, 5, 12}, {6, 1, 4, 8}} {
		refused := v.Reserve(&Request{ID: ID{9}, Account: "a", Lines: []Line{{Pool: want.pool, Quantity: 8}}, Expires: 1})
		require.Equal(t, AccountCapExceeded, refused.Verdict)
		require.Equal(t, want.programme, refused.Programme)
		require.Equal(t, want.held, refused.Held)
		require.Equal(t, want.cap, refused.Limit)
	}
}

// TestSeveralProgrammesInASummary: such a reservation counts the same where a summary has it.
func TestSeveralProgrammesInASummary(t *testing.T) {
	v := twoProgrammes(t)
	v.long = shortest
	q := Request{ID: ID{1}, Account: "a", Lines: []Line{{Pool: 1, Quantity: 5}, {Pool: 9, Quantity: 4}}, Expires: 1}
	require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
	require.NoError(t, v.CountStock())
	reserve := func(n byte, quantity uint32) Result {
		return v.Reserve(&Request{ID: ID{n}, Account: "a", Lines: []Line{{Pool: 4, Quantity: quantity}}, Expires: 1})
	}
	for n := range byte(4) {
		require.Equal(t, Done, reserve(2+n, 1).Verdict)
	}
	require.Contains(t, v.summaryOf(v.FindAccount("a")).rows, uint32(1))
	refused := reserve(9, 8)
	require.Equal(t, AccountCapExceeded, refused.Verdict)
	require.Equal(t, 5+4, refused.Held)
}
