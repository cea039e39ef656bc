package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// A cell is three sessions with few seats and three accounts with low caps. Each history has its own cell, so that one
// engine serves hundreds of histories in turn.
const cells = 500

func cellSession(cell, i int) string { return fmt.Sprintf("C%d-%c", cell, 'X'+i) }

func cellAccount(cell, i int) string { return fmt.Sprintf("account-%d-%d", cell, i) }

// cellSale returns a sale of cells with packs of two sessions.
func cellSale(t testing.TB, cells int) *catalog.Sale {
	forever := saleStart.Add(1000 * 24 * time.Hour)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 5, SessionLimit: 3}},
		Phases: []spec.DefinedPhase{
			{ID: "singles", Programme: "games", OpensAt: saleStart, ClosesAt: forever},
			{ID: "packs", Programme: "games", PackSessions: 2, OpensAt: saleStart, ClosesAt: forever},
		},
	}
	for cell := range cells {
		for i := range 3 {
			d.Sessions = append(d.Sessions, spec.DefinedSession{ID: cellSession(cell, i), Programme: "games",
				Places: []int{2 + i%2, 2}})
		}
	}
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// histories runs concurrent callers, records their answers, and checks them.
type histories struct {
	testing.TB
	random *rand.Rand
	sale   *catalog.Sale
	system *seller
	start  *spec.Model
	next   int // cell

	calls, overloaded, refused, raced int
	judging                           time.Duration
}

// I7, which includes I2, I3, I4 and I9: Thousands of short histories are linearizable. They mix packs that are short of
// different sessions, single tickets, caps, one id sent by several callers at once, confirm against release against
// expiry, and reads of reservations and accounts.
func TestLinearizable(t *testing.T) {
	for _, c := range []struct {
		name string
		open func() func() (journal.Backend, error)
		n    int
	}{
		{"journal=none", func() func() (journal.Backend, error) { return nil }, 3000},
		{"journal=memory", func() func() (journal.Backend, error) {
			kept := newStore()
			return func() (journal.Backend, error) { return kept.open(), nil }
		}, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			// With more threads than processors, the system preempts a caller at any instruction.
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
			h := &histories{TB: t, random: seeded(t), sale: cellSale(t, cells), next: cells}
			h.start = spec.New(&spec.Rules{Sale: h.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
			n := rounds(t, c.n)
			for range n {
				if h.next == cells {
					h.restart(c.open())
				}
				h.one()
				h.next++
			}
			require.NoError(t, h.system.e.Close())
			t.Logf("%d histories, %d calls, %d of them concurrent, %d refused, %d overloaded; judged in %v", n, h.calls,
				h.raced,
				h.refused, h.overloaded, h.judging.Round(time.Millisecond))
			require.LessOrEqual(t, h.overloaded, h.calls/1000, "only callers that wait for a preempted thread")
			require.Greater(t, h.refused, h.calls/10)
		})
	}
}

// I7: A repeat whose instant is past the end of the hold is never answered as held, also while the first request, whose
// instant is earlier, is still being decided.
func TestLinearizableRepeatPastTheEnd(t *testing.T) {
	s := newSeller(cellSale(t, 1), nil)
	s.clock.set(saleStart)
	var reading atomic.Pointer[chan struct{}] // closed when the clock is read
	s.options.Clock = saleclock.Virtual(func() time.Time {
		at := s.clock.now()
		if read := reading.Swap(nil); read != nil {
			close(*read)
		}
		return at
	})
	require.NoError(t, s.start())
	late, n := 0, rounds(t, 5000)
	for i := range n {
		q := engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", i), Phase: "packs", TTL: time.Second,
			Lines: []engine.Line{{Session: cellSession(0, 0), Category: "A", Quantity: 1},
				{Session: cellSession(0, 1), Category: "A", Quantity: 1}}}
		read := make(chan struct{})
		reading.Store(&read)
		var first sync.WaitGroup
		first.Go(func() {
			var r engine.Reservation
			if err := s.e.Reserve(t.Context(), &q, &r); err != nil {
				t.Error(err)
			}
		})
		<-read
		s.clock.ms.Add(2000)
		var r engine.Reservation
		if codeOf(t, s.e.Reserve(t.Context(), &q, &r)) == "" {
			require.Truef(t, s.clock.now().Before(r.ExpiresAt), "at %v it is held until %v", s.clock.now(), r.ExpiresAt)
		} else {
			late++
		}
		first.Wait()
		s.clock.ms.Add(2000)
		s.e.ExpireDue()
	}
	require.NoError(t, s.e.Close())
	t.Logf("%d pairs, in %d of which the second caller met the first one's hold", n, late)
	require.Positive(t, late)
}

func (h *histories) restart(open func() (journal.Backend, error)) {
	if h.system != nil {
		require.NoError(h, h.system.e.Close())
	}
	h.system = newSeller(h.sale, open)
	h.system.clock.set(saleStart)
	require.NoError(h, h.system.start())
	h.next = 0
}

// one runs and checks one history.
func (h *histories) one() {
	callers := 3 + h.random.IntN(4)
	each := 4 + h.random.IntN(4)
	seeds := make([]uint64, callers)
	for i := range seeds {
		seeds[i] = h.random.Uint64()
	}
	var ticks atomic.Int64
	var all sync.WaitGroup
	begin := make(chan struct{})
	answered := make([][]porcupine.Operation, callers)
	for i := range callers {
		all.Go(func() {
			c := caller{histories: h, random: rand.New(rand.NewPCG(seeds[i], 0)), number: i, cell: h.next}
			<-begin
			for range each {
				if c.random.IntN(12) == 0 {
					c.moveTime()
					continue
				}
				answered[i] = append(answered[i], c.calls(&ticks)...)
			}
		})
	}
	close(begin)
	all.Wait()
	var history []porcupine.Operation
	for _, of := range answered {
		history = append(history, of...)
	}
	h.count(history)
	h.judge(spec.History{Start: h.start}, history)
}

func (h *histories) count(history []porcupine.Operation) {
	h.calls += len(history)
	for i := range history {
		a := history[i].Output.(spec.Answer)
		if a.Code == spec.Overloaded {
			h.overloaded++
		} else if !a.OK() {
			h.refused++
		}
		for j := range history {
			if i != j && history[i].Call < history[j].Return && history[j].Call < history[i].Return {
				h.raced++
				break
			}
		}
	}
}

// judge fails the test, with a page that shows the history, unless it is linearizable.
func (h *histories) judge(by spec.History, history []porcupine.Operation) {
	began := time.Now()
	result, info := by.Check(history, time.Minute)
	h.judging += time.Since(began)
	if result == porcupine.Ok {
		return
	}
	dir, err := os.MkdirTemp("", "seathold-history-")
	require.NoError(h, err)
	page := filepath.Join(dir, "history.html")
	require.NoError(h, porcupine.VisualizePath(by.Model(), info, page))
	for _, o := range history {
		h.Logf("%3d to %3d by %d: %s → %s", o.Call, o.Return, o.ClientId, o.Input.(spec.Call), o.Output.(spec.Answer))
	}
	require.Equal(h, porcupine.Ok, result, "see %s", page)
}

// caller is one goroutine of a history.
type caller struct {
	*histories
	random *rand.Rand
	number int
	cell   int
	r      engine.Reservation
}

// calls makes one random call, or several as a batch. Those of a batch are concurrent in the history.
func (c *caller) calls(ticks *atomic.Int64) []porcupine.Operation {
	if c.random.IntN(12) != 0 {
		return []porcupine.Operation{c.call(ticks)}
	}
	kinds := map[spec.Kind]engine.OpKind{spec.Reserve: engine.OpReserve, spec.Confirm: engine.OpConfirm,
		spec.Release: engine.OpRelease}
	at, began := c.system.clock.now(), ticks.Add(1)
	var ops []spec.Operation
	var batch []engine.Op
	for len(batch) < 2 {
		op := c.draw()
		if kind, ok := kinds[op.Kind]; ok {
			op.At = at
			ops = append(ops, op)
			batch = append(batch, engine.Op{Kind: kind, Request: request(op), ID: uuid.MustParse(op.ID),
				Reference: op.Reference})
		}
	}
	c.system.e.Batch(context.Background(), batch)
	ended, until := ticks.Add(1), c.system.clock.now()
	var answered []porcupine.Operation
	for i := range batch {
		answered = append(answered, porcupine.Operation{ClientId: 10*c.number + i, Input: spec.Call{Operation: ops[i],
			Until: until}, Call: began,
			Output: answer(ops[i], &batch[i].Result, batch[i].Err), Return: ended})
	}
	return answered
}

// call makes one random call.
func (c *caller) call(ticks *atomic.Int64) porcupine.Operation {
	return c.record(c.draw(), ticks)
}

// record makes a call and returns it with its answer, its times, and the interval of the sale clock that it ran in.
func (c *caller) record(op spec.Operation, ticks *atomic.Int64) porcupine.Operation {
	op.At = c.system.clock.now()
	began := ticks.Add(1)
	a := c.system.call(op, &c.r)
	ended := ticks.Add(1)
	return porcupine.Operation{ClientId: c.number, Input: spec.Call{Operation: op, Until: c.system.clock.now()},
		Call: began, Output: a, Return: ended}
}

func (c *caller) draw() spec.Operation {
	// Six ids for all callers: most are used by several of them, some with other content.
	id := c.random.IntN(6)
	op := spec.Operation{ID: spec.IDOf(fmt.Sprintf("%d-%d", c.cell, id)), Account: cellAccount(c.cell, c.random.IntN(3))}
	switch n := c.random.IntN(20); {
	case n < 10:
		op.Kind = spec.Reserve
		if c.random.IntN(4) != 0 {
			op.Account = cellAccount(c.cell, id%3) // so that an id mostly has the same content
		}
		c.drawLines(&op, id)
		if c.random.IntN(3) == 0 {
			op.TTL = time.Second
		}
	case n < 13:
		op.Kind, op.Account = spec.Confirm, ""
	case n < 16:
		op.Kind, op.Account = spec.Release, ""
	case n < 18:
		op.Kind, op.Account = spec.ReadReservation, ""
	default:
		op.Kind, op.ID = spec.ReadAccount, ""
	}
	return op
}

func (c *caller) drawLines(op *spec.Operation, id int) {
	first, quantity := id%3, 1+id%2
	if c.random.IntN(4) == 0 {
		first, quantity = c.random.IntN(3), 1+c.random.IntN(3)
	}
	line := func(i int, category string) spec.Line {
		return spec.Line{Session: cellSession(c.cell, (first+i)%3), Category: category, Quantity: quantity}
	}
	switch id / 2 {
	case 0:
		op.Phase, op.Lines = "singles", []spec.Line{line(0, "A")}
	case 1:
		op.Phase, op.Lines = "packs", []spec.Line{line(0, "A"), line(1, "A")}
	default:
		op.Phase, op.Lines = "packs", []spec.Line{line(1, "A"), line(0, "A"), line(0, "B")}
	}
}

// moveTime advances the sale clock, or ends expired holds. Neither is part of the history: a call has the interval of
// time that it ran in, and an expiry may happen at any instant.
func (c *caller) moveTime() {
	if c.random.IntN(2) == 0 {
		c.system.clock.ms.Add(int64(c.random.IntN(1200)))
		return
	}
	c.system.e.ExpireDue()
}
