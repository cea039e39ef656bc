package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
)

// batched is an engine over the bundled sale with a clock that the test moves.
type batched struct {
	*engine.Engine
	ms atomic.Int64
}

func openBatched(t *testing.T, b journal.Backend, d engine.Durability) *batched {
	sale := catalog.Paris2024()
	open, ok := sale.PhaseByID("all-venues")
	require.True(t, ok)
	o := &batched{}
	o.ms.Store(sale.Phases[open].OpensAt.UnixMilli())
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Journal: b, Durability: d, SweepEvery: -1,
		Clock: saleclock.Virtual(func() time.Time { return time.UnixMilli(o.ms.Load()) })})
	require.NoError(t, err)
	o.Engine = e
	return o
}

func directory(t *testing.T) *embedded.Journal {
	b, err := embedded.Open(t.TempDir(), embedded.Options{})
	require.NoError(t, err)
	return b
}

// randomOp returns an operation. Many of them repeat, collide, come too late, or name what does not exist.
func randomOp(dice *rand.Rand, now time.Time, op *engine.Op) {
	id := func() engine.ID { return engine.ID{6: 0x80, 8: 0x80, 15: byte(dice.IntN(200))} }
	account := func(id engine.ID) string { return fmt.Sprintf("a%d", id[15]%7) }
	line := func(id engine.ID) engine.Line {
		session, category := int(id[15]%12), int(id[15]%4)
		if dice.IntN(4) == 0 {
			session, category = dice.IntN(12), dice.IntN(5)
		}
		return engine.Line{Session: fmt.Sprintf("ATH%02d", session),
			Category: []string{"First", "A", "B", "C", "Z"}[category], Quantity: dice.IntN(8)}
	}
	*op = engine.Op{ID: id(), Reference: []string{"", "paid", "not\nvalid"}[dice.IntN(3)]}
	switch dice.IntN(9) {
	case 0, 1, 2, 3:
		op.Kind, op.Request = engine.OpReserve, engine.Request{ID: op.ID, Account: account(op.ID),
			Lines: []engine.Line{line(op.ID)}}
		if dice.IntN(3) == 0 {
			op.Request.Replaces = engine.ID{6: 0x80, 8: 0x80, 15: op.ID[15] % 7}
			op.Request.Replaces[15] += byte(7 * dice.IntN(28)) // of the same account
		}
	case 4:
		op.Kind, op.Again = engine.OpConfirm, dice.IntN(2) == 0
	case 5:
		op.Kind = engine.OpRelease
	case 6:
		op.Kind, op.ExpiresAt = engine.OpExtend, now.Add(time.Duration(dice.IntN(90))*time.Minute)
	case 7:
		op.Kind, op.Lines = engine.OpReduce, []engine.Line{line(op.ID)}
	default:
		op.Kind = engine.OpReturn
	}
}

// single executes the operation by its single call.
func single(ctx context.Context, e *engine.Engine, op *engine.Op, r *engine.Reservation) error {
	switch op.Kind {
	case engine.OpReserve:
		return e.Reserve(ctx, &op.Request, r)
	case engine.OpConfirm:
		if op.Again {
			return e.ConfirmAgain(ctx, op.ID, op.Reference, r)
		}
		return e.Confirm(ctx, op.ID, op.Reference, r)
	case engine.OpRelease:
		return e.Release(ctx, op.ID, r)
	case engine.OpExtend:
		return e.Extend(ctx, op.ID, op.ExpiresAt, r)
	case engine.OpReduce:
		return e.Reduce(ctx, op.ID, op.Lines, r)
	}
	return e.Return(ctx, op.ID, op.Reference, r)
}

// shown returns what a caller sees of an answer.
func shown(r *engine.Reservation, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(r.ID, r.Account, r.Phase, r.State, r.Lines, r.Tickets, r.CreatedAt, r.ExpiresAt, r.ConfirmedAt,
		r.Reference, r.Repeated)
}

func TestBatchAnswersAsTheSingleCallsDo(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	one, many := openBatched(t, directory(t), engine.Sync), openBatched(t, directory(t), engine.Sync)
	ops := make([]engine.Op, 64)
	answers, states := map[engine.OpKind]int{}, map[engine.State]int{}
	for range 60 {
		for i := range ops {
			randomOp(dice, time.UnixMilli(one.ms.Load()), &ops[i])
		}
		many.Batch(t.Context(), ops)
		for i := range ops {
			var r engine.Reservation
			err := single(t.Context(), one.Engine, &ops[i], &r)
			// An answer is read when it is decided, so later operations of the batch cannot change it.
			require.Equal(t, shown(&r, err), shown(&ops[i].Result, ops[i].Err))
			if err == nil && !r.Repeated {
				answers[ops[i].Kind]++
				states[r.State]++
			}
		}
		one.ms.Add(int64(5 * time.Minute / time.Millisecond))
		many.ms.Store(one.ms.Load())
		require.Equal(t, one.ExpireDue(), many.ExpireDue())
	}
	t.Log(answers, states)
	for kind := engine.OpReserve; kind <= engine.OpReturn; kind++ {
		require.NotZero(t, answers[kind], kind)
	}
	for _, state := range []engine.State{engine.Held, engine.Confirmed, engine.Released, engine.Returned} {
		require.NotZero(t, states[state], state)
	}
	require.NoError(t, one.Flush(t.Context()))
	require.NoError(t, many.Flush(t.Context()))
	for i := range one.Sale().Pools {
		require.Equal(t, one.Stock(i), many.Stock(i))
	}
	require.NoError(t, one.Close())
	require.NoError(t, many.Close())
}

// gated is a journal whose groups wait for a test.
type gated struct {
	*embedded.Journal
	gate    chan struct{}
	arrived chan int
}

func (g *gated) Append(ctx context.Context, group journal.Group) error {
	g.arrived <- group.Count
	<-g.gate
	return g.Journal.Append(ctx, group)
}

func TestBatchRevealsNothingBeforeItIsDurable(t *testing.T) { // I5
	g := &gated{Journal: directory(t), gate: make(chan struct{}), arrived: make(chan int, 64)}
	go func() { g.gate <- struct{}{} }() // for the definition
	e := openBatched(t, g, engine.Sync)
	<-g.arrived
	pool := poolOf(t, e.Engine, "ATH10", "C")
	ops := make([]engine.Op, 3)
	for i := range ops {
		ops[i] = engine.Op{Kind: engine.OpReserve, Request: engine.Request{ID: engine.ID{15: byte(i + 1)}, Account: "a",
			Lines: []engine.Line{{Session: "ATH10", Category: "C", Quantity: 1}}}}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Batch(context.Background(), ops)
	}()
	for durable := 0; durable < len(ops); {
		inFlight := <-g.arrived
		select {
		case <-ended:
			t.Fatal("the batch was answered before its last group was durable")
		default:
		}
		require.Equal(t, durable, e.Stock(pool).Held, "a read shows an outcome in flight")
		g.gate <- struct{}{}
		durable += inFlight
	}
	<-ended
	for i := range ops {
		require.NoError(t, ops[i].Err)
	}
	require.Equal(t, len(ops), e.Stock(pool).Held)
	require.NoError(t, e.Close())
}

func poolOf(t *testing.T, e *engine.Engine, session, category string) int {
	i, ok := e.Sale().SessionByID(session)
	require.True(t, ok)
	pool, ok := e.Sale().PoolOf(i, category)
	require.True(t, ok)
	return pool
}

func TestBatchIsSentAwayWhenTheCallerStopsWaiting(t *testing.T) {
	g := &gated{Journal: directory(t), gate: make(chan struct{}), arrived: make(chan int, 64)}
	go func() { g.gate <- struct{}{} }()
	e := openBatched(t, g, engine.Sync)
	<-g.arrived
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-g.arrived; cancel() }()
	ops := []engine.Op{ // what ends the context is the last one's outcome: no operation is without a decision then
		{Kind: engine.OpRelease, ID: engine.ID{15: 2}},
		{Kind: engine.OpReserve, Request: engine.Request{ID: engine.ID{15: 1}, Account: "a",
			Lines: []engine.Line{{Session: "ATH10", Category: "C", Quantity: 1}}}},
	}
	e.Batch(ctx, ops)
	require.ErrorIs(t, ops[1].Err, context.Canceled)
	var refusal *engine.Refusal
	require.ErrorAs(t, ops[0].Err, &refusal)
	require.Equal(t, engine.ReservationNotFound, refusal.Code, "an operation without an outcome does not wait")
	close(g.gate)
	require.NoError(t, e.Flush(t.Context()))
	var r engine.Reservation
	require.NoError(t, e.Reservation(t.Context(), engine.ID{15: 1}, &r), "the outcome is not undone")
	require.NoError(t, e.Close())
}

func TestBatchAllocatesNothingOnceWarm(t *testing.T) {
	e := openBatched(t, nil, engine.None)
	ops := make([]engine.Op, 128)
	next := uint32(0)
	batch := func() {
		for i := 0; i < len(ops); i += 2 {
			next++
			id := engine.ID{0: byte(next >> 24), 1: byte(next >> 16), 2: byte(next >> 8), 3: byte(next), 15: 1}
			take, end := &ops[i], &ops[i+1]
			take.Kind, take.Request.ID, take.Request.Account = engine.OpReserve, id, "a"
			take.Request.Lines = append(take.Request.Lines[:0], engine.Line{Session: "ATH10", Category: "C", Quantity: 6})
			end.Kind, end.ID = engine.OpRelease, id
		}
		e.Batch(t.Context(), ops)
	}
	batch()
	require.Zero(t, int(testing.AllocsPerRun(200, batch)))
	for i := range ops {
		require.NoError(t, ops[i].Err)
	}
	require.NoError(t, e.Close())
}
