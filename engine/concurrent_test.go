package engine_test

import (
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

// idsOfCell is how many reservations a history has at most.
const idsOfCell = 6

func cellSession(cell, i int) string { return fmt.Sprintf("C%d-%c", cell, 'X'+i) }

func cellAccount(cell, i int) string { return fmt.Sprintf("account-%d-%d", cell, i) }

// cellPhases returns the phases of a cell. The programme of every other cell withholds what is returned.
func cellPhases(cell int) (singles, packs string) {
	return [2]string{"singles", "kept-singles"}[cell%2], [2]string{"packs", "kept-packs"}[cell%2]
}

// cellSale returns the sale of cellDefinition.
func cellSale(t testing.TB, cells int) *catalog.Sale {
	d := cellDefinition(cells)
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// cellDefinition returns a sale of cells with packs of two sessions.
func cellDefinition(cells int) (d spec.Definition) {
	programmes := []string{"games", "kept"}
	for i, id := range programmes[:min(2, cells)] {
		d.Programmes = append(d.Programmes,
			spec.DefinedProgramme{ID: id, AccountCap: 5, SessionLimit: 3, WithholdReturned: i == 1})
		singles, packs := cellPhases(i)
		forever := saleStart.Add(1000 * 24 * time.Hour)
		d.Phases = append(d.Phases,
			spec.DefinedPhase{ID: singles, Programme: id, OpensAt: saleStart, ClosesAt: forever},
			spec.DefinedPhase{ID: packs, Programme: id, PackSessions: 2, OpensAt: saleStart, ClosesAt: forever})
	}
	for cell := range cells {
		for i := range 3 {
			d.Sessions = append(d.Sessions, spec.DefinedSession{ID: cellSession(cell, i), Programme: programmes[cell%2],
				Places: []int{2 + i%2, 2}})
		}
	}
	return d
}

// histories runs concurrent callers, records their answers, and checks them.
type histories struct {
	testing.TB
	random *rand.Rand
	sale   *catalog.Sale
	system *seller
	start  *spec.Model
	next   int // cell

	versions []*catalog.Sale // that may be applied during a history; empty for histories of one sale

	calls, overloaded, refused, raced int
	answers                           spec.Tally
	judging                           time.Duration
}

// I7, which includes I2, I3, I4 and I9: Thousands of short histories are linearizable. They mix packs that are short of
// different sessions, single tickets, caps, one id sent by several callers at once, confirm against release against
// expiry, changes of reservations against all of these, and reads of reservations and accounts.
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
			requireChanges(t, &h.answers)
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
	history, _ := h.play()
	h.count(history)
	h.judge(spec.History{Start: h.start}, history)
}

// play runs the callers of one history. Further calls may follow it with the same ticks.
func (h *histories) play() (history []porcupine.Operation, ticks *atomic.Int64) {
	callers := 3 + h.random.IntN(4)
	each := 4 + h.random.IntN(4)
	seeds := make([]uint64, callers)
	for i := range seeds {
		seeds[i] = h.random.Uint64()
	}
	ticks = &atomic.Int64{}
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
				answered[i] = append(answered[i], c.calls(ticks)...)
			}
		})
	}
	close(begin)
	all.Wait()
	for _, of := range answered {
		history = append(history, of...)
	}
	return history, ticks
}

func (h *histories) count(history []porcupine.Operation) {
	h.calls += len(history)
	for i := range history {
		a := history[i].Output.(spec.Answer)
		h.answers.Add(history[i].Input.(spec.Call).Operation, a)
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
	require.NoError(h, by.Visualize(history, info, page))
	for _, version := range h.versions {
		next, err := catalog.Continue(h.sale, version)
		require.NoError(h, err)
		h.Logf("definition %x: %v", version.Files.Digest(), catalog.Difference(h.sale, next))
	}
	for _, o := range history {
		h.Logf("%3d to %3d by %d: %s → %s", o.Call, o.Return, o.ClientId, o.Input.(spec.Call), o.Output.(spec.Answer))
	}
	require.Equal(h, porcupine.Ok, result, "see %s", page)
}
