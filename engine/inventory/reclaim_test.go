package inventory

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowsAreUsedAgain (I10): a hundred times as many reservations as there are rows, each of another account, with
// every kind of end. What has ended is remembered for as long as it must be, and nothing more.
func TestRowsAreUsedAgain(t *testing.T) {
	const room, alive = 400, 50
	c := Config{Pools: []PoolConfig{{Units: 1000}}, Sessions: []SessionConfig{{Limit: 10}}, Caps: []int{10},
		Journalled: true, MaxReservations: room, MaxAccounts: room, MaxNotes: 1, Pause: yieldingPause(0)}
	v, err := New(c)
	require.NoError(t, err)
	d, rec := &drained{t: t, v: v}, v.NewReclaimer()
	long := fmt.Sprintf("%060d", 0)
	accountOf := func(n uint64) string {
		account := long[:1+n%59] + fmt.Sprint(n)
		return account[max(0, len(account)-MaxAccount):]
	}
	for n := range uint64(100 * room) {
		now := int64(n)
		account := accountOf(n)
		q := Request{ID: idOf(n), Account: account, Lines: lines(0, 2), Created: now, Expires: now + alive}
		res := v.Reserve(&q)
		require.Equal(t, Done, res.Verdict, n)
		old := Decided{res.Row, Held}
		switch n % 7 {
		case 1:
			require.Equal(t, Done, v.Release(res.Row, now, nil).Verdict)
		case 2:
			require.Equal(t, Done, v.Extend(old, now, now+alive).Verdict)
		case 3:
			require.Equal(t, Done, v.Reduce(old, now, lines(0, 1)).Verdict)
		case 4:
			require.Equal(t, Done, v.Confirm(res.Row, now, account, nil).Verdict)
			require.Equal(t, Done, v.Return(Decided{res.Row, Confirmed}, now, long[:n%60], false).Verdict)
		case 5:
			q.ID, q.Flags = idOf(n|1<<40), FlagReplaces
			require.Equal(t, Done, v.Replace(&q, old).Verdict)
		case 6:
			require.True(t, v.Expire(res.Row, now+alive))
			require.Equal(t, Done, v.ConfirmAgain(&q, Decided{res.Row, Expired}, now+alive, account).Verdict)
			at, _ := v.Decide(v.Find(q.ID), now+alive, &Wait{})
			require.Equal(t, Done, v.Return(at, now+alive, "", false).Verdict)
		}
		if n >= alive {
			v.Expire(v.Find(idOf(n-alive)), now)
			v.Expire(v.Find(idOf((n-alive)|1<<40)), now)
		}
		if n%20 == 19 {
			d.drain()
			rec.pass(Terms{Before: now - 10, Durable: v.Placed()})
			if n > 4*alive {
				switch early := n - alive; early % 7 {
				case 1, 4, 5: // released, returned or replaced at once, and over 10 ago since then
					require.Zero(t, v.Find(idOf(early)), n)
				default:
					require.NotZero(t, v.Find(idOf(early)), n)
					require.NotZero(t, v.FindAccount(accountOf(early)))
				}
				require.Zero(t, v.Find(idOf(n-2*alive)), n)
				require.Zero(t, v.FindAccount(accountOf(n-3*alive-20)), n)
			}
		}
	}
	for range 4 {
		for row := range v.Rows() {
			if row > 0 {
				v.Expire(row, 1<<40)
			}
		}
		d.drain()
		rec.pass(Terms{Before: 1 << 40, Durable: v.Placed()})
	}
	require.Zero(t, v.reservations.InUse())
	require.Zero(t, v.overflows.InUse())
	require.Zero(t, v.accounts.InUse())
	require.Zero(t, v.texts.InUse())
	require.Equal(t, Stock{Available: 1000}, v.Stock(0))
}

// TestEntriesMoveOnWithoutCalls: what moves to another table comes there while no call runs and no pass is due, so that
// the table it leaves is not kept.
func TestEntriesMoveOnWithoutCalls(t *testing.T) {
	const holds = 1950 // of 4,096 slots in a table, nearly half
	v, err := New(Config{Pools: []PoolConfig{{Units: holds}}, Sessions: []SessionConfig{{Limit: 1}}, Caps: []int{1},
		MaxReservations: 4 * holds, MaxAccounts: 4 * holds, MaxNotes: 1, Pause: yieldingPause(0)})
	require.NoError(t, err)
	c := v.NewReclaimer()
	ids, accounts := v.byID.Root(), v.accounts.Index.Root()
	for n := range uint64(holds) {
		q := Request{ID: idOf(n), Account: fmt.Sprint(n), Lines: lines(0, 1), Expires: 1}
		require.Equal(t, Done, v.Reserve(&q).Verdict)
		for (n == holds-50 || n == holds-1) && c.Step(Terms{}) { // a pass; after the last ones, none is due
		}
	}
	require.EqualValues(t, 1, c.Passes())
	require.NotEqual(t, ids, v.byID.Root(), "no entries moved")
	require.NotEqual(t, accounts, v.accounts.Index.Root(), "no entries moved")
	require.False(t, v.byID.MoveOn())
	require.False(t, v.accounts.Index.MoveOn())
	for n := range uint64(holds) {
		require.NotZero(t, v.Find(idOf(n)))
	}
}

// TestPassesBeginBesideLongWays: a reservation that changes so often that there is always a long way to shorten keeps
// no pass from beginning, which everybody else's rows wait for.
func TestPassesBeginBesideLongWays(t *testing.T) {
	v := testInventory(t, 1, 10, true)
	d, c := &drained{t: t, v: v}, v.NewReclaimer()
	for n := range uint64(2) {
		q := Request{ID: idOf(n), Account: "ann", Lines: lines(0, 1), Expires: 10}
		require.Equal(t, Done, v.Reserve(&q).Verdict)
	}
	require.Equal(t, Done, v.Release(v.Find(idOf(1)), 0, nil).Verdict)
	for steps := 0; v.Find(idOf(1)) != 0; steps++ {
		require.Less(t, steps, 50)
		for range manyRows {
			extended(t, v, idOf(0))
		}
		d.drain()
		require.NotZero(t, v.Find(idOf(0)))
		c.Step(Terms{Before: 20, Durable: v.Placed(), All: true})
	}
	require.Less(t, v.reservations.InUse(), 50*manyRows)
}

// TestReclaimerAllocatesNothingOnceWarm: it works beside calls that allocate nothing.
func TestReclaimerAllocatesNothingOnceWarm(t *testing.T) {
	v := testInventory(t, 1, 10, false)
	c := v.NewReclaimer()
	n := uint64(0)
	use := func() {
		for range 100 {
			n++
			q := Request{ID: idOf(n), Account: "ann", Lines: []Line{{Quantity: 1}}, Expires: 10}
			v.Release(v.Reserve(&q).Row, 0, nil)
		}
		c.pass(Terms{Before: 20})
	}
	for range 10 {
		use()
	}
	freed := c.Freed()
	require.Zero(t, testing.AllocsPerRun(10, use))
	require.Equal(t, freed+11*100, c.Freed())
}
