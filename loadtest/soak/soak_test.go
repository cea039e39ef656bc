package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory"
)

// small is a soak of thirty lives. Memory under the race detector is not that of the sale.
func small() plan {
	p := plan{seed: 1, holds: 60_000, alive: 2000, rows: 80_000, callers: 2, patience: patience, measures: !detecting}
	if detecting {
		p.holds, p.alive = 18_000, 600
	}
	return p
}

// soak soaks a sale and returns what it printed.
func soak(t *testing.T, p plan, open func(plan, *clock) (sale, error), plant func(sale) sale) (string, error) {
	if _, _, err := resident(); err != nil {
		t.Skip(err)
	}
	clock := &clock{}
	s, err := open(p, clock)
	require.NoError(t, err)
	out := &strings.Builder{}
	err = newRun(p, clock, plant(s), out).do(t.Context())
	require.NoError(t, s.close())
	return out.String(), err
}

func asItIs(s sale) sale { return s }

// A sound core passes, and every kind of end and of answer occurs.
func TestSoakOfTheCore(t *testing.T) {
	out, err := soak(t, small(), openCore, asItIs)
	t.Log("\n" + out)
	require.NoError(t, err)
	_, foot, _ := strings.Cut(out, "holds: ")
	for e := range events {
		require.Contains(t, foot, " "+e.String())
		require.NotContains(t, foot, ", 0 "+e.String())
	}
	for _, a := range []answer{repeated, wasExpired, overLimit, overCap, soldOut} {
		if a != soldOut || !detecting { // so few holds sell nothing out
			require.Contains(t, foot, " "+a.String())
		}
	}
}

// A sound engine passes. Its clocks are virtual, so the minutes until it has forgotten all take no time.
func TestSoakOfTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := soak(t, small(), openEngine, asItIs)
		t.Log("\n" + out)
		require.NoError(t, err)
	})
}

// faulty is a sale whose sellers do something wrong once in a while.
type faulty struct {
	sale
	fault func(s seller, o *demand) // called before each reserve
}

func (f *faulty) seller() seller { return &faultySeller{seller: f.sale.seller(), fault: f.fault} }

type faultySeller struct {
	seller
	fault func(s seller, o *demand)
}

func (s *faultySeller) reserve(o *demand) (answer, int64) {
	own := *o
	s.fault(s.seller, &own)
	return s.seller.reserve(&own)
}

// Each planted fault is reported.
func TestFaultsAreReported(t *testing.T) {
	const year = 366 * 24 * 3600 * 1000
	var hoard sync.Map
	wrong := func(fault func(s seller, o *demand)) func(sale) sale {
		return func(s sale) sale { return &faulty{sale: s, fault: fault} }
	}
	for name, c := range map[string]struct {
		plant  func(sale) sale
		report string
	}{
		"a lost ticket": {wrong(func(s seller, o *demand) {
			if o.id[0] == 0 && o.id[1]&15 == 0 {
				s.reserve(&demand{id: inventory.ID{o.id[8], o.id[9], o.id[10], 1}, account: "nobody", ttl: year,
					lines: []inventory.Line{{Pool: 7, Quantity: 1}}})
			}
		}), "the books have"},
		"a reservation that is gone": {wrong(func(s seller, o *demand) {
			if o.replaces != (inventory.ID{}) && o.id[0]&15 == 0 {
				s.release(o.replaces)
			}
		}), "replace of hold"},
		"an id that makes two reservations": {wrong(func(_ seller, o *demand) { o.id[15] = byte(len(o.lines)) + o.id[0]&1 }),
			"not found"},
		"growing memory": {wrong(func(_ seller, o *demand) {
			hoard.Store(o.id, bytes.Repeat([]byte{1}, 4096))
		}), "memory is not flat"},
		"nothing is forgotten": {func(s sale) sale {
			s.(*core).forgets = year
			return s
		}, "rows are in use for"},
		"forgotten too early": {func(s sale) sale {
			s.(*core).forgets = -usualTTL
			return s
		}, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			if detecting && name == "growing memory" {
				t.Skip("memory is not measured under the race detector")
			}
			p := small()
			p.patience = time.Second
			_, err := soak(t, p, openCore, c.plant)
			require.ErrorContains(t, err, c.report)
			t.Log(err)
		})
	}
}

// Flags out of their range are refused.
func TestFlagsAreChecked(t *testing.T) {
	for _, c := range []command{
		{Holds: 1e5, Alive: 499, Goroutines: 2}, {Holds: 1e5, Alive: 1e5, Goroutines: 2},
		{Holds: 1e6, Alive: 1e4, Rows: 30_000, Goroutines: 2}, {Holds: 1e6, Alive: 1e4, Goroutines: 1},
	} {
		_, err := c.plan()
		require.ErrorContains(t, err, "use ")
	}
	require.ErrorContains(t, (&command{Holds: 2e4, Alive: 2e3, Limit: 1, Goroutines: 2}).soak(t.Context(), "core", small(),
		io.Discard), "the limit is 1")
}
