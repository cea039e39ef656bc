package engine_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// Random changes of random small sales, while random calls are made (I1 to I4, I9): other definitions, pauses and
// stock. The specification and the engine answer alike: what is refused is refused for the same parts of the sale, and
// what is applied survives restarts, checkpoints and takeovers by a standby. At the end the journal verifies from its
// opening (I6).
func TestRandomPlans(t *testing.T) {
	var answers spec.Tally
	applied, refused, again := 0, 0, 0
	for range rounds(t, 1) {
		rapid.Check(t, func(rt *rapid.T) {
			v := &randomPlans{seen: map[draw.Digest]bool{}, version: 1}
			v.random = &random{T: rt, def: drawDefinition(rt), at: saleStart, tally: &answers, plans: true}
			v.play()
			applied, refused, again = applied+v.applied, refused+v.refused, again+v.again
		})
	}
	t.Logf("%d definitions applied, %d refused, %d starts with an export; %v", applied, refused, again, &answers)
	require.Greater(t, applied, 100)
	require.Greater(t, refused, 10)
	require.Positive(t, again)
}

// randomPlans is one run of random operations on a sale that changes.
type randomPlans struct {
	*random
	stream  *journaltest.Stream
	serial  int
	standby *engine.Engine // nil while there is none

	version          int // in force
	files            draw.Digest
	seen             map[draw.Digest]bool // files of all versions
	applied, refused int
	again            int // starts with what was in force

	exported *catalog.Files // of what is in force
	exports  []*catalog.Files
}

func (v *randomPlans) play() {
	sale, err := v.def.Load()
	require.NoError(v, err)
	v.files = sale.Files.Digest()
	v.seen[v.files] = true
	v.model = spec.New(&spec.Rules{Sale: sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
	v.stream = journaltest.NewStream()
	v.system = newSeller(sale, func() (journal.Backend, error) { return v.process(), nil })
	require.NoError(v, v.system.start())
	defer func() {
		if v.system.e != nil {
			require.NoError(v, v.system.e.Close())
		}
		if v.standby != nil {
			require.NoError(v, v.standby.Close())
		}
	}()
	for range 100 {
		was, exported := v.model.Sale(), v.exported
		v.step()
		v.sameDefinition()
		if v.model.Sale() != was && exported != nil {
			v.exports = append(v.exports, exported)
		}
		v.same(spec.Operation{Kind: spec.ReadStock, At: v.at})
		v.same(spec.Operation{Kind: spec.ReadPlaces, At: v.at})
		require.NoError(v, v.model.Check())
	}
	for _, account := range accounts {
		v.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: v.at})
	}
	require.NoError(v, v.system.e.Close())
	found, err := audit.Verify(v.process(), nil)
	require.NoError(v, err)
	require.Empty(v, found.Problems)
}

func (v *randomPlans) process() *journaltest.Process {
	v.serial++
	return v.stream.Open(fmt.Sprint("server ", v.serial))
}

func (v *randomPlans) step() {
	switch n := below(v.T, 100, "what of the sale"); {
	case n < 8:
		v.apply(v.changed())
	case n < 13:
		v.pause()
	case n < 19:
		v.setStock()
	case n < 21:
		v.takeOver()
	case n < 23:
		v.start(v.changed())
	case n < 26:
		v.startAgain()
	case n < 28:
		v.Logf("restart")
		v.restart()
	case n < 31:
		v.system.clock.set(v.at)
		v.Logf("checkpoint")
		_, err := v.system.e.Checkpoint(context.Background())
		require.NoError(v, err)
	default:
		v.random.step()
	}
}

// changed returns another definition; now and then an earlier one, or that in force.
func (v *randomPlans) changed() spec.Definition {
	if below(v.T, 8, "the same") == 0 {
		return v.def
	}
	if tight := v.tight(); len(tight) > 0 && below(v.T, 2, "too few places") == 0 {
		return oneOf(v.T, "pool", tight...)
	}
	return v.def.Changed(func(n int, label string) int { return below(v.T, n, label) })
}

// tight returns definitions of which each has one place less than is taken, in one pool.
func (v *randomPlans) tight() (all []spec.Definition) {
	for i, stock := range v.do(spec.Operation{Kind: spec.ReadStock, At: v.at}).Stock {
		pool := v.model.Sale().Pools[i]
		id := v.model.Sale().Sessions[pool.Session].ID
		at := slices.IndexFunc(v.def.Sessions, func(s spec.DefinedSession) bool { return s.ID == id && !s.Excluded })
		category := int(pool.Category[0] - 'A')
		if taken := stock.Held + stock.Sold; taken < 2 || at < 0 || category >= len(v.def.Sessions[at].Places) {
			continue
		}
		d := v.def
		d.Sessions = slices.Clone(d.Sessions)
		s := &d.Sessions[at]
		s.Places, s.Withheld = slices.Clone(s.Places), nil
		s.Places[category] = stock.Held + stock.Sold - 1
		all = append(all, d)
	}
	return all
}

// apply plans a definition, and applies it.
func (v *randomPlans) apply(d spec.Definition) {
	sale, err := d.Load()
	require.NoError(v, err)
	v.system.clock.set(v.at)
	plan, err := v.system.e.Plan(sale)
	require.NoError(v, err)
	objections := v.model.Objections(sale)
	require.Equal(v, partsOf(objections), partsOf(plan.Objections))
	in, err := v.system.e.Definition()
	require.NoError(v, err)
	require.Equal(v, in.Digest, plan.Digest)
	_, err = v.system.e.Apply(context.Background(), sale, draw.Digest{1})
	require.ErrorIs(v, err, engine.ErrOtherDefinition)
	op := spec.Operation{Kind: spec.Apply, At: v.at, Sale: sale}
	want := v.do(op)
	v.Logf("%s: %v", op, plan.Changes)
	require.Empty(v, want.Diff(v.system.Do(op)), "plan %v", plan)
	switch {
	case !want.OK():
		v.refused++
		return
	case !want.Repeated:
		v.applied++
	}
	require.Equal(v, want.Repeated, len(plan.Changes) == 0, "%v", plan.Changes)
	v.follow(d, sale, want)
}

// follow notes a definition that is in force. Other files that say the same are another version.
func (v *randomPlans) follow(d spec.Definition, sale *catalog.Sale, a spec.Answer) {
	digest := draw.Digest(sale.Files.Digest())
	if !a.Repeated || digest != v.files {
		v.version++
	}
	v.def, v.files, v.seen[digest] = d, digest, true
}

// partsOf returns what objections are about: each begins with it.
func partsOf(objections []string) (parts []string) {
	for _, o := range objections {
		part, _, _ := strings.Cut(o, ": ")
		parts = append(parts, part)
	}
	return parts
}

// start starts again with a definition in the options. It comes into force if it never was.
func (v *randomPlans) start(d spec.Definition) {
	sale, err := d.Load()
	require.NoError(v, err)
	if len(v.model.Objections(sale)) > 0 {
		return
	}
	v.Logf("a start with %x", sale.Files.Digest())
	earlier := v.seen[sale.Files.Digest()] || v.wasInForce(sale)
	v.startGiven(sale)
	require.Equal(v, earlier, !v.system.e.Recovery().Sale.Applied)
	if !earlier {
		v.follow(d, sale, v.do(spec.Operation{Kind: spec.Apply, At: v.at, Sale: sale}))
	}
}

// startGiven starts again with a sale in the options. It stays there if it has come into force: what it says may be in
// force later, and would become a version then.
func (v *randomPlans) startGiven(sale *catalog.Sale) {
	was := v.system.options.Sale
	v.system.options.Sale = sale
	v.restart()
	if !v.system.e.Recovery().Sale.Applied {
		v.system.options.Sale = was
	}
}

// startAgain starts with an export of what was in force at some time and was not applied: nothing changes.
func (v *randomPlans) startAgain() {
	if len(v.exports) == 0 {
		return
	}
	sale, err := catalog.LoadFS(oneOf(v.T, "what was in force", v.exports...).FS())
	require.NoError(v, err)
	if v.says(v.model.Sale(), sale) || v.seen[sale.Files.Digest()] {
		return
	}
	v.Logf("a start with what was in force")
	v.startGiven(sale)
	start := v.system.e.Recovery().Sale
	require.False(v, start.Applied)
	require.Positive(v, start.Earlier)
	v.again++
}

func (v *randomPlans) pause() {
	op := spec.Operation{Kind: spec.Pause, At: v.at, Paused: below(v.T, 4, "paused") == 0}
	switch below(v.T, 8, "what is paused") {
	case 0:
	case 1, 2, 3:
		op.Phase = oneOf(v.T, "phase", append(v.phases(), "gone")...)
	default:
		op.Session = oneOf(v.T, "session", append(v.sessions(), "gone")...)
	}
	v.change(op)
}

func (v *randomPlans) phases() (ids []string) {
	for _, p := range v.def.Phases {
		ids = append(ids, p.ID)
	}
	return ids
}

func (v *randomPlans) sessions() (ids []string) {
	for _, s := range v.model.Sale().Sessions { // also those that were removed
		ids = append(ids, s.ID)
	}
	return ids
}

func (v *randomPlans) setStock() {
	number := func(label string) *int {
		n := below(v.T, 9, label) - 1
		if below(v.T, 3, label) == 0 {
			return nil
		}
		return &n
	}
	v.change(spec.Operation{Kind: spec.SetStock, At: v.at, Session: oneOf(v.T, "session", append(v.sessions(), "gone")...),
		Category: spec.Category(below(v.T, 3, "category")), Capacity: number("capacity"), Withheld: number("withheld")})
}

// change makes a call of the organiser on both sides.
func (v *randomPlans) change(op spec.Operation) {
	v.Logf("%s", op)
	v.tally.Add(op, v.model.Clone().Do(op))
	v.same(op)
}

// restart ends the server and its standby, and starts again.
func (v *randomPlans) restart() {
	v.system.clock.set(v.at)
	if v.standby != nil {
		require.NoError(v, v.standby.Close())
		v.standby = nil
	}
	require.NoError(v, v.system.Restart())
}

// takeOver starts a standby if there is none, and otherwise lets it take over.
func (v *randomPlans) takeOver() {
	v.system.clock.set(v.at)
	v.Logf("a standby; it takes over: %t", v.standby != nil)
	if v.standby == nil {
		o := v.system.options
		o.Journal, o.Standby = v.process(), true
		var err error
		v.standby, err = engine.Open(context.Background(), o)
		require.NoError(v, err)
		return
	}
	require.NoError(v, v.system.e.Close())
	v.system.e, v.standby = v.standby, nil
	require.Eventually(v, func() bool { return v.system.e.Ready() == nil }, time.Minute, time.Millisecond)
}

// sameDefinition compares what is in force.
func (v *randomPlans) sameDefinition() {
	is, err := v.system.e.Definition()
	require.NoError(v, err)
	require.Equal(v, v.version, is.Version)
	v.exported = is.Files
	require.Empty(v, catalog.Difference(v.model.Sale(), is.Sale))
	require.Len(v, is.Sale.Pools, len(v.model.Sale().Pools))
	var paused []string
	if is.Paused.Sale {
		paused = append(paused, "sale")
	}
	for _, id := range is.Paused.Phases {
		paused = append(paused, "phase "+id)
	}
	for _, id := range is.Paused.Sessions {
		paused = append(paused, "session "+id)
	}
	slices.SortFunc(paused, cmp.Compare)
	require.Equal(v, v.model.Paused(), paused)
}
