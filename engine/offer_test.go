package engine_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
)

// The detail of a refusal about phases names no phase that the request did not name without the reason, and describes
// which phase would accept the request, and when.
func TestDetailsDescribeWhichPhaseWouldBeRight(t *testing.T) {
	sale, err := catalog.Load("spec/testdata/sale")
	require.NoError(t, err)
	var now atomic.Pointer[time.Time] // also read by the engine's sweep
	now.Store(&time.Time{})
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return *now.Load() })})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	lines := func(sessions ...string) (all []engine.Line) {
		for _, session := range sessions {
			all = append(all, engine.Line{Session: session, Category: "A", Quantity: 1})
		}
		return all
	}
	for _, c := range []struct {
		at, phase string
		lines     []engine.Line
		code      engine.Code
		detail    string
	}{
		{at: "2024-01-01", lines: lines("SWIM"), code: engine.PhaseNotOpen,
			detail: "no phase is open; the next that sells the requested session, drawn, is open from " +
				"2024-02-15T10:00:00Z until 2024-02-25T10:00:00Z"},
		{at: "2024-01-01", lines: lines("LIST"), code: engine.PhaseNotOpen,
			detail: "no phase is open; the next, drawn, is open from 2024-02-15T10:00:00Z until " +
				"2024-02-25T10:00:00Z; no phase sells the requested session"},
		{at: "2024-01-01", lines: lines("SKI", "ATHL"), code: engine.PhaseNotOpen,
			detail: "no phase is open; the next, drawn, is open from 2024-02-15T10:00:00Z until " +
				"2024-02-25T10:00:00Z; no phase sells all requested sessions"},
		{at: "2024-09-01", lines: lines("SKI"), code: engine.PhaseNotOpen,
			detail: "no phase is open; the last that sells the requested session, snow, was open from " +
				"2024-05-01T10:00:00Z until 2024-08-01T10:00:00Z"},
		{at: "2024-01-01", phase: "late", lines: lines("SWIM"), code: engine.PhaseNotOpen,
			detail: "phase late is open from 2024-05-01T10:00:00Z until 2024-07-01T10:00:00Z"},
		{at: "2024-03-20", phase: "late", lines: lines("JUDO"), code: engine.PhaseNotOpen,
			detail: "phase late is open from 2024-05-01T10:00:00Z until 2024-07-01T10:00:00Z; phase early is open " +
				"and sells the requested session"},
		{at: "2024-03-20", phase: "later", lines: lines("JUDO"), code: engine.UnknownPhase,
			detail: `the sale has no phase "later"; phase early is open and sells the requested session`},
		{at: "2024-09-20", phase: "later", lines: lines("JUDO"), code: engine.UnknownPhase,
			detail: `the sale has no phase "later"`},
		{at: "2024-02-20", lines: lines("SWIM", "JUDO"), code: engine.NoAccessSlot,
			detail: "phase drawn, which was chosen because it is open and sells all requested sessions, requires an " +
				"access slot, and the account has none; phase packs sells all requested sessions from " +
				"2024-03-01T10:00:00Z"},
		{at: "2024-02-20", lines: lines("SKI"), code: engine.NoAccessSlot,
			detail: "phase drawn, the first open one, requires an access slot, and the account has none; no open " +
				"phase sells the requested session; phase snow sells the requested session from " +
				"2024-05-01T10:00:00Z"},
		{at: "2024-02-20", lines: lines("LIST"), code: engine.NoAccessSlot,
			detail: "phase drawn, the first open one, requires an access slot, and the account has none; no open " +
				"phase sells the requested session"},
		{at: "2024-02-20", phase: "drawn", lines: lines("SWIM"), code: engine.NoAccessSlot,
			detail: "phase drawn requires an access slot, and the account has none; phase late sells the requested " +
				"session from 2024-05-01T10:00:00Z"},
		{at: "2024-03-10", lines: lines("SWIM"), code: engine.PackShape,
			detail: "phase packs, which was chosen because it is open and sells the requested session, takes packs " +
				"of exactly 2 different sessions; the request has 1; phase late sells the requested session from " +
				"2024-05-01T10:00:00Z"},
		{at: "2024-03-10", phase: "packs", lines: lines("SWIM", "JUDO", "ATHL"), code: engine.PackShape,
			detail: "phase packs takes packs of exactly 2 different sessions; the request has 3; phase late sells " +
				"all requested sessions from 2024-05-01T10:00:00Z"},
		{at: "2024-03-20", lines: lines("JUDO", "ATHL"), code: engine.PhaseRequired,
			detail: `phases packs, early are open and fit; name one of them in "phase"`},
		{at: "2024-03-20", lines: lines("SKI"), code: engine.NotOnSale,
			detail: "no open phase sells the requested session; phase snow sells it from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SWIM"), code: engine.NotOnSale,
			detail: "no open phase sells the requested session; phase late sells it from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SWIM", "GALA"), code: engine.NotOnSale,
			detail: "no open phase sells all requested sessions; phase late sells them from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SURF"), code: engine.NotOnSale,
			detail: "no phase sells session SURF"},
		{at: "2024-04-10", phase: "early", lines: lines("SWIM"), code: engine.NotOnSale,
			detail: "phase early does not sell session SWIM; phase late sells session SWIM from 2024-05-01T10:00:00Z"},
		{at: "2024-05-10", phase: "snow", lines: lines("SWIM"), code: engine.NotOnSale,
			detail: "phase snow does not sell session SWIM; phase late is open and sells session SWIM"},
		{at: "2024-05-10", lines: lines("SKI", "ATHL"), code: engine.NotOnSale,
			detail: "no phase sells all requested sessions together; phase snow is open and sells session SKI"},
		{at: "2024-05-10", lines: lines("LIST"), code: engine.NotOnSale,
			detail: "session LIST is listed without tickets; no phase sells it"},
		{at: "2024-07-10", lines: lines("ATHL"), code: engine.NotOnSale,
			detail: "no open phase sells the requested session; phase late sold it until 2024-07-01T10:00:00Z"},
		{at: "2024-05-10", lines: []engine.Line{{Session: "SWIM", Category: "Z", Quantity: 1}}, code: engine.UnknownCategory,
			detail: `session SWIM has no price category "Z"; it has A, B`},
	} {
		at, err := time.Parse("2006-01-02", c.at)
		require.NoError(t, err)
		now.Store(&at)
		var r engine.Reservation
		var refusal *engine.Refusal
		err = e.Reserve(t.Context(), &engine.Request{Account: "ann", Phase: c.phase, Lines: c.lines}, &r)
		require.True(t, errors.As(err, &refusal), "%+v: %v", c, err)
		require.Equal(t, c.code, refusal.Code, refusal.Detail())
		require.Equal(t, c.detail, refusal.Detail())
	}
}

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
