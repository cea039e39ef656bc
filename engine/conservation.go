package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Conservation is what one check of I1 and I2 found on the live sale. Both differences are 0, always: anything else is a
// fault of the program or the machine, and reason enough to stop the sale.
type Conservation struct {
	At   time.Time     // wall time of its end
	Took time.Duration // most of it resting
	Busy time.Duration // of one processor

	Reservations    int
	Pools           int
	ExactPools      int // pools that stood still while they were counted; the others were held between bounds
	StockDifference int // tickets by which pools and reservations disagree, or pools are oversold (I1)
	Accounts        int
	UnsteadyLedgers int // ledgers in which so much was going on that they wait for the next check
	CapExcess       int // tickets beyond account caps and session limits (I2)
	AccountsAtCap   []int
	SlotWinners     [][]int // by phase: how many accounts have each access slot; nil for phases without a draw that was run

	Problem string // names the first pool or account that is wrong; empty otherwise
}

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
	began := time.Now()
	var fault error
	piece, busy := began, time.Duration(0)
	rest := func() bool {
		took := time.Since(piece)
		busy += took
		fault = e.breathe(ctx, took)
		piece = time.Now()
		return fault == nil
	}
	pools, ok := e.conservation.census.Pools(rest)
	if !ok {
		return Conservation{}, fault
	}
	winners, visit := e.countWinners()
	ledgers, ok := e.conservation.census.Ledgers(rest, visit)
	if !ok {
		return Conservation{}, fault
	}
	c := Conservation{At: time.Now(), Took: time.Since(began), Busy: busy + time.Since(piece),
		Reservations: pools.Reservations, Pools: len(e.sale.Pools), ExactPools: pools.Exact, StockDifference: pools.Difference,
		Accounts: ledgers.Accounts, UnsteadyLedgers: ledgers.Unsteady, CapExcess: ledgers.Excess, AccountsAtCap: ledgers.AtCap,
		SlotWinners: winners}
	switch {
	case c.StockDifference != 0:
		p := &e.sale.Pools[pools.Pool]
		c.Problem = "I1: session " + e.sale.Sessions[p.Session].ID + ", category " + p.Category
	case c.CapExcess != 0:
		c.Problem = "I2: account " + e.inventory.AccountName(ledgers.Account)
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
