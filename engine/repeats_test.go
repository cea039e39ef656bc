package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// repeated is a call that changes nothing, and the refusal or the state that it returns.
type repeated struct {
	op    engine.Op
	want  engine.Refusal
	state engine.State
}

// playRepeats makes the calls of a story in which each reservation changes or ends. It returns calls that change
// nothing.
func playRepeats(t *testing.T, s *seller) []repeated {
	ctx := t.Context()
	var r engine.Reservation
	held := func(n byte) engine.Request {
		q := engine.Request{ID: engine.ID{0: n}, Account: fmt.Sprint("account-", n), TTL: time.Minute,
			Lines: lines("ATHL/A", 2)}
		require.NoError(t, s.e.Reserve(ctx, &q, &r))
		return q
	}
	released, expired, paid, free := held(1), held(2), held(3), held(4)
	extended, reduced, returned, replaced, again := held(5), held(6), held(7), held(8), held(9)
	end := saleStart.Add(time.Hour)
	replacing := engine.Request{ID: engine.ID{0: 10}, Account: replaced.Account, Lines: lines("ATHL/A", 1),
		Replaces: replaced.ID}
	require.NoError(t, s.e.Release(ctx, released.ID, &r))
	require.NoError(t, s.e.Confirm(ctx, paid.ID, "pay_1", &r))
	require.NoError(t, s.e.Confirm(ctx, free.ID, "", &r))
	require.NoError(t, s.e.Extend(ctx, extended.ID, end, &r))
	require.NoError(t, s.e.Reduce(ctx, reduced.ID, lines("ATHL/A", 1), &r))
	require.NoError(t, s.e.Confirm(ctx, reduced.ID, "", &r))
	require.NoError(t, s.e.Confirm(ctx, returned.ID, "pay_1", &r))
	require.NoError(t, s.e.Return(ctx, returned.ID, "back_1", &r))
	require.NoError(t, s.e.Reserve(ctx, &replacing, &r))
	s.clock.set(saleStart.Add(time.Minute))
	require.NoError(t, s.e.ConfirmAgain(ctx, again.ID, "pay_1", &r))
	require.NoError(t, s.e.Reservation(ctx, expired.ID, &r))

	op := func(kind engine.OpKind, q engine.Request) engine.Op { return engine.Op{Kind: kind, ID: q.ID} }
	refused := func(code engine.Code) engine.Refusal { return engine.Refusal{Code: code} }
	confirm := func(q engine.Request, reference string) engine.Op {
		return engine.Op{Kind: engine.OpConfirm, ID: q.ID, Reference: reference}
	}
	other := replacing
	other.Replaces = engine.ID{}
	extend, reduce := op(engine.OpExtend, extended), op(engine.OpReduce, reduced)
	extend.ExpiresAt, reduce.Lines = end, lines("ATHL/A", 1)
	taken := confirm(again, "pay_1")
	taken.Again = true
	wasPaid := engine.Refusal{Code: engine.ReservationConfirmed, Reference: "pay_1"}
	return []repeated{
		{op: engine.Op{Request: released}, want: refused(engine.ReservationReleased)},
		{op: engine.Op{Request: expired}, want: engine.Refusal{Code: engine.ReservationExpired, CanTakeAgain: true}},
		{op: engine.Op{Request: paid}, state: engine.Confirmed},
		{op: engine.Op{Request: free}, state: engine.Confirmed},
		{op: confirm(paid, "pay_1"), state: engine.Confirmed},
		{op: confirm(paid, ""), state: engine.Confirmed},
		{op: confirm(paid, "pay_2"), want: wasPaid},
		{op: confirm(free, ""), state: engine.Confirmed},
		{op: confirm(free, "pay_2"), want: refused(engine.ReservationConfirmed)},
		{op: op(engine.OpRelease, paid), want: wasPaid},
		{op: extend, state: engine.Held},
		{op: engine.Op{Request: extended}, state: engine.Held},
		{op: reduce, state: engine.Confirmed},
		{op: engine.Op{Request: reduced}, state: engine.Confirmed},
		{op: op(engine.OpReturn, returned), state: engine.Returned},
		{op: engine.Op{Request: returned}, want: refused(engine.ReservationReturned)},
		{op: confirm(returned, "pay_1"), want: refused(engine.ReservationReturned)},
		{op: op(engine.OpRelease, returned), want: refused(engine.ReservationReturned)},
		{op: op(engine.OpReturn, extended), want: refused(engine.ReservationHeld)},
		{op: engine.Op{Request: replacing}, state: engine.Held},
		{op: engine.Op{Request: replaced}, want: refused(engine.ReservationReleased)},
		{op: op(engine.OpRelease, replaced), state: engine.Released},
		{op: engine.Op{Request: other}, want: refused(engine.IDReused)},
		{op: taken, state: engine.Confirmed},
		{op: engine.Op{Request: again}, state: engine.Confirmed},
	}
}

// I9: a call that took effect has no second effect. A repeated reserve is refused by the end of its reservation, and a
// confirm by a reference other than the one that was kept. It is the same in single calls, in a batch, and after a
// restart with a checkpoint or without.
func TestRepeats(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	defer func() { require.NoError(t, s.e.Close()) }()
	ctx := t.Context()
	calls := playRepeats(t, s)
	pool := poolOf(t, s.e, "ATHL", "A")
	stock := s.e.Stock(pool)
	require.Equal(t, []int{3, 7}, []int{stock.Held, stock.Sold})
	for _, when := range []string{"at once", "after a restart", "after a restart from a checkpoint"} {
		for _, c := range calls {
			ops := []engine.Op{c.op}
			s.e.Batch(ctx, ops)
			err := single(ctx, s.e, &c.op, &c.op.Result)
			if c.want.Code != "" {
				require.Equal(t, &c.want, ops[0].Err, when)
				require.Equal(t, &c.want, err, when)
				continue
			}
			for _, r := range []*engine.Reservation{&ops[0].Result, &c.op.Result} {
				require.True(t, r.Repeated, "%s, %+v", when, c.op)
				require.Equal(t, c.state, r.State)
			}
			require.NoError(t, errors.Join(ops[0].Err, err), when)
		}
		require.Equal(t, stock, s.e.Stock(pool), when)
		if when == "after a restart" {
			_, err := s.e.Checkpoint(ctx)
			require.NoError(t, err)
		}
		require.NoError(t, s.Restart())
	}
}

// I5: a repeat is answered by what became of its reservation, or refused by it, only once that is durable. If it never
// becomes durable, nothing of it is shown. Likewise a replacement that the rules refuse.
func TestRepeatsAwaitDurability(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	for _, journalFails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			kept := newStore()
			s := sellerOn(sale, kept)
			s.clock.set(saleStart)
			require.NoError(t, s.start())
			var r engine.Reservation
			held := func(n byte) engine.Request {
				q := engine.Request{ID: uuid.UUID{n}, Account: fmt.Sprint("account-", n), Lines: lines("ATHL/A", 2)}
				require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
				return q
			}
			q, paid, sold, basket, slow, edited := held(1), held(2), held(3), held(4), held(5), held(6)
			require.NoError(t, s.e.Confirm(t.Context(), sold.ID, "", &r))
			answered := make(chan struct{})
			kept.before = func(context.Context, journal.Group) error {
				<-answered
				if journalFails {
					return errors.New("the disk is gone")
				}
				return nil
			}
			edit := engine.Request{ID: uuid.UUID{7}, Account: edited.Account, Lines: lines("ATHL/A", 1), Replaces: edited.ID}
			reduce := engine.Op{Kind: engine.OpReduce, ID: basket.ID, Lines: lines("ATHL/A", 1)}
			extend := engine.Op{Kind: engine.OpExtend, ID: slow.ID, ExpiresAt: saleStart.Add(time.Hour)}
			calls := []struct {
				op   engine.Op
				want engine.Code
			}{
				{engine.Op{Kind: engine.OpRelease, ID: q.ID}, ""},
				{engine.Op{Kind: engine.OpConfirm, ID: paid.ID, Reference: "pay_1"}, ""},
				{engine.Op{Kind: engine.OpReturn, ID: sold.ID}, ""},
				{reduce, ""},
				{extend, ""},
				{engine.Op{Request: edit}, ""},

				{engine.Op{Request: q}, engine.ReservationReleased},
				{engine.Op{Kind: engine.OpConfirm, ID: paid.ID, Reference: "pay_2"}, engine.ReservationConfirmed},
				{engine.Op{Request: sold}, engine.ReservationReturned},
				{engine.Op{Kind: engine.OpReturn, ID: sold.ID}, ""},
				{reduce, ""},
				{engine.Op{Request: basket}, ""},
				{engine.Op{Kind: engine.OpReduce, ID: basket.ID, Lines: lines("ATHL/A", 2)}, engine.NotAReduction},
				{extend, ""},
				{engine.Op{Request: slow}, ""},
				{engine.Op{Request: edit}, ""},
				{engine.Op{Request: edited}, engine.ReservationReleased},
				{engine.Op{Kind: engine.OpConfirm, ID: edited.ID}, engine.ReservationReleased},
				// That the rules were looked at shows that what it replaces is there.
				{engine.Op{Request: engine.Request{ID: uuid.UUID{8}, Account: edit.Account, Lines: lines("NONE/A", 1),
					Replaces: edit.ID}}, engine.UnknownSession},
			}
			errs, done := make([]error, len(calls)), make([]bool, len(calls))
			for i := range calls {
				go func() {
					op := &calls[i].op
					errs[i] = single(context.Background(), s.e, op, &op.Result)
					done[i] = true
				}()
				synctest.Wait() // each call is decided before the next one
			}
			require.NotContains(t, done, true, "an answer revealed what is not durable")
			close(answered)
			synctest.Wait()
			require.NotContains(t, done, false)
			for i, c := range calls {
				if journalFails {
					c.want = engine.JournalUnavailable
				}
				require.Equal(t, c.want, codeOf(t, errs[i]), "call %d", i)
			}
			if journalFails {
				require.Error(t, s.e.Close())
			} else {
				require.NoError(t, s.e.Close())
			}
		})
	}
}
