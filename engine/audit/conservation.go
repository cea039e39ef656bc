package audit

import (
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
)

// Conservation is the result of one check of I1 and I2 on the live sale. StockDifference and CapExcess are always 0.
// Any other value is a fault of the program or the machine; stop the sale.
type Conservation struct {
	At   time.Time     // wall time at its end
	Took time.Duration // most of it pauses
	Busy time.Duration // of one processor

	Reservations    int
	Pools           int
	ExactPools      int // pools that did not change while they were counted; the others were checked against bounds
	StockDifference int // tickets by which pools and reservations disagree, or pools are oversold (I1)
	Accounts        int
	UnsteadyLedgers int // ledgers that changed too often to be checked; the next check covers them
	CapExcess       int // tickets above account caps and session limits, or above what accounts had when these fell (I2)
	AccountsAtCap   []int
	SlotWinners     [][]int // by phase: number of accounts with each access slot; nil for phases without a completed draw

	Problem string // names the first pool or account that is wrong; empty if none is
}

// Check checks I1 and I2 on a live sale.
type Check struct {
	Sale      *catalog.Sale
	Inventory *inventory.Inventory
	Census    *census.Census
	// Pause is called after each piece of work with the processor time that the piece took. An error ends the check.
	Pause func(busy time.Duration) error
	// Winners returns the counts of Conservation.SlotWinners, all 0, and the function that adds an account to them; nil
	// where there is nothing to count.
	Winners func() (winners [][]int, visit func(accountRow uint32))
}

// Run counts all pools and ledgers from the reservations and compares the sums with the stock, the caps and the limits.
// The error is Pause's.
func (c *Check) Run() (Conservation, error) {
	began := time.Now()
	var fault error
	piece, busy := began, time.Duration(0)
	rest := func() bool {
		took := time.Since(piece)
		busy += took
		fault = c.Pause(took)
		piece = time.Now()
		return fault == nil
	}
	pools, ok := c.Census.Pools(rest)
	if !ok {
		return Conservation{}, fault
	}
	winners, visit := c.Winners()
	ledgers, ok := c.Census.Ledgers(rest, visit)
	if !ok {
		return Conservation{}, fault
	}
	found := Conservation{At: time.Now(), Took: time.Since(began), Busy: busy + time.Since(piece),
		Reservations: pools.Reservations, Pools: len(c.Sale.Pools) + len(c.Sale.Quotas), ExactPools: pools.Exact,
		StockDifference: pools.Difference, Accounts: ledgers.Accounts, UnsteadyLedgers: ledgers.Unsteady,
		CapExcess: ledgers.Excess, AccountsAtCap: ledgers.AtCap, SlotWinners: winners}
	switch {
	case found.StockDifference != 0:
		found.Problem = "I1: " + c.poolName(pools.Pool)
	case found.CapExcess != 0:
		call := c.Inventory.Begin(ledgers.Account)
		found.Problem = "I2: account " + c.Inventory.AccountName(ledgers.Account)
		call.End()
	}
	return found, nil
}

// poolName names a pool, or the phase and the session of a quota.
func (c *Check) poolName(pool int) string {
	if quota := pool - int(c.Inventory.QuotaPool(0)); quota >= 0 {
		q := &c.Sale.Quotas[quota]
		return "phase " + c.Sale.Phases[q.Phase].ID + ", session " + c.Sale.Sessions[q.Session].ID
	}
	p := &c.Sale.Pools[pool]
	return "session " + c.Sale.Sessions[p.Session].ID + ", category " + p.Category
}
