package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// I9: a repeated reserve is refused by the end of its reservation, and a confirm by a reference other than the one that
// was kept. It is the same in single calls, in a batch, and after a restart with a checkpoint or without.
func TestRepeats(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	defer func() { require.NoError(t, s.e.Close()) }()
	ctx := t.Context()
	var r engine.Reservation
	held := func(n byte) engine.Request {
		return engine.Request{ID: engine.ID{0: n}, Account: "ann", TTL: time.Minute, Lines: lines("SWIM/A", 1)}
	}
	released, expired, paid, free := held(1), held(2), held(3), held(4)
	for _, q := range []engine.Request{released, expired, paid, free} {
		require.NoError(t, s.e.Reserve(ctx, &q, &r))
	}
	require.NoError(t, s.e.Release(ctx, released.ID, &r))
	require.NoError(t, s.e.Confirm(ctx, paid.ID, "pay_1", &r))
	require.NoError(t, s.e.Confirm(ctx, free.ID, "", &r))
	s.clock.set(saleStart.Add(time.Minute))

	op := func(q engine.Request, reference string) engine.Op {
		return engine.Op{Kind: engine.OpConfirm, ID: q.ID, Reference: reference}
	}
	for _, when := range []string{"at once", "after a restart", "after a restart from a checkpoint"} {
		for _, c := range []struct {
			op   engine.Op
			want engine.Refusal
		}{
			{engine.Op{Request: released}, engine.Refusal{Code: engine.ReservationReleased}},
			{engine.Op{Request: expired}, engine.Refusal{Code: engine.ReservationExpired, CanTakeAgain: true}},
			{engine.Op{Request: paid}, engine.Refusal{}},
			{engine.Op{Request: free}, engine.Refusal{}},
			{op(paid, "pay_1"), engine.Refusal{}},
			{op(paid, ""), engine.Refusal{}},
			{op(paid, "pay_2"), engine.Refusal{Code: engine.ReservationConfirmed, Reference: "pay_1"}},
			{op(free, ""), engine.Refusal{}},
			{op(free, "pay_2"), engine.Refusal{Code: engine.ReservationConfirmed}},
			{engine.Op{Kind: engine.OpRelease, ID: paid.ID},
				engine.Refusal{Code: engine.ReservationConfirmed, Reference: "pay_1"}},
		} {
			ops := []engine.Op{c.op}
			s.e.Batch(ctx, ops)
			single := s.single(&c.op)
			if c.want.Code == "" {
				require.NoError(t, ops[0].Err, when)
				require.NoError(t, single, when)
				require.True(t, ops[0].Result.Repeated && c.op.Result.Repeated, "%s, %+v", when, c.op)
				require.Equal(t, engine.Confirmed, c.op.Result.State)
				continue
			}
			require.Equal(t, &c.want, ops[0].Err, when)
			require.Equal(t, &c.want, single, when)
		}
		if when == "after a restart" {
			_, err := s.e.Checkpoint(ctx)
			require.NoError(t, err)
		}
		require.NoError(t, s.Restart())
	}
	require.Equal(t, engine.Stock{Capacity: 5, Available: 2, Sold: 2, Withheld: 1}, s.e.Stock(0))
}

// single makes the call of an operation, and fills its Result.
func (s *seller) single(op *engine.Op) error {
	switch op.Kind {
	case engine.OpReserve:
		return s.e.Reserve(context.Background(), &op.Request, &op.Result)
	case engine.OpConfirm:
		return s.e.Confirm(context.Background(), op.ID, op.Reference, &op.Result)
	}
	return s.e.Release(context.Background(), op.ID, &op.Result)
}

// I5: a repeat is refused by the end of its reservation, or by another reference, only once that is durable. If it
// never becomes durable, nothing of it is shown.
func TestRepeatsAwaitDurability(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	for _, journalFails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			kept := newStore()
			s := sellerOn(sale, kept)
			s.clock.set(saleStart)
			require.NoError(t, s.start())
			q := engine.Request{ID: uuid.UUID{1}, Account: "ann", Lines: lines("SWIM/A", 1)}
			paid := engine.Request{ID: uuid.UUID{2}, Account: "ann", Lines: lines("SWIM/A", 1)}
			var r engine.Reservation
			require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
			require.NoError(t, s.e.Reserve(t.Context(), &paid, &r))
			answered := make(chan struct{})
			kept.before = func(context.Context, journal.Group) error {
				<-answered
				if journalFails {
					return errors.New("the disk is gone")
				}
				return nil
			}
			ops := []engine.Op{{Kind: engine.OpRelease, ID: q.ID}, {Kind: engine.OpConfirm, ID: paid.ID, Reference: "pay_1"},
				{Request: q}, {Kind: engine.OpConfirm, ID: paid.ID, Reference: "pay_2"}}
			errs, done := make([]error, len(ops)), make([]bool, len(ops))
			for i := range ops {
				go func() {
					errs[i] = s.single(&ops[i])
					done[i] = true
				}()
				synctest.Wait() // each call is decided before the next one
			}
			require.Equal(t, []bool{false, false, false, false}, done, "an answer revealed what is not durable")
			close(answered)
			synctest.Wait()
			require.Equal(t, []bool{true, true, true, true}, done)
			if journalFails {
				for _, err := range errs {
					require.Equal(t, engine.JournalUnavailable, code(t, err))
				}
				require.Error(t, s.e.Close())
				return
			}
			require.NoError(t, errors.Join(errs[0], errs[1]))
			require.Equal(t, engine.ReservationReleased, code(t, errs[2]))
			require.Equal(t, engine.ReservationConfirmed, code(t, errs[3]))
			require.NoError(t, s.e.Close())
		})
	}
}
