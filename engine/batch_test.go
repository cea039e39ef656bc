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
func randomOp(dice *rand.Rand, op *engine.Op) {
	id := func() engine.ID { return engine.ID{6: 0x80, 8: 0x80, 15: byte(dice.IntN(200))} }
	categories := []string{"First", "A", "B", "C", "Z"}
	switch dice.IntN(5) {
	case 0, 1, 2:
		chosen := id()
		op.Kind, op.Request.ID, op.Request.Account = engine.OpReserve, chosen, fmt.Sprintf("a%d", chosen[15]%7)
		op.Request.Lines = append(op.Request.Lines[:0], engine.Line{Session: fmt.Sprintf("ATH%02d", dice.IntN(12)),
			Category: categories[dice.IntN(len(categories))], Quantity: dice.IntN(8)})
	case 3:
		op.Kind, op.ID, op.Reference = engine.OpConfirm, id(), []string{"", "paid", "not\nvalid"}[dice.IntN(3)]
	default:
		op.Kind, op.ID = engine.OpRelease, id()
	}
}

// alone executes the operation by its single call.
func alone(ctx context.Context, e *batched, op *engine.Op, r *engine.Reservation) error {
	switch op.Kind {
	case engine.OpReserve:
		return e.Reserve(ctx, &op.Request, r)
	case engine.OpConfirm:
		return e.Confirm(ctx, op.ID, op.Reference, r)
	}
	return e.Release(ctx, op.ID, r)
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
	answers := map[string]int{}
	for range 60 {
		for i := range ops {
			randomOp(dice, &ops[i])
		}
		many.Batch(t.Context(), ops)
		for i := range ops {
			var r engine.Reservation
			expected := shown(&r, alone(t.Context(), one, &ops[i], &r))
			// An answer is read when it is decided and an end is final, so later operations of the batch cannot change it.
			require.Equal(t, expected, shown(&ops[i].Result, ops[i].Err))
			answers[r.State.String()]++
		}
		one.ms.Add(int64(5 * time.Minute / time.Millisecond))
		many.ms.Store(one.ms.Load())
		require.Equal(t, one.ExpireDue(), many.ExpireDue())
	}
	for _, state := range []engine.State{engine.Held, engine.Confirmed, engine.Released} {
		require.NotZero(t, answers[state.String()], state)
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
	pool := poolOf(t, e, "ATH10", "C")
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

func poolOf(t *testing.T, e *batched, session, category string) int {
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
	ops := []engine.Op{
		{Kind: engine.OpReserve, Request: engine.Request{ID: engine.ID{15: 1}, Account: "a",
			Lines: []engine.Line{{Session: "ATH10", Category: "C", Quantity: 1}}}},
		{Kind: engine.OpRelease, ID: engine.ID{15: 2}},
	}
	e.Batch(ctx, ops)
	require.ErrorIs(t, ops[0].Err, context.Canceled)
	var refusal *engine.Refusal
	require.ErrorAs(t, ops[1].Err, &refusal)
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
