package inventory

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// boundInventory has two sessions of two pools each. Phase 1 has quotas of both sessions, and phase 2 one of the first.
func boundInventory(t *testing.T, units uint32, places ...uint32) *Inventory {
	c := Config{Caps: []int{1 << 20}, MaxReservations: 1 << 16, MaxAccounts: 1 << 8, MaxPools: 9, MaxQuotas: 4,
		Sessions: []SessionConfig{{Limit: 1 << 20}, {Limit: 1 << 20}}, Pause: yieldingPause(1 << 20)}
	for pool := range uint32(4) {
		c.Pools = append(c.Pools, PoolConfig{Session: pool / 2, Units: units})
	}
	v, err := New(c)
	require.NoError(t, err)
	require.NoError(t, v.ExtendListing([]uint32{0, 0, 1, 1}, []uint8{0, 0}, boundQuotas))
	for quota, units := range places {
		require.NoError(t, v.RestoreUnits(int(v.QuotaPool(quota)), units))
	}
	return v
}

var boundQuotas = []Quota{{Phase: 1, Session: 0}, {Phase: 1, Session: 1}, {Phase: 2, Session: 0}}

// in is a request of an account of its own.
func in(n uint64, phase uint16, poolsAndQuantities ...uint32) *Request {
	return &Request{ID: idOf(n), Account: "ann", Phase: phase, Lines: lines(poolsAndQuantities...), Expires: 10}
}

// TestQuotas (I1, I4): a phase sells no more of a session than its quota, over all pools of the session. What goes back
// can be sold by the phase again, and what is withheld cannot. Other phases sell what is there.
func TestQuotas(t *testing.T) {
	v := boundInventory(t, 10, 4, 9, 1)
	stock := func(quota int) Stock { return v.Stock(int(v.QuotaPool(quota))) }
	soldOut := func(res Result, quota, requested, available int) {
		require.Equal(t, Result{Verdict: SoldOut, Pool: v.QuotaPool(quota), Requested: requested, Available: available}, res)
	}
	x := v.Reserve(in(1, 1, 0, 1, 1, 2, 2, 3))
	require.Equal(t, Done, x.Verdict)
	require.Equal(t, []Stock{{Available: 1, Held: 3}, {Available: 6, Held: 3}, {Available: 1}},
		[]Stock{stock(0), stock(1), stock(2)})
	soldOut(v.Reserve(in(2, 1, 1, 1, 0, 1)), 0, 2, 1)
	require.Equal(t, Result{Verdict: SoldOut, Pool: 2, Requested: 8, Available: 7}, v.Reserve(in(2, 1, 1, 2, 2, 8)),
		"pools come first")
	require.False(t, v.CanTake(in(2, 1, 1, 2)))
	require.Equal(t, Done, v.Reserve(in(2, 3, 1, 8)).Verdict, "a phase without quotas")
	soldOut(v.Replace(in(3, 1, 0, 5), Decided{x.Row, Held}), 0, 5, 4)
	y := v.Replace(in(3, 1, 0, 4), Decided{x.Row, Held})
	require.Equal(t, Done, y.Verdict)
	require.Equal(t, []Stock{{Held: 4}, {Available: 9}}, []Stock{stock(0), stock(1)})
	soldOut(v.Replace(in(4, 2, 0, 2), Decided{y.Row, Held}), 2, 2, 1)
	require.Equal(t, Done, v.Confirm(y.Row, 0, "", nil).Verdict)
	require.Equal(t, Stock{Sold: 4}, stock(0))
	y = v.Reduce(Decided{y.Row, Confirmed}, 0, lines(0, 3))
	require.Equal(t, Stock{Available: 1, Sold: 3}, stock(0))
	require.Equal(t, Done, v.Return(Decided{y.Row, Confirmed}, 0, "", true).Verdict)
	require.Equal(t, Stock{Available: 1, Withheld: 3}, stock(0))
	soldOut(v.Reserve(in(5, 1, 1, 2)), 0, 2, 1)

	_, err := v.ChangeStock(to(v.QuotaPool(0), 2), nil)
	require.Equal(t, &TakenError{Pool: int(v.QuotaPool(0)), Units: 2, Taken: 3}, err)
	c, err := v.ChangeStock(to(v.QuotaPool(0), 1<<31-1), nil)
	require.NoError(t, err)
	c.Commit()
	require.Equal(t, Stock{Available: 1<<31 - 4, Withheld: 3}, stock(0), "without a bound it counts on")
	c, err = v.ChangeStock(to(v.QuotaPool(0), 3), nil)
	require.NoError(t, err)
	c.Commit()
	require.Equal(t, Stock{Withheld: 3}, stock(0))
}

// TestQuotasOfEveryLine (I4): a request of the most lines, each of a session with a quota, takes all of them or none.
// No call allocates.
func TestQuotasOfEveryLine(t *testing.T) {
	c := Config{Caps: []int{1 << 20}, MaxReservations: 1 << 10, MaxAccounts: 4, MaxQuotas: MaxLines, Journalled: true,
		Pause: yieldingPause(1 << 10)}
	var sessionOf []uint32
	var quotas []Quota
	q := in(1, 1)
	for i := range uint32(MaxLines) {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: 1 << 20})
		c.Pools = append(c.Pools, PoolConfig{Session: i, Units: 1 << 20})
		sessionOf, quotas = append(sessionOf, i), append(quotas, Quota{Phase: 1, Session: MaxLines - 1 - i})
		q.Lines = append(q.Lines, Line{Pool: i, Quantity: 1})
	}
	v, err := New(c)
	require.NoError(t, err)
	require.NoError(t, v.ExtendListing(sessionOf, make([]uint8, MaxLines), quotas))
	for quota := range quotas {
		require.NoError(t, v.RestoreUnits(int(v.QuotaPool(quota)), uint32(min(quota, 1))))
	}
	require.Equal(t, Result{Verdict: SoldOut, Pool: v.QuotaPool(0), Requested: 1}, v.Reserve(q))
	require.NoError(t, v.RestoreUnits(int(v.QuotaPool(0)), 1))
	require.Equal(t, Done, v.Reserve(q).Verdict)
	for quota := range quotas {
		require.Equal(t, Stock{Held: 1}, v.Stock(int(v.QuotaPool(quota))), "quota %d", quota)
	}
	require.Equal(t, Done, v.Release(v.Find(q.ID), 0, nil).Verdict)
	var again Result
	require.Zero(t, testing.AllocsPerRun(100, func() {
		q.ID[9]++
		x := v.Reserve(q)
		again = v.Extend(Decided{x.Row, Held}, 0, 20)
		v.Confirm(again.Row, 0, "", nil)
		again = v.Return(Decided{again.Row, Confirmed}, 0, "", false)
	}))
	require.Equal(t, Done, again.Verdict)
	require.Equal(t, Stock{Available: 1}, v.Stock(int(v.QuotaPool(7))))
}

// TestTakenIn: what takes units or is undecided is found by its phase and its sessions.
func TestTakenIn(t *testing.T) {
	v := boundInventory(t, 10, 9, 9, 9)
	all := []Quota{{Phase: 1}, {Phase: 1, Session: 1}, {Phase: 2}, {Phase: 2, Session: 1}, {Phase: 3}}
	require.Empty(t, v.TakenIn(nil))
	require.Equal(t, make([]bool, 5), v.TakenIn(all))
	x := v.Reserve(in(1, 1, 0, 1, 3, 1)).Row
	y := v.Reserve(in(2, 3, 1, 1)).Row
	require.Equal(t, []bool{true, true, false, false, true}, v.TakenIn(all))
	v.reservations.At(y).state.Store(uint32(releasing))
	require.Equal(t, []bool{true, true, false, false, true}, v.TakenIn(all), "it has not given back")
	v.reservations.At(y).state.Store(uint32(Held))
	v.Release(y, 0, nil)
	v.Confirm(x, 0, "", nil)
	require.Equal(t, []bool{true, true, false, false, false}, v.TakenIn(all))
	x = v.Reduce(Decided{x, Confirmed}, 0, lines(3, 1)).Row
	require.Equal(t, []bool{false, true, false, false, false}, v.TakenIn(all))
	v.Return(Decided{x, Confirmed}, 0, "", true)
	require.Equal(t, []bool{false, true, false, false, false}, v.TakenIn(all), "withheld units are taken")
	for n := range uint64(2 * walkedRows) {
		v.Reserve(in(3+n, 2, 2, 1))
	}
	require.Equal(t, []bool{false, true, false, true, false}, v.TakenIn(all))
}

// boundTrader makes random calls in two phases, and knows the rows that it has.
type boundTrader struct {
	v      *Inventory
	dice   *rand.Rand
	n      uint64
	rows   []uint32
	counts map[Verdict]int
}

func (b *boundTrader) request() *Request {
	b.n++
	q := in(b.n, uint16(1+b.dice.IntN(3)), uint32(b.dice.IntN(4)), 1+uint32(b.dice.IntN(2)))
	for pool := range uint32(4) {
		if pool != q.Lines[0].Pool && b.dice.IntN(2) == 0 {
			q.Lines = append(q.Lines, Line{Pool: pool, Quantity: 1})
		}
	}
	return q
}

// keep notes the row of a call that was done.
func (b *boundTrader) keep(res Result) {
	if b.counts[res.Verdict]++; res.Verdict == Done {
		b.rows = append(b.rows, res.Row)
	}
}

// call makes one random call.
func (b *boundTrader) call() {
	defer b.v.Begin(uint32(b.n)).End()
	if len(b.rows) == 0 || b.dice.IntN(3) == 0 {
		b.keep(b.v.Reserve(b.request()))
		return
	}
	at := b.dice.IntN(len(b.rows))
	found, _ := b.v.Decide(b.rows[at], 0, &Wait{})
	switch n := b.dice.IntN(8); {
	case n == 0 && found.State == Held:
		b.v.Confirm(found.Row, 0, "", nil)
		return
	case n < 3 && found.State == Held:
		b.keep(b.v.Replace(b.replacing(), found))
	case n == 3 && found.State == Held:
		b.keep(b.v.Extend(found, 0, 20))
	case n == 4 && (found.State == Held || found.State == Confirmed):
		b.keep(b.v.Reduce(found, 0, []Line{b.v.lineAt(b.v.reservations.At(found.Row), 0)}))
	case found.State == Confirmed:
		b.v.Return(found, 0, "", n == 7 && b.dice.IntN(64) == 0)
	case found.State == Held:
		b.v.Release(found.Row, 0, nil)
	default:
		b.rows = append(b.rows[:at], b.rows[at+1:]...)
	}
}

func (b *boundTrader) replacing() *Request {
	q := b.request()
	q.Flags = FlagReplaces
	return q
}

// TestPlacesWhileTheySell (I1): while buyers trade and the places change, no phase sells more than it may, the census
// finds no difference, and in the end all agrees with a recount.
func TestPlacesWhileTheySell(t *testing.T) {
	const traders, calls = 3, 6_000
	seed := rand.Uint64()
	t.Log("seed", seed)
	v := boundInventory(t, 12, 6, 7, 5)
	counter := NewCounter(v)
	var all sync.WaitGroup
	traded := make([]boundTrader, traders)
	for i := range traded {
		b := &traded[i]
		*b = boundTrader{v: v, dice: rand.New(rand.NewPCG(seed, uint64(i))), n: uint64(i) << 40, counts: map[Verdict]int{}}
		all.Go(func() {
			for range calls {
				b.call()
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for changed, open := uint32(0), true; open; changed++ {
		select {
		case <-done:
			open = false
		default:
		}
		if c, err := v.ChangeStock(to(v.QuotaPool(0), 5+changed%3, v.QuotaPool(2), 6-changed%2), nil); err == nil {
			c.Commit()
		}
		for quota := range boundQuotas {
			s := v.Stock(int(v.QuotaPool(quota)))
			require.True(t, min(s.Available, s.Held, s.Sold, s.Withheld) >= 0, "%+v", s)
			require.LessOrEqual(t, s.Held+s.Sold+s.Withheld, 7)
		}
		_, difference, ok := counter.Pools(func() bool { runtime.Gosched(); return true })
		require.True(t, ok)
		require.Zero(t, difference)
	}
	for i := range traded {
		require.Positive(t, traded[i].counts[SoldOut])
		require.Positive(t, traded[i].counts[Done])
	}
	requireRecounted(t, v)
}

// requireRecounted requires that a recount of the rows finds the stock as it is.
func requireRecounted(t *testing.T, v *Inventory) {
	var before []Stock
	pools := []uint32{0, 1, 2, 3, v.QuotaPool(0), v.QuotaPool(1), v.QuotaPool(2)}
	for _, pool := range pools {
		before = append(before, v.Stock(int(pool)))
	}
	require.NoError(t, v.CountStock())
	for i, pool := range pools {
		require.Equal(t, before[i], v.Stock(int(pool)), "pool %d", pool)
	}
}

// TestRestoreQuotas (I6): a replay counts what rows take of quotas when it counts the stock, and a standby with each
// record from then on. More than a quota has is an error.
func TestRestoreQuotas(t *testing.T) {
	v := boundInventory(t, 10, 4, 4, 4)
	o := func(n uint64, state State, origin Origin, seq uint64, flags uint8, phase uint16, pairs ...uint32) Restored {
		q := in(n, phase, pairs...)
		q.Flags = flags
		return Restored{Request: q, State: state, Origin: origin, Seq: seq}
	}
	stock := func(quota int) Stock { return v.Stock(int(v.QuotaPool(quota))) }
	require.NoError(t, v.RestoreTaken(o(1, Held, OriginReserve, 1, 0, 1, 0, 1, 1, 1, 2, 1)))
	require.NoError(t, v.RestoreTaken(o(2, Confirmed, OriginReserve, 2, 0, 2, 0, 2)))
	require.NoError(t, v.CountStock())
	require.Equal(t, []Stock{{Available: 2, Held: 2}, {Available: 3, Held: 1}, {Available: 2, Sold: 2}},
		[]Stock{stock(0), stock(1), stock(2)})
	require.NoError(t, v.RestoreEnded(o(1, Confirmed, OriginReserve, 3, 0, 1)))
	require.Equal(t, Stock{Available: 2, Sold: 2}, stock(0))
	require.NoError(t, v.RestoreChanged(o(1, Confirmed, OriginReduceSold, 4, FlagReduced, 1, 1, 1)))
	require.Equal(t, []Stock{{Available: 3, Sold: 1}, {Available: 4}}, []Stock{stock(0), stock(1)})
	require.NoError(t, v.RestoreChanged(o(1, Returned, OriginReturn, 5, FlagReduced|FlagWithheld, 1, 1, 1)))
	require.Equal(t, Stock{Available: 3, Withheld: 1}, stock(0))
	require.NoError(t, v.RestoreTaken(o(3, Held, OriginReserve, 6, 0, 1, 1, 1)))
	replaced := o(4, Held, OriginReplace, 7, FlagReplaces, 2, 0, 1)
	replaced.Replaces = idOf(3)
	require.NoError(t, v.RestoreReplaced(replaced))
	require.Equal(t, []Stock{{Available: 3, Withheld: 1}, {Available: 1, Held: 1, Sold: 2}}, []Stock{stock(0), stock(2)})
	require.NoError(t, v.RestoreEnded(o(4, Released, OriginReserve, 8, 0, 2)))
	require.Equal(t, Stock{Available: 2, Sold: 2}, stock(2))
	requireRecounted(t, v)
	require.Equal(t, &OversoldError{Pool: int(v.QuotaPool(2)), Units: 4, Taken: 5},
		v.RestoreTaken(o(5, Held, OriginReserve, 9, 0, 2, 1, 3)))
}
