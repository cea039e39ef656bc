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

// After a restart on a machine whose clock is an hour behind, the sale clock starts at the journal's latest instant. No
// outcome is dated before one that it follows.
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
