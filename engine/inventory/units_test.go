package inventory

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// lines lists pools and quantities, in turn.
func lines(poolsAndQuantities ...uint32) []Line {
	var all []Line
	for i := 0; i < len(poolsAndQuantities); i += 2 {
		all = append(all, Line{Pool: poolsAndQuantities[i], Quantity: poolsAndQuantities[i+1]})
	}
	return all
}

// to lists pools and the units that they are to have, in turn.
func to(pairs ...uint32) (all []Units) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Units{Pool: pairs[i], Units: pairs[i+1]})
	}
	return all
}

// TestChangeStock (I1, I4): units go and come together or not at all. What is about to go reads as available until
// then, and is not sold.
func TestChangeStock(t *testing.T) {
	v := testInventory(t, 3, 10, false)
	reserve := func(n uint64, pool, quantity uint32) Verdict {
		return v.Reserve(&Request{ID: idOf(n), Account: "ann", Lines: lines(pool, quantity), Expires: 10}).Verdict
	}
	require.Equal(t, Done, reserve(1, 0, 4))
	c, err := v.ChangeStock(to(2, 12, 1, 3, 0, 4), nil)
	require.NoError(t, err)
	require.Equal(t, Stock{Available: 6, Held: 4}, v.Stock(0))
	require.Equal(t, Stock{Available: 10}, v.Stock(1))
	require.Equal(t, Stock{Available: 10}, v.Stock(2))
	require.Equal(t, Done, reserve(2, 1, 3))
	c.Commit()
	require.Equal(t, Stock{Held: 4}, v.Stock(0))
	require.Equal(t, Stock{Held: 3}, v.Stock(1))
	require.Equal(t, Stock{Available: 12}, v.Stock(2))
	require.Equal(t, SoldOut, reserve(3, 0, 1))
	require.Equal(t, Done, reserve(4, 2, 11))

	_, err = v.ChangeStock(to(2, 10, 0, 9, 1, 3), nil)
	require.Equal(t, &TakenError{Pool: 2, Units: 10, Taken: 11}, err)
	require.EqualError(t, err, "pool 2 cannot have 10 units: 11 are taken")
	_, err = v.ChangeStock(to(2, 11, 1, 2), nil)
	require.Equal(t, &TakenError{Pool: 1, Units: 2, Taken: 3}, err)
	require.Equal(t, Stock{Available: 1, Held: 11}, v.Stock(2), "as it was")

	c, err = v.ChangeStock(to(2, 11, 0, 5), nil)
	require.NoError(t, err)
	c.Abort()
	require.Equal(t, Stock{Available: 1, Held: 11}, v.Stock(2))
	require.Equal(t, Stock{Held: 4}, v.Stock(0))
	require.Equal(t, Done, reserve(5, 2, 1))
}

// TestRefusalsAwaitAChangeOfStock (I7): while units are about to go, nobody is refused for want of them.
func TestRefusalsAwaitAChangeOfStock(t *testing.T) {
	v := testInventory(t, 1, 2, false)
	v.pause = yieldingPause(3)
	q := Request{ID: idOf(1), Account: "ann", Lines: lines(0, 1), Expires: 10}
	c, err := v.ChangeStock(to(0, 0), nil)
	require.NoError(t, err)
	require.Equal(t, Overloaded, v.Reserve(&q).Verdict)
	c.Abort()
	require.Equal(t, Done, v.Reserve(&q).Verdict)
	v.stock[0].Mark(1) // as a release does that stalls
	_, err = v.ChangeStock(to(0, 0), nil)
	require.Equal(t, ErrUndecided, err)
	require.Equal(t, Stock{Available: 1, Held: 1}, v.Stock(0))
}

// TestStockWhileItChanges (I1): readers of the stock see held and sold tickets that were there, while units come and
// go and tickets are taken and released.
func TestStockWhileItChanges(t *testing.T) {
	v := testInventory(t, 2, 100, false)
	row := v.Reserve(&Request{ID: idOf(1), Account: "ann", Lines: lines(0, 7, 1, 7), Expires: 10}).Row
	require.Equal(t, Done, v.Confirm(row, 0, "", nil).Verdict)
	var done atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		defer done.Store(true)
		for n := range uint32(20_000) {
			c, err := v.ChangeStock(to(0, 50+n%3*50, 1, 150-n%3*50), nil)
			require.NoError(t, err)
			if n%2 == 0 {
				c.Commit()
			} else {
				c.Abort()
			}
		}
	})
	all.Go(func() {
		for n := uint64(2); !done.Load(); n++ {
			res := v.Reserve(&Request{ID: idOf(n), Account: "bob", Lines: lines(0, 2), Expires: 10})
			require.Equal(t, Done, res.Verdict)
			v.Release(res.Row, 0, nil)
			if n%1024 == 0 {
				v.NewReclaimer().FreeAll(Terms{All: true, Before: 1 << 40})
			}
		}
	})
	for !done.Load() {
		s, other := v.Stock(0), v.Stock(1)
		require.True(t, s.Sold == 7 && s.Held >= 0 && s.Held <= 2 && s.Available >= 41, "%+v", s)
		require.True(t, other.Sold == 7 && other.Held == 0 && other.Available%50 == 43, "%+v", other)
		units, taken, _ := v.Words(0)
		require.True(t, units%50 == 0 && taken >= 7 && taken <= 9, "%d %d", units, taken)
	}
	all.Wait()
}

// TestListingGrows: what comes while the sale runs is sold like the rest, once it has units. What moves to another
// programme counts there, also in a long ledger.
func TestListingGrows(t *testing.T) {
	c := Config{Pools: []PoolConfig{{Units: 100}}, Sessions: []SessionConfig{{}}, MaxPools: 3, MaxSessions: 3,
		Pause: yieldingPause(10), MaxReservations: 1 << 10, MaxAccounts: 10}
	v, err := New(c)
	require.NoError(t, err)
	v.long = shortest
	limits := &Limits{Caps: []int{9}, Sessions: []int{10}}
	n := uint64(0)
	reserve := func(pool uint32) Result {
		n++
		return v.Reserve(&Request{ID: idOf(n), Account: "ann", Lines: lines(pool, 1), Expires: 10, Limits: limits})
	}
	for range 9 {
		require.Equal(t, Done, reserve(0).Verdict)
	}
	require.Equal(t, AccountCapExceeded, reserve(0).Verdict)
	require.NoError(t, v.ExtendListing([]uint32{0, 1, 2}, []uint8{0, 1, 0}, nil))
	limits = &Limits{Caps: []int{10, 5}, Sessions: []int{10, 10, 10}}
	require.Equal(t, SoldOut, reserve(1).Verdict)
	change, err := v.ChangeStock(to(1, 100, 2, 100), nil)
	require.NoError(t, err)
	change.Commit()
	for range 5 {
		require.Equal(t, Done, reserve(1).Verdict)
	}
	require.Equal(t, AccountCapExceeded, reserve(1).Verdict)
	last := reserve(2)
	require.Equal(t, Done, last.Verdict)
	require.Equal(t, AccountCapExceeded, reserve(2).Verdict)
	require.Equal(t, Done, v.Release(last.Row, 0, nil).Verdict)
	require.NoError(t, v.ExtendListing([]uint32{0, 1, 2}, []uint8{0, 1, 15}, nil))
	limits = &Limits{Caps: append(make([]int, 15), 2), Sessions: []int{10, 10, 10}}
	require.Equal(t, Done, reserve(2).Verdict)
	require.Equal(t, Done, reserve(2).Verdict)
	refused := reserve(2)
	require.Equal(t, Result{Verdict: AccountCapExceeded, Programme: 15, Limit: 2, Held: 2, Requested: 1}, refused)
}

// TestRestoreUnits: the stock is counted by the units in force then, and a later change of them is checked.
func TestRestoreUnits(t *testing.T) {
	v := testInventory(t, 1, 5, true)
	q := Request{ID: idOf(1), Account: "ann", Lines: lines(0, 4), Expires: 10}
	require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
	require.NoError(t, v.RestoreUnits(0, 3))
	require.Equal(t, &OversoldError{Pool: 0, Units: 3, Taken: 4}, v.CountStock())
	require.NoError(t, v.RestoreUnits(0, 7))
	require.NoError(t, v.CountStock())
	require.Equal(t, Stock{Available: 3, Held: 4}, v.Stock(0))
	require.NoError(t, v.RestoreUnits(0, 4))
	require.Equal(t, Stock{Held: 4}, v.Stock(0))
	require.Equal(t, &OversoldError{Pool: 0, Units: 3, Taken: 4}, v.RestoreUnits(0, 3))
}
