package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// crashing is one history with a crash. The answers before the crash must agree with those after it.
type crashing struct {
	*histories
	cell    int
	kept    *store
	next    *memory // the journal of the life after the crash
	dying   sync.Once
	ticks   atomic.Int64
	crashed atomic.Int64 // tick of the crash; no caller received a later answer
	history []porcupine.Operation
	rescue  func() // called between the crash and Close; nil: only the journal survives
}

// I5: Concurrent callers run while the process crashes before or after a sync, and loses everything that was not
// synced. No answer and no read has shown an outcome that is lost: one order of operations explains all answers before
// and after the crash. In that order an unanswered call took effect or did not. Only refusals for lack of stock or room
// may depend on a lost outcome.
func TestCrashKeepsAcknowledgedOutcomes(t *testing.T) {
	h := &histories{TB: t, random: seeded(t), sale: cellSale(t, 2)}
	h.start = spec.New(&spec.Rules{Sale: h.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	unanswered, n := 0, rounds(t, 400)
	for range n {
		c := &crashing{histories: h, cell: h.random.IntN(2), kept: newStore()}
		unanswered += c.run()
	}
	t.Logf("%d crashes, %d calls, %d of them concurrent, %d unanswered; judged in %v", n, h.calls, h.raced, unanswered,
		h.judging)
	require.Greater(t, unanswered, n/2)
	requireChanges(t, &h.answers)
}

func (c *crashing) run() (unanswered int) {
	c.dieAtGroup(2+c.random.IntN(12), c.random.IntN(2) == 0)
	c.system = newSeller(c.sale, func() (journal.Backend, error) { return c.kept.open(), nil })
	c.system.clock.set(saleStart)
	require.NoError(c, c.system.start())
	c.callers(4, 8)
	if c.crashed.Load() == 0 {
		c.die()
	}
	if c.rescue != nil {
		c.rescue()
	}
	if err := c.system.e.Close(); err != nil {
		require.ErrorIs(c, err, errCrashed)
	}
	unanswered = c.forget()
	c.system.open = func() (journal.Backend, error) { return c.next, nil }
	nothing := func(context.Context, journal.Group) error { return nil }
	c.kept.before, c.kept.after = nothing, nothing
	require.NoError(c, c.system.start())
	c.readAll()
	c.callers(2, 4)
	require.NoError(c, c.system.e.Close())
	verify(c, c.kept.open(), c.sale)
	c.count(c.history)
	c.judge(spec.History{Start: c.start, Crashed: true}, c.history)
	return unanswered
}

// I5, I6: The journal fails for good during concurrent calls and its storage is gone. What Rescue writes out of memory
// has every acknowledged outcome, replays as a journal, and nothing that was acknowledged contradicts it.
func TestRescueKeepsAcknowledgedOutcomes(t *testing.T) {
	h := &histories{TB: t, random: seeded(t), sale: cellSale(t, 2)}
	h.start = spec.New(&spec.Rules{Sale: h.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	unanswered, rescued, n := 0, 0, rounds(t, 400)
	for range n {
		c := &crashing{histories: h, cell: h.random.IntN(2), kept: newStore()}
		c.rescue = func() { rescued += c.saveState() }
		unanswered += c.run()
	}
	t.Logf("%d failures, %d with a rescue: %d calls, %d of them concurrent, %d unanswered; judged in %v", n, rescued,
		h.calls, h.raced, unanswered, h.judging)
	require.Greater(t, rescued, n/5)
	require.Greater(t, unanswered, n/2)
	requireChanges(t, &h.answers)
}

// saveState puts the state out of memory in the place of the journal, if that has failed.
func (c *crashing) saveState() (rescued int) {
	saved := newStore()
	next := saved.open()
	_, err := c.system.e.Rescue(c.Context(), func(last uint64) (journal.Checkpoint, error) {
		return next.Checkpoint(c.Context(), last)
	})
	if errors.Is(err, engine.ErrJournalWorks) {
		require.Empty(c, saved.checkpoints)
		return 0
	}
	require.NoError(c, err)
	require.Len(c, saved.checkpoints, 1)
	c.kept, c.next = saved, next
	return 1
}

// dieAtGroup makes the process crash at the n-th group, before or after the group becomes durable. Until then syncs are
// slow.
func (c *crashing) dieAtGroup(n int, durable bool) {
	slow := rand.New(rand.NewPCG(c.random.Uint64(), 0)) // used by the writer only
	c.kept.before = func(context.Context, journal.Group) error {
		for range slow.IntN(60) {
			runtime.Gosched()
		}
		if n--; n == 0 && !durable {
			c.die()
		}
		return nil
	}
	c.kept.after = func(context.Context, journal.Group) error {
		if n != 0 || !durable {
			return nil
		}
		c.die()
		return errCrashed
	}
}

// die begins the next life. From here on appends of this one have no effect. When the calls are over, the writer may
// still be at a group that no call awaits, and die at the same time: once is enough.
func (c *crashing) die() {
	c.dying.Do(func() {
		c.next = c.kept.open()
		c.crashed.Store(c.ticks.Add(1))
	})
}

// callers runs n concurrent callers and records their answers.
func (c *crashing) callers(n, calls int) {
	var all sync.WaitGroup
	answered := make([][]porcupine.Operation, n)
	for i := range n {
		caller := caller{histories: c.histories, random: rand.New(rand.NewPCG(c.random.Uint64(), 0)), number: i,
			cell: c.cell}
		all.Go(func() {
			for range calls {
				if caller.random.IntN(12) == 0 {
					caller.moveTime()
				} else {
					answered[i] = append(answered[i], caller.calls(&c.ticks)...)
				}
			}
		})
	}
	all.Wait()
	c.history = append(c.history, slices.Concat(answered...)...)
}

// forget removes the answers that came after the crash and the calls that began after it. It returns how many calls are
// unanswered.
func (c *crashing) forget() int {
	at, unanswered := c.crashed.Load(), 0
	var kept []porcupine.Operation
	for _, o := range c.history {
		if o.Call > at {
			continue
		}
		if o.Return > at {
			o.Return, o.Output = at, spec.Answer{Refusal: spec.Refusal{Code: spec.Unknown}}
		}
		if o.Output.(spec.Answer).Code == spec.Unknown {
			o.Return = at
			unanswered++
		}
		kept = append(kept, o)
	}
	c.history = kept
	return unanswered
}

// readAll reads every account and every reservation that any call named.
func (c *crashing) readAll() {
	caller := caller{histories: c.histories, number: 9}
	ops := make(map[string]spec.Operation)
	for _, o := range c.history {
		if id := o.Input.(spec.Call).ID; id != "" {
			ops[id] = spec.Operation{Kind: spec.ReadReservation, ID: id}
		}
	}
	for i := range 3 {
		account := cellAccount(c.cell, i)
		ops[account] = spec.Operation{Kind: spec.ReadAccount, Account: account}
	}
	for _, op := range ops {
		c.history = append(c.history, caller.record(op, &c.ticks))
	}
}

// I6: A journal that is cut after any group opens, with the checkpoints written before, and its reads return what they
// returned when that group was the last: every acknowledged outcome, and no other.
func TestEveryPrefixOpens(t *testing.T) {
	random := seeded(t)
	var answers spec.Tally
	prefixes, n := 0, rounds(t, 2)
	for range n {
		prefixes += openEveryPrefix(t, random, &answers)
	}
	t.Logf("%d journals with %d prefixes", n, prefixes)
	requireChanges(t, &answers)
}

// openEveryPrefix fills one journal and opens its prefixes. It returns how many they are.
func openEveryPrefix(t *testing.T, random *rand.Rand, answers *spec.Tally) int {
	const used, each = 30, 30 // cells, and calls in each
	sale := cellSale(t, used)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	model := spec.New(&spec.Rules{Sale: sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	after := map[int]*spec.Model{len(kept.groups): model.Clone()} // by groups that were durable
	caller := caller{histories: &histories{TB: t, system: s}, random: random}
	for i := range used * each {
		caller.cell = i / each
		if random.IntN(4) == 0 {
			s.clock.ms.Add(900)
		}
		if random.IntN(60) == 0 {
			_, err := s.e.Checkpoint(t.Context())
			require.NoError(t, err)
		}
		op := caller.draw()
		op.At = s.clock.now()
		want := model.Do(op)
		answers.Add(op, want)
		caller.learn(op, want)
		require.Empty(t, want.Diff(s.call(op, &caller.r)), "%s", op)
		after[len(kept.groups)] = model.Clone()
	}
	require.NoError(t, s.e.Close())
	groups, checkpoints := slices.Clone(kept.groups), slices.Clone(kept.checkpoints)
	for n, model := range after {
		kept := newStore()
		kept.groups = slices.Clone(groups[:n])
		for _, c := range checkpoints {
			if c.info.End <= groups[n-1].Last() {
				kept.checkpoints = append(kept.checkpoints, c)
			}
		}
		verify(t, kept.open(), sale)
		again := sellerOn(sale, kept)
		again.clock = s.clock
		again.options.Clock = saleclock.Virtual(s.clock.now)
		require.NoError(t, again.start())
		at := s.clock.now()
		ops := []spec.Operation{{Kind: spec.ReadStock, At: at}}
		for caller.cell = range used {
			for i := range 3 {
				ops = append(ops, spec.Operation{Kind: spec.ReadAccount, Account: cellAccount(caller.cell, i), At: at})
			}
			for i := range idsOfCell {
				ops = append(ops, spec.Operation{Kind: spec.ReadReservation, ID: caller.idOf(i), At: at})
			}
		}
		for _, op := range append(ops, ops[0]) {
			require.Empty(t, model.Do(op).Diff(again.call(op, &caller.r)), "%s after group %d", op, n)
		}
		require.NoError(t, again.e.Close())
	}
	return len(after)
}

// Released and expired reservations are forgotten at the first start long enough after their end, if there is a
// checkpoint. Confirmed and held ones are not. A forgotten id is free again.
func TestForgetting(t *testing.T) {
	sale := cellSale(t, 1)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	ids := map[string]uuid.UUID{}
	for i, name := range []string{"released", "confirmed", "expired"} {
		ids[name] = uuid.MustParse(spec.IDOf(name))
		q := engine.Request{ID: ids[name], Account: cellAccount(0, i), Phase: "singles",
			Lines: []engine.Line{{Session: cellSession(0, i), Category: "A", Quantity: 1}}}
		require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
	}
	require.NoError(t, s.e.Release(t.Context(), ids["released"], &r))
	require.NoError(t, s.e.Confirm(t.Context(), ids["confirmed"], "", &r))
	known := func(name string) engine.Code { return codeOf(t, s.e.Reservation(t.Context(), ids[name], &r)) }
	restart := func() {
		require.Empty(t, known("released"))
		_, err := s.e.Checkpoint(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Restart())
	}
	s.clock.set(r.ExpiresAt)
	require.Equal(t, 1, s.e.ExpireDue())
	restart()
	require.Empty(t, known("expired"), "it expired less than a day ago")
	s.clock.set(r.ExpiresAt.Add(24*60*60*1e9 + 1e6))
	restart()
	require.Equal(t, engine.ReservationNotFound, known("released"))
	require.Equal(t, engine.ReservationNotFound, known("expired"))
	require.Empty(t, known("confirmed"))
	q := engine.Request{ID: ids["released"], Account: cellAccount(0, 2), Phase: "singles",
		Lines: []engine.Line{{Session: cellSession(0, 1), Category: "B", Quantity: 2}}}
	require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
	require.NoError(t, s.e.Confirm(t.Context(), ids["released"], "", &r))
	second := func() {
		require.Empty(t, known("released"))
		require.Equal(t, engine.Confirmed, r.State)
		require.Equal(t, cellAccount(0, 2), r.Account)
		require.Equal(t, 2, s.e.Stock(3).Sold)
	}
	require.NoError(t, s.Restart())
	second()
	// The newest checkpoint is lost. The one before still has the id's first reservation (I5).
	require.Len(t, kept.checkpoints, 2)
	kept.checkpoints = kept.checkpoints[:1]
	require.NoError(t, s.Restart())
	second()
	restart()
	second()
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), sale)
	kept.checkpoints = kept.checkpoints[:1]
	verify(t, kept.open(), sale)
}

// An Open whose context is cancelled during recovery leaves no goroutine running, which TestMain checks.
func TestCancelledOpen(t *testing.T) {
	sale := cellSale(t, 1)
	for range 20 {
		kept := newStore()
		ctx, cancel := context.WithCancel(t.Context())
		kept.before = func(context.Context, journal.Group) error { cancel(); return nil }
		s := sellerOn(sale, kept)
		if err := s.startIn(ctx); err == nil {
			require.NoError(t, s.e.Close())
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
}

// A sale may lack what the journal's reservations name: that keeps its number and its stock, and is sold no more. One
// that has fewer places than are taken does not start, and the error names them.
func TestSaleThatShrank(t *testing.T) {
	full := func() spec.Definition {
		return spec.Definition{
			Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 5, SessionLimit: 3}},
			Phases: []spec.DefinedPhase{{ID: "a", Programme: "games", OpensAt: saleStart, ClosesAt: saleStart.AddDate(1, 0, 0)},
				{ID: "b", Programme: "games", OpensAt: saleStart, ClosesAt: saleStart.AddDate(1, 0, 0)}},
			Sessions: []spec.DefinedSession{{ID: "S1", Programme: "games", Places: []int{5, 5}},
				{ID: "S2", Programme: "games", Places: []int{5}}},
		}
	}
	kept := newStore()
	open := func(d spec.Definition) error {
		sale, err := d.Load()
		require.NoError(t, err)
		s := sellerOn(sale, kept)
		s.clock.set(saleStart)
		if err := s.start(); err != nil {
			return err
		}
		var r engine.Reservation
		q := engine.Request{ID: uuid.MustParse(spec.IDOf("r")), Account: "ann", Phase: "b",
			Lines: []engine.Line{{Session: "S1", Category: "B", Quantity: 3}}}
		require.NoError(t, s.e.Reserve(t.Context(), &q, &r), "a repeat, once the journal has it")
		require.NoError(t, s.e.Close())
		return nil
	}
	require.NoError(t, open(full()))
	without := func(change func(d *spec.Definition)) spec.Definition {
		d := full()
		change(&d)
		return d
	}
	require.ErrorContains(t, open(without(func(d *spec.Definition) { d.Sessions[0].Places = []int{5, 2} })),
		"session S1, category B: 3 tickets are taken, so a capacity of 2 less 0 withheld is too low")
	require.NoError(t, open(without(func(d *spec.Definition) { d.Phases = d.Phases[:1] })), "the phase sells nothing")
	require.NoError(t, open(without(func(d *spec.Definition) { d.Sessions[0].Places = []int{5} })), "its pool stays")
	require.NoError(t, open(without(func(d *spec.Definition) { d.Sessions = d.Sessions[1:] })), "the session stays")
	require.NoError(t, open(without(func(d *spec.Definition) { d.Sessions = d.Sessions[:1] })), "S2 has no reservation")
	require.NoError(t, open(without(func(d *spec.Definition) { slices.Reverse(d.Sessions); slices.Reverse(d.Phases) })),
		"in another order")
	require.NoError(t, open(without(func(d *spec.Definition) { d.Sessions[0].Places = []int{1, 3} })), "just enough")
}
