package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/spec"
)

// limitsDefinition has two programmes with two sessions each.
func limitsDefinition() spec.Definition {
	phase := func(id, programme string) spec.DefinedPhase {
		return spec.DefinedPhase{ID: id, Programme: programme, OpensAt: saleStart, ClosesAt: saleStart.AddDate(1, 0, 0)}
	}
	session := func(id, programme string) spec.DefinedSession {
		return spec.DefinedSession{ID: id, Programme: programme, Places: []int{50}}
	}
	return spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "one", AccountCap: 6, SessionLimit: 4},
			{ID: "two", AccountCap: 6, SessionLimit: 4}},
		Phases: []spec.DefinedPhase{phase("ones", "one"), phase("twos", "two")},
		Sessions: []spec.DefinedSession{session("A", "one"), session("B", "one"), session("C", "two"),
			session("D", "two")},
	}
}

// limitsSale is a sale whose definition changes between two starts.
type limitsSale struct {
	t    *testing.T
	kept *store
	def  spec.Definition
	s    *seller
	ids  byte
}

func newLimitsSale(t *testing.T) *limitsSale {
	l := &limitsSale{t: t, kept: newStore(), def: limitsDefinition()}
	l.start()
	return l
}

func (l *limitsSale) start() {
	sale, err := l.def.Load()
	require.NoError(l.t, err)
	l.s = sellerOn(sale, l.kept)
	l.s.clock.set(saleStart.Add(time.Minute))
	require.NoError(l.t, l.s.start())
}

// restart changes the definition, and starts with it from the records or from a checkpoint.
func (l *limitsSale) restart(checkpoint bool, change func(d *spec.Definition)) {
	if checkpoint {
		_, err := l.s.e.Checkpoint(l.t.Context())
		require.NoError(l.t, err)
	}
	require.NoError(l.t, l.s.e.Close())
	change(&l.def)
	l.start()
}

// refuses requires that a start with a changed definition fails, and that the one in force stays.
func (l *limitsSale) refuses(change func(d *spec.Definition), objection string) {
	require.NoError(l.t, l.s.e.Close())
	was := l.def
	was.Sessions = slices.Clone(was.Sessions)
	change(&l.def)
	sale, err := l.def.Load()
	require.NoError(l.t, err)
	refused := sellerOn(sale, l.kept)
	refused.clock.set(saleStart.Add(time.Minute))
	var objections *engine.ChangeRefused
	require.ErrorAs(l.t, refused.start(), &objections)
	require.Equal(l.t, []string{objection}, objections.Objections)
	l.def = was
	l.start()
}

// reserve returns the refusal, if any, and the reservation's id.
func (l *limitsSale) reserve(account, phase string, lines ...engine.Line) (engine.ID, *engine.Refusal) {
	l.ids++
	var r engine.Reservation
	q := engine.Request{ID: engine.ID{l.ids}, Account: account, Phase: phase, Lines: lines}
	err := l.s.e.Reserve(l.t.Context(), &q, &r)
	if err == nil {
		return q.ID, nil
	}
	var refusal *engine.Refusal
	require.ErrorAs(l.t, err, &refusal)
	return q.ID, refusal
}

// sound checks that neither the live check nor verify finds anything, and that the account has so many tickets held.
func (l *limitsSale) sound(account string, one, two int) {
	l.t.Helper()
	c, err := l.s.e.CheckConservation(l.t.Context())
	require.NoError(l.t, err)
	require.Empty(l.t, c.Problem)
	require.Zero(l.t, c.CapExcess)
	a, err := l.s.e.Account(l.t.Context(), account)
	require.NoError(l.t, err)
	require.Equal(l.t, []int{one, two}, []int{a.Programmes[0].Held, a.Programmes[1].Held})
	found := verify(l.t, &memory{store: l.kept}, nil)
	require.Equal(l.t, "defined", found.Sale)
}

func ticketsOf(session string, n int) engine.Line {
	return engine.Line{Session: session, Category: "A", Quantity: n}
}

// I2: a cap, a limit, or the programme of a session changes between two starts. Only a session of which no ticket is
// held or sold may change its programme. What was rightly taken stays, and
// counts where the definition in force says; a refusal states it; neither the live check nor verify calls it
// corruption, from the records or from a checkpoint, however often the server starts. Nothing is taken beyond the limit
// in force.
func TestLimitsThatChange(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		l := newLimitsSale(t)
		_, refusal := l.reserve("ann", "ones", ticketsOf("A", 4), ticketsOf("B", 2))
		require.Nil(t, refusal)
		l.sound("ann", 6, 0)

		l.restart(checkpoint, func(d *spec.Definition) {
			d.Programmes[0].AccountCap, d.Programmes[0].SessionLimit = 5, 3
		})
		l.sound("ann", 6, 0)
		_, refusal = l.reserve("ann", "ones", ticketsOf("A", 1))
		require.Equal(t, &engine.Refusal{Code: engine.SessionLimitExceeded, Session: "A", Limit: 3, Held: 4, Requested: 1},
			refusal)
		_, refusal = l.reserve("ann", "ones", ticketsOf("B", 1))
		require.Equal(t, &engine.Refusal{Code: engine.AccountCapExceeded, Programme: "one", Limit: 5, Held: 6, Requested: 1},
			refusal)
		bob, refusal := l.reserve("bob", "ones", ticketsOf("A", 3), ticketsOf("B", 2))
		require.Nil(t, refusal)

		l.restart(checkpoint, func(*spec.Definition) {})
		l.sound("ann", 6, 0)
		l.refuses(func(d *spec.Definition) { d.Sessions[0].Programme = "two" },
			"session A: 7 tickets are held or sold, so it must stay in the programme one")
		l.restart(checkpoint, func(d *spec.Definition) { d.Sessions[3].Programme = "one" }) // D moves; nobody has it
		_, refusal = l.reserve("ann", "ones", ticketsOf("D", 1))
		require.Equal(t, &engine.Refusal{Code: engine.AccountCapExceeded, Programme: "one", Limit: 5, Held: 6, Requested: 1},
			refusal)
		_, refusal = l.reserve("ann", "twos", ticketsOf("C", 4))
		require.Nil(t, refusal)
		l.sound("ann", 6, 4)

		l.restart(checkpoint, func(d *spec.Definition) { d.Programmes[1].AccountCap, d.Programmes[1].SessionLimit = 3, 3 })
		l.sound("ann", 6, 4)
		var r engine.Reservation
		require.NoError(t, l.s.e.Release(t.Context(), bob, &r))
		_, refusal = l.reserve("bob", "twos", ticketsOf("C", 3))
		require.Nil(t, refusal)
		l.sound("bob", 0, 3)
		l.restart(checkpoint, func(d *spec.Definition) { d.Programmes[1].AccountCap = 9 })
		l.sound("ann", 6, 4)
		require.NoError(t, l.s.e.Close())
	}
}

// A definition says what accounts may have beyond its limits: as much as they could have before. A restart with the
// same definition says nothing more, and a checkpoint has the same.
func TestDefinitionSaysWhatIsAbove(t *testing.T) {
	l := newLimitsSale(t)
	_, refusal := l.reserve("ann", "ones", ticketsOf("A", 4), ticketsOf("B", 2))
	require.Nil(t, refusal)
	l.restart(false, func(d *spec.Definition) { d.Programmes[0].AccountCap, d.Programmes[0].SessionLimit = 5, 3 })
	l.restart(true, func(*spec.Definition) {})
	rows, groups := l.kept.records(t)
	require.Empty(t, groups)
	l.kept.checkpoints = nil
	_, groups = l.kept.records(t)
	want := record.Above{Programmes: []record.Most{{Of: 0, Tickets: 6}},
		Sessions: []record.Most{{Of: 0, Tickets: 4}, {Of: 1, Tickets: 4}}}
	require.Equal(t, record.Above{}, groups[0].Definition.Above)
	require.Equal(t, want, groups[2].Definition.Above)
	require.Equal(t, want, rows[0].Definition.Above)
	require.Equal(t, groups[2].Stamp, rows[0].Stamp)
	require.NoError(t, l.s.e.Close())
}
