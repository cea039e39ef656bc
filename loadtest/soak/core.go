package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
)

// core is an inventory with the background work that an engine has.
type core struct {
	v       *inventory.Inventory
	clock   *clock
	reclaim *inventory.Reclaimer
	sweep   *inventory.Sweep
	counter *census.Census
	lock    sync.Mutex // of the sweep
	sellers uint32
	forgets int64 // ms after its end what has ended is forgotten

	over       atomic.Bool
	background sync.WaitGroup
}

// coreFlag tells packs from other holds, so that a repeat with another shape is noticed.
const coreFlag = 1

func openCore(p plan, clock *clock) (sale, error) {
	c := inventory.Config{Caps: []int{accountCap}, MaxReservations: p.rows, MaxAccounts: p.rows,
		Pause: func(w inventory.Wait) (inventory.Wait, bool) { runtime.Gosched(); return w, true }}
	for i := range sessions {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: sessionLimit})
		for range categories {
			c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(i), Units: uint32(p.placesOf(i))})
		}
	}
	v, err := inventory.New(c)
	if err != nil {
		return nil, err
	}
	return &core{v: v, clock: clock, reclaim: v.NewReclaimer(), sweep: v.NewSweep(), counter: census.New(v),
		forgets: remembered}, nil
}

// start begins the background work.
func (s *core) start() {
	s.background.Go(func() { s.every(s.reclaimNow) })
	s.background.Go(func() { s.every(func() bool { s.settle(); return false }) })
}

// every does something again and again: at once while there is more to do.
func (s *core) every(do func() (more bool)) {
	for !s.over.Load() {
		if !do() {
			time.Sleep(time.Millisecond)
		}
	}
}

func (s *core) terms() inventory.Terms { return inventory.Terms{Before: s.clock.now() - s.forgets} }

func (s *core) reclaimNow() bool { return s.reclaim.Step(s.terms()) }

func (s *core) settle() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.sweep.Expire(s.clock.now(), 1<<30)
}

func (s *core) stock(pool int) inventory.Stock { return s.v.Stock(pool) }

func (s *core) census() (int, error) {
	rest := func() bool { runtime.Gosched(); return true }
	found, _ := s.counter.Pools(rest)
	ledgers, _ := s.counter.Ledgers(rest, nil)
	return found.Difference + ledgers.Excess, nil
}

func (s *core) usage() usage {
	fills := s.v.Fills()
	return usage{rows: fills[0].Used, accounts: fills[1].Used, freed: s.reclaim.Freed()}
}

// forget stops the background work and does the rest of it.
func (s *core) forget() (accounts bool, err error) {
	s.stop()
	s.settle()
	s.reclaim.FreeAll(s.terms())
	return true, nil
}

func (s *core) stop() {
	s.over.Store(true)
	s.background.Wait()
}

func (s *core) close() error {
	s.stop()
	return nil
}

func (s *core) seller() seller {
	s.sellers++
	return &coreSeller{core: s, spread: s.sellers}
}

// coreSeller makes calls of the core as an engine does.
type coreSeller struct {
	*core
	spread   uint32
	request  inventory.Request
	snapshot inventory.Snapshot
}

// verdicts are the answers of verdicts that every call may give.
var verdicts = [...]answer{inventory.Done: done, inventory.AlreadyDone: repeated, inventory.NotFound: notFound,
	inventory.SessionLimitExceeded: overLimit, inventory.AccountCapExceeded: overCap, inventory.SoldOut: soldOut,
	inventory.WasConfirmed: wasConfirmed, inventory.WasReleased: wasReleased, inventory.WasReturned: wasReturned,
	inventory.WasExpired: wasExpired, inventory.Known: unforeseen, inventory.Moved: unforeseen,
	inventory.Overloaded: overloaded, inventory.Full: full}

// states are the answers about a reservation that is in the state.
var states = map[inventory.State]answer{inventory.Held: wasHeld, inventory.Confirmed: wasConfirmed,
	inventory.Released: wasReleased, inventory.Returned: wasReturned, inventory.Expired: wasExpired}

func (s *coreSeller) fill(o *demand, now int64) *inventory.Request {
	s.request = inventory.Request{ID: o.id, Account: o.account, Lines: o.lines, Created: now, Expires: now + o.ttl}
	if o.pack {
		s.request.Flags = coreFlag
	}
	return &s.request
}

func (s *coreSeller) prefetch(id inventory.ID) { s.v.PrefetchIndex(&id, "") }

func (s *coreSeller) reserve(o *demand) (answer, int64) {
	defer s.v.Begin(s.spread).End()
	now := s.clock.now()
	q := s.fill(o, now)
	for {
		var res inventory.Result
		if o.replaces == (inventory.ID{}) {
			res = s.v.Reserve(q)
		} else {
			q.Flags |= inventory.FlagReplaces
			old, a := s.find(o.replaces, now)
			if a != wasHeld {
				return a, 0
			}
			res = s.v.Replace(q, old)
		}
		if res.Verdict != inventory.Known {
			return verdicts[res.Verdict], q.Expires
		}
		if a, known := s.repeat(res.Row, o, now); known {
			return a, s.snapshot.ExpiresMs
		}
	}
}

// repeat answers a request whose id has a row; not known while that is undecided, or after it was forgotten.
func (s *coreSeller) repeat(row uint32, o *demand, now int64) (a answer, known bool) {
	found, verdict := s.v.Decide(row, now, &inventory.Wait{})
	if verdict != inventory.Done {
		return 0, false
	}
	s.v.ReadAs(found, &s.snapshot)
	had := &s.snapshot
	if had.Account != o.account || had.Flags&coreFlag != s.request.Flags&coreFlag || !sameLines(had.Lines, o.lines) {
		return otherContent, true
	}
	if found.State == inventory.Held || found.State == inventory.Confirmed {
		return repeated, true
	}
	return states[found.State], true
}

// find returns the reservation with the id, as it is now.
func (s *coreSeller) find(id inventory.ID, now int64) (inventory.Decided, answer) {
	row := s.v.Find(id)
	if row == 0 {
		return inventory.Decided{}, notFound
	}
	found, verdict := s.v.Decide(row, now, &inventory.Wait{})
	if verdict != inventory.Done {
		return found, verdicts[verdict]
	}
	return found, states[found.State]
}

func (s *coreSeller) confirm(id inventory.ID, reference string) answer {
	defer s.v.Begin(s.spread).End()
	return verdicts[s.v.Confirm(s.v.Find(id), s.clock.now(), reference, nil).Verdict]
}

func (s *coreSeller) release(id inventory.ID) answer {
	defer s.v.Begin(s.spread).End()
	return verdicts[s.v.Release(s.v.Find(id), s.clock.now(), nil).Verdict]
}

// change makes a change of a reservation that is in the state, until no other caller comes first.
func (s *coreSeller) change(id inventory.ID, state answer, do func(found inventory.Decided, now int64) inventory.Result,
) answer {
	defer s.v.Begin(s.spread).End()
	for {
		now := s.clock.now()
		found, a := s.find(id, now)
		if a != state {
			return a
		}
		if res := do(found, now); res.Verdict != inventory.Moved {
			return verdicts[res.Verdict]
		}
	}
}

func (s *coreSeller) confirmAgain(o *demand, reference string) answer {
	return s.change(o.id, wasExpired, func(found inventory.Decided, now int64) inventory.Result {
		q := s.fill(o, now)
		return s.v.ConfirmAgain(q, found, now, reference)
	})
}

func (s *coreSeller) giveBack(id inventory.ID) answer {
	return s.change(id, wasConfirmed, func(found inventory.Decided, now int64) inventory.Result {
		return s.v.Return(found, now, "", false)
	})
}

func (s *coreSeller) extend(id inventory.ID, expires int64) answer {
	return s.change(id, wasHeld, func(found inventory.Decided, now int64) inventory.Result {
		return s.v.Extend(found, now, expires)
	})
}

func (s *coreSeller) reduce(id inventory.ID, keep []inventory.Line) answer {
	state := wasHeld
	defer s.v.Begin(s.spread).End()
	if _, a := s.find(id, s.clock.now()); a == wasConfirmed {
		state = a
	}
	return s.change(id, state, func(found inventory.Decided, now int64) inventory.Result {
		return s.v.Reduce(found, now, keep)
	})
}

func (s *coreSeller) read(id inventory.ID, to *facts) answer {
	defer s.v.Begin(s.spread).End()
	found, a := s.find(id, s.clock.now())
	if found.Row == 0 || a == overloaded {
		return a
	}
	s.v.ReadAs(found, &s.snapshot)
	to.state, to.account, to.expires = s.snapshot.State, s.snapshot.Account, s.snapshot.ExpiresMs
	to.lines, to.reference = s.snapshot.Lines, s.snapshot.Reference
	return done
}
