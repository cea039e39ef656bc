package peers

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// CorePools is the number of pools in the sale of the core, four of each session.
const CorePools = 4000

// cycleNow and cycleEnd are the time of all cycles and the end of their holds, in ms.
const (
	cycleNow = 1_700_000_000_000
	cycleEnd = cycleNow + 1_020_000
)

// cycle is a reservation of one ticket of each pool and its confirmation, both yet to be made.
type cycle struct {
	id      inventory.ID
	account string
	pools   [3]uint32
}

// Plan is a number of prepared cycles, so that measuring them measures nothing else. The names of their accounts are
// adjacent in memory, as in requests that have just been read.
type Plan struct {
	cycles []cycle
	lines  int
}

// NewPlan prepares n cycles of 1 or 3 lines for a crowd: those numbered from first on.
func NewPlan(c *Crowd, names Names, first uint64, n, lines int) *Plan {
	p := &Plan{cycles: make([]cycle, n), lines: lines}
	var text strings.Builder
	for i := range p.cycles {
		text.WriteString(names.of(c.account(first + uint64(i))))
	}
	own := Names{text: text.String()}
	for i := range p.cycles {
		at := first + uint64(i)
		s := &p.cycles[i]
		s.id, s.account = c.id(at), own.of(i)
		for line := range lines {
			s.pools[line] = uint32(c.pool(at, line))
		}
	}
	return p
}

// Cycles returns the number of cycles.
func (p *Plan) Cycles() int { return len(p.cycles) }

// Cost is the time and the allocations of a number of operations.
type Cost struct {
	Took           time.Duration
	Mallocs, Bytes uint64
}

// Report reports the allocations of each of a number of operations. Tables that grow do not count.
func (c *Cost) Report(b *testing.B, operations int) {
	b.ReportAllocs()
	b.ReportMetric(float64(c.Mallocs/uint64(operations)), "allocs/op")
	b.ReportMetric(float64(c.Bytes/uint64(operations)), "B/op")
}

// Add adds the cost of other operations.
func (c *Cost) Add(other Cost) {
	c.Took, c.Mallocs, c.Bytes = c.Took+other.Took, c.Mallocs+other.Mallocs, c.Bytes+other.Bytes
}

// Cycler makes cycles: a Core or a Baseline.
type Cycler interface {
	run(part []cycle, lines int) error
}

// Run makes all cycles, in one goroutine per processor.
func (p *Plan) Run(c Cycler) (Cost, error) {
	return together(len(p.cycles), func(from, to int) error { return c.run(p.cycles[from:to], p.lines) })
}

// together makes n operations and returns their cost. There is one goroutine per processor, and each gets a part of
// them.
func together(n int, part func(from, to int) error) (Cost, error) {
	workers := runtime.GOMAXPROCS(0)
	faults := make([]error, workers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { faults[w] = part(w*n/workers, (w+1)*n/workers) })
	}
	all.Wait()
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	for _, fault := range faults {
		if fault != nil {
			return Cost{}, fault
		}
	}
	return Cost{Took: took, Mallocs: after.Mallocs - before.Mallocs, Bytes: after.TotalAlloc - before.TotalAlloc}, nil
}

// Core is Seathold's lock-free core alone.
type Core struct{ inventory *inventory.Inventory }

// NewCore makes a core in which all accounts exist, with room for the given number of reservations.
func NewCore(names Names, accounts, reservations int) (*Core, error) {
	c := inventory.Config{Caps: []int{accountCap}, MaxReservations: reservations, MaxAccounts: accounts + 1024,
		ExpectAccounts: accounts, Pause: yielding}
	for pool := range CorePools {
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(pool / 4), Units: plenty})
	}
	for range CorePools / 4 {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: sessionLimit})
	}
	v, err := inventory.New(c)
	if err != nil {
		return nil, err
	}
	for i := range accounts {
		if _, ok := v.EnsureAccount(names.of(i)); !ok {
			return nil, fmt.Errorf("no room for %d accounts", accounts)
		}
	}
	return &Core{inventory: v}, nil
}

// prefetchAhead is how many cycles in advance rows are prefetched, as in the engine's batches; the index is prefetched
// twice as early.
const prefetchAhead = 8

func (c *Core) run(part []cycle, lines int) error {
	q := inventory.Request{Lines: make([]inventory.Line, lines), Created: cycleNow, Expires: cycleEnd}
	for i := range part {
		if ahead := i + 2*prefetchAhead; ahead < len(part) {
			c.inventory.PrefetchIndex(&part[ahead].id, part[ahead].account)
		}
		if ahead := i + prefetchAhead; ahead < len(part) {
			c.inventory.PrefetchRows(&part[ahead].id, part[ahead].account)
		}
		s := &part[i]
		q.ID, q.Account = s.id, s.account
		for line := range lines {
			q.Lines[line] = inventory.Line{Pool: s.pools[line], Quantity: 1}
		}
		call := c.inventory.Begin(uint32(i))
		res := c.inventory.Reserve(&q)
		if res.Verdict != inventory.Done {
			return fmt.Errorf("a reservation got the verdict %d", res.Verdict)
		}
		call.End()
		call = c.inventory.Begin(uint32(i))
		if res := c.inventory.Confirm(res.Row, cycleNow, "", nil); res.Verdict != inventory.Done {
			return fmt.Errorf("a confirmation got the verdict %d", res.Verdict)
		}
		call.End()
	}
	return nil
}

// NewBaseline makes a Baseline of the same sale in which all accounts exist.
func NewBaseline(names Names, accounts int) *Baseline {
	var sessions, tickets []uint32
	for pool := range CorePools {
		sessions, tickets = append(sessions, uint32(pool/4)), append(tickets, plenty)
	}
	s := newBaseline(sessions, tickets)
	for i := range accounts {
		s.enrol(names.of(i))
	}
	return s
}

func (s *Baseline) run(part []cycle, lines int) error {
	wanted := make([]inventory.Line, lines)
	for i := range part {
		c := &part[i]
		for line := range lines {
			wanted[line] = inventory.Line{Pool: c.pools[line], Quantity: 1}
		}
		if v := s.reserve(c.id, c.account, wanted, cycleEnd); v != done {
			return fmt.Errorf("a reservation got the verdict %s", v)
		}
		if v := s.confirm(c.id, cycleNow); v != done {
			return fmt.Errorf("a confirmation got the verdict %s", v)
		}
	}
	return nil
}

// yielding waits for other callers by yielding the processor.
func yielding(w inventory.Wait) (inventory.Wait, bool) {
	runtime.Gosched()
	return w, true
}
