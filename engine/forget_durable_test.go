package engine_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// While the journal hangs, and once it has failed, nothing is forgotten whose end is not durable. So Rescue still
// writes the state after every record that was handed to the journal (I5), and what ended before is forgotten there,
// too.
func TestNothingIsForgottenBeforeItIsDurable(t *testing.T) {
	for _, durability := range []engine.Durability{engine.Sync, engine.Async} {
		t.Run(fmt.Sprint(durability), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { forgottenWithAJournalThatHangs(t, durability) })
		})
	}
}

func forgottenWithAJournalThatHangs(t *testing.T, durability engine.Durability) {
	s, kept := forgetful(t)
	s.options.Durability, s.options.JournalTimeout, s.options.MaxReservations = durability, time.Hour, 1000
	gate := make(chan error)
	require.NoError(t, s.start())
	var r engine.Reservation
	ids := s.holds(t, 50)
	for _, id := range ids[:10] {
		require.NoError(t, s.e.Release(t.Context(), id, &r))
	}
	require.NoError(t, s.e.Flush(t.Context()))
	kept.before = func(ctx context.Context, _ journal.Group) error {
		select {
		case err := <-gate:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	calls := func(from, to int, call func(id engine.ID) error) {
		for _, id := range ids[from:to] {
			go func() { _ = call(id) }()
		}
		synctest.Wait()
	}
	calls(10, 11, func(id engine.ID) error { return s.e.Release(gone, id, &engine.Reservation{}) }) // handed over
	calls(11, 20, func(id engine.ID) error { return s.e.Release(gone, id, &engine.Reservation{}) })
	calls(20, 30, func(id engine.ID) error { return s.e.Confirm(gone, id, "paid", &engine.Reservation{}) })
	s.clock.ms.Add(s.options.TTL.Milliseconds())
	require.Equal(t, 20, s.e.ExpireDue())
	s.clock.ms.Add(3 * time.Hour.Milliseconds())
	passes()
	require.EqualValues(t, 10, s.e.Stats().Forgetting.FreedReservations)
	require.Equal(t, 40, s.e.Stats().Tables[0].Used)
	gate <- journal.ErrGone
	cancel()
	passes()
	require.EqualValues(t, 10, s.e.Stats().Forgetting.FreedReservations)

	saved := newStore()
	report, err := s.e.Rescue(t.Context(), func(last uint64) (journal.Checkpoint, error) {
		return saved.open().Checkpoint(t.Context(), last)
	})
	require.NoError(t, err)
	require.Equal(t, 39, report.Reservations, "the one that was handed over has ended long ago")
	require.Error(t, s.e.Close())
	verify(t, saved.open(), s.options.Sale)
	s.open = func() (journal.Backend, error) { return saved.open(), nil }
	require.NoError(t, s.start())
	require.Equal(t, 39, s.e.Stock(0).Held, "what came later was not handed over")
	require.NoError(t, s.e.Close())
}
