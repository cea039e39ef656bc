package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/spec"
)

// saleStart is when the random sales begin. Their clocks never reach the time at which ended reservations are
// forgotten.
var saleStart = time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)

// Random operations on random small sales, with checkpoints, restarts and a growing sale in between, are executed by
// the engine and by the specification. After every step the answers are equal in every field and the stock is conserved
// (I1 to I4, I9). At the end the journal verifies (I6).
func TestRandomOperations(t *testing.T) {
	for range rounds(t, 3) {
		rapid.Check(t, func(rt *rapid.T) {
			kept := newStore()
			runRandomly(rt, 60, func() (journal.Backend, error) { return kept.open(), nil },
				func(sale *catalog.Sale) { verify(t, kept.open(), sale) })
		})
	}
}

// The same with the embedded journal.
func TestRandomOperationsOnDisk(t *testing.T) {
	parent := t.TempDir()
	for range rounds(t, 1) {
		rapid.Check(t, func(rt *rapid.T) {
			if rapid.IntRange(0, 9).Draw(rt, "one in ten") != 0 {
				return
			}
			dir, err := os.MkdirTemp(parent, "")
			require.NoError(rt, err)
			runRandomly(rt, 60, func() (journal.Backend, error) {
				return embedded.Open(dir+"/journal", embedded.Options{SegmentBytes: 4 << 10})
			}, func(sale *catalog.Sale) {
				b, err := embedded.OpenReadOnly(dir + "/journal")
				require.NoError(rt, err)
				verify(t, b, sale)
				require.NoError(rt, b.Close())
			})
		})
	}
}

// random is one run of random operations.
type random struct {
	*rapid.T
	def    spec.Definition
	sale   *catalog.Sale
	model  *spec.Model
	system *seller
	at     time.Time
}

func runRandomly(t *rapid.T, steps int, open func() (journal.Backend, error), verify func(*catalog.Sale)) {
	r := &random{T: t, def: drawDefinition(t), at: saleStart}
	r.load()
	r.model = spec.New(&spec.Rules{Sale: r.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	r.system = newSeller(r.sale, open)
	require.NoError(t, r.system.start())
	defer func() { require.NoError(t, r.system.e.Close()) }() // rapid may end a run early
	for range steps {
		r.step()
		r.same(spec.Operation{Kind: spec.ReadStock, At: r.at})
		require.NoError(t, r.model.Check())
	}
	for _, account := range accounts {
		r.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: r.at})
	}
	require.NoError(t, r.system.e.Close())
	verify(r.sale)
}

func (r *random) load() {
	sale, err := r.def.Load()
	require.NoError(r, err)
	r.sale = sale
}

// same executes the operation on both sides and compares the answers.
func (r *random) same(op spec.Operation) {
	want := r.model.Do(op)
	want.CanTakeAgain = false
	require.Empty(r, want.Diff(r.system.Do(op)), "%s at %s", op, op.At)
}

func (r *random) step() {
	switch n := rapid.IntRange(0, 99).Draw(r.T, "what"); {
	case n < 45:
		r.same(r.drawReserve())
	case n < 70:
		kind := rapid.SampledFrom([]spec.Kind{spec.Confirm, spec.Confirm, spec.Release, spec.ReadReservation}).Draw(r.T,
			"end")
		op := spec.Operation{Kind: kind, At: r.at, ID: drawID(r.T)}
		if kind == spec.Confirm {
			op.Reference = rapid.SampledFrom([]string{"", "X1", "ünï", "a\x00b"}).Draw(r.T, "reference")
		}
		r.same(op)
	case n < 78:
		r.same(spec.Operation{Kind: spec.ReadAccount, At: r.at, Account: rapid.SampledFrom(accounts).Draw(r.T, "account")})
	case n < 88:
		r.at = r.at.Add(time.Duration(rapid.SampledFrom([]int{1, 999, 30_000, 60_000, 1_019_000, 1_020_000}).Draw(r.T,
			"ms")) * time.Millisecond)
	case n < 92:
		r.same(spec.Operation{Kind: spec.Sweep, At: r.at})
		// A sweep does not wait for the journal, and stock shows durable outcomes only. Reading the reservations waits.
		for _, account := range accounts {
			r.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: r.at})
		}
	case n < 95:
		r.system.clock.set(r.at)
		_, err := r.system.e.Checkpoint(context.Background())
		require.NoError(r, err)
	case n < 98:
		require.NoError(r, r.system.Restart())
	default:
		r.grow()
	}
}

// grow restarts with a larger sale.
func (r *random) grow() {
	switch rapid.IntRange(0, 3).Draw(r.T, "grow") {
	case 0:
		s := &r.def.Sessions[rapid.IntRange(0, len(r.def.Sessions)-1).Draw(r.T, "session")]
		s.Places = append(slices.Clone(s.Places), 2) // a new category, perhaps of a session without any
	case 1:
		s := &r.def.Sessions[rapid.IntRange(0, len(r.def.Sessions)-1).Draw(r.T, "session")]
		s.Places = slices.Clone(s.Places)
		for i := range s.Places {
			s.Places[i] += 2
		}
	case 2:
		s := spec.DefinedSession{ID: fmt.Sprintf("NEW%d", len(r.def.Sessions)), Programme: r.def.Programmes[0].ID,
			Places: []int{3}}
		r.def.Sessions = append([]spec.DefinedSession{s}, r.def.Sessions...)
	default:
		p := spec.DefinedPhase{ID: fmt.Sprintf("new%d", len(r.def.Phases)), Programme: r.def.Programmes[0].ID,
			OpensAt: saleStart, ClosesAt: saleStart.Add(3 * time.Hour)}
		r.def.Phases = append([]spec.DefinedPhase{p}, r.def.Phases...)
	}
	r.load()
	r.model = r.model.WithRules(&spec.Rules{Sale: r.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	r.system.options.Sale = r.sale
	require.NoError(r, r.system.Restart())
}

var accounts = []string{"ann", "bob", "an-account-with-a-name-that-is-as-long-as-a-name-may-be-@0123456"}

func drawDefinition(t *rapid.T) spec.Definition {
	small := func(low, high int, label string) int { return rapid.IntRange(low, high).Draw(t, label) }
	d := spec.Definition{}
	for i := range small(1, 2, "programmes") {
		accountCap := small(2, 9, "cap")
		d.Programmes = append(d.Programmes, spec.DefinedProgramme{ID: fmt.Sprintf("p%d", i), AccountCap: accountCap,
			SessionLimit: small(1, accountCap, "limit")})
	}
	// The first session of each programme is on sale, so that the programme can have phases.
	for i := range len(d.Programmes) + small(1, 3, "sessions") {
		s := spec.DefinedSession{ID: fmt.Sprintf("S%d", i), Programme: d.Programmes[i%len(d.Programmes)].ID}
		if i >= len(d.Programmes) {
			s.Excluded = small(0, 9, "excluded") == 0
		}
		for range small(min(1, max(0, len(d.Programmes)-i)), 2, "categories") {
			s.Places = append(s.Places, small(1, 6, "places"))
		}
		d.Sessions = append(d.Sessions, s)
	}
	for i := range small(1, 4, "phases") {
		programme := i % len(d.Programmes)
		opens := saleStart.Add(time.Duration(small(-2, 3, "opens")) * 10 * time.Minute)
		p := spec.DefinedPhase{ID: fmt.Sprintf("f%d", i), Programme: d.Programmes[programme].ID, OpensAt: opens,
			ClosesAt: opens.Add(time.Duration(small(1, 8, "lasts")) * 10 * time.Minute)}
		if d.Programmes[programme].AccountCap >= 2 && small(0, 2, "pack") == 0 {
			p.PackSessions = 2
		}
		if small(0, 3, "only") == 0 {
			p.Only = []string{d.Sessions[programme].ID}
		}
		d.Phases = append(d.Phases, p)
	}
	return d
}

func drawID(t *rapid.T) string {
	return spec.IDOf(fmt.Sprintf("r%d", rapid.IntRange(0, 14).Draw(t, "id")))
}

func (r *random) drawReserve() spec.Operation {
	op := spec.Operation{Kind: spec.Reserve, At: r.at, ID: drawID(r.T), Account: rapid.SampledFrom(accounts).Draw(r.T,
		"account")}
	sessions := []string{"GONE"}
	for _, s := range r.def.Sessions {
		sessions = append(sessions, s.ID, s.ID, s.ID)
	}
	for range rapid.SampledFrom([]int{1, 1, 2, 2, 3, 6}).Draw(r.T, "lines") {
		quantity := rapid.SampledFrom([]int{1, 1, 1, 2, 2, 3, 5, 9}).Draw(r.T, "quantity")
		if rapid.IntRange(0, 60).Draw(r.T, "absurd") == 0 {
			quantity = rapid.SampledFrom([]int{0, -1, 4095, 4096, 1 << 40}).Draw(r.T, "quantity")
		}
		op.Lines = append(op.Lines, spec.Line{Session: rapid.SampledFrom(sessions).Draw(r.T, "session"),
			Category: spec.Category(rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(r.T, "category")), Quantity: quantity})
	}
	if rapid.IntRange(0, 3).Draw(r.T, "names a phase") == 0 {
		op.Phase = rapid.SampledFrom([]string{"f0", "f1", "f2", "f3", "new2", "gone"}).Draw(r.T, "phase")
	}
	if rapid.IntRange(0, 3).Draw(r.T, "has a ttl") == 0 {
		op.TTL = rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, time.Minute, 17 * time.Minute,
			18 * time.Minute,
			-time.Second, time.Millisecond}).Draw(r.T, "ttl")
	}
	return op
}
