package inventory

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

func each(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// testInventory has the given number of pools and units in each. Each pool is a session of its own, and no limit is
// reached.
func testInventory(t testing.TB, pools int, units uint32, journalled bool) *Inventory {
	c := Config{Caps: []int{1 << 20}, Journalled: journalled,
		MaxReservations: 1 << 21, MaxAccounts: 1 << 21, MaxNotes: 1 << 16,
		Pause: yieldingPause(1 << 20)}
	for i := range pools {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: 1 << 20})
		c.Pools = append(c.Pools, PoolConfig{Session: uint32(i), Units: units})
	}
	v, err := New(c)
	require.NoError(t, err)
	return v
}

// yieldingPause returns a Pause that yields so many times.
func yieldingPause(most int) func(Wait) (Wait, bool) {
	return func(w Wait) (Wait, bool) {
		runtime.Gosched()
		w.Attempts++
		return w, w.Attempts <= most
	}
}

func idOf(n uint64) (id ID) {
	for i := range 8 {
		id[i] = byte(n >> (8 * i))
	}
	return id
}

// TestPrefetch: prefetching changes nothing, whether or not the id and the account exist.
func TestPrefetch(t *testing.T) {
	v := testInventory(t, 1, 1000, false)
	q := Request{Lines: []Line{{Pool: 0, Quantity: 1}}, Account: "ann"}
	for n := range uint64(100) {
		id, unknown := idOf(n+1), idOf(n+1_000_000)
		for _, account := range []string{"", "ann", "bob", strings.Repeat("x", 300)} {
			v.PrefetchIndex(&id, account)
			v.PrefetchRows(&id, account)
			v.PrefetchRows(&unknown, account)
		}
		q.ID = id
		require.Equal(t, Done, v.Reserve(&q).Verdict)
		v.PrefetchRows(&id, "ann")
	}
	require.Zero(t, v.FindAccount("bob"))
	require.Equal(t, Stock{Available: 900, Held: 100}, v.Stock(0))
}

// TestTextsHaveRoom (I10): with every account under the longest name and every reservation confirmed under the longest
// reference, no text is missing, whether it was sold or restored from a journal.
func TestTextsHaveRoom(t *testing.T) {
	const rows = 2*table.ChunkRows + 1 // the references alone fill two chunks
	text := func(n int) string { return fmt.Sprintf("%064d", n) }
	for _, restored := range []bool{false, true} {
		c := Config{Pools: []PoolConfig{{Units: rows}}, Sessions: []SessionConfig{{Limit: 1}}, Caps: []int{1},
			MaxReservations: rows, MaxAccounts: rows, Pause: yieldingPause(0)}
		v, err := New(c)
		require.NoError(t, err)
		for n := range rows {
			q := Request{ID: idOf(uint64(n)), Account: text(n), Lines: []Line{{Quantity: 1}}, Expires: 10}
			if restored {
				require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Confirmed, AtMs: 1, Reference: text(n)}))
				continue
			}
			res := v.Reserve(&q)
			require.Equal(t, Done, res.Verdict)
			require.Equal(t, Done, v.Confirm(res.Row, 0, text(n), nil).Verdict)
		}
		var s Snapshot
		for n := range rows {
			require.True(t, v.Read(v.Find(idOf(uint64(n))), &s))
			if s.Account != text(n) || s.Reference != text(n) {
				t.Fatalf("reservation %d has the account %s and the reference %s", n, s.Account, s.Reference)
			}
		}
	}
}

// TestLostConfirmLeavesNothing: of several callers that confirm a reservation at once, only the one that succeeds
// stores its reference.
func TestLostConfirmLeavesNothing(t *testing.T) {
	const reservations, callers = 20_000, 4
	v := testInventory(t, 1, reservations, false)
	for n := range uint64(reservations) {
		res := v.Reserve(&Request{ID: idOf(n), Account: fmt.Sprint(n), Lines: []Line{{Quantity: 1}}, Expires: 10})
		require.Equal(t, Done, res.Verdict)
		require.True(t, n > 0 || res.Row == 1)
	}
	reference := strings.Repeat("r", MaxReference)
	var turn [callers]atomic.Uint32
	each(callers, func(i int) {
		for row := uint32(1); row <= reservations; row++ {
			turn[i].Store(row)
			for j := range turn { // the callers come to each reservation together
				for turn[j].Load() < row {
					runtime.Gosched()
				}
			}
			v.Confirm(row, 0, reference, nil)
		}
	})
	require.Equal(t, Stock{Sold: reservations}, v.Stock(0))
	require.Equal(t, reservations, v.texts.InUse())
}

// TestAccounts: names of every length get one row each, however many callers make them at once.
func TestAccounts(t *testing.T) {
	v := testInventory(t, 1, 1, false)
	const callers, names = 8, 5000
	name := func(n int) string { return fmt.Sprintf("%0*d", 5+n%(MaxAccount-4), n) }
	rows := make([][]uint32, callers)
	each(callers, func(i int) {
		for n := range names {
			row, ok := v.EnsureAccount(name(n))
			if !ok {
				t.Error("the table is full")
			}
			rows[i] = append(rows[i], row)
		}
	})
	for n := range names {
		for i := range callers {
			require.Equal(t, rows[0][n], rows[i][n])
		}
		require.Equal(t, name(n), v.AccountName(rows[0][n]))
		require.Equal(t, rows[0][n], v.FindAccount(name(n)))
	}
	require.Zero(t, v.FindAccount("nobody"))
}

// TestFullTables (I10): with a full table the answer is Full, nothing changes, and what is there can still be used.
func TestFullTables(t *testing.T) {
	c := Config{Pools: []PoolConfig{{Units: 1000}}, Sessions: []SessionConfig{{Limit: 1000}}, Caps: []int{1000},
		MaxReservations: 3, MaxAccounts: 2, MaxNotes: 1, Pause: yieldingPause(0)}
	v, err := New(c)
	require.NoError(t, err)
	reserve := func(n int, account string) Result {
		return v.Reserve(&Request{ID: idOf(uint64(n)), Account: account, Lines: []Line{{Quantity: 1}}, Expires: 10})
	}
	first := reserve(1, "a")
	require.Equal(t, Done, first.Verdict)
	require.Equal(t, Done, reserve(2, "b").Verdict)
	require.Equal(t, Result{Verdict: Full, Table: Accounts}, reserve(3, "c"))
	require.Equal(t, Done, reserve(4, "a").Verdict)
	require.Equal(t, Result{Verdict: Full, Table: Reservations}, reserve(5, "a"))
	require.Equal(t, "accounts reservations", fmt.Sprint(Accounts, " ", Reservations))
	require.NotZero(t, v.Find(idOf(4)))
	require.Equal(t, Stock{Available: 997, Held: 3}, v.Stock(0))
	_, ok := v.Note(Note{})
	require.True(t, ok)
	_, ok = v.Note(Note{})
	require.False(t, ok)
	require.Equal(t, Done, v.Release(first.Row, 0, nil).Verdict)
	require.Equal(t, Done, v.Confirm(v.Find(idOf(2)), 0, "", nil).Verdict)
	require.Equal(t, Stock{Available: 998, Held: 1, Sold: 1}, v.Stock(0))
}

// TestConfigFaults: New rejects each faulty configuration.
func TestConfigFaults(t *testing.T) {
	pause := yieldingPause(0)
	for want, c := range map[string]Config{
		"no Pause":      {},
		"2^31":          {Pools: []PoolConfig{{Units: 1 << 31}}, Sessions: []SessionConfig{{}}, Caps: []int{1}, Pause: pause},
		"session 1":     {Pools: []PoolConfig{{Session: 1}}, Sessions: []SessionConfig{{}}, Caps: []int{1}, Pause: pause},
		"programme 16":  {Sessions: []SessionConfig{{Programme: MaxProgrammes}}, Pause: pause},
		"reservations":  {MaxReservations: 1 << 30, Pause: pause},
		"accounts":      {MaxAccounts: -1, Pause: pause},
		"room for -5 n": {MaxNotes: -5, Pause: pause},
		"pools":         {Pools: make([]PoolConfig, MaxPools+1), Pause: pause},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
}
