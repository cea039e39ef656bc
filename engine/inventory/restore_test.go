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
	o := Restored{Request: &Request{Account: "ann", Lines: []Line{{0, 4}}, Expires: 1}, State: Held, Seq: 1}
	require.NoError(t, v.RestoreTaken(o))
	require.NoError(t, v.CountStock())
	done := make(chan struct{})
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
	require.Equal(t, Stock{Held: 4}, v.Stock(0))
}
