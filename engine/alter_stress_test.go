package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/saleclock"
)

// I1, I2, I4, I6: callers reserve, confirm, release, reduce and return while changes of every kind are made, and while
// stock and ledgers are checked again and again. At the end, they add up, the journal is legal from its opening, and a
// restart shows the same definition and stock, from all records and from a checkpoint.
func TestEverythingChangesAtOnce(t *testing.T) {
	random := seeded(t)
	sale := stressSale(t, 4, 40)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.options.Clock = saleclock.Virtual(func() time.Time { return saleStart.Add(time.Second) })
	require.NoError(t, s.start())
	codes := tally{n: map[engine.Code]int{}}
	stop := s.sellMeanwhile(t, random, 6, &codes, func() bool { return s.soundly(t) })
	changed := 0
	for range rounds(t, 150) {
		err := s.changeAnything(random, sale)
		switch refused, isRefusal := errors.AsType[*engine.Refusal](err); {
		case err == nil:
			changed++
		case isRefusal:
			require.Equal(t, engine.Overloaded, refused.Code)
		default:
			_, objected := errors.AsType[*engine.ChangeRefused](err)
			_, taken := errors.AsType[*engine.StockTaken](err)
			require.True(t, objected || taken, "%v", err)
		}
	}
	stop()
	require.NotZero(t, changed)
	t.Log(changed, codes.n)
	require.True(t, s.soundly(t))
	shown := allInForce(t, s.e)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, allInForce(t, s.e))
	_, err := s.e.Checkpoint(context.Background())
	require.NoError(t, err)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, allInForce(t, s.e))
	require.True(t, s.soundly(t))
	require.NoError(t, s.e.Close())
	found, err := audit.Verify(kept.open(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
}

// sellMeanwhile makes the calls of so many callers in the background, and repeats beside there as long as it returns
// true, until stop. Stop returns when all of them have ended.
func (s *seller) sellMeanwhile(t testing.TB, random *rand.Rand, callers int, codes *tally, beside func() bool) (
	stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	for i := range callers {
		random := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		calls.Go(func() { buyAndGiveBack(t, s.e, random, ctx.Done(), codes) })
	}
	calls.Go(func() {
		for beside() && ctx.Err() == nil {
		}
	})
	return func() {
		cancel()
		calls.Wait()
	}
}

// soundly checks the conservation of tickets on the live sale.
func (s *seller) soundly(t testing.TB) bool {
	c, err := s.e.CheckConservation(context.Background())
	return assert.NoError(t, err) && assert.Empty(t, c.Problem)
}

// allInForce returns the definition and all stock.
func allInForce(t testing.TB, e *engine.Engine) (all struct {
	engine.Definition
	stock []engine.Stock
}) {
	var err error
	all.Definition, err = e.Definition()
	require.NoError(t, err)
	for i := range all.Sale.Pools {
		all.stock = append(all.stock, e.Stock(i))
	}
	return all
}

// changeAnything makes one change of any kind. base is the sale at the opening.
func (s *seller) changeAnything(random *rand.Rand, base *catalog.Sale) error {
	ctx := context.Background()
	now := s.e.Sale()
	session := now.Sessions[random.IntN(len(now.Sessions))].ID
	switch random.IntN(5) {
	case 0:
		return s.e.Pause(ctx, engine.Pausable{Session: session}, random.IntN(4) == 0)
	case 1:
		return s.e.Pause(ctx, engine.Pausable{Phase: []string{"singles", "packs"}[random.IntN(2)]}, random.IntN(4) == 0)
	case 2:
		capacity, withheld := 30+random.IntN(40), random.IntN(10)
		_, err := s.e.SetStock(ctx, session, "A", &capacity, &withheld)
		if refusal, ok := errors.AsType[*engine.Refusal](err); ok && refusal.Code == engine.SessionNotFound {
			return nil // it is removed
		}
		return err
	}
	_, err := s.e.Apply(ctx, drawnSale(random, base), draw.Digest{})
	return err
}

// drawnSale returns the sale at the opening with other caps, limits, stock, windows and sessions.
func drawnSale(random *rand.Rand, base *catalog.Sale) *catalog.Sale {
	s := *base
	s.Programmes = append([]catalog.Programme(nil), base.Programmes...)
	s.Programmes[0].AccountCap, s.Programmes[0].WithholdReturned = 10+random.IntN(20), random.IntN(2) == 0
	s.Phases = append([]catalog.Phase(nil), base.Phases...)
	if random.IntN(3) == 0 {
		s.Phases[1].ClosesAt = saleStart.Add(time.Duration(random.IntN(2)) * time.Hour).Add(time.Millisecond)
	}
	s.Sessions, s.Pools = nil, nil
	for i := range 8 {
		if random.IntN(5) == 0 {
			continue
		}
		s.Sessions = append(s.Sessions, catalog.Session{ID: fmt.Sprint("S", i), Limit: 2 + random.IntN(5), OnSale: true})
		s.Pools = append(s.Pools, catalog.Pool{Session: len(s.Sessions) - 1, Category: "A", Capacity: 60 + random.IntN(60)})
	}
	sells := make([][]bool, len(s.Phases))
	for i := range sells {
		sells[i] = make([]bool, len(s.Sessions))
		for j := range sells[i] {
			sells[i][j] = random.IntN(6) > 0
		}
	}
	made, err := catalog.Assemble(s, sells)
	if err != nil {
		panic(err)
	}
	return made
}

// buyAndGiveBack makes the calls of a caller until stop is closed.
func buyAndGiveBack(t testing.TB, e *engine.Engine, random *rand.Rand, stop <-chan struct{}, codes *tally) {
	ctx := context.Background()
	var r engine.Reservation
	var own []engine.ID
	for {
		select {
		case <-stop:
			return
		default:
		}
		var err error
		if len(own) == 0 || random.IntN(3) == 0 {
			q := engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", random.IntN(12))}
			lines := 1
			if random.IntN(3) == 0 {
				lines = 3
			}
			first := random.IntN(8)
			for i := range lines {
				q.Lines = append(q.Lines, engine.Line{Session: fmt.Sprint("S", (first+i)%8), Category: "A",
					Quantity: 1 + random.IntN(3)})
			}
			if err = e.Reserve(ctx, &q, &r); err == nil {
				own = append(own, q.ID)
			}
		} else {
			at := random.IntN(len(own))
			id, over := own[at], true
			switch random.IntN(5) {
			case 0, 1:
				err, over = e.Confirm(ctx, id, "", &r), false
			case 2:
				err = e.Release(ctx, id, &r)
			case 3:
				err = e.Return(ctx, id, "", &r)
			default:
				if err, over = e.Reservation(ctx, id, &r), false; err == nil && len(r.Lines) > 0 {
					keep := append([]engine.Line(nil), r.Lines...)
					keep[0].Quantity = max(1, keep[0].Quantity-1)
					err = e.Reduce(ctx, id, keep, &r)
				}
			}
			if err == nil && over {
				own[at] = own[len(own)-1]
				own = own[:len(own)-1]
			}
		}
		code := codeOf(t, err)
		codes.mu.Lock()
		codes.n[code]++
		codes.mu.Unlock()
		if code != "" {
			if _, err := e.Account(ctx, fmt.Sprint("a", random.IntN(12))); err != nil {
				codeOf(t, err)
			}
		}
	}
}
