package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// A programme's rule about returned tickets applies to returns while it is in force (I1). A restart with another
// definition leaves earlier returns as they are, also those that a replay restores, and the journal stays legal.
func TestReturnedTicketsChange(t *testing.T) {
	at := time.Date(2024, 3, 1, 10, 0, 0, 0, time.UTC)
	starts := 0
	saleOf := func(withhold bool) *catalog.Sale {
		starts++ // makes each definition a new one: the files of an earlier version would change nothing
		d := spec.Definition{
			Programmes: []spec.DefinedProgramme{{ID: "p", AccountCap: 9, SessionLimit: 9, WithholdReturned: withhold}},
			Sessions:   []spec.DefinedSession{{ID: "S", Programme: "p", Places: []int{10}}},
			Phases: []spec.DefinedPhase{{ID: "all", Programme: "p", OpensAt: at,
				ClosesAt: at.Add(time.Hour + time.Duration(starts)*time.Minute)}},
		}
		sale, err := d.Load()
		require.NoError(t, err)
		return sale
	}
	kept := newStore()
	var r engine.Reservation
	var e *engine.Engine
	restart := func(withhold bool) {
		if e != nil {
			require.NoError(t, e.Close())
		}
		var err error
		e, err = engine.Open(t.Context(), engine.Options{Sale: saleOf(withhold), Journal: kept.open(), SweepEvery: -1,
			Clock: saleclock.Virtual(func() time.Time { return at })})
		require.NoError(t, err)
	}
	sell := func(n byte, quantity int) {
		require.NoError(t, e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: n}, Account: "ann",
			Lines: []engine.Line{{Session: "S", Category: "A", Quantity: quantity}}}, &r))
		require.NoError(t, e.Confirm(t.Context(), engine.ID{15: n}, "", &r))
	}
	giveBack := func(n byte) { require.NoError(t, e.Return(t.Context(), engine.ID{15: n}, "", &r)) }
	stock := func(available, sold, withheld int) {
		t.Helper()
		require.Equal(t, engine.Stock{Capacity: 10, Available: available, Sold: sold, Withheld: withheld}, e.Stock(0))
		found, err := e.CheckConservation(t.Context())
		require.NoError(t, err)
		require.Empty(t, found.Problem)
		require.Zero(t, found.StockDifference)
	}

	restart(true)
	sell(1, 4)
	sell(2, 2)
	keep := []engine.Line{{Session: "S", Category: "A", Quantity: 3}}
	require.NoError(t, e.Reduce(t.Context(), engine.ID{15: 1}, keep, &r))
	stock(5, 5, 0) // a reduction withholds nothing
	giveBack(1)
	stock(5, 2, 3)
	restart(false)
	stock(5, 2, 3)
	giveBack(1) // again, which puts nothing on sale
	giveBack(2)
	stock(7, 0, 3)
	sell(3, 7)
	restart(true)
	stock(0, 7, 3)
	giveBack(3)
	stock(0, 0, 10)
	require.NoError(t, e.Close())
	found, err := audit.Verify(kept.open(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
	require.Equal(t, 3, found.Definitions)
	require.Equal(t, 3, found.ByState[engine.Returned])
}
