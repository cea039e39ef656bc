package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/spec"
)

// saleStart is when the random sales begin. Their clocks never reach the time at which ended reservations are
// forgotten.
var saleStart = time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)

// Random operations on random small sales, with checkpoints, restarts and a growing sale in between, or without a
// journal, are executed by the engine and by the specification. After every step the answers are equal in every field
// and the stock is conserved (I1 to I4, I9). At the end the journal verifies (I6).
func TestRandomOperations(t *testing.T) {
	var answers spec.Tally
	for range rounds(t, 3) {
		rapid.Check(t, func(rt *rapid.T) {
			if below(rt, 4, "no journal") == 0 {
				runRandomly(rt, &answers, nil, func(*catalog.Sale) {})
				return
			}
			kept := newStore()
			runRandomly(rt, &answers, func() (journal.Backend, error) { return kept.open(), nil },
				func(sale *catalog.Sale) { verify(t, kept.open(), sale) })
		})
	}
	requireChanges(t, &answers)
}

// requireChanges logs the tally of calls, and requires that about a third of them were to change a reservation, and
// that each such call succeeded and was refused.
func requireChanges(t testing.TB, answers *spec.Tally) {
	t.Log(answers)
	require.NoError(t, answers.Untried())
	require.Greater(t, answers.Share(), 0.3)
}

// The same with the embedded journal.
func TestRandomOperationsOnDisk(t *testing.T) {
	parent := t.TempDir()
	var answers spec.Tally
	for range rounds(t, 1) {
		rapid.Check(t, func(rt *rapid.T) {
			if rapid.IntRange(0, 9).Draw(rt, "one in ten") != 0 {
				return
			}
			dir, err := os.MkdirTemp(parent, "")
			require.NoError(rt, err)
			runRandomly(rt, &answers, func() (journal.Backend, error) {
				return embedded.Open(dir+"/journal", embedded.Options{SegmentBytes: 4 << 10})
			}, func(sale *catalog.Sale) {
				b, err := embedded.OpenReadOnly(dir + "/journal")
				require.NoError(rt, err)
				verify(t, b, sale)
				require.NoError(rt, b.Close())
			})
		})
	}
	t.Log(&answers)
}

// random is one run of random operations.
type random struct {
	*rapid.T
	def     spec.Definition // in force, apart from stock that was set since
	digests []draw.Digest   // of the files of all versions
	past    []*catalog.Sale // what was in force, the stock included
	model   *spec.Model
	system  *seller
	at      time.Time
	tally   *spec.Tally
	made    []spec.Operation // requests
	grown   int              // how often
	plans   bool             // restarts and other definitions come from elsewhere
}

func runRandomly(t *rapid.T, answers *spec.Tally, open func() (journal.Backend, error), verify func(*catalog.Sale)) {
	r := newRandom(t, answers, open)
	defer func() { require.NoError(t, r.system.e.Close()) }() // rapid may end a run early
	for range 60 {
		r.step()
		r.compare()
	}
	r.finish(verify)
}

// newRandom starts an engine and the model with a random sale.
func newRandom(t *rapid.T, answers *spec.Tally, open func() (journal.Backend, error)) *random {
	r := &random{T: t, def: drawDefinition(t), at: saleStart, tally: answers}
	sale, err := r.def.Load()
	require.NoError(t, err)
	r.digests = []draw.Digest{sale.Files.Digest()}
	r.model = spec.New(&spec.Rules{Sale: sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	r.system = newSeller(sale, open)
	require.NoError(t, r.system.start())
	return r
}

// compare compares all stock, also of what is removed.
func (r *random) compare() {
	r.same(spec.Operation{Kind: spec.ReadStock, At: r.at})
	r.same(spec.Operation{Kind: spec.ReadPlaces, At: r.at})
	require.NoError(r, r.model.Check())
}

// finish compares all accounts, closes the engine and verifies its journal.
func (r *random) finish(verify func(*catalog.Sale)) {
	for _, account := range accounts {
		r.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: r.at})
	}
	require.NoError(r, r.system.e.Close())
	verify(r.model.Sale())
}

// same executes the operation on both sides and compares the answers.
func (r *random) same(op spec.Operation) {
	want := r.do(op)
	if op.Kind <= spec.Return {
		r.tally.Add(op, want)
	}
	require.Empty(r, want.Diff(r.system.Do(op)), "%s at %s", op, op.At)
}

// do executes the operation on the model, and keeps what it replaces.
func (r *random) do(op spec.Operation) spec.Answer {
	was := r.model.Sale()
	answer := r.model.Do(op)
	if r.model.Sale() != was {
		r.past = append(r.past, was)
	}
	return answer
}

// says reports whether a sale says what another one does, but for the stock of sessions that are not on sale.
func (r *random) says(is, sale *catalog.Sale) bool {
	next, err := catalog.Continue(is, sale)
	require.NoError(r, err)
	return !slices.ContainsFunc(catalog.Difference(is, next), func(c catalog.Change) bool {
		session, ofSession := strings.CutPrefix(c.What, "session ")
		session, _, ofPool := strings.Cut(session, ", category ")
		i, _ := next.SessionByID(session)
		return !ofSession || !ofPool || next.Sessions[i].OnSale
	})
}

// wasInForce reports whether the files of a sale, which are not in force, never were, but what they say.
func (r *random) wasInForce(sale *catalog.Sale) bool {
	return !r.says(r.model.Sale(), sale) &&
		slices.ContainsFunc(r.past, func(was *catalog.Sale) bool { return r.says(was, sale) })
}

func (r *random) step() {
	switch n := below(r.T, 100, "what"); {
	case n < 30:
		r.same(r.drawReserve())
	case n < 54:
		r.same(r.drawChange())
	case n < 72:
		kind := oneOf(r.T, "end", spec.Confirm, spec.Confirm, spec.Release, spec.ReadReservation)
		op := spec.Operation{Kind: kind, At: r.at, ID: r.drawIDIn("held")}
		if kind == spec.Confirm {
			op.Reference = r.drawReference()
		}
		r.same(op)
	case n < 78:
		r.same(spec.Operation{Kind: spec.ReadAccount, At: r.at, Account: oneOf(r.T, "account", accounts...)})
	case n < 82 && len(r.def.Groups) > 0:
		r.same(spec.Operation{Kind: oneOf(r.T, "kind", spec.Join, spec.Join, spec.Leave), At: r.at,
			Group:   oneOf(r.T, "group", append(slices.Clip(r.def.Groups), "gone")...),
			Account: oneOf(r.T, "account", accounts...)})
	case n < 88:
		ms := oneOf(r.T, "ms", 1, 999, 30_000, 60_000, 60_000, 299_999, 1_019_000, 1_020_000)
		r.at = r.at.Add(time.Duration(ms) * time.Millisecond)
	case n < 92:
		r.same(spec.Operation{Kind: spec.Sweep, At: r.at})
		// A sweep does not wait for the journal, and stock shows durable outcomes only. Reading the reservations waits.
		for _, account := range accounts {
			r.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: r.at})
		}
	case r.system.open == nil: // nothing to write or to start from
	case n < 95:
		r.system.clock.set(r.at)
		_, err := r.system.e.Checkpoint(context.Background())
		require.NoError(r, err)
	case r.plans:
	case n < 98:
		require.NoError(r, r.system.Restart())
	default:
		r.grow()
	}
}

// grow restarts with a larger sale.
func (r *random) grow() {
	before := r.def
	r.grown++
	r.def.Sessions, r.def.Phases = slices.Clone(r.def.Sessions), slices.Clone(r.def.Phases)
	switch below(r.T, 4, "grow") {
	case 0:
		s := &r.def.Sessions[below(r.T, len(r.def.Sessions), "session")]
		s.Places = append(slices.Clone(s.Places), 2) // a new category, perhaps of a session without any
	case 1:
		s := &r.def.Sessions[below(r.T, len(r.def.Sessions), "session")]
		s.Places = slices.Clone(s.Places)
		for i := range s.Places {
			s.Places[i] += 2
		}
	case 2:
		r.addSession()
	default:
		r.addSession() // its programme may have nothing on sale, and a phase that sells nothing is a fault
		p := spec.DefinedPhase{ID: fmt.Sprintf("new%d", r.grown), Programme: r.def.Programmes[0].ID,
			OpensAt: saleStart, ClosesAt: saleStart.Add(3 * time.Hour)}
		r.def.Phases = append([]spec.DefinedPhase{p}, r.def.Phases...)
	}
	r.startWith(before)
}

// addSession adds a session of the first programme.
func (r *random) addSession() {
	s := spec.DefinedSession{ID: fmt.Sprintf("NEW%d", r.grown), Programme: r.def.Programmes[0].ID, Places: []int{3}}
	r.def.Sessions = append([]spec.DefinedSession{s}, r.def.Sessions...)
}

// startWith restarts with the files of the definition, which are mostly new. The engine applies them then, like the
// model, unless they, or what they say, had been in force before: what has replaced them stays. It does not start if
// they cannot follow what is sold. before is the definition in force.
func (r *random) startWith(before spec.Definition) {
	given, err := r.def.Load()
	require.NoError(r, err)
	r.system.clock.set(r.at)
	last := r.system.options.Sale
	r.system.options.Sale = given
	switch {
	case slices.Contains(r.digests, given.Files.Digest()):
		r.def = before
	case r.wasInForce(given):
		require.NoError(r, r.system.Restart())
		require.False(r, r.system.e.Recovery().Sale.Applied)
		r.def, r.system.options.Sale = before, last // later, it may say what is in force, in other files
		return
	case len(r.model.Objections(given)) > 0:
		refused, ok := errors.AsType[*engine.ChangeRefused](r.system.Restart())
		require.True(r, ok)
		require.Len(r, refused.Objections, len(r.model.Objections(given)), "%v", refused)
		r.def, r.system.options.Sale = before, last
		require.NoError(r, r.system.start())
		return
	default:
		answer := r.do(spec.Operation{Kind: spec.Apply, Sale: given, At: r.at})
		require.True(r, answer.OK())
		r.digests = append(r.digests, given.Files.Digest())
	}
	require.NoError(r, r.system.Restart())
}

var accounts = []string{"ann", "bob", "an-account-with-a-name-that-is-as-long-as-a-name-may-be-@0123456"}

func drawDefinition(t *rapid.T) spec.Definition {
	small := func(low, high int, label string) int { return low + below(t, high+1-low, label) }
	d := spec.Definition{}
	for i := range small(1, 2, "programmes") {
		accountCap := small(2, 9, "cap")
		d.Programmes = append(d.Programmes, spec.DefinedProgramme{ID: fmt.Sprintf("p%d", i), AccountCap: accountCap,
			SessionLimit: small(1, accountCap, "limit"), WithholdReturned: small(0, 1, "withholds") == 1})
	}
	// The first session of each programme is on sale, so that the programme can have phases.
	for i := range len(d.Programmes) + small(1, 3, "sessions") {
		s := spec.DefinedSession{ID: fmt.Sprintf("S%d", i), Programme: d.Programmes[i%len(d.Programmes)].ID}
		if i >= len(d.Programmes) {
			s.Excluded = small(0, 9, "excluded") == 0
		}
		if small(0, 2, "ends") == 0 {
			s.StartsAt = saleStart.Add(time.Duration(small(0, 12, "starts")) * 5 * time.Minute)
		}
		for range small(min(1, max(0, len(d.Programmes)-i)), 2, "categories") {
			s.Places = append(s.Places, small(1, 6, "places"))
		}
		d.Sessions = append(d.Sessions, s)
	}
	if small(0, 1, "groups") == 1 {
		d.Groups = []string{"g0", "g1"}
	}
	for i := range small(len(d.Programmes), 4, "phases") {
		programme := i % len(d.Programmes)
		opens := saleStart.Add(time.Duration(small(-4, 1, "opens")) * 10 * time.Minute)
		p := spec.DefinedPhase{ID: fmt.Sprintf("f%d", i), Programme: d.Programmes[programme].ID, OpensAt: opens,
			ClosesAt: opens.Add(time.Duration(small(2, 16, "lasts")) * 10 * time.Minute)}
		if d.Programmes[programme].AccountCap >= 2 && small(0, 2, "pack") == 0 {
			p.PackSessions, p.PackEqual = 2, small(0, 1, "equal") == 1
		}
		if small(0, 3, "only") == 0 {
			p.Only = []string{d.Sessions[programme].ID}
		}
		if len(d.Groups) > 0 && small(0, 3, "for members") == 0 {
			p.Group = d.Groups[small(0, 1, "group")]
		}
		for range small(0, 3, "places") / 2 {
			p.Places = map[string]int{d.Sessions[small(0, len(d.Sessions)-1, "of session")].ID: small(1, 4, "places")}
		}
		d.Phases = append(d.Phases, p)
	}
	return d
}

// idsDrawn is how many ids the operations of one run use.
const idsDrawn = 24

func drawnID(i int) string { return spec.IDOf(fmt.Sprintf("r%d", i)) }

func drawID(t *rapid.T) string { return drawnID(below(t, idsDrawn, "id")) }

// drawReserve returns a request. Most fit the sale; one in eight repeats an earlier one.
func (r *random) drawReserve() spec.Operation {
	if len(r.made) > 0 && below(r.T, 8, "repeats") == 0 {
		op := oneOf(r.T, "earlier", r.made...)
		op.At = r.at
		return op
	}
	op := spec.Operation{Kind: spec.Reserve, At: r.at, ID: drawID(r.T), Account: oneOf(r.T, "account", accounts...)}
	var pools []spec.Line
	programme := oneOf(r.T, "programme", r.def.Programmes...).ID
	for _, s := range r.def.Sessions {
		for i := range s.Places {
			if s.Programme == programme && !s.Excluded {
				pools = append(pools, spec.Line{Session: s.ID, Category: spec.Category(i)})
			}
		}
	}
	if len(pools) == 0 || below(r.T, 8, "anything") == 0 {
		pools = append(pools, spec.Line{Session: "GONE", Category: "A"})
		for _, s := range r.def.Sessions {
			pools = append(pools, spec.Line{Session: s.ID, Category: "A"}, spec.Line{Session: s.ID, Category: "C"})
		}
	}
	for range oneOf(r.T, "lines", 1, 1, 2, 2, 3, 6) {
		l := oneOf(r.T, "pool", pools...)
		l.Quantity = oneOf(r.T, "quantity", 1, 1, 1, 1, 2, 2, 3, 5)
		if below(r.T, 60, "absurd") == 0 {
			l.Quantity = oneOf(r.T, "quantity", 0, -1, 4095, 4096, 1<<40)
		}
		same := func(o spec.Line) bool { return o.Session == l.Session && o.Category == l.Category }
		if !slices.ContainsFunc(op.Lines, same) || below(r.T, 20, "twice") == 0 {
			op.Lines = append(op.Lines, l)
		}
	}
	if n := below(r.T, 16, "names a phase"); n == 0 {
		op.Phase = oneOf(r.T, "phase", "f0", "f1", "f2", "f3", "new2", "gone")
	} else if n < 8 {
		of := func(p spec.DefinedPhase) bool { return p.Programme != programme }
		if its := slices.DeleteFunc(slices.Clone(r.def.Phases), of); len(its) > 0 {
			op.Phase = oneOf(r.T, "phase", its...).ID
		}
	}
	if below(r.T, 4, "has a ttl") == 0 {
		op.TTL = oneOf(r.T, "ttl", time.Second, 30*time.Second, time.Minute, time.Minute, 2*time.Minute, 5*time.Minute,
			10*time.Minute, 17*time.Minute, 18*time.Minute, -time.Second, time.Millisecond)
	}
	r.made = append(r.made, op)
	return op
}

// below returns a number from 0 to n-1, each with the same probability. Rapid's own numbers are mostly small ones, so
// that most operations would be the first in a list.
func below(t *rapid.T, n int, label string) int { return evenBits.Draw(t, label) * n >> 12 }

var evenBits = rapid.Custom(func(t *rapid.T) (bits int) {
	for range 12 {
		bits = 2*bits + rapid.IntRange(0, 1).Draw(t, "bit")
	}
	return bits
})

// oneOf returns one of the values, each with the same probability.
func oneOf[T any](t *rapid.T, label string, from ...T) T { return from[below(t, len(from), label)] }
