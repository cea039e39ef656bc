package engine_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// Nothing is decided for a caller that has gone: a call whose context is done returns its error and places no outcome.
func TestCancelledCallsDecideNothing(t *testing.T) {
	kept := newStore()
	s := newSeller(stressSale(t, 1, 100), func() (journal.Backend, error) { return kept.open(), nil })
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var r engine.Reservation
	request := func() engine.Request {
		return engine.Request{ID: uuid.New(), Account: "ann", Lines: lines("S0/A", 1)}
	}
	first := request()
	require.NoError(t, s.e.Reserve(t.Context(), &first, &r))
	placed, states := s.e.Stats().Journal.Placed, s.e.Stats().Reservations
	q := request()
	ops := []engine.Op{{Kind: engine.OpReserve, Request: request()}, {Kind: engine.OpConfirm, ID: first.ID},
		{Kind: engine.OpRelease, ID: first.ID}}
	s.e.Batch(gone, ops)
	for name, err := range map[string]error{
		"reserve": s.e.Reserve(gone, &q, &r), "confirm": s.e.Confirm(gone, first.ID, "", &r),
		"release":    s.e.Release(gone, first.ID, &r),
		"batched":    ops[0].Err,
		"confirmed":  ops[1].Err,
		"and closed": ops[2].Err,
	} {
		require.ErrorIs(t, err, context.Canceled, name)
	}
	require.Equal(t, placed, s.e.Stats().Journal.Placed)
	require.Equal(t, states, s.e.Stats().Reservations)
	require.Equal(t, engine.Stock{Capacity: 100, Available: 99, Held: 1}, s.e.Stock(0))
	require.Equal(t, engine.ReservationNotFound, codeOf(t, s.e.Reservation(t.Context(), q.ID, &r)))
	require.EqualValues(t, 2, counted(s.e.Stats(), "confirm", "gave_up"))
	require.NoError(t, s.e.Close())
}

// The same holds for draws: neither an entry nor a freeze is made for a caller that has gone.
func TestCancelledDrawCallsDecideNothing(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r.enter("ann", "")
	_, err := r.e.Enter(gone, "draw1", "bob", "")
	require.ErrorIs(t, err, context.Canceled)
	r.at(r.draw1.RegistrationCloses)
	_, err = r.e.FreezeDraw(gone, "draw1")
	require.ErrorIs(t, err, context.Canceled)
	_, err = r.e.RunDraw(gone, "draw1", standIn(t, r.draw1))
	require.ErrorIs(t, err, context.Canceled)
	status, err := r.e.Draw("draw1")
	require.NoError(t, err)
	require.Equal(t, engine.DrawClosed, status.State)
	require.Equal(t, 1, status.Entries)
	r.audit()
}

// endsAfter is a context that ends when it has been read so often.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// The operations of a batch that are not begun when its context ends are not begun at all; those before are decided.
func TestBatchStopsWhenItsCallerGoes(t *testing.T) {
	s := newSeller(stressSale(t, 1, 100), nil)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	ops := make([]engine.Op, 5)
	for i := range ops {
		ops[i] = engine.Op{Kind: engine.OpReserve, Request: engine.Request{ID: uuid.New(), Account: "ann",
			Lines: lines("S0/A", 1)}}
	}
	s.e.Batch(&endsAfter{Context: t.Context(), left: 3}, ops)
	for i := range ops {
		if i < 3 {
			require.NoError(t, ops[i].Err)
		} else {
			require.ErrorIs(t, ops[i].Err, context.Canceled)
		}
	}
	require.Equal(t, 3, s.e.Stock(0).Held)
	require.NoError(t, s.e.Close())
}
