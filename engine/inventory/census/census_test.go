package census

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory"
)

// forSale has several pools a session, with caps that are reached.
func forSale() inventory.Config {
	c := inventory.Config{Caps: []int{12, 8}, Pause: func(w inventory.Wait) (inventory.Wait, bool) {
		runtime.Gosched()
		w.Attempts++
		return w, w.Attempts <= 1000
	}}
	for s := range 4 {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Programme: uint8(s / 2), Limit: 6})
		for range 3 {
			c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(s), Units: uint32(20 + 100*s)})
		}
	}
	return c
}

func open(t *testing.T, c inventory.Config) *inventory.Inventory {
	v, err := inventory.New(c)
	require.NoError(t, err)
	return v
}

// hold is a request of one line.
func hold(id byte, account string, pool, quantity uint32) *inventory.Request {
	return &inventory.Request{ID: inventory.ID{id}, Account: account, Expires: 1,
		Lines: []inventory.Line{{Pool: pool, Quantity: quantity}}}
}

func in(state inventory.State, q *inventory.Request) inventory.Restored {
	return inventory.Restored{Request: q, State: state}
}

func onward() bool { return true }

// trade makes one random reservation of a buyer and mostly ends it.
func trade(v *inventory.Inventory, dice *rand.Rand, n uint64) {
	var id inventory.ID
	binary.LittleEndian.PutUint64(id[:], n)
	first := uint32(dice.IntN(2) * 6) // of a programme
	q := inventory.Request{ID: id, Account: fmt.Sprintf("a%d", dice.IntN(50)), Expires: 1 + dice.Int64N(2)}
	for pool := range uint32(6) {
		if dice.IntN(3) == 0 || pool == 5 && len(q.Lines) == 0 {
			q.Lines = append(q.Lines, inventory.Line{Pool: first + pool, Quantity: 1 + uint32(dice.IntN(3))})
		}
	}
	res := v.Reserve(&q)
	if res.Verdict != inventory.Done {
		return
	}
	switch dice.IntN(4) {
	case 0:
		v.Confirm(res.Row, 0, "", nil)
	case 1:
		v.Release(res.Row, 0, nil)
	case 2:
		v.Expire(res.Row, 2)
	}
}

// TestLiveSale (I1, I2): while many buyers trade, no count finds a difference. Once the trade has ended, the count is
// exact and agrees with the stock.
func TestLiveSale(t *testing.T) {
	const traders, deals = 4, 30_000
	seed := rand.Uint64()
	t.Log("seed", seed)
	v := open(t, forSale())
	var all sync.WaitGroup
	var next atomic.Uint64
	for trader := range traders {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(trader)))
			for range deals {
				trade(v, dice, next.Add(1))
			}
		})
	}
	quiet := make(chan struct{})
	go func() { all.Wait(); close(quiet) }()
	c := New(v)
	counts, moving := 0, 0
	rest := func() bool { runtime.Gosched(); return true }
	for open := true; open; {
		select {
		case <-quiet:
			open = false
		default:
		}
		pools, ok := c.Pools(rest)
		require.True(t, ok)
		require.Zero(t, pools.Difference, "I1: pool %d after %d counts", pools.Pool, counts)
		ledgers, ok := c.Ledgers(rest, nil)
		require.True(t, ok)
		require.Zero(t, ledgers.Excess, "I2")
		counts++
		if pools.Exact < v.Pools() {
			moving++
		}
	}
	pools, ok := c.Pools(rest)
	require.True(t, ok)
	require.Equal(t, Pools{Reservations: int(v.Rows()) - 1, Exact: v.Pools()}, pools)
	ledgers, ok := c.Ledgers(rest, nil)
	require.True(t, ok)
	require.Zero(t, ledgers.Unsteady)
	require.Positive(t, ledgers.AtCap[0]+ledgers.AtCap[1], "no account reached its cap: there was too little trade")
	// The scheduler decides how many counts met a pool that was changing.
	t.Logf("%d counts, %d of them while pools moved", counts, moving)
	require.Positive(t, counts)
}

// TestFaults: the count finds each way in which words and reservations can disagree, with its size and its pool. Before
// the stock is counted, what is restored does not reach the words.
func TestFaults(t *testing.T) {
	first := hold(1, "a", 5, 2) // of the 20 units of the pool, in the second session
	for name, f := range map[string]struct {
		faulty func(t *testing.T, v *inventory.Inventory)
		pools  int
	}{
		"units are lost": {func(t *testing.T, v *inventory.Inventory) {
			require.NoError(t, v.RestoreEnded(in(inventory.Released, first)))
		}, 2},
		"a unit appears": {func(t *testing.T, v *inventory.Inventory) {
			require.NoError(t, v.RestoreTaken(in(inventory.Held, hold(2, "b", 5, 1))))
		}, 1},
		"sold by the words alone": {func(t *testing.T, v *inventory.Inventory) {
			q := hold(3, "b", 5, 3)
			require.Equal(t, inventory.Done, v.Reserve(q).Verdict)
			require.Equal(t, inventory.Done, v.Confirm(v.Find(q.ID), 0, "", nil).Verdict)
			o := inventory.Restored{Request: q, State: inventory.Returned, Origin: inventory.OriginReturn, Seq: 1}
			require.NoError(t, v.RestoreChanged(o))
		}, 3 + 3},
		"sold by the reservations alone": {func(t *testing.T, v *inventory.Inventory) {
			require.NoError(t, v.RestoreEnded(in(inventory.Confirmed, first)))
		}, 2},
		"oversold, words and all": {func(t *testing.T, v *inventory.Inventory) {
			require.NoError(t, v.CountStock())
			var oversold *inventory.OversoldError
			require.ErrorAs(t, v.RestoreTaken(in(inventory.Held, hold(2, "b", 5, 19))), &oversold)
		}, 1},
		"nothing": {func(*testing.T, *inventory.Inventory) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := forSale()
			c.Pools[5].Units = 20
			v := open(t, c)
			require.Equal(t, inventory.Done, v.Reserve(first).Verdict)
			f.faulty(t, v)
			pools, ok := New(v).Pools(onward)
			require.True(t, ok)
			require.Equal(t, f.pools, pools.Difference)
			if f.pools > 0 {
				require.Equal(t, 5, pools.Pool)
			}
			ledgers, ok := New(v).Ledgers(onward, nil)
			require.True(t, ok)
			require.Zero(t, ledgers.Excess)
		})
	}
}

// excessOf returns by how many tickets account a exceeds what it may have. No other account exceeds anything.
func excessOf(t *testing.T, c *Census) int {
	found, ok := c.Ledgers(onward, nil)
	require.True(t, ok)
	if found.Excess > 0 {
		require.Equal(t, "a", c.v.AccountName(found.Account))
	}
	return found.Excess
}

// TestBounds (I2): what accounts may have is by the bounds in force. What an account has beyond limits that were
// lowered is no excess up to the most that any account had.
func TestBounds(t *testing.T) {
	sale := forSale()
	v := open(t, sale)
	c := New(v)
	bounds := &Bounds{Limits: inventory.Limits{Caps: []int{4, 8}, Sessions: []int{2, 6, 6, 6}}}
	bounds.Most = bounds.Limits
	c.Bounds = func() *Bounds { return bounds }
	take := func(q *inventory.Request) {
		require.NoError(t, v.RestoreTaken(in(inventory.Held, q))) // restoring checks no caps
	}
	take(hold(3, "b", 0, 2))
	take(hold(1, "a", 0, 3))
	take(hold(2, "a", 4, 3))
	require.Equal(t, 2+1, excessOf(t, c), "it is corruption")
	most := inventory.Limits{Caps: []int{6, 8}, Sessions: []int{3, 6, 6, 6}}
	bounds = &Bounds{Limits: bounds.Limits, Most: most}
	require.Zero(t, excessOf(t, c))
	take(hold(4, "a", 4, 1))
	require.Equal(t, 1, excessOf(t, c))
	found, ok := c.Ledgers(onward, nil)
	require.True(t, ok)
	require.Equal(t, []int{1, 0}, found.AtCap)
}

// TestBoundsThatChange (I2): limits that rise while a ledger is counted are no reason to report what was taken by
// them.
func TestBoundsThatChange(t *testing.T) {
	v := open(t, forSale())
	c := New(v)
	low := &Bounds{Limits: inventory.Limits{Caps: []int{2, 2}, Sessions: []int{2, 2, 2, 2}}}
	low.Most = low.Limits
	high := &Bounds{Limits: *v.Limits(), Most: *v.Limits()}
	require.NoError(t, v.RestoreTaken(in(inventory.Held, hold(1, "a", 0, 3))))
	looks := 0
	c.Bounds = func() *Bounds {
		if looks++; looks <= 2 { // for the number of caps, and before the ledger is counted
			return low
		}
		return high
	}
	require.Zero(t, excessOf(t, c))
	require.Equal(t, 4, looks)
}

// TestSeveralProgrammes: a reservation of sessions that are in several programmes now counts in each of them with its
// lines there.
func TestSeveralProgrammes(t *testing.T) {
	sale := forSale() // sessions 0 and 1 in programme 0, sessions 2 and 3 in programme 1
	sale.Caps = []int{4, 4}
	v := open(t, sale)
	q := hold(1, "a", 1, 5)
	q.Lines = append(q.Lines, inventory.Line{Pool: 9, Quantity: 4})
	require.NoError(t, v.RestoreTaken(in(inventory.Held, q)))
	found, ok := New(v).Ledgers(onward, nil)
	require.True(t, ok)
	require.Equal(t, 1, found.Excess)
	require.Equal(t, []int{1, 1}, found.AtCap)
}

// TestStops: a count ends without a result when rest returns false, and rows can be freed afterwards.
func TestStops(t *testing.T) {
	v := open(t, forSale())
	for n := range uint64(restRows + 2) {
		q := hold(1, fmt.Sprintf("b%d", n), 11, 1)
		binary.LittleEndian.PutUint64(q.ID[:], n)
		require.Equal(t, inventory.Done, v.Reserve(q).Verdict)
		v.Release(uint32(n+1), 0, nil)
	}
	stop := func() bool { return false }
	_, ok := New(v).Pools(stop)
	require.False(t, ok)
	require.True(t, v.PauseFreeing())
	_, ok = New(v).Pools(stop)
	require.False(t, ok, "freeing is paused already")
	_, ok = New(v).Ledgers(stop, nil)
	require.False(t, ok)
}
