package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Conservation is the result of one check of I1 and I2 on the live sale: the differences between stock, ledgers and
// reservations, which are always 0, the counts that they were computed from, and in Problem the first fault.
type Conservation = audit.Conservation

// conservationCheck is the state of the background check of I1 and I2.
type conservationCheck struct {
	lock   sync.Mutex
	census *census.Census
	last   atomic.Pointer[Conservation]

	bounds *census.Bounds    // the last ones
	of     *outcomes.InForce // of which they are
}

// LastConservation returns the result of the last check; false before the first.
func (e *Engine) LastConservation() (Conservation, bool) {
	if c := e.conservation.last.Load(); c != nil {
		return *c, true
	}
	return Conservation{}, false
}

// errNotLeading is why a check is refused.
var errNotLeading = errors.New("only the leader's stock can be checked")

// CheckConservation counts all pools and ledgers from the reservations, while the sale runs, and compares the sums with
// the stock, the caps and the limits. It uses one processor for about a fifteenth of its time, and about 100 ns an
// account and 20 ns a reservation of it. The engine calls it every Options.CheckEvery.
//
// The error is ctx's, or that this engine does not lead. A broken invariant is in the result.
func (e *Engine) CheckConservation(ctx context.Context) (Conservation, error) {
	if !e.Leads() {
		return Conservation{}, errNotLeading
	}
	e.conservation.lock.Lock()
	defer e.conservation.lock.Unlock()
	sale := e.Sale()
	check := audit.Check{Sale: sale, Inventory: e.inventory, Census: e.conservation.census,
		Pause:   func(busy time.Duration) error { return e.yieldAfter(ctx, busy) },
		Winners: func() ([][]int, func(uint32)) { return e.ballots.Winners(sale) }}
	c, err := check.Run()
	if err != nil {
		return Conservation{}, err
	}
	e.conservation.last.Store(&c)
	return c, nil
}

// bounds returns the caps and limits by which accounts are checked (I2): those in force, and beyond them what accounts
// rightly had when they were lowered. Calls are judged by a new definition only once this returns it.
func (e *Engine) bounds() *census.Bounds {
	f := e.memory.Judging()
	c := &e.conservation
	if c.bounds != nil && c.of == f {
		return c.bounds
	}
	limits := rules.LimitsOf(f.Sale)
	b := &census.Bounds{Limits: limits,
		Most: inventory.Limits{Caps: slices.Clone(limits.Caps), Sessions: slices.Clone(limits.Sessions)}}
	raise(b.Most.Caps, f.Definition.Above.Programmes)
	raise(b.Most.Sessions, f.Definition.Above.Sessions)
	c.bounds, c.of = b, f
	return b
}

func raise(limits []int, most []record.Most) {
	for _, m := range most {
		limits[m.Of] = max(limits[m.Of], m.Tickets)
	}
}

// checkLoop checks I1 and I2 every Options.CheckEvery, and never uses more than a fiftieth of one processor.
func (e *Engine) checkLoop() {
	for {
		c, err := e.CheckConservation(context.Background())
		if err == nil && c.Problem != "" {
			e.o.Log.Error("the sale does not add up", "problem", c.Problem, "stock", c.StockDifference, "caps", c.CapExcess)
		}
		pause := time.NewTimer(max(e.o.CheckEvery, 50*c.Busy))
		select {
		case <-e.stop:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}
