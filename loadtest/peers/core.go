package peers

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// CorePools is how many pools the sale of the core has, four of each session.
const CorePools = 4000

// cycleNow and cycleEnd are when cycles happen and when their holds would end, in ms.
const (
	cycleNow = 1_700_000_000_000
	cycleEnd = cycleNow + 1_020_000
)

// Step is a cycle that is about to be made: a reservation of one ticket of each pool, and its confirmation.
type Step struct {
	id      ID
	account string
	pools   [3]uint32
}

// Plan is a number of cycles, prepared so that measuring them measures nothing else. Their accounts' names stand one after
// the other, as in requests that have just been read.
type Plan struct {
	steps []Step
	lines int
}

// NewPlan prepares n cycles of so many lines, 1 or 3, for a crowd. They go on behind the first.
func NewPlan(c *Crowd, names Names, first uint64, n, lines int) *Plan {
	p := &Plan{steps: make([]Step, n), lines: lines}
	var text strings.Builder
	for i := range p.steps {
		text.WriteString(names.Of(c.Account(first + uint64(i))))
	}
	own := Names{text: text.String()}
	for i := range p.steps {
		at := first + uint64(i)
		s := &p.steps[i]
		s.id, s.account = c.ID(at), own.Of(i)
		for line := range lines {
			s.pools[line] = uint32(c.Place(at, line))
		}
	}
	return p
}

// Cycles is how many there are.
func (p *Plan) Cycles() int { return len(p.steps) }

// Cost is what cycles took, and allocated.
type Cost struct {
	Took           time.Duration
	Mallocs, Bytes uint64
}

// Run makes all cycles, in as many goroutines as there are processors to run them.
func (p *Plan) Run(cycles func(part []Step, lines int) error) (Cost, error) {
	workers := runtime.GOMAXPROCS(0)
	faults := make([]error, workers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	var all sync.WaitGroup
	for w := range workers {
		part := p.steps[w*len(p.steps)/workers : (w+1)*len(p.steps)/workers]
		all.Go(func() { faults[w] = cycles(part, p.lines) })
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
type Core struct{ Inventory *inventory.Inventory }

// NewCore makes a core whose accounts are there already, with room for so many reservations.
func NewCore(names Names, accounts, reservations int) (*Core, error) {
	c := inventory.Config{Caps: []int{AccountCap}, MaxReservations: reservations, MaxAccounts: accounts + 1024, ExpectAccounts: accounts,
		Pause: func(int) bool { runtime.Gosched(); return true }}
	for pool := range CorePools {
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(pool / 4), Units: 1 << 30})
	}
	for range CorePools / 4 {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: SessionLimit})
	}
	v, err := inventory.New(c)
	if err != nil {
		return nil, err
	}
	for i := range accounts {
		if _, ok := v.EnsureAccount(names.Of(i)); !ok {
			return nil, fmt.Errorf("no room for %d accounts", accounts)
		}
	}
	return &Core{Inventory: v}, nil
}

// prefetchAhead is how many cycles before its own one the core is told what a reservation will look up, as the engine's
// batches do.
const prefetchAhead = 8

// Cycles makes cycles.
func (c *Core) Cycles(part []Step, lines int) error {
	q := inventory.Request{Lines: make([]inventory.Line, lines), Created: cycleNow, Expires: cycleEnd}
	for i := range part {
		if ahead := i + 2*prefetchAhead; ahead < len(part) {
			c.Inventory.PrefetchIndex((*inventory.ID)(&part[ahead].id), part[ahead].account)
		}
		if ahead := i + prefetchAhead; ahead < len(part) {
			c.Inventory.PrefetchRows((*inventory.ID)(&part[ahead].id), part[ahead].account)
		}
		s := &part[i]
		q.ID, q.Account = inventory.ID(s.id), s.account
		for line := range lines {
			q.Lines[line] = inventory.Line{Pool: s.pools[line], Quantity: 1}
		}
		res := c.Inventory.Reserve(&q)
		if res.Verdict != inventory.Done {
			return fmt.Errorf("a reservation got the verdict %d", res.Verdict)
		}
		if res := c.Inventory.Confirm(res.Row, cycleNow, ""); res.Verdict != inventory.Done {
			return fmt.Errorf("a confirmation got the verdict %d", res.Verdict)
		}
	}
	return nil
}

// NewCoreBaseline makes a Baseline of the same sale.
func NewCoreBaseline(names Names, accounts int) *Baseline {
	var sessions, places []uint32
	for pool := range CorePools {
		sessions, places = append(sessions, uint32(pool/4)), append(places, 1<<30)
	}
	s := NewBaseline(sessions, places)
	for i := range accounts {
		s.Enrol(names.Of(i))
	}
	return s
}

// Cycles makes cycles.
func (s *Baseline) Cycles(part []Step, lines int) error {
	asked := make([]Line, lines)
	for i := range part {
		asks := &part[i]
		for line := range lines {
			asked[line] = Line{Pool: asks.pools[line], Quantity: 1}
		}
		if v := s.Reserve(asks.id, asks.account, asked, cycleEnd); v != Done {
			return fmt.Errorf("a reservation got the verdict %s", v)
		}
		if v := s.Confirm(asks.id, cycleNow); v != Done {
			return fmt.Errorf("a confirmation got the verdict %s", v)
		}
	}
	return nil
}
