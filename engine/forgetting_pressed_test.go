package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/saleclock"
)

// Callers that reserve and release all the time never fill a table of several chunks, although none of their holds
// would have expired yet: what was released counts from then. A minute of it is remembered at least, and what ended
// first is forgotten first.
func TestReleasedHoldsNeverFillATable(t *testing.T) { synctest.Test(t, releasedHoldsNeverFillATable) }

func releasedHoldsNeverFillATable(t *testing.T) {
	const callers, seconds = 4, 240
	room := 40_000
	if raced { // it takes a microsecond for each row that is visited, and a pass visits all
		room = 4000
	}
	each := room / 400 // a caller in a second: a minute has 60 % of the room, all have 240 %
	began := time.Now()
	s := newSeller(stressSale(t, 1, 100_000), nil)
	s.options.Clock = saleclock.Virtual(func() time.Time { return saleStart.Add(time.Since(began)) })
	s.options.Forget, s.options.MaxReservations, s.options.MaxHold = 24*time.Hour, room, time.Hour
	s.options.TTL = time.Hour
	require.NoError(t, s.start())
	defer func() { require.NoError(t, s.e.Close()) }()
	var released [callers][]engine.ID
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			var r engine.Reservation
			for second := range seconds {
				for n := range each {
					account := fmt.Sprint("a", c, "-", second, "-", n/8)
					if err := s.e.Reserve(t.Context(), &engine.Request{Account: account, Lines: lines("S0/A", 1)}, &r); err != nil {
						t.Errorf("second %d: %v", second, err)
						return
					}
					if err := s.e.Release(t.Context(), r.ID, &r); err != nil {
						t.Errorf("second %d: %v", second, err)
						return
					}
					released[c] = append(released[c], r.ID)
				}
				if second >= 60 {
					if err := s.e.Reservation(t.Context(), released[c][(second-60)*each+each-1], &r); err != nil {
						t.Errorf("what was released a minute ago: %v", err)
						return
					}
				}
				time.Sleep(time.Second)
			}
		})
	}
	all.Wait()
	got := s.e.Stats()
	t.Logf("%d of %d rows are used", got.Tables[0].Used, room)
	require.GreaterOrEqual(t, got.Forgetting.Forgotten[engine.Released], uint64(callers*each*seconds-room))

	passes()
	for c := range callers {
		first := -1
		for i, id := range released[c] {
			err := s.e.Reservation(t.Context(), id, &engine.Reservation{})
			switch {
			case err == nil && first < 0:
				first = i
			case first >= 0:
				require.NoError(t, err, "an older one is known: %d of %d", first, i)
			}
		}
		require.Positive(t, first, "some are forgotten")
	}
}
