package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// withholding returns a sale of two sessions whose returned tickets are withheld.
func withholding(t testing.TB, places, withheld int) *catalog.Sale {
	return edited(t, stressSale(t, 2, places), func(s *catalog.Sale) {
		s.Programmes[0].WithholdReturned, s.Pools[0].Withheld = true, withheld
	})
}

// sold confirms a hold of so many tickets, each of an account of its own.
func (s *seller) sold(t testing.TB, session string, n int) engine.ID {
	t.Helper()
	id, err := s.hold(uuid.NewString(), session, n)
	require.NoError(t, err)
	var r engine.Reservation
	require.NoError(t, s.e.Confirm(context.Background(), id, "", &r))
	return id
}

// What is withheld after SetStock is what was set, with returned tickets among it. Fewer than these put them on sale
// again, and what is neither held nor sold keeps no capacity (I1).
func TestReturnedTicketsAreSoldAgain(t *testing.T) {
	for _, d := range []engine.Durability{engine.Sync, engine.Async, engine.None} {
		ctx, kept := context.Background(), newStore()
		s := sellerOn(withholding(t, 10, 2), kept)
		if s.options.Durability = d; d == engine.None {
			s.open = nil
		}
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		n := func(n int) *int { return &n }
		set := func(capacity, withheld *int, want engine.Stock) {
			t.Helper()
			got, err := s.e.SetStock(ctx, "S0", "A", capacity, withheld)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.True(t, s.soundly(t))
		}
		var r engine.Reservation
		require.NoError(t, s.e.Return(ctx, s.sold(t, "S0", 3), "", &r))
		require.Equal(t, engine.Stock{Capacity: 10, Available: 5, Withheld: 5}, s.stockOf(t, "S0"))
		set(nil, n(5), engine.Stock{Capacity: 10, Available: 5, Withheld: 5})
		require.Zero(t, s.e.Stats().Definition.Changed)
		set(n(4), n(4), engine.Stock{Capacity: 4, Withheld: 4})
		set(n(10), n(0), engine.Stock{Capacity: 10, Available: 10})
		sold := s.sold(t, "S0", 6)
		_, err := s.hold("bob", "S0", 5)
		require.Equal(t, engine.SoldOut, codeOf(t, err))
		_, err = s.e.SetStock(ctx, "S0", "A", n(5), nil)
		taken, ok := errors.AsType[*engine.StockTaken](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.StockTaken{Session: "S0", Category: "A", Capacity: 5, Taken: 6}, *taken)
		_, err = s.e.SetStock(ctx, "S0", "A", nil, n(5))
		taken, ok = errors.AsType[*engine.StockTaken](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.StockTaken{Session: "S0", Category: "A", Capacity: 10, Withheld: 5, Taken: 6}, *taken)
		_, err = s.e.SetStock(ctx, "S0", "A", nil, n(11))
		taken, ok = errors.AsType[*engine.StockTaken](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.StockTaken{Session: "S0", Category: "A", Capacity: 10, Withheld: 11, Taken: 6}, *taken)
		require.NoError(t, s.e.Return(ctx, sold, "", &r))
		require.Equal(t, engine.Stock{Capacity: 10, Available: 4, Withheld: 6}, s.stockOf(t, "S0"))
		set(nil, n(2), engine.Stock{Capacity: 10, Available: 8, Withheld: 2})

		// A definition has its own number beside that of the returned places that are not free.
		s.apply(t, withholding(t, 10, 1))
		require.Equal(t, engine.Stock{Capacity: 10, Available: 7, Withheld: 3}, s.stockOf(t, "S0"))
		_, err = s.e.Apply(ctx, withholding(t, 2, 1), [32]byte{})
		refused, ok := errors.AsType[*engine.ChangeRefused](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, []string{"session S0, category A: 2 tickets are taken, so a capacity of 2 less 1 withheld " +
			"is too low"}, refused.Objections)
		set(n(0), n(0), engine.Stock{})
		require.NoError(t, s.e.Close())
		if d != engine.None {
			verify(t, kept.open(), nil)
		}
	}
}

// I1, I6: while tickets are sold and returned, the stock is set again and again. At each record of a stock, what is
// withheld is what was set, however many returns came before it in the journal. What is sold again is on sale.
func TestWithheldIsExactWhileTicketsComeBack(t *testing.T) {
	random := seeded(t)
	kept := newStore()
	s := sellerOn(withholding(t, 40, 2), kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	ctx, stop := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	for i := range 4 {
		random := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		calls.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				sellAndReturn(t, s.e, random, fmt.Sprint(i, "-", n))
			}
		})
	}
	var asked []record.Stock
	for len(asked) < rounds(t, 1000) {
		capacity, withheld := 20+random.IntN(20), random.IntN(8)
		was := s.e.Stats().Definition.Changed
		_, err := s.e.SetStock(ctx, "S0", "A", &capacity, &withheld)
		if _, taken := errors.AsType[*engine.StockTaken](err); taken || codeOf(t, err) == engine.Overloaded {
			continue
		}
		require.NoError(t, err)
		if s.e.Stats().Definition.Changed > was {
			asked = append(asked, record.Stock{Capacity: capacity, Withheld: withheld})
		}
		if len(asked)%16 == 0 {
			require.True(t, s.soundly(t))
		}
	}
	stop()
	calls.Wait()
	shown := allInForce(t, s.e)
	_, err := s.e.Checkpoint(context.Background())
	require.NoError(t, err)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, allInForce(t, s.e))
	require.NoError(t, s.e.Close())
	kept.checkpoints = nil
	found := verify(t, kept.open(), nil)
	require.NotZero(t, found.Withheld)
	set := stocksSet(t, kept, s.options.Sale)
	require.Len(t, set, len(asked))
	for i := range asked {
		require.Equal(t, asked[i], set[i], i)
	}
}

// sellAndReturn sells tickets of one or both sessions and mostly returns them.
func sellAndReturn(t testing.TB, e *engine.Engine, random *rand.Rand, account string) {
	var r engine.Reservation
	q := engine.Request{ID: uuid.New(), Account: account, Lines: lines("S0/A", 1+random.IntN(3))}
	if random.IntN(3) == 0 {
		q.Lines = append(q.Lines, lines("S1/A", 1)...)
	}
	ctx := context.Background()
	if codeOf(t, e.Reserve(ctx, &q, &r)) != "" {
		return
	}
	if codeOf(t, e.Confirm(ctx, q.ID, "", &r)) == "" {
		for codeOf(t, e.Return(ctx, q.ID, "", &r)) != "" { // while the stock is set
		}
	}
}

// stocksSet returns the stock that the first pool of a journal has after each record of a stock, with all that is
// withheld there.
func stocksSet(t testing.TB, kept *store, sale *catalog.Sale) (all []record.Stock) {
	returned, decoder := 0, record.NewDecoder(sale)
	_, err := kept.open().Recover(record.Replay(nil, func(seq uint64, b []byte) error {
		r, err := decoder.Decode(seq, b)
		if err != nil {
			return err
		}
		switch {
		case r.Kind == record.KindStock:
			all = append(all, record.Stock{Capacity: r.Stock.Capacity, Withheld: r.Stock.Withheld + returned - r.Stock.Freed})
		case r.Kind == record.KindReturned && r.Request.Flags&inventory.FlagWithheld != 0:
			for _, l := range r.Request.Lines {
				if l.Pool == 0 {
					returned += int(l.Quantity)
				}
			}
		}
		return nil
	}))
	require.NoError(t, err)
	return all
}

// A return waits while its pool gets another stock, if that withholds its places. Any other call goes on.
func TestAReturnWaitsForTheStockOfItsPool(t *testing.T) {
	ctx, three := context.Background(), 3
	s := sellerOn(withholding(t, 10, 0), newStore())
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	first, second, other := s.sold(t, "S0", 2), s.sold(t, "S0", 2), s.sold(t, "S1", 1)
	held, err := s.hold("ann", "S0", 1)
	require.NoError(t, err)
	var r engine.Reservation
	returned := make(chan error, 1)
	set := func() error { _, err := s.e.SetStock(ctx, "S0", "A", nil, &three); return err }
	require.NoError(t, s.during(set, func() {
		require.NoError(t, s.e.Return(ctx, other, "", &r))
		require.NoError(t, s.e.Confirm(ctx, held, "", &r))
		require.NoError(t, s.e.Reduce(ctx, second, lines("S0/A", 1), &r))
		require.Equal(t, engine.Overloaded, codeOf(t, s.e.Return(ctx, first, "", &r)))
		go func() { returned <- s.e.Return(ctx, second, "", &engine.Reservation{}) }()
	}))
	require.NoError(t, <-returned)
	require.Equal(t, engine.Stock{Capacity: 10, Available: 3, Sold: 3, Withheld: 4}, s.stockOf(t, "S0"))
	require.NoError(t, s.e.Return(ctx, first, "", &r))
	require.Equal(t, engine.Stock{Capacity: 10, Available: 3, Sold: 1, Withheld: 6}, s.stockOf(t, "S0"))
	require.NoError(t, s.e.Close())
}

// I5: a stock that is as it is to be reveals the returns that make it so.
func TestUnchangedStockRevealsOnlyWhatIsDurable(t *testing.T) {
	synctest.Test(t, unchangedStockRevealsOnlyWhatIsDurable)
}

func unchangedStockRevealsOnlyWhatIsDurable(t *testing.T) {
	ctx, two := t.Context(), 2
	kept := newStore()
	s := sellerOn(withholding(t, 10, 0), kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	id := s.sold(t, "S0", 2)
	end := s.undurable(t, kept, func() error { return s.e.Return(ctx, id, "", &engine.Reservation{}) })
	set := func(ctx context.Context) error { _, err := s.e.SetStock(ctx, "S0", "A", nil, &two); return err }
	gone, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, set(gone), context.DeadlineExceeded)
	again := begun(func() error { return set(ctx) })
	require.Empty(t, again, "an answer before the return is durable")
	require.NoError(t, end())
	require.NoError(t, <-again)
	require.Zero(t, s.e.Stats().Definition.Changed)
	require.Equal(t, engine.Stock{Capacity: 10, Available: 8, Withheld: 2}, s.stockOf(t, "S0"))
	require.NoError(t, s.e.Close())
}
