package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// twoPhases is a sale of two sessions in two phases at a time, presale and later. Each session has places in two
// categories, A and B.
func twoPhases(t testing.TB, places int) *catalog.Sale {
	d := spec.Definition{Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 500, SessionLimit: 500}}}
	for _, id := range []string{"presale", "later"} {
		d.Phases = append(d.Phases, spec.DefinedPhase{ID: id, Programme: "games", OpensAt: saleStart,
			ClosesAt: saleStart.Add(1000 * 24 * time.Hour)})
	}
	for i := range 2 {
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: fmt.Sprint("S", i), Programme: "games",
			Places: []int{places, places}})
	}
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// bounded sets the places of presale: of S0, and of S1 if there are two numbers. 0 sets none.
func bounded(t testing.TB, was *catalog.Sale, places ...int) *catalog.Sale {
	return edited(t, was, func(s *catalog.Sale) {
		s.Quotas = nil
		for session, n := range places {
			if n > 0 {
				s.Quotas = append(s.Quotas, catalog.Quota{Session: session, Places: n})
			}
		}
	})
}

// newBounded starts a seller of a sale of two phases.
func newBounded(t testing.TB, sale *catalog.Sale, d engine.Durability) (*seller, *store) {
	kept := newStore()
	s := sellerOn(sale, kept)
	if s.options.Durability = d; d == engine.None {
		s.open = nil
	}
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	t.Cleanup(func() { require.NoError(t, s.e.Close()) })
	return s, kept
}

// holdIn holds tickets of S0 in a phase: so many of category A, and then of B.
func (s *seller) holdIn(phase string, a, b int) (engine.ID, error) {
	var r engine.Reservation
	q := s.requestIn(phase, a, b)
	return q.ID, s.e.Reserve(context.Background(), &q, &r)
}

func (s *seller) requestIn(phase string, a, b int) engine.Request {
	q := engine.Request{ID: uuid.New(), Account: "ann", Phase: phase}
	for i, n := range []int{a, b} {
		if n > 0 {
			q.Lines = append(q.Lines, engine.Line{Session: "S0", Category: []string{"A", "B"}[i], Quantity: n})
		}
	}
	return q
}

// requireLeft requires how many places of S0 presale has, and how many of them are left.
func (s *seller) requireLeft(t testing.TB, places, left int) {
	t.Helper()
	require.Contains(t, s.e.PhasePlaces(0), engine.PhasePlaces{Session: "S0", Places: places, Available: left})
}

// A phase sells its places and no more, over all categories of a session. Another phase sells the rest.
func TestAPhaseSellsItsPlaces(t *testing.T) {
	for _, d := range []engine.Durability{engine.Sync, engine.Async, engine.None} {
		s, _ := newBounded(t, bounded(t, twoPhases(t, 20), 5), d)
		ctx := t.Context()
		var r engine.Reservation
		require.Empty(t, s.e.PhasePlaces(1))
		s.requireLeft(t, 5, 5)
		id, err := s.holdIn("presale", 1, 1)
		require.NoError(t, err)
		require.NoError(t, s.e.Flush(ctx))
		s.requireLeft(t, 5, 3)
		_, err = s.holdIn("presale", 0, 4)
		refusal, ok := errors.AsType[*engine.Refusal](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, engine.Refusal{Code: engine.SoldOut, Phase: "presale", Session: "S0", Category: "B", Limit: 5,
			Requested: 4, Available: 3}, *refusal)
		require.EqualError(t, err,
			"sold_out: phase presale has 3 of its 5 places of session S0 left; 4 were requested")
		_, err = s.holdIn("presale", 21, 1)
		require.EqualError(t, err, "sold_out: session S0, category A has 19 tickets left; 21 were requested")
		_, err = s.holdIn("later", 10, 10)
		require.NoError(t, err)

		q := s.requestIn("presale", 2, 4)
		q.Replaces = id
		require.ErrorContains(t, s.e.Reserve(ctx, &q, &r), "presale has 5 of its 5 places of session S0 left; 6 were")
		q.Lines[1].Quantity = 3
		require.NoError(t, s.e.Reserve(ctx, &q, &r))
		require.NoError(t, s.e.Confirm(ctx, q.ID, "", &r))
		require.NoError(t, s.e.Flush(ctx))
		s.requireLeft(t, 5, 0)
		require.NoError(t, s.e.Reduce(ctx, q.ID, q.Lines[:1], &r))
		require.NoError(t, s.e.Flush(ctx))
		s.requireLeft(t, 5, 3)
		require.NoError(t, s.e.Return(ctx, q.ID, "", &r))
		id, err = s.holdIn("presale", 5, 0)
		require.NoError(t, err)
		s.clock.set(saleStart.Add(time.Hour))
		require.NoError(t, s.e.Reservation(ctx, id, &r))
		require.Equal(t, engine.Expired, r.State)
		other, err := s.holdIn("presale", 0, 5)
		require.NoError(t, err, "what has expired is free again")
		require.ErrorContains(t, s.e.ConfirmAgain(ctx, id, "", &r), "presale has 0 of its 5 places")
		require.NoError(t, s.e.Release(ctx, other, &r))
		require.NoError(t, s.e.ConfirmAgain(ctx, id, "", &r))
		require.NoError(t, s.e.Flush(ctx))
		s.requireLeft(t, 5, 0)
		require.True(t, s.soundly(t))
	}
}

// objectionTo returns the only objection to a sale, by Plan and by Apply.
func (s *seller) objectionTo(t testing.TB, sale *catalog.Sale) string {
	t.Helper()
	plan, err := s.e.Plan(sale)
	require.NoError(t, err)
	_, err = s.e.Apply(context.Background(), sale, draw.Digest{})
	refused, ok := errors.AsType[*engine.ChangeRefused](err)
	require.True(t, ok, "%v", err)
	require.Len(t, refused.Objections, 1)
	require.Equal(t, plan.Objections, refused.Objections)
	return refused.Objections[0]
}

// Places change while the phase sells: never below what is taken, and a session gets places only while the phase has
// sold none of it. Without a bound the phase goes on counting.
func TestPlacesChangeWhileThePhaseSells(t *testing.T) {
	base := twoPhases(t, 20)
	s, _ := newBounded(t, base, engine.Sync)
	ctx := t.Context()
	var r engine.Reservation
	inLater, err := s.holdIn("later", 1, 0)
	require.NoError(t, err)
	id, err := s.holdIn("presale", 1, 0)
	require.NoError(t, err)
	require.Equal(t, "phase presale: tickets of session S0 are held or sold in it; places can be set only before",
		s.objectionTo(t, bounded(t, base, 3, 3)))
	require.NoError(t, s.e.Release(ctx, id, &r))
	s.apply(t, bounded(t, base, 3, 3))
	s.requireLeft(t, 3, 3)
	require.NoError(t, s.e.Confirm(ctx, inLater, "", &r))
	id, err = s.holdIn("presale", 2, 0)
	require.NoError(t, err)
	require.Equal(t, "phase presale: 2 tickets of session S0 are taken in it, so 1 places are too few",
		s.objectionTo(t, bounded(t, base, 1, 3)))
	s.apply(t, bounded(t, base, 2, 3))
	s.requireLeft(t, 2, 0)
	_, err = s.holdIn("presale", 0, 1)
	require.Equal(t, engine.SoldOut, codeOf(t, err))

	s.apply(t, bounded(t, base, 0, 3))
	require.Len(t, s.e.PhasePlaces(0), 1)
	_, err = s.holdIn("presale", 10, 0)
	require.NoError(t, err)
	require.Equal(t, "phase presale: 12 tickets of session S0 are taken in it, so 11 places are too few",
		s.objectionTo(t, bounded(t, base, 11, 3)))
	s.apply(t, bounded(t, base, 13, 3))
	s.requireLeft(t, 13, 1)
	require.NoError(t, s.e.Release(ctx, id, &r))
	s.requireLeft(t, 13, 3)
	require.True(t, s.soundly(t))
}

// Whoever would buy in the phase and session that get places waits until they have them. Others do not wait.
func TestCallsWhilePlacesAreSet(t *testing.T) {
	base := twoPhases(t, 20)
	s, _ := newBounded(t, base, engine.Sync)
	ctx := t.Context()
	next := bounded(t, base, 3)
	set := func() error { _, err := s.e.Apply(ctx, next, draw.Digest{}); return err }
	answer := make(chan error, 1)
	require.NoError(t, s.during(set, func() {
		_, err := s.holdIn("later", 1, 0)
		require.NoError(t, err)
		_, err = s.holdIn("presale", 1, 0)
		require.Equal(t, engine.Overloaded, codeOf(t, err))
		go func() { _, err := s.holdIn("presale", 4, 0); answer <- err }()
	}))
	require.Equal(t, engine.SoldOut, codeOf(t, <-answer), "by the definition that is in force then")
	s.requireLeft(t, 3, 3)
}

// What presale has sold and its places are the same after restarts, from all records and from a checkpoint, and after
// changes.
func TestPlacesOutliveRestarts(t *testing.T) {
	base := twoPhases(t, 20)
	s, kept := newBounded(t, base, engine.Sync)
	ctx := t.Context()
	var r engine.Reservation
	id, err := s.holdIn("presale", 2, 0)
	require.NoError(t, err)
	require.NoError(t, s.e.Release(ctx, id, &r))
	s.apply(t, bounded(t, base, 4, 0))
	id, err = s.holdIn("presale", 2, 1)
	require.NoError(t, err)
	require.NoError(t, s.e.Confirm(ctx, id, "", &r))
	require.NoError(t, s.e.Reduce(ctx, id, r.Lines[1:], &r))
	_, err = s.holdIn("presale", 1, 0)
	require.NoError(t, err)
	q := s.requestIn("later", 1, 0)
	q.Replaces, err = s.holdIn("presale", 1, 0)
	require.NoError(t, err)
	require.NoError(t, s.e.Reserve(ctx, &q, &r))
	check := func() {
		t.Helper()
		require.True(t, s.soundly(t))
		s.requireLeft(t, 4, 2)
		_, err := s.holdIn("presale", 3, 0)
		require.Equal(t, engine.SoldOut, codeOf(t, err))
	}
	check()
	require.NoError(t, s.Restart())
	check()
	_, err = s.e.Checkpoint(ctx)
	require.NoError(t, err)
	require.NoError(t, s.Restart())
	check()
	s.apply(t, bounded(t, base, 0, 1))
	require.NoError(t, s.Restart())
	s.apply(t, bounded(t, base, 4, 1))
	check()
	found, err := audit.Verify(kept.open(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
}

// A sale that sets places is refused at a start as it is by Apply.
func TestPlacesThatASaleBringsAtAStart(t *testing.T) {
	base := twoPhases(t, 20)
	s, _ := newBounded(t, base, engine.Sync)
	id, err := s.holdIn("presale", 2, 0)
	require.NoError(t, err)
	require.NoError(t, s.e.Close())
	s.options.Sale = bounded(t, base, 4)
	require.ErrorContains(t, s.start(), "phase presale: tickets of session S0 are held or sold in it")
	s.options.Sale = base
	require.NoError(t, s.start())
	require.NoError(t, s.e.Release(t.Context(), id, &engine.Reservation{}))
	require.NoError(t, s.e.Close())
	s.options.Sale = bounded(t, base, 4)
	require.NoError(t, s.start())
	s.requireLeft(t, 4, 4)
	require.True(t, s.soundly(t))
}

// A standby counts places with each record, and leads with them.
func TestAStandbyTakesOverPlaces(t *testing.T) {
	inCluster(t, func(c *cluster) {
		base := twoPhases(c, 20)
		c.sale = base
		a := c.leader("a")
		b := c.standby("b")
		var r engine.Reservation
		reserve := func(n *node, phase string, quantity int) (engine.ID, error) {
			q := (*seller)(nil).requestIn(phase, quantity, 0)
			return q.ID, n.Reserve(c.Context(), &q, &r)
		}
		_, err := a.Apply(c.Context(), bounded(c, base, 4), draw.Digest{})
		require.NoError(c, err)
		id, err := reserve(a, "presale", 3)
		require.NoError(c, err)
		require.NoError(c, a.Confirm(c.Context(), id, "", &r))
		_, err = reserve(a, "later", 3)
		require.NoError(c, err)
		time.Sleep(2 * beat)
		left := []engine.PhasePlaces{{Session: "S0", Places: 4, Available: 1}}
		require.Equal(c, left, b.PhasePlaces(0))
		_, err = a.Apply(c.Context(), bounded(c, base, 5, 7), draw.Digest{})
		require.NoError(c, err)
		a.crash()
		time.Sleep(silence)
		b.requireLeads()
		left = []engine.PhasePlaces{{Session: "S0", Places: 5, Available: 2}, {Session: "S1", Places: 7, Available: 7}}
		require.Equal(c, left, b.PhasePlaces(0))
		_, err = reserve(b, "presale", 3)
		require.Equal(c, engine.SoldOut, codeOf(c, err))
		_, err = reserve(b, "presale", 2)
		require.NoError(c, err)
		checked, err := b.CheckConservation(c.Context())
		require.NoError(c, err)
		require.Empty(c, checked.Problem)
		b.close()
		c.verify()
	})
}

// I1, I6: callers trade in two phases while places are set, changed and removed, and while places and stock are checked
// again and again. A restart shows the same, and the journal is legal from its opening.
func TestPlacesChangeAmongCallers(t *testing.T) {
	random := seeded(t)
	base := twoPhases(t, 30)
	kept := newStore()
	s := sellerOn(base, kept)
	s.options.Clock = saleclock.Virtual(func() time.Time { return saleStart.Add(time.Second) })
	require.NoError(t, s.start())
	var codes tally
	ended := make(chan struct{})
	var callers sync.WaitGroup
	calls := rounds(t, 1500)
	for i := range 4 {
		random := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		callers.Go(func() { tradeInPhases(t, s.e, random, calls, &codes) })
	}
	go func() { callers.Wait(); close(ended) }()
	applied, refused := 0, 0
	for trading := true; trading; {
		select {
		case <-ended:
			trading = false
		default:
		}
		_, err := s.e.Apply(context.Background(), bounded(t, base, random.IntN(9), random.IntN(9)), draw.Digest{})
		switch _, objected := errors.AsType[*engine.ChangeRefused](err); {
		case err == nil:
			applied++
		case objected:
			refused++
		default:
			require.Equal(t, engine.Overloaded, codeOf(t, err))
		}
		require.True(t, s.soundly(t))
		for _, p := range s.e.PhasePlaces(0) {
			require.True(t, p.Available >= 0 && p.Available <= p.Places, "I1: %+v", p)
		}
	}
	t.Log(applied, refused, codes.n)
	require.Positive(t, applied)
	require.True(t, s.soundly(t))
	shown, places := allInForce(t, s.e), s.e.PhasePlaces(0)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, allInForce(t, s.e))
	require.Equal(t, places, s.e.PhasePlaces(0))
	require.True(t, s.soundly(t))
	require.NoError(t, s.e.Close())
	found, err := audit.Verify(kept.open(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
}

// tradeInPhases makes so many calls in both phases. At times it gives back all that it has, so that a
// phase can get places.
func tradeInPhases(t testing.TB, e *engine.Engine, random *rand.Rand, calls int, codes *tally) {
	ctx := context.Background()
	var r engine.Reservation
	var own []engine.ID
	reserve := func(replaces engine.ID) error {
		q := engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", random.IntN(3)), Replaces: replaces,
			Phase: []string{"presale", "later"}[random.IntN(2)]}
		if replaces != (engine.ID{}) {
			if err := e.Reservation(ctx, replaces, &r); err != nil {
				return err
			}
			q.Account = r.Account
		}
		for _, category := range []string{"A", "B"}[random.IntN(2):] {
			q.Lines = append(q.Lines, engine.Line{Session: fmt.Sprint("S", random.IntN(2)), Category: category,
				Quantity: 1 + random.IntN(2)})
		}
		err := e.Reserve(ctx, &q, &r)
		if err == nil {
			own = append(own, q.ID)
		}
		return err
	}
	for range calls {
		var err error
		if len(own) == 0 {
			err = reserve(engine.ID{})
			codes.add(codeOf(t, err))
			continue
		}
		at := random.IntN(len(own))
		id := own[at]
		switch random.IntN(8) {
		case 0, 1:
			err = reserve(engine.ID{})
		case 2:
			err = reserve(id)
		case 3:
			err = e.Confirm(ctx, id, "", &r)
		case 4:
			err = e.Extend(ctx, id, saleStart.Add(time.Duration(10+random.IntN(500))*time.Second), &r)
		case 5:
			if err = e.Reservation(ctx, id, &r); err == nil {
				err = e.Reduce(ctx, id, slices.Clone(r.Lines[:1]), &r)
			}
		default:
			for _, id := range own {
				if err = e.Release(ctx, id, &r); codeOf(t, err) == engine.ReservationConfirmed {
					err = e.Return(ctx, id, "", &r)
				}
				codes.add(codeOf(t, err))
			}
			own = own[:0]
		}
		codes.add(codeOf(t, err))
	}
}
