package engine_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/spec"
)

// I7: Histories are linearizable in which an organiser pauses the sale, phases and sessions, sets the stock of pools,
// lets accounts join groups and leave them, and applies other definitions, while callers reserve, change and read.
// Each has an engine of its own, with one cell. At its end every hold that is over is confirmed again, an engine with
// a journal restarts, and everything is read: these calls belong to the history. The journal verifies.
func TestLinearizableVersions(t *testing.T) {
	var answers spec.Tally // of all histories, so that no call is missing by chance
	for _, c := range []struct {
		name string
		kept bool
		n    int
	}{{"journal=none", false, 400}, {"journal=memory", true, 400}} {
		t.Run(c.name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
			h := &histories{TB: t, random: seeded(t)}
			n := rounds(t, c.n)
			for range n {
				h.ofVersions(c.kept)
			}
			t.Logf("%d histories, %d calls, %d of them concurrent, %d refused, %d overloaded; judged in %v; %v", n, h.calls,
				h.raced, h.refused, h.overloaded, h.judging.Round(time.Millisecond), &h.answers)
			require.LessOrEqual(t, h.overloaded, h.calls/100, "only callers that wait for a preempted thread")
			answers.Merge(&h.answers)
		})
	}
	require.NoError(t, answers.UntriedOf(spec.Pause.String(), spec.SetStock.String(), spec.Apply.String(),
		spec.Join.String(), spec.Leave.String()))
	require.NoError(t, answers.Untried())
}

// ofVersions plays and checks one history.
func (h *histories) ofVersions(kept bool) {
	h.next = 0
	d := cellDefinition(2)
	d.Groups = []string{"g0", "g1"}
	for i := range d.Phases[:2] {
		if h.random.IntN(4) == 0 {
			d.Phases[i].Group = d.Groups[i]
		}
		if h.random.IntN(2) == 0 {
			d.Phases[i].Places = map[string]int{cellSession(0, h.random.IntN(3)): 1 + h.random.IntN(3)}
		}
	}
	h.versions = h.versions[:0]
	for range 4 {
		sale, err := d.Load()
		require.NoError(h, err)
		h.versions = append(h.versions, sale)
		d = d.Changed(func(n int, _ string) int { return h.random.IntN(n) })
	}
	h.sale = h.versions[0]
	h.start = spec.New(&spec.Rules{Sale: h.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	journal := newStore()
	h.system = newSeller(h.sale, nil)
	if kept {
		h.system = sellerOn(h.sale, journal)
	}
	h.system.options.MaxReservations, h.system.options.MaxAccounts = 1<<10, 1<<10
	h.system.clock.set(saleStart)
	require.NoError(h, h.system.start())
	history, ticks := h.play()
	last := caller{histories: h, random: h.random}
	h.system.clock.ms.Add(1000) // every short hold is over
	for i := range idsOfCell {
		again := spec.Operation{Kind: spec.Confirm, Again: true, ID: last.idOf(i)}
		history = append(history, last.record(again, ticks))
	}
	if kept {
		require.NoError(h, h.system.Restart())
	}
	for _, op := range last.readAll() {
		history = append(history, last.record(op, ticks))
	}
	require.NoError(h, h.system.e.Close())
	h.count(history)
	h.judge(spec.History{Start: h.start}, history)
	if kept {
		found, err := audit.Verify(journal.open(), h.sale)
		require.NoError(h, err)
		require.Empty(h, found.Problems)
	}
}

// readAll reads everything that a history may contain.
func (c *caller) readAll() (ops []spec.Operation) {
	for i := range idsOfCell {
		ops = append(ops, spec.Operation{Kind: spec.ReadReservation, ID: c.idOf(i)})
	}
	for i := range 3 {
		ops = append(ops, spec.Operation{Kind: spec.ReadAccount, Account: cellAccount(c.cell, i)})
	}
	return ops
}
