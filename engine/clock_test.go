package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
)

// After a restart on a machine whose clock is an hour slow, the sale clock starts at the journal's latest instant. No
// outcome is dated before an earlier one.
func TestRestartOnAClockThatIsBehind(t *testing.T) {
	kept := newStore()
	s := newSeller(stressSale(t, 1, 100), func() (journal.Backend, error) { return kept.open(), nil })
	s.clock.set(saleStart.Add(2 * time.Hour))
	require.NoError(t, s.start())
	var r engine.Reservation
	id := uuid.New()
	require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: id, Account: "ann", Lines: lines("S0/A", 1)}, &r))
	require.NoError(t, s.e.Close())
	latest := s.clock.now()

	s.clock.set(latest.Add(-time.Hour))
	s.options.Clock = saleclock.Virtual(s.clock.now)
	require.NoError(t, s.start())
	require.Equal(t, latest, s.e.Recovery().Latest)
	require.Equal(t, latest, s.e.Now())
	require.NoError(t, s.e.Confirm(t.Context(), id, "", &r))
	require.Equal(t, latest, r.ConfirmedAt)
	s.clock.set(latest.Add(time.Second))
	require.Equal(t, latest.Add(time.Second), s.e.Now())
	require.NoError(t, s.e.Close())
}

// A standby whose clock is an hour behind leads from the old leader's latest instant on, and a hold ends no later than
// the standby's clock has run for its remaining life.
func TestTakeoverOnAClockThatIsBehind(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.leader("a")
		behind := saleclock.From(saleStart.Add(time.Since(c.began) - time.Hour))
		b := c.standby("b", func(o *engine.Options) { o.Clock = behind })
		held, sold := a.sell(), a.sell()
		time.Sleep(beat)
		var r engine.Reservation
		require.NoError(c, a.Reservation(c.Context(), sold, &r))
		created := r.CreatedAt
		require.True(c, b.Now().Before(created))
		a.close()
		b.requireLeads()
		require.NoError(c, b.Confirm(c.Context(), sold, "", &r))
		require.False(c, r.ConfirmedAt.Before(created), "%v, %v", r.ConfirmedAt, created)
		require.Equal(c, created, b.Now())
		time.Sleep(17*time.Minute - time.Millisecond)
		require.Equal(c, "held", b.state(held))
		time.Sleep(time.Millisecond)
		require.Equal(c, "expired", b.state(held))
		b.close()
		c.verify()
	})
}
