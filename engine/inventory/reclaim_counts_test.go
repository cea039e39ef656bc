package inventory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The counts show what waits and for how long while a call stalls, and what is free afterwards.
func TestReclaimedShowsAStalledCall(t *testing.T) {
	c := Config{Pools: []PoolConfig{{Units: 10}}, Sessions: []SessionConfig{{Limit: 10}}, Caps: []int{10},
		MaxReservations: 10, MaxAccounts: 10, MaxNotes: 1, Pause: yieldingPause(0)}
	v, err := New(c)
	require.NoError(t, err)
	rec, terms := v.NewReclaimer(), Terms{Before: 100, All: true}
	for n := range uint64(3) {
		q := Request{ID: idOf(n), Account: "ann", Lines: lines(0, 1), Created: 1, Expires: 50}
		res := v.Reserve(&q)
		require.Equal(t, Done, res.Verdict)
		require.Equal(t, Done, v.Release(res.Row, 2, nil).Verdict)
	}
	require.Equal(t, Reclaimed{}, rec.Reclaimed())
	stalled := v.Begin(0)
	for rec.Step(terms) {
	}
	require.Equal(t, Reclaimed{Waiting: 3}, rec.Reclaimed())
	terms.At = 31 * time.Second
	require.False(t, rec.Step(terms), "the call has not returned")
	require.Equal(t, Reclaimed{Waiting: 3, Grace: 31 * time.Second}, rec.Reclaimed())
	stalled.End()
	for rec.Freed() < 3 {
		rec.Step(terms)
	}
	require.Equal(t, Reclaimed{FreedReservations: 3}, rec.Reclaimed())
	rec.pass(terms)
	require.Equal(t, Reclaimed{FreedReservations: 3, Closed: 1}, rec.Reclaimed(), "nothing names ann any more")
	rec.pass(terms)
	rec.pass(terms)
	require.Equal(t, Reclaimed{FreedReservations: 3, FreedAccounts: 1}, rec.Reclaimed())
}
