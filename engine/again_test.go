package engine_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
)

// A reservation is taken again in its phase, also where another one fits by now. Once that is over, several others may
// fit. A confirmation has no phase, so it is not told to name one of them: a new reservation can.
func TestPhaseOfTakingAgain(t *testing.T) {
	sale, err := catalog.Load("spec/testdata/sale")
	require.NoError(t, err)
	var now atomic.Pointer[time.Time] // also read by the engine's sweep
	at := func(month time.Month, day int) {
		instant := time.Date(2024, month, day, 0, 0, 0, 0, time.UTC)
		now.Store(&instant)
	}
	at(time.March, 10)
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return *now.Load() })})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	hold := func() engine.ID {
		var r engine.Reservation
		require.NoError(t, e.Reserve(t.Context(), &engine.Request{Account: "ann", Lines: []engine.Line{
			{Session: "JUDO", Category: "A", Quantity: 1}, {Session: "ATHL", Category: "A", Quantity: 1}}}, &r))
		require.Equal(t, "packs", r.Phase)
		return r.ID
	}
	first, second := hold(), hold()
	at(time.March, 20) // early is open beside it
	var r engine.Reservation
	var refusal *engine.Refusal
	require.ErrorAs(t, e.Confirm(t.Context(), first, "", &r), &refusal)
	require.Equal(t, engine.ReservationExpired, refusal.Code)
	require.True(t, refusal.CanTakeAgain)
	require.NoError(t, e.ConfirmAgain(t.Context(), first, "", &r))
	require.Equal(t, "packs", r.Phase)
	at(time.June, 10) // late and extra are open
	require.ErrorAs(t, e.Confirm(t.Context(), second, "", &r), &refusal)
	require.Equal(t, engine.ReservationExpired, refusal.Code)
	require.False(t, refusal.CanTakeAgain)
	require.ErrorAs(t, e.ConfirmAgain(t.Context(), second, "", &r), &refusal)
	require.Equal(t, engine.PhaseRequired, refusal.Code)
	require.Equal(t, `phases late, extra are open and fit; reserve with a new id and name one of them in "phase"`,
		refusal.Detail())
}
