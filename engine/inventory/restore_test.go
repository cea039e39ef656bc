package inventory

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reader of a standby sees a change that is restored wholly or not at all: its account always has one reservation.
func TestReadersOfRestoredChanges(t *testing.T) {
	v, err := New(Config{Pools: []PoolConfig{{Units: 4}}, Sessions: []SessionConfig{{Limit: 4}}, Caps: []int{4},
		MaxReservations: 1 << 17, MaxAccounts: 1, Pause: yieldingPause(0)})
	require.NoError(t, err)
	o := Restored{Request: &Request{Account: "ann", Lines: lines(0, 4), Expires: 1}, State: Held, Seq: 1}
	require.NoError(t, v.RestoreTaken(o))
	require.NoError(t, v.CountStock())
	done, looks := make(chan struct{}), 0
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			ledger, ok := v.Ledger(v.FindAccount("ann"), nil, nil)
			if ok && len(ledger) != 1 {
				t.Errorf("%d reservations", len(ledger))
				return
			}
			looks++
		}
	})
	for range 30_000 {
		o.Seq++
		o.Origin, o.Request.Flags = OriginExtend, FlagExtended
		require.NoError(t, v.RestoreChanged(o))
		o.Seq++
		o.Replaces = o.Request.ID
		binary.BigEndian.PutUint64(o.Request.ID[:], o.Seq)
		o.Origin, o.Request.Flags = OriginReplace, FlagReplaces
		require.NoError(t, v.RestoreReplaced(o))
	}
	close(done)
	reader.Wait()
	require.Positive(t, looks)
	require.Equal(t, Stock{Held: 4}, v.Stock(0))
}

// TestStockOfAStandby: the counters behind a pool's stock only grow, also where a sold reservation is given back or
// reduced. Stock rests on it: otherwise a reader of a standby may find less than nothing held.
func TestStockOfAStandby(t *testing.T) {
	v := testInventory(t, 1, 10, false)
	require.NoError(t, v.CountStock())
	o, sold, returned := Restored{Request: &Request{Account: "ann", Expires: 1}}, uint64(0), uint64(0)
	restore := func(method func(Restored) error, state State, origin Origin, flags uint8, tickets uint32, want Stock) {
		o.Seq++
		o.State, o.Origin, o.Request.Flags, o.Request.Lines = state, origin, flags, lines(0, tickets)
		require.NoError(t, method(o))
		p := &v.stock[0]
		require.GreaterOrEqual(t, p.Sold.Load(), sold)
		require.GreaterOrEqual(t, p.Returned.Load(), returned)
		sold, returned = p.Sold.Load(), p.Returned.Load()
		require.Equal(t, want, v.Stock(0))
	}
	sell := func(n uint64, withheld int) {
		o.Request.ID = idOf(n)
		restore(v.RestoreTaken, Held, OriginReserve, 0, 4, Stock{Available: 6 - withheld, Held: 4, Withheld: withheld})
		restore(v.RestoreEnded, Confirmed, OriginReserve, 0, 4, Stock{Available: 6 - withheld, Sold: 4, Withheld: withheld})
		restore(v.RestoreChanged, Confirmed, OriginReduceSold, FlagReduced, 3,
			Stock{Available: 7 - withheld, Sold: 3, Withheld: withheld})
	}
	sell(1, 0)
	restore(v.RestoreChanged, Returned, OriginReturn, FlagReduced, 3, Stock{Available: 10})
	sell(2, 0)
	restore(v.RestoreChanged, Returned, OriginReturn, FlagReduced|FlagWithheld, 3, Stock{Available: 7, Withheld: 3})
	sell(3, 3)
}
