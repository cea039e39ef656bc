package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// A call may have read the clock before the reservation was made that it finds. Its hold does not end before it was
// made either: a record has the time from one to the other.
func TestExtendBeforeItsCreation(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	kept, at := newStore(), &clock{}
	at.set(saleStart)
	open := func() *engine.Engine {
		e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Journal: kept.open(), SweepEvery: -1,
			Clock: saleclock.Virtual(at.now)})
		require.NoError(t, err)
		return e
	}
	e, made := open(), saleStart.Add(10*time.Second)
	var r engine.Reservation
	id := engine.ID{15: 1}
	at.set(made)
	require.NoError(t, e.Reserve(t.Context(), &engine.Request{ID: id, Account: "ann", Phase: "late",
		Lines: lines("ATHL/A", 1)}, &r))
	at.set(made.Add(-5 * time.Second))
	for _, end := range []time.Duration{-time.Second, 0} {
		err = e.Extend(t.Context(), id, made.Add(end), &r)
		refused, ok := err.(*engine.Refusal)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.MalformedRequest, refused.Code)
	}
	require.NoError(t, e.Extend(t.Context(), id, made.Add(time.Second), &r))
	require.NoError(t, e.Close())
	e = open()
	require.NoError(t, e.Reservation(t.Context(), id, &r))
	require.Equal(t, made.Add(time.Second), r.ExpiresAt)
	require.NoError(t, e.Close())
}
