package engine

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/internal/waits"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// stopped is an inventory with a caller that is stopped in the middle of a pack: it has taken the last ticket of pool 0
// and one of pool 1, and its reservation is in the ledger of "gateway". Its record is placed, and it does not return
// from the call that wakes the writer.
type stopped struct {
	*inventory.Inventory
	waits   *waits.Waits
	resume  chan struct{}
	stalled sync.WaitGroup
}

func stopCaller(t *testing.T, busy time.Duration) *stopped {
	s := &stopped{waits: waits.New(), resume: make(chan struct{})}
	block := sync.OnceFunc(func() { <-s.resume })
	v, err := inventory.New(inventory.Config{
		Pools:    []inventory.PoolConfig{{Units: 1}, {Session: 1, Units: 5}},
		Sessions: []inventory.SessionConfig{{Limit: 9}, {Limit: 9}}, Caps: []int{2},
		Journalled: true, Wake: block,
		Pause: func(w inventory.Wait) (inventory.Wait, bool) {
			time.Sleep(busy) // the machine has other work
			return s.waits.Pause(w)
		},
	})
	require.NoError(t, err)
	s.Inventory = v
	s.stalled.Go(func() {
		require.Equal(t, inventory.Done, s.reserve(1, "gateway", 0, 1).Verdict)
	})
	synctest.Wait()
	return s
}

func (s *stopped) reserve(n byte, account string, pools ...uint32) inventory.Result {
	q := inventory.Request{ID: inventory.ID{n}, Account: account, Expires: 1 << 50}
	for _, pool := range pools {
		q.Lines = append(q.Lines, inventory.Line{Pool: pool, Quantity: 1})
	}
	return s.Reserve(&q)
}

// I7, I10: While a caller is stopped between two steps, others succeed at once. A refusal or a read that would rest on
// its step waits for it for 100 ms by the clock and a last pause, however long the pauses take, and then nothing has
// changed. Once it continues, they are answered.
func TestWaitingForAStoppedCaller(t *testing.T) {
	for _, busy := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond} {
		t.Run(fmt.Sprint("busy=", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stopCaller(t, busy)
				took := func(do func()) time.Duration { began := time.Now(); do(); return time.Since(began) }
				require.Zero(t, took(func() { require.Equal(t, inventory.Done, s.reserve(2, "b", 1).Verdict) }))

				row := s.FindAccount("gateway")
				begun := uint64(0)
				for what, wait := range map[string]func() bool{
					"sold out":     func() bool { return s.reserve(3, "c", 0).Verdict == inventory.Overloaded },
					"over the cap": func() bool { return s.reserve(4, "gateway", 1).Verdict == inventory.Overloaded },
					"a ledger":     func() bool { _, ok := s.Ledger(row, nil, nil); return !ok },
					"a release": func() bool {
						return s.Release(s.Find(inventory.ID{1}), 0, nil).Verdict == inventory.Overloaded
					},
				} {
					begun++
					waited := took(func() { require.True(t, wait(), what) })
					require.GreaterOrEqual(t, waited, waits.Call, what)
					require.LessOrEqual(t, waited, waits.Call+2*busy, what)
					require.Equal(t, begun, s.waits.Begun(), what)
					require.Equal(t, begun, s.waits.TimedOut(), what)
				}
				require.Equal(t, 3, s.Stock(1).Available, "a wait left a trace")

				close(s.resume)
				s.stalled.Wait()
				require.Equal(t, inventory.SoldOut, s.reserve(3, "c", 0).Verdict)
				require.Equal(t, inventory.AccountCapExceeded, s.reserve(4, "gateway", 1).Verdict)
				rows, ok := s.Ledger(row, nil, nil)
				require.True(t, ok)
				require.Len(t, rows, 1)
				require.Equal(t, begun, s.waits.Begun())
			})
		})
	}
}

// I10: A call that waits several times waits for no longer in all than one that waits once.
func TestWaitsOfACallAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stopCaller(t, 0)
		began := time.Now()
		var wait inventory.Wait
		q := inventory.Request{ID: inventory.ID{5}, Account: "c", Lines: []inventory.Line{{Quantity: 1}}, Wait: &wait}
		for range 3 {
			require.Equal(t, inventory.Overloaded, s.Reserve(&q).Verdict)
		}
		require.Equal(t, waits.Call, time.Since(began))
		close(s.resume)
		s.stalled.Wait()
	})
}

// I10: All operations of a batch together wait for about a second, even if each of them meets the stopped caller.
func TestWaitsOfABatchAddUp(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		opens := time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)
		e, err := Open(t.Context(), Options{Sale: sale, Durability: None, SweepEvery: -1, CheckEvery: -1,
			MaxReservations: 1000, MaxAccounts: 1000,
			Clock: saleclock.Virtual(func() time.Time { return opens })})
		require.NoError(t, err)
		c, resume := e.inventoryConfig(), make(chan struct{})
		c.Journalled, c.Wake = true, sync.OnceFunc(func() { <-resume })
		e.inventory, err = inventory.New(c)
		require.NoError(t, err)
		listed := outcomes.Memory{Inventory: e.inventory} // the engine's own is read in the background
		require.NoError(t, listed.List(sale))
		for i := range sale.Pools {
			p := &sale.Pools[i]
			require.NoError(t, e.inventory.RestoreUnits(i, uint32(p.Capacity-p.Withheld)))
		}
		var stalled sync.WaitGroup
		stalled.Go(func() {
			var r Reservation
			q := Request{Account: "gateway", Lines: []Line{
				{Session: "SWIM", Category: "A", Quantity: 4}, {Session: "JUDO", Category: "A", Quantity: 1}}}
			require.NoError(t, e.Reserve(t.Context(), &q, &r))
		})
		synctest.Wait()
		ops := make([]Op, 300)
		for i := range ops {
			ops[i].Request = Request{Account: fmt.Sprint("a", i), Lines: []Line{{Session: "SWIM", Category: "A", Quantity: 1}}}
		}
		began := time.Now()
		e.Batch(t.Context(), ops)
		require.LessOrEqual(t, time.Since(began), waits.Batch+time.Duration(len(ops))*waits.Least)
		require.GreaterOrEqual(t, time.Since(began), waits.Batch)
		for i := range ops {
			require.Equal(t, &Refusal{Code: Overloaded}, ops[i].Err)
		}
		require.Equal(t, WaitStats{Begun: 300, TimedOut: 300}, e.Stats().Waits)
		close(resume)
		stalled.Wait()
		require.NoError(t, e.Close())
	})
}
