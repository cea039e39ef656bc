package engine_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// edited returns a sale after a change of its parts. What each phase sells stays; only new sessions are sold in
// addition, in the first phase.
func edited(t testing.TB, was *catalog.Sale, change func(s *catalog.Sale)) *catalog.Sale {
	t.Helper()
	s := *was
	s.Programmes, s.Sessions = slices.Clone(was.Programmes), slices.Clone(was.Sessions)
	s.Pools, s.Phases = slices.Clone(was.Pools), slices.Clone(was.Phases)
	change(&s)
	sells := make([][]bool, len(s.Phases))
	for i := range s.Phases {
		sells[i] = make([]bool, len(s.Sessions))
		for j := range s.Sessions {
			now := &s.Sessions[j]
			before, known := was.SessionByID(now.ID)
			sells[i][j] = now.OnSale && !now.Removed && (known && was.Phases[i].Sells(before) || !known && i == 0)
		}
	}
	made, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	return made
}

// added adds a session with places in category A.
func added(id string, places int) func(s *catalog.Sale) {
	return func(s *catalog.Sale) {
		s.Sessions = append(s.Sessions, catalog.Session{ID: id, Limit: 6, OnSale: true})
		s.Pools = append(s.Pools, catalog.Pool{Session: len(s.Sessions) - 1, Category: "A", Capacity: places})
	}
}

// without removes a session and its pools.
func without(id string) func(s *catalog.Sale) {
	return func(s *catalog.Sale) {
		at := slices.IndexFunc(s.Sessions, func(x catalog.Session) bool { return x.ID == id })
		s.Sessions = slices.Delete(s.Sessions, at, at+1)
		s.Pools = slices.DeleteFunc(s.Pools, func(p catalog.Pool) bool { return p.Session == at })
		for i := range s.Pools {
			if s.Pools[i].Session > at {
				s.Pools[i].Session--
			}
		}
	}
}

// capped sets the cap of the only programme, limited the limit of all sessions.
func capped(to int) func(s *catalog.Sale) {
	return func(s *catalog.Sale) { s.Programmes[0].AccountCap = to }
}

// newChanging starts a seller of two sessions of ten places each.
func newChanging(t testing.TB, d engine.Durability) (*seller, *store) {
	kept := newStore()
	s := sellerOn(stressSale(t, 2, 10), kept)
	if s.options.Durability = d; d == engine.None {
		s.open = nil
	}
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	t.Cleanup(func() { require.NoError(t, s.e.Close()) })
	return s, kept
}

func (s *seller) hold(account, session string, n int) (engine.ID, error) {
	var r engine.Reservation
	q := engine.Request{ID: uuid.New(), Account: account,
		Lines: []engine.Line{{Session: session, Category: "A", Quantity: n}}}
	return q.ID, s.e.Reserve(context.Background(), &q, &r)
}

func (s *seller) stockOf(t testing.TB, session string) engine.Stock {
	i, ok := s.e.Sale().SessionByID(session)
	require.True(t, ok)
	return s.e.Stock(s.e.Sale().Sessions[i].Pools[0])
}

// apply puts a sale into force whatever is in force.
func (s *seller) apply(t testing.TB, sale *catalog.Sale) engine.Applied {
	t.Helper()
	applied, err := s.e.Apply(context.Background(), sale, draw.Digest{})
	require.NoError(t, err)
	return applied
}

// Every kind of change is in force, durable and shown when its call returns; a repeat writes nothing.
func TestASaleChangesWhileItRuns(t *testing.T) {
	for _, d := range []engine.Durability{engine.Sync, engine.Async, engine.None} {
		ctx := context.Background()
		s, _ := newChanging(t, d)
		was := s.e.Sale()
		first, err := s.hold("ann", "S0", 5)
		require.NoError(t, err)
		n := func(n int) *int { return &n }

		stock, err := s.e.SetStock(ctx, "S0", "A", n(8), n(2))
		require.NoError(t, err)
		require.Equal(t, engine.Stock{Capacity: 8, Withheld: 2, Held: 5, Available: 1}, stock)
		_, err = s.hold("bob", "S0", 2)
		require.Equal(t, engine.SoldOut, codeOf(t, err))
		_, err = s.e.SetStock(ctx, "S0", "A", n(6), nil)
		taken, ok := errors.AsType[*engine.StockTaken](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.StockTaken{Session: "S0", Category: "A", Capacity: 6, Withheld: 2, Taken: 5}, *taken)
		_, err = s.e.SetStock(ctx, "S9", "A", n(6), nil)
		require.Equal(t, engine.SessionNotFound, codeOf(t, err))
		_, err = s.e.SetStock(ctx, "S0", "Z", n(6), nil)
		require.Equal(t, engine.UnknownCategory, codeOf(t, err))
		_, err = s.e.SetStock(ctx, "S0", "A", nil, n(9))
		taken, ok = errors.AsType[*engine.StockTaken](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.StockTaken{Session: "S0", Category: "A", Capacity: 8, Withheld: 9, Taken: 5}, *taken)
		_, err = s.e.SetStock(ctx, "S0", "A", n(8), n(9))
		require.Equal(t, engine.MalformedRequest, codeOf(t, err))
		_, err = s.e.SetStock(ctx, "S0", "A", n(20), n(0))
		require.NoError(t, err)
		_, err = s.hold("bob", "S0", 6)
		require.NoError(t, err)

		require.NoError(t, s.e.Pause(ctx, engine.Pausable{Session: "S1"}, true))
		_, err = s.hold("bob", "S1", 1)
		require.Equal(t, engine.Paused, codeOf(t, err))
		require.Equal(t, engine.UnknownPhase, codeOf(t, s.e.Pause(ctx, engine.Pausable{Phase: "x"}, true)))
		require.Equal(t, engine.SessionNotFound, codeOf(t, s.e.Pause(ctx, engine.Pausable{Session: "x"}, true)))

		plan, err := s.e.Plan(edited(t, was, added("S2", 3)))
		require.NoError(t, err)
		require.Len(t, plan.Objections, 1, "11 of S0 are held, which has 10 in the files")
		require.Len(t, plan.Changes, 3, "%v", plan.Changes) // the session, that the phase sells it, and S0
		_, err = s.e.Apply(ctx, was, draw.Digest{1})
		require.ErrorIs(t, err, engine.ErrOtherDefinition)
		_, err = s.e.Apply(ctx, edited(t, was, added("S2", 3)), plan.Digest)
		objected, ok := errors.AsType[*engine.ChangeRefused](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, plan.Objections, objected.Objections)
		wider := edited(t, was, func(sale *catalog.Sale) { sale.Pools[0].Capacity = 12; added("S2", 3)(sale) })
		applied := s.apply(t, wider)
		require.Len(t, applied.Changes, 3, "%v", applied.Changes)
		_, err = s.hold("bob", "S2", 3)
		require.NoError(t, err)
		_, err = s.hold("bob", "S1", 1)
		require.Equal(t, engine.Paused, codeOf(t, err), "a pause outlives a new version")
		require.NoError(t, s.e.Pause(ctx, engine.Pausable{Session: "S1"}, false))

		applied = s.apply(t, edited(t, wider, without("S0")))
		_, err = s.hold("cid", "S0", 1)
		require.Equal(t, engine.NotOnSale, codeOf(t, err))
		var r engine.Reservation
		require.NoError(t, s.e.Confirm(ctx, first, "paid", &r))
		require.Equal(t, []engine.Line{{Session: "S0", Category: "A", Quantity: 5}}, r.Lines)
		found, err := s.e.Definition()
		require.NoError(t, err)
		require.Equal(t, applied.Digest, found.Digest)
		require.Equal(t, applied.Version, found.Version)

		placed := func() uint64 {
			if j := s.e.Stats().Journal; j != nil {
				return j.Placed
			}
			return 0
		}
		before := placed()
		require.NoError(t, s.e.Pause(ctx, engine.Pausable{}, false))
		_, err = s.e.SetStock(ctx, "S1", "A", n(10), n(0))
		require.NoError(t, err)
		require.Empty(t, s.apply(t, edited(t, wider, without("S0"))).Changes)
		require.Equal(t, before, placed(), "repeats write nothing")
		c, err := s.e.CheckConservation(ctx)
		require.NoError(t, err)
		require.Empty(t, c.Problem)
	}
}

// during makes a change while a call stalls, and runs do as soon as the transition is in force. It ends the stalled
// call after that, and returns the error of the change.
func (s *seller) during(change func() error, do func()) error {
	end := s.e.Stall()
	changed := make(chan error, 1)
	go func() { changed <- change() }()
	for !s.e.Changing() {
		runtime.Gosched()
	}
	do()
	end()
	return <-changed
}

// A caller that stalls delays a change, and of the other callers only those whom one of the two definitions refuses.
// Those get the answer of the definition that is in force afterwards.
func TestAStalledCallDelaysTheChangeNotTheBuyers(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	was := s.e.Sale()
	var r engine.Reservation
	held, err := s.hold("ann", "S0", 2)
	require.NoError(t, err)
	sold, err := s.hold("ann", "S0", 2)
	require.NoError(t, err)
	require.NoError(t, s.e.Confirm(ctx, sold, "", &r))
	late := make(chan error, 10)
	background := func(do func() error) { go func() { late <- do() }() }

	now := edited(t, was, func(sale *catalog.Sale) {
		sale.Programmes[0].AccountCap = 7
		sale.Programmes[0].WithholdReturned = true
		sale.Pools[1].Capacity = 4
	})
	require.NoError(t, s.during(func() error { _, err := s.e.Apply(ctx, now, draw.Digest{}); return err }, func() {
		_, err := s.hold("bob", "S0", 6)
		require.NoError(t, err, "both definitions accept it")
		require.NoError(t, s.e.Extend(ctx, held, saleStart.Add(time.Minute), &r))
		require.NoError(t, s.e.Confirm(ctx, held, "paid", &r))
		require.NoError(t, s.e.Confirm(ctx, held, "paid", &r))
		require.True(t, r.Repeated)
		require.Equal(t, engine.ReservationConfirmed, codeOf(t, s.e.Release(ctx, held, &r)))
		require.Equal(t, engine.ReservationNotFound, codeOf(t, s.e.Release(ctx, uuid.New(), &r)))
		background(func() error { _, err := s.hold("ann", "S1", 4); return err }) // the old cap accepts it
		var r engine.Reservation
		require.Equal(t, engine.Overloaded, codeOf(t, <-late), "a call waits for a tenth of a second at most")
		require.Equal(t, engine.Overloaded, codeOf(t, s.e.Return(ctx, sold, "", &r)), "they withhold it, or not")
		require.True(t, s.e.Changing())
	}))
	_, err = s.hold("ann", "S1", 4)
	require.Equal(t, engine.AccountCapExceeded, codeOf(t, err))
	require.NoError(t, s.e.Return(ctx, sold, "", &r))
	require.Equal(t, engine.Stock{Capacity: 10, Withheld: 2, Held: 6, Sold: 2}, s.stockOf(t, "S0"))

	// The call that waits gets the answer of the next book, and so does one that waits while the change is given up.
	given, cancel := context.WithCancel(ctx)
	err = s.during(func() error { return s.e.Pause(given, engine.Pausable{}, true) }, func() {
		for range 3 {
			background(func() error { _, err := s.hold("dora", "S1", 1); return err })
		}
		cancel()
		for range 3 {
			require.NoError(t, <-late)
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, s.e.Changing())
	require.NoError(t, s.during(func() error { return s.e.Pause(ctx, engine.Pausable{Session: "S1"}, true) }, func() {
		background(func() error { _, err := s.hold("eve", "S1", 1); return err })
	}))
	require.Equal(t, engine.Paused, codeOf(t, <-late))
}

// If a call stalls for longer than the journal may take, the change is given up, and nothing has changed.
func TestAChangeIsGivenUp(t *testing.T) {
	s := sellerOn(stressSale(t, 1, 10), newStore())
	s.options.JournalTimeout = 50 * time.Millisecond
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	defer func() { require.NoError(t, s.e.Close()) }()
	defer s.e.Stall()()
	digest := func() draw.Digest {
		d, err := s.e.Definition()
		require.NoError(t, err)
		return d.Digest
	}
	before, eight := digest(), 8
	_, err := s.e.SetStock(context.Background(), "S0", "A", &eight, nil)
	require.Equal(t, engine.Overloaded, codeOf(t, err))
	require.False(t, s.e.Changing())
	require.Equal(t, before, digest())
	for range 2 {
		_, err = s.hold("ann"+uuid.NewString(), "S0", 5)
		require.NoError(t, err)
	}
}

// I5: neither a read nor a refusal reveals a change that a crash at that instant could undo.
func TestAChangeIsRevealedWhenItIsDurable(t *testing.T) {
	synctest.Test(t, aChangeIsRevealedWhenItIsDurable)
}

func aChangeIsRevealedWhenItIsDurable(t *testing.T) {
	ctx := t.Context()
	s, kept := newChanging(t, engine.Sync)
	pause := func() error { return s.e.Pause(ctx, engine.Pausable{Phase: "singles"}, true) }
	end := s.undurable(t, kept, pause)
	found, err := s.e.Definition()
	require.NoError(t, err)
	require.Empty(t, found.Paused.Phases)
	require.True(t, s.e.PhaseOpen(0))
	gone, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	q := engine.Request{Account: "ann", Lines: lines("S0/A", 1)}
	require.ErrorIs(t, s.e.Reserve(gone, &q, &engine.Reservation{}), context.DeadlineExceeded)
	refused := begun(func() error { return s.e.Reserve(ctx, &q, &engine.Reservation{}) })
	again := begun(pause)
	require.Empty(t, refused, "an answer before the pause is durable")
	require.Empty(t, again, "an answer before the pause is durable")
	require.NoError(t, end())
	require.NoError(t, <-again)
	require.Equal(t, engine.Paused, codeOf(t, <-refused))
	require.False(t, s.e.PhaseOpen(0))
	found, err = s.e.Definition()
	require.NoError(t, err)
	require.Equal(t, []string{"singles"}, found.Paused.Phases)
}

// The stock of what a sale without pools does not have is refused.
func TestStockOfASaleWithoutPools(t *testing.T) {
	s := sellerOn(edited(t, stressSale(t, 2, 10), func(s *catalog.Sale) { s.Pools = nil }), newStore())
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	_, err := s.e.SetStock(t.Context(), "NONE", "A", nil, nil)
	require.Equal(t, engine.SessionNotFound, codeOf(t, err))
	_, err = s.e.SetStock(t.Context(), "S0", "A", nil, nil)
	require.Equal(t, engine.UnknownCategory, codeOf(t, err))
	require.NoError(t, s.e.Close())
}

// A plan names the tickets of what is removed or goes off sale, which stay. Places of the other categories that are
// derived from all of the venue would be sold again, so they must be stated (I1).
func TestRemovedTicketsStay(t *testing.T) {
	ctx := t.Context()
	s := sellerOn(loaded(t, fullFiles(t)), newStore())
	s.clock.set(time.Date(2034, 5, 20, 0, 0, 0, 0, time.UTC)) // in the general sale
	require.NoError(t, s.start())
	_, err := s.hold("ann", "TEN01", 2)
	require.NoError(t, err)
	_, err = s.hold("bob", "TEN02", 1)
	require.NoError(t, err)
	plan := func(edits ...string) engine.Plan {
		p, err := s.e.Plan(loaded(t, fullFiles(t, edits...)))
		require.NoError(t, err)
		return p
	}
	lines := func(p engine.Plan) (lines []string) {
		for _, c := range p.Changes {
			lines = append(lines, c.String())
		}
		return lines
	}
	withoutA := []string{"TEN01,A,90,\n", ""}
	p := plan(withoutA...)
	require.Contains(t, lines(p), "session TEN01, category A: removed; its 2 held and sold tickets stay")
	objection := "session TEN01: 2 tickets of removed categories (A) are held or sold, and the places of B are derived " +
		"from all places of the venue; state them in stock.csv, 2 fewer in all"
	require.Equal(t, []string{objection}, p.Objections)
	_, err = s.e.Apply(ctx, loaded(t, fullFiles(t, withoutA...)), draw.Digest{})
	require.ErrorContains(t, err, objection)
	require.Contains(t, lines(plan("TEN02,summer,Tennis,Court 1,Paris,2034-07-21,11:00,19:00,0,First round\n", "",
		"TEN02,A,30,1500\n", "")), "session TEN02: removed; its held or sold ticket stays")
	p = plan("session: GAL01", "session: TEN01")
	require.Contains(t, lines(p), "session TEN01: on sale yes → no, excluded; its 2 held and sold tickets stay")
	require.Empty(t, p.Objections)

	stated := append([]string{"JUD02,A,2600,900\n", "JUD02,A,2600,900\nTEN01,B,11998,0\n"}, withoutA...)
	require.Empty(t, plan(stated...).Objections)
	s.apply(t, loaded(t, fullFiles(t, stated...)))
	require.Equal(t, []string{objection}, plan(withoutA...).Objections, "also later")
	require.Empty(t, plan(append([]string{"session: GAL01", "session: TEN01"}, withoutA...)...).Objections)
	require.NoError(t, s.e.Close())
}
