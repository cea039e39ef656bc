package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Conservation is the result of one check of I1 and I2 on the live sale.
type Conservation = audit.Conservation

// watchman checks I1 and I2 in the background.
type watchman struct {
	lock   sync.Mutex
	census *inventory.Census
	last   atomic.Pointer[Conservation]
}

// LastConservation returns what the last check found; false before the first.
func (e *Engine) LastConservation() (Conservation, bool) {
	if c := e.conservation.last.Load(); c != nil {
		return *c, true
	}
	return Conservation{}, false
}

// errNotLeading says why nothing was checked.
var errNotLeading = errors.New("only the leader's stock can be checked")

// CheckConservation counts all pools and ledgers from the reservations, while the sale goes on, and holds the sums against
// the stock, the caps and the limits. It takes one processor for about a third of its time, and some 100 ns an account
// and 20 ns a reservation of it. The engine does so by itself every Options.CheckEvery. The error is ctx's, or that this
// engine does not lead; what is wrong with the sale is in the result.
func (e *Engine) CheckConservation(ctx context.Context) (Conservation, error) {
	if !e.Leads() {
		return Conservation{}, errNotLeading
	}
	e.conservation.lock.Lock()
	defer e.conservation.lock.Unlock()
	check := audit.Check{Sale: e.sale, Inventory: e.inventory, Census: e.conservation.census, Winners: e.countWinners,
		Pause: func(busy time.Duration) error { return e.breathe(ctx, busy) }}
	c, err := check.Run()
	if err != nil {
		return Conservation{}, err
	}
	e.conservation.last.Store(&c)
	return c, nil
}

// countWinners returns a place to count the winners of each access slot, and what counts an account there.
func (e *Engine) countWinners() (winners [][]int, visit func(accountRow uint32)) {
	winners = make([][]int, len(e.sale.Phases))
	any := false
	for i := range e.sale.Phases {
		p := &e.sale.Phases[i]
		if p.Access != catalog.Slots {
			continue
		}
		if d := e.ballots[p.Draw].drawn.Load(); d != nil && e.told(&d.record) {
			winners[i], any = make([]int, p.SlotCount()), true
		}
	}
	if !any {
		return winners, nil
	}
	return winners, func(row uint32) {
		for i, slots := range winners {
			if slots == nil {
				continue
			}
			if p := e.ballots[e.sale.Phases[i].Draw].register.of(row); p.slot > 0 {
				slots[p.slot-1]++
			}
		}
	}
}

// checkLoop checks I1 and I2 every so often, and never for more than a fiftieth of one processor.
func (e *Engine) checkLoop() {
	defer e.background.Done()
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
