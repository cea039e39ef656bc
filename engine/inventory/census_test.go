package inventory

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// counted returns an inventory of several pools a session, with caps that are reached.
func counted(t *testing.T) *Inventory {
	c := Config{Caps: []int{12, 8}, Pause: yieldingPause(1000)}
	for s := range 4 {
		c.Sessions = append(c.Sessions, SessionConfig{Programme: uint8(s / 2), Limit: 6})
		for range 3 {
			c.Pools = append(c.Pools, PoolConfig{Session: uint32(s), Units: uint32(20 + 100*s)})
		}
	}
	v, err := New(c)
	require.NoError(t, err)
	return v
}

// trade makes one random reservation of a buyer and mostly ends it.
func trade(v *Inventory, dice *rand.Rand, n uint64) {
	var id ID
	binary.LittleEndian.PutUint64(id[:], n)
	first := uint32(dice.IntN(2) * 6) // of a programme
	q := Request{ID: id, Account: fmt.Sprintf("a%d", dice.IntN(50)), Expires: 1 + dice.Int64N(2)}
	for pool := range uint32(6) {
		if dice.IntN(3) == 0 || pool == 5 && len(q.Lines) == 0 {
			q.Lines = append(q.Lines, Line{Pool: first + pool, Quantity: 1 + uint32(dice.IntN(3))})
		}
	}
	res := v.Reserve(&q)
	if res.Verdict != Done {
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

// TestCensusOfALiveSale (I1, I2): while many buyers trade, no count finds a difference. Once the trade has ended, the
// count is exact and agrees with the stock.
func TestCensusOfALiveSale(t *testing.T) {
	const traders, deals = 4, 30_000
	seed := rand.Uint64()
	t.Log("seed", seed)
	v := counted(t)
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
	census := v.NewCensus()
	counts, moving := 0, 0
	rest := func() bool { runtime.Gosched(); return true }
	for open := true; open; {
		select {
		case <-quiet:
			open = false
		default:
		}
		pools, ok := census.Pools(rest)
		require.True(t, ok)
		require.Zero(t, pools.Difference, "I1: pool %d after %d counts", pools.Pool, counts)
		ledgers, ok := census.Ledgers(rest, nil)
		require.True(t, ok)
		require.Zero(t, ledgers.Excess, "I2")
		counts++
		if pools.Exact < len(v.pools) {
			moving++
		}
	}
	pools, ok := census.Pools(rest)
	require.True(t, ok)
	require.Equal(t, PoolCensus{Reservations: int(v.Rows()) - 1, Exact: len(v.pools)}, pools)
	ledgers, ok := census.Ledgers(rest, nil)
	require.True(t, ok)
	require.Zero(t, ledgers.Unsteady)
	require.Positive(t, ledgers.AtCap[0]+ledgers.AtCap[1], "no account reached its cap: there was too little trade")
	// The scheduler decides how many counts met a pool that was changing.
	t.Logf("%d counts, %d of them while pools moved", counts, moving)
	require.Positive(t, counts)
}

// TestCensusFindsFaults: the count finds each way in which words and reservations can disagree, with its size and its
// pool.
func TestCensusFindsFaults(t *testing.T) {
	rest := func() bool { return true }
	faults := map[string]struct {
		break_ func(v *Inventory)
		pools  int
		excess int
	}{
		"a unit is lost":           {func(v *Inventory) { v.stock[5].word.Add(-packPool(1, 0)) }, 1, 0},
		"a unit appears":           {func(v *Inventory) { v.stock[5].word.Add(packPool(1, 0)) }, 1, 0},
		"sold without reservation": {func(v *Inventory) { v.stock[5].sold.Add(3) }, 3, 0},
		"a reservation is undone":  {func(v *Inventory) { v.reservations.At(1).state.Store(uint32(Released)) }, 2, 0},
		"oversold, words and all": {func(v *Inventory) {
			v.pools[5].units -= 19
			v.stock[5].word.Add(-packPool(19, 0))
		}, 1, 0},
		"a cap is passed":           {func(v *Inventory) { v.caps[0] = 1 }, 0, 1},
		"a session limit is passed": {func(v *Inventory) { v.sessionLimits[1] = 0 }, 0, 2},
		"nothing":                   {func(*Inventory) {}, 0, 0},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			v := counted(t)
			v.pools[5].units = 20
			v.stock[5].word.Store(packPool(20, 0))
			res := v.Reserve(&Request{ID: ID{1}, Account: "a", Lines: []Line{{Pool: 5, Quantity: 2}}, Expires: 1})
			require.Equal(t, Done, res.Verdict)
			f.break_(v)
			census := v.NewCensus()
			pools, ok := census.Pools(rest)
			require.True(t, ok)
			require.Equal(t, f.pools, pools.Difference)
			if f.pools > 0 {
				require.Equal(t, 5, pools.Pool)
			}
			ledgers, ok := census.Ledgers(rest, nil)
			require.True(t, ok)
			require.Equal(t, f.excess, ledgers.Excess)
		})
	}
}

// TestCensusAllows (I2): what accounts have beyond limits that were lowered is no excess, but no more is allowed than
// they had, and no more than they have left.
func TestCensusAllows(t *testing.T) {
	rest := func() bool { return true }
	v := counted(t)
	take := func(id byte, account string, pool, quantity uint32) uint32 {
		res := v.Reserve(&Request{ID: ID{id}, Account: account, Lines: []Line{{Pool: pool, Quantity: quantity}}, Expires: 1})
		require.Equal(t, Done, res.Verdict)
		return res.Row
	}
	first, _ := take(1, "a", 0, 3), take(2, "a", 4, 3)
	take(3, "b", 0, 2)
	census := v.NewCensus()
	none := Most{Programmes: []int{0, 0}, Sessions: []int{0, 0, 0, 0}}
	require.Equal(t, none, census.Allow())
	excess := func() int {
		found, ok := census.Ledgers(rest, nil)
		require.True(t, ok)
		if found.Excess > 0 {
			require.Equal(t, "a", v.AccountName(found.Account))
		}
		return found.Excess
	}
	v.caps[0], v.sessionLimits[0] = 4, 2
	require.Equal(t, 2+1, excess(), "without Allow it is corruption")
	require.Equal(t, Most{Programmes: []int{6, 0}, Sessions: []int{3, 0, 0, 0}}, census.Allow())
	require.Zero(t, excess())

	more := Restored{Request: &Request{ID: ID{4}, Account: "a", Lines: []Line{{Pool: 4, Quantity: 1}}}, State: Held}
	require.NoError(t, v.RestoreTaken(more)) // restoring checks no caps
	require.Equal(t, 1, excess())
	require.NoError(t, v.RestoreEnded(Restored{Request: more.Request, State: Released}))
	require.Zero(t, excess())

	small := Restored{Request: &Request{ID: ID{6}, Account: "a", Lines: []Line{{Pool: 5, Quantity: 1}}}, State: Held}
	require.NoError(t, v.RestoreTaken(small))
	require.Equal(t, Most{Programmes: []int{7, 0}, Sessions: []int{3, 0, 0, 0}}, census.Allow())
	require.NoError(t, v.RestoreEnded(Restored{Request: small.Request, State: Released}))
	require.Zero(t, excess(), "6 of the 7 that are allowed are left")
	small.Request = &Request{ID: ID{7}, Account: "a", Lines: []Line{{Pool: 5, Quantity: 1}}}
	require.NoError(t, v.RestoreTaken(small))
	require.Equal(t, 1, excess(), "7 were allowed, but 6 were left")
	require.NoError(t, v.RestoreEnded(Restored{Request: small.Request, State: Released}))

	require.Equal(t, Done, v.Release(first, 0, nil).Verdict)
	require.Zero(t, excess(), "within cap and limit")
	more.Request = &Request{ID: ID{5}, Account: "a", Lines: []Line{{Pool: 0, Quantity: 3}}}
	require.NoError(t, v.RestoreTaken(more))
	require.Equal(t, 2+1, excess(), "it had as much before, but not any more")
}

// TestSeveralProgrammes: a reservation of sessions that are in several programmes now counts in each of them with its
// lines there, for refusals and for the census.
func TestSeveralProgrammes(t *testing.T) {
	v := counted(t) // sessions 0 and 1 in programme 0, sessions 2 and 3 in programme 1
	q := Request{ID: ID{1}, Account: "a", Lines: []Line{{Pool: 1, Quantity: 5}, {Pool: 9, Quantity: 4}}, Expires: 1}
	require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
	require.NoError(t, v.CountStock())
	for _, want := range []struct {
		pool      uint32
		programme uint8
		held, cap int
	}{{4, 0, 5, 12}, {6, 1, 4, 8}} {
		v.sessionLimits[v.pools[want.pool].session] = 100
		refused := v.Reserve(&Request{ID: ID{9}, Account: "a", Lines: []Line{{Pool: want.pool, Quantity: 8}}, Expires: 1})
		require.Equal(t, AccountCapExceeded, refused.Verdict)
		require.Equal(t, want.programme, refused.Programme)
		require.Equal(t, want.held, refused.Held)
		require.Equal(t, want.cap, refused.Limit)
	}
	census := v.NewCensus()
	v.caps[0], v.caps[1] = 4, 4
	found, ok := census.Ledgers(func() bool { return true }, nil)
	require.True(t, ok)
	require.Equal(t, 1, found.Excess)
	require.Equal(t, []int{1, 1}, found.AtCap)
}

// TestSeveralProgrammesInASummary: such a reservation counts the same where a summary has it.
func TestSeveralProgrammesInASummary(t *testing.T) {
	v := counted(t)
	v.long = shortest
	q := Request{ID: ID{1}, Account: "a", Lines: []Line{{Pool: 1, Quantity: 5}, {Pool: 9, Quantity: 4}}, Expires: 1}
	require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
	require.NoError(t, v.CountStock())
	v.sessionLimits[v.pools[4].session] = 100
	reserve := func(n byte, quantity uint32) Result {
		return v.Reserve(&Request{ID: ID{n}, Account: "a", Lines: []Line{{Pool: 4, Quantity: quantity}}, Expires: 1})
	}
	for n := range byte(4) {
		require.Equal(t, Done, reserve(2+n, 1).Verdict)
	}
	require.Contains(t, v.summaryOf(v.FindAccount("a")).rows, uint32(1))
	refused := reserve(9, 8)
	require.Equal(t, AccountCapExceeded, refused.Verdict)
	require.Equal(t, 5+4, refused.Held)
}

// TestCensusIsStopped: a count ends without a result when rest returns false.
func TestCensusIsStopped(t *testing.T) {
	v := counted(t)
	for n := range uint64(restRows + 2) {
		v.Reserve(&Request{ID: ID{byte(n), byte(n >> 8), 1}, Account: fmt.Sprintf("b%d", n),
			Lines: []Line{{Pool: 11, Quantity: 1}}, Expires: 1})
		v.Release(uint32(n+1), 0, nil)
	}
	_, ok := v.NewCensus().Pools(func() bool { return false })
	require.False(t, ok)
	_, ok = v.NewCensus().Ledgers(func() bool { return false }, nil)
	require.False(t, ok)
}
