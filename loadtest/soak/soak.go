// Command soak sells for ever, in virtual time: a billion holds of which a million are alive at a time, with every kind of
// end, in the core or in an engine without a journal. It fails if memory grows or the sale does not add up.
package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
)

// soak is a core in which holds come and go.
type soak struct {
	v       *inventory.Inventory
	reclaim *inventory.Reclaimer
	sweep   *inventory.Sweep
	census  *census.Census
	holds   atomic.Uint64 // made so far: the clock
	full    atomic.Uint64 // times that a table was full
}

const (
	pools        = 4000
	perPool      = 4096 // units
	holdsPerMs   = 1000 // of virtual time
	perAccount   = 4    // holds
	forgetMs     = 200
	startMs      = 1_700_000_000_000
	ticketsLimit = 1 << 11
)

// newSoak makes a core with room for so many rows.
func newSoak(rows int) (*soak, error) {
	c := inventory.Config{Caps: []int{ticketsLimit}, MaxReservations: rows, MaxAccounts: rows,
		Pause: func(w inventory.Wait) (inventory.Wait, bool) { runtime.Gosched(); return w, true }}
	for i := range pools {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: ticketsLimit})
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(i), Units: perPool})
	}
	v, err := inventory.New(c)
	if err != nil {
		return nil, err
	}
	return &soak{v: v, reclaim: v.NewReclaimer(), sweep: v.NewSweep(), census: census.New(v)}, nil
}

func (s *soak) now() int64 { return startMs + int64(s.holds.Load()/holdsPerMs) }

// caller makes holds and ends them later.
type caller struct {
	s       *soak
	alive   []uint64 // the numbers of its holds, oldest first, in a ring
	at      int
	n       uint64 // the next number
	request inventory.Request
	lines   [2]inventory.Line
	name    [24]byte
	ends    [fates]uint64
}

// The fates of holds.
const (
	expires = iota
	released
	returned
	extended
	reduced
	replaced
	late
	fates
)

func idOf(n uint64) (id inventory.ID) {
	binary.LittleEndian.PutUint64(id[:], n*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(id[8:], n)
	return id
}

func (c *caller) account(n uint64) string {
	return string(fmt.Appendf(c.name[:0], "buyer-%d", n/perAccount))
}

// hold makes a hold, ttl ms long.
func (c *caller) hold(n uint64, ttl int64) {
	s := c.s
	now := s.now()
	q := &c.request
	a := uint32(n*0x9e3779b1) % pools
	c.lines = [2]inventory.Line{{Pool: a, Quantity: 1}, {Pool: (a + 1) % pools, Quantity: 1}}
	*q = inventory.Request{ID: idOf(n), Account: c.account(n), Lines: c.lines[:1+n%2], Created: now, Expires: now + ttl}
	call := s.v.Begin(uint32(n))
	res := s.v.Reserve(q)
	call.End()
	switch res.Verdict {
	case inventory.Done:
		s.holds.Add(1)
	case inventory.Full:
		s.full.Add(1)
	default:
		panic(fmt.Sprintf("hold %d: verdict %d", n, res.Verdict))
	}
}

// end ends the hold.
func (c *caller) end(n uint64) {
	v, now, wait := c.s.v, c.s.now(), &inventory.Wait{}
	fate := int(n*0x9e3779b97f4a7c15>>40) % fates
	call := v.Begin(uint32(n))
	defer call.End()
	row := v.Find(idOf(n))
	if row == 0 {
		return
	}
	found, verdict := v.Decide(row, now, wait)
	if verdict != inventory.Done || found.State != inventory.Held && found.State != inventory.Expired {
		return
	}
	if found.State == inventory.Expired {
		fate = late
	}
	c.ends[fate]++
	switch fate {
	case released:
		v.Release(row, now, wait)
	case returned:
		v.Confirm(row, now, "payment", wait)
		v.Return(inventory.Decided{Row: row, State: inventory.Confirmed}, now, "refund", false)
	case extended:
		if res := v.Extend(found, now, now+1); res.Verdict == inventory.Done {
			v.Expire(res.Row, now+1)
		}
	case reduced:
		c.lines[0] = inventory.Line{Pool: uint32(n*0x9e3779b1) % pools, Quantity: 1}
		if n%2 == 0 {
			v.Release(row, now, wait)
		} else if res := v.Reduce(found, now, c.lines[:1]); res.Verdict == inventory.Done {
			v.Release(res.Row, now, wait)
		}
	case replaced:
		q := inventory.Request{ID: idOf(n | 1<<63), Account: c.account(n), Created: now, Expires: now + 1,
			Flags: inventory.FlagReplaces, Lines: []inventory.Line{{Pool: uint32(n) % pools, Quantity: 1}}}
		if res := v.Replace(&q, found); res.Verdict == inventory.Done {
			v.Expire(res.Row, now+1)
		}
	case expires:
		v.Expire(row, now+1<<40)
	}
}

// run makes holds until there were so many, of which about alive are alive at a time, and calls report ten times.
func (s *soak) run(holds uint64, alive int, report func(done uint64, ends [fates]uint64) error) error {
	workers := runtime.GOMAXPROCS(0)
	callers := make([]*caller, workers)
	for i := range callers {
		callers[i] = &caller{s: s, alive: make([]uint64, alive/workers), n: uint64(i)}
	}
	var over atomic.Bool
	var background sync.WaitGroup
	background.Go(func() {
		for !over.Load() {
			s.sweep.Expire(s.now(), 1<<30)
			time.Sleep(time.Millisecond)
		}
	})
	background.Go(func() {
		for !over.Load() {
			if !s.reclaim.Step(inventory.Terms{Before: s.now() - forgetMs}) {
				time.Sleep(time.Millisecond)
			}
		}
	})
	defer func() { over.Store(true); background.Wait() }()
	ttl := int64(alive/holdsPerMs) * 2
	for part := range uint64(10) {
		var all sync.WaitGroup
		until := holds / 10 * (part + 1)
		for _, c := range callers {
			all.Go(func() {
				for s.holds.Load() < until {
					if old := c.alive[c.at]; old != 0 {
						c.end(old - 1)
					}
					c.hold(c.n, ttl)
					c.alive[c.at] = c.n + 1
					c.n += uint64(workers)
					c.at = (c.at + 1) % len(c.alive)
				}
			})
		}
		all.Wait()
		var ends [fates]uint64
		for _, c := range callers {
			for i, n := range c.ends {
				ends[i] += n
			}
		}
		if err := report(s.holds.Load(), ends); err != nil {
			return err
		}
	}
	return nil
}
