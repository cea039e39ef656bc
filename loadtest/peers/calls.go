package peers

import (
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// The instants of Calls, in ms: the end of an extended hold, and the time of a confirmation that comes after cycleEnd.
const (
	extendedEnd = cycleEnd + 1000
	afterEnd    = extendedEnd + 1000
)

// Calls measures each call of the core by itself, on reservations of two tickets in each of three pools. A round makes
// a number of new ones, and passes over all of them with each call in turn: a call finds its reservation prefetched, as
// in a batch, but in no near cache, as if it had been made minutes before.
type Calls struct {
	inventory *inventory.Inventory
	crowd     *Crowd
	names     Names
	per       int
	rounds    uint64
	made      Plan // reservations of the round
	others    Plan // those that replace them
	late      Plan // those that expire
}

// NewCalls makes the calls in a core in which the accounts with these names exist. A round makes per reservations of
// each kind, at most as many as there are accounts.
func NewCalls(c *Core, names Names, accounts, per int) *Calls {
	return &Calls{inventory: c.inventory, crowd: NewCrowd(accounts, CorePools+1, Spread), names: names, per: per}
}

// call is a call that each reservation of a pass gets.
type call struct {
	name   string
	plans  []*Plan // of the reservations that it needs
	one    func(w *worker, i int) inventory.Result
	before func() error // makes what the pass needs; may be nil
}

// Contestants returns the calls, each with its own cost. A round measures each once, in this order.
func (s *Calls) Contestants() []Contestant {
	made, others, late := &s.made, &s.others, &s.late
	calls := []call{
		{name: "reserve", plans: []*Plan{made}, before: s.begin,
			one: func(w *worker, i int) inventory.Result { return w.v.Reserve(w.requestFor(made, i)) }},
		{name: "extend", plans: []*Plan{made},
			one: func(w *worker, i int) inventory.Result {
				return w.v.Extend(w.found(made, i, cycleNow), cycleNow, extendedEnd)
			}},
		{name: "replace", plans: []*Plan{others, made},
			one: func(w *worker, i int) inventory.Result {
				q := w.requestFor(others, i)
				q.Flags = inventory.FlagReplaces
				return w.v.Replace(q, w.found(made, i, cycleNow))
			}},
		{name: "reduce", plans: []*Plan{others},
			one: func(w *worker, i int) inventory.Result {
				return w.v.Reduce(w.found(others, i, cycleNow), cycleNow, w.lines(others, i, 1))
			}},
		{name: "confirm", plans: []*Plan{others},
			one: func(w *worker, i int) inventory.Result {
				return w.v.Confirm(w.v.Find(others.cycles[i].id), cycleNow, "", nil)
			}},
		{name: "return", plans: []*Plan{others},
			one: func(w *worker, i int) inventory.Result {
				return w.v.Return(w.found(others, i, cycleNow), cycleNow, "", false)
			}},
		{name: "confirm_again", plans: []*Plan{late}, before: s.expireLate,
			one: func(w *worker, i int) inventory.Result {
				return w.v.ConfirmAgain(w.requestFor(late, i), w.found(late, i, afterEnd), afterEnd, "")
			}},
	}
	contestants := make([]Contestant, len(calls))
	for i := range calls {
		contestants[i] = s.contestant(&calls[i])
	}
	return contestants
}

func (s *Calls) contestant(c *call) Contestant {
	total := &Cost{}
	return Contestant{Name: "call=" + c.name, Cost: total, Measure: func() (int, time.Duration, error) {
		if c.before != nil {
			if err := c.before(); err != nil {
				return 0, 0, err
			}
		}
		cost, err := s.pass(c)
		total.Add(cost)
		return s.per, cost.Took, err
	}}
}

// begin prepares the reservations of the next round. All three kinds have the same accounts.
func (s *Calls) begin() error {
	first := s.rounds * uint64(s.per)
	for kind, p := range []*Plan{&s.made, &s.others, &s.late} {
		*p = *NewPlan(s.crowd, s.names, first+uint64(kind*s.crowd.accounts)<<20, s.per, 3)
	}
	s.rounds++
	return nil
}

// expireLate makes the reservations that are confirmed too late.
func (s *Calls) expireLate() error {
	late := &s.late
	reserve := call{name: "reserve", plans: []*Plan{late},
		one: func(w *worker, i int) inventory.Result { return w.v.Reserve(w.requestFor(late, i)) }}
	expire := call{name: "expire", plans: []*Plan{late},
		one: func(w *worker, i int) (res inventory.Result) {
			if !w.v.Expire(w.v.Find(late.cycles[i].id), afterEnd) {
				res.Verdict = inventory.NotFound
			}
			return res
		}}
	if _, err := s.pass(&reserve); err != nil {
		return err
	}
	_, err := s.pass(&expire)
	return err
}

// pass makes the call once for each reservation of its plans.
func (s *Calls) pass(c *call) (Cost, error) {
	return together(s.per, func(from, to int) error {
		w := worker{v: s.inventory, request: inventory.Request{Created: cycleNow, Expires: cycleEnd}}
		for i := from; i < to; i++ {
			for _, p := range c.plans {
				prefetchFor(s.inventory, p.cycles[:to], i)
			}
			call := s.inventory.Begin(uint32(i))
			res := c.one(&w, i)
			call.End()
			if res.Verdict != inventory.Done {
				return fmt.Errorf("the call %s got the verdict %d", c.name, res.Verdict)
			}
		}
		return nil
	})
}

// prefetchFor prefetches for the cycles after the i-th. Core.run does the same in line: the call takes one percent of a
// cycle there.
func prefetchFor(v *inventory.Inventory, cycles []cycle, i int) {
	if ahead := i + 2*prefetchAhead; ahead < len(cycles) {
		v.PrefetchIndex(&cycles[ahead].id, cycles[ahead].account)
	}
	if ahead := i + prefetchAhead; ahead < len(cycles) {
		v.PrefetchRows(&cycles[ahead].id, cycles[ahead].account)
	}
}

// worker has what one goroutine uses for all its calls.
type worker struct {
	v       *inventory.Inventory
	request inventory.Request
	wait    inventory.Wait
	room    [3]inventory.Line
}

// lines returns a number of tickets of each pool of a cycle.
func (w *worker) lines(p *Plan, i int, quantity uint32) []inventory.Line {
	for line, pool := range p.cycles[i].pools {
		w.room[line] = inventory.Line{Pool: pool, Quantity: quantity}
	}
	return w.room[:]
}

func (w *worker) requestFor(p *Plan, i int) *inventory.Request {
	w.request.ID, w.request.Account, w.request.Lines = p.cycles[i].id, p.cycles[i].account, w.lines(p, i, 2)
	return &w.request
}

func (w *worker) found(p *Plan, i int, now int64) inventory.Decided {
	w.wait = inventory.Wait{}
	// The call that gets it is not done if the state is not the right one.
	found, _ := w.v.Decide(w.v.Find(p.cycles[i].id), now, &w.wait)
	return found
}
