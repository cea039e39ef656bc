package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
)

// counted returns how many calls of a method had a result.
func counted(s engine.Stats, call string, code engine.Code) uint64 {
	for _, c := range s.Calls {
		if c.Call != call {
			continue
		}
		for _, r := range c.Results {
			if r.Code == code {
				return r.Count
			}
		}
	}
	return 0
}

// The counts match the calls, and the states of reservations are restored by a restart.
func TestStats(t *testing.T) {
	dir := t.TempDir()
	at := func() journal.Backend {
		b, err := embedded.Open(dir, embedded.Options{})
		require.NoError(t, err)
		return b
	}
	e := openBatched(t, at(), engine.Sync)
	var r engine.Reservation
	reserve := func(n byte, quantity int) error {
		return e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: n}, Account: "a",
			Lines: []engine.Line{{Session: "ATH02", Category: "A", Quantity: quantity}}}, &r)
	}
	for n := range byte(4) {
		require.NoError(t, reserve(n+1, 1))
	}
	require.NoError(t, reserve(1, 1))
	require.Error(t, reserve(9, 6), "the session limit")
	require.NoError(t, e.Confirm(t.Context(), engine.ID{15: 1}, "", &r))
	require.NoError(t, e.Release(t.Context(), engine.ID{15: 2}, &r))
	ops := []engine.Op{{Kind: engine.OpConfirm, ID: engine.ID{15: 3}}, {Kind: engine.OpRelease, ID: engine.ID{15: 77}}}
	e.Batch(t.Context(), ops)
	e.ms.Add(time.Hour.Milliseconds())
	require.Equal(t, 1, e.ExpireDue())
	require.NoError(t, e.Flush(t.Context()))
	states := map[engine.State]uint64{engine.Held: 0, engine.Confirmed: 2, engine.Released: 1, engine.Returned: 0,
		engine.Expired: 1}
	s := e.Stats()
	require.Equal(t, states, s.Reservations)
	require.EqualValues(t, 4, counted(s, "reserve", "ok"))
	require.EqualValues(t, 1, counted(s, "reserve", "repeated"))
	require.EqualValues(t, 1, counted(s, "reserve", engine.SessionLimitExceeded))
	require.EqualValues(t, 2, counted(s, "confirm", "ok"), "one of them in a batch")
	require.EqualValues(t, 1, counted(s, "release", engine.ReservationNotFound))
	require.EqualValues(t, 1, s.Expired)
	require.Equal(t, 1, s.Accounts)
	require.Equal(t, s.Journal.Placed, s.Journal.Durable)
	require.EqualValues(t, 8, s.Journal.Records, "four taken, two confirmed, one released, one expired")
	require.Positive(t, s.Journal.Syncs.Count())
	require.NoError(t, e.Close())

	e = openBatched(t, at(), engine.Sync)
	s = e.Stats()
	require.Equal(t, states, s.Reservations)
	require.Zero(t, s.Expired, "counts start at 0")
	c, err := e.CheckConservation(t.Context())
	require.NoError(t, err)
	require.Empty(t, c.Problem)
	require.Equal(t, len(e.Sale().Pools), c.ExactPools)
	require.NoError(t, e.Close())
}

// Changes move reservations between states, and are counted by call. A restart counts the same states.
func TestStatsOfChanges(t *testing.T) {
	dir := t.TempDir()
	at := func() journal.Backend {
		b, err := embedded.Open(dir, embedded.Options{})
		require.NoError(t, err)
		return b
	}
	e := openBatched(t, at(), engine.Sync)
	var r engine.Reservation
	ctx := t.Context()
	line := func(quantity int) []engine.Line {
		return []engine.Line{{Session: "ATH02", Category: "A", Quantity: quantity}}
	}
	reserve := func(n, replaces byte, quantity int) {
		q := engine.Request{ID: engine.ID{15: n}, Account: string('a' + rune(n)), Lines: line(quantity)}
		if replaces > 0 {
			q.Account, q.Replaces = string('a'+rune(replaces)), engine.ID{15: replaces}
		}
		require.NoError(t, e.Reserve(ctx, &q, &r))
	}
	counts := func(held, confirmed, released, returned, expired uint64) {
		t.Helper()
		require.Equal(t, map[engine.State]uint64{engine.Held: held, engine.Confirmed: confirmed, engine.Released: released,
			engine.Returned: returned, engine.Expired: expired}, e.Stats().Reservations)
	}
	for n := range byte(5) {
		reserve(n+1, 0, 2)
	}
	counts(5, 0, 0, 0, 0)
	require.NoError(t, e.Extend(ctx, engine.ID{15: 1}, r.CreatedAt.Add(time.Hour), &r))
	require.NoError(t, e.Reduce(ctx, engine.ID{15: 2}, line(1), &r))
	counts(5, 0, 0, 0, 0)
	reserve(6, 3, 1)
	counts(5, 0, 1, 0, 0)
	for _, id := range []byte{2, 6} {
		require.NoError(t, e.Confirm(ctx, engine.ID{15: id}, "", &r))
	}
	require.NoError(t, e.Reduce(ctx, engine.ID{15: 6}, line(1), &r), "repeated")
	counts(3, 2, 1, 0, 0)
	require.NoError(t, e.Return(ctx, engine.ID{15: 2}, "", &r))
	require.NoError(t, e.Return(ctx, engine.ID{15: 2}, "", &r), "repeated")
	counts(3, 1, 1, 1, 0)
	e.ms.Add((20 * time.Minute).Milliseconds())
	require.Equal(t, 2, e.ExpireDue())
	counts(1, 1, 1, 1, 2)
	require.NoError(t, e.ConfirmAgain(ctx, engine.ID{15: 4}, "late", &r))
	counts(1, 2, 1, 1, 1)
	require.NoError(t, e.ConfirmAgain(ctx, engine.ID{15: 1}, "", &r), "it was still held")
	counts(0, 3, 1, 1, 1)
	ops := []engine.Op{{Kind: engine.OpReturn, ID: engine.ID{15: 4}}, {Kind: engine.OpReturn, ID: engine.ID{15: 5}},
		{Kind: engine.OpConfirm, Again: true, ID: engine.ID{15: 5}}}
	e.Batch(ctx, ops)
	counts(0, 3, 1, 2, 0)

	s := e.Stats()
	for _, want := range []struct {
		call  string
		code  engine.Code
		count uint64
	}{{"reserve", "ok", 6}, {"extend", "ok", 1}, {"reduce", "ok", 1}, {"reduce", "repeated", 1}, {"return", "ok", 2},
		{"return", "repeated", 1}, {"return", engine.ReservationExpired, 1}, {"confirm", "ok", 5}} {
		require.Equal(t, want.count, counted(s, want.call, want.code), "%s %s", want.call, want.code)
	}
	require.EqualValues(t, 2, s.Expired)
	require.NoError(t, e.Close())

	e = openBatched(t, at(), engine.Sync)
	counts(0, 3, 1, 2, 0)
	require.Equal(t, 6, e.Recovery().Reservations, "each once, however often it has changed")
	require.Zero(t, e.Stats().Expired, "counts start at 0")
	require.NoError(t, e.Return(ctx, engine.ID{15: 5}, "", &r))
	counts(0, 2, 1, 3, 0)
	require.NoError(t, e.Close())
}

// An outcome that could not be acknowledged is counted among the states, and not among the successful results.
func TestStatsOfUnacknowledgedOutcomes(t *testing.T) {
	s := newStore()
	failing := errors.New("the disk is gone")
	s.before = func(_ context.Context, g journal.Group) error {
		if g.First > 1 {
			return failing
		}
		return nil
	}
	e := openBatched(t, s.open(), engine.Sync)
	var r engine.Reservation
	err := e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: 1}, Account: "a",
		Lines: []engine.Line{{Session: "ATH02", Category: "A", Quantity: 1}}}, &r)
	require.Error(t, err)
	stats := e.Stats()
	require.EqualValues(t, 1, stats.Reservations[engine.Held])
	require.Zero(t, counted(stats, "reserve", "ok"))
	require.EqualValues(t, 1, counted(stats, "reserve", engine.JournalUnavailable))
	require.ErrorIs(t, stats.Journal.Err, failing)
	require.Error(t, e.Close())
}
