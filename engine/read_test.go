package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// I5, I7: While the journal does not respond, an overdue hold is shown neither as held nor as expired.
func TestReadsOfOverdueHolds(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.options.JournalTimeout = 20 * time.Millisecond
	s.clock.set(time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC))
	require.NoError(t, s.start())
	var r engine.Reservation
	do := func(op spec.Operation) spec.Answer { return s.call(op, &r) }
	take := func(name string, ttl time.Duration) spec.Operation {
		return spec.Operation{Kind: spec.Reserve, ID: spec.IDOf(name), Account: "ann", Phase: "late", TTL: ttl,
			Lines: []spec.Line{{Session: "SWIM", Category: "A", Quantity: 1}}}
	}
	read := func(name string) spec.Answer {
		return do(spec.Operation{Kind: spec.ReadReservation, ID: spec.IDOf(name)})
	}
	account := func() spec.Answer { return do(spec.Operation{Kind: spec.ReadAccount, Account: "ann"}) }
	require.Equal(t, "held", do(take("short", time.Second)).Reservation.State)
	require.Equal(t, "held", do(take("long", 0)).Reservation.State)

	answers := make(chan struct{})
	kept.before = func(context.Context, journal.Group) error { <-answers; return nil }
	require.Equal(t, spec.Unknown, do(take("stalled", 0)).Code)
	require.Equal(t, "held", read("short").Reservation.State)
	s.clock.ms.Add(1000)
	require.Equal(t, spec.Unknown, read("short").Code)
	require.Equal(t, spec.Unknown, account().Code)
	require.Equal(t, "held", read("long").Reservation.State)

	close(answers)
	require.Eventually(t, func() bool { return s.e.Flush(t.Context()) == nil }, time.Minute, time.Millisecond)
	require.Equal(t, "expired", read("short").Reservation.State)
	require.Len(t, account().Account.Reservations, 2)
	require.NoError(t, s.e.Close())
}
