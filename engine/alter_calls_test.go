package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/rules"
)

// withDraw returns a sale that has one more phase with access slots, and its draw, whose registration is open for an
// hour. It sells all sessions in all phases.
func withDraw(t testing.TB, was *catalog.Sale, change func(s *catalog.Sale)) *catalog.Sale {
	t.Helper()
	paris, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	s := *was
	d, p := paris.Draws[0], paris.Phases[paris.Draws[0].Phase]
	d.ID, d.Phase, d.RegistrationOpens, d.RegistrationCloses = "late", len(s.Phases), saleStart, saleStart.Add(time.Hour)
	p.ID, p.Programme, p.Kind, p.Draw = "drawn", 0, catalog.Single, len(s.Draws)
	p.OpensAt, p.ClosesAt = saleStart, saleStart.Add(1000*time.Hour)
	p.Slots.Group, p.Slots.PriorityDays = -1, 0
	s.Draws = append(append([]catalog.Draw(nil), s.Draws...), d)
	s.Phases = append(append([]catalog.Phase(nil), s.Phases...), p)
	if change != nil {
		change(&s)
	}
	sells := make([][]bool, len(s.Phases))
	for i := range sells {
		sells[i] = make([]bool, len(s.Sessions))
		for j := range sells[i] {
			sells[i][j] = true
		}
	}
	made, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	return made
}

// While a change that adds a draw is under way, requests are judged by the coming definition as well, although the
// draw is not there yet.
func TestCallsWhileADrawIsAdded(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	was := s.e.Sale()
	now := withDraw(t, was, func(s *catalog.Sale) {
		s.Phases[0].ClosesAt = saleStart // only the phase of the draw is open
	})
	require.NoError(t, s.during(func() error { _, err := s.e.Apply(ctx, now, draw.Digest{}); return err }, func() {
		_, err := s.hold("ann", "S0", 1)
		require.Equal(t, engine.Overloaded, codeOf(t, err))
	}))
	_, err := s.hold("ann", "S0", 1)
	require.Equal(t, engine.NoAccessSlot, codeOf(t, err))
	_, err = s.e.Enter(ctx, "late", "ann", "")
	require.NoError(t, err)
}

// A plan is made for the definition that is durable, while one that adds a draw is not yet.
func TestPlanWhileADrawIsNotDurable(t *testing.T) {
	synctest.Test(t, planWhileADrawIsNotDurable)
}

func planWhileADrawIsNotDurable(t *testing.T) {
	ctx := t.Context()
	s, kept := newChanging(t, engine.Sync)
	was := s.e.Sale()
	end := s.undurable(t, kept, func() error {
		_, err := s.e.Apply(ctx, withDraw(t, was, nil), draw.Digest{})
		return err
	})
	plan, err := s.e.Plan(was)
	require.NoError(t, end())
	require.NoError(t, err)
	require.Empty(t, plan.Objections)
}

// undurable makes a change that is in force for calls and not durable until end is called, which returns its error.
// It runs in a bubble of synctest.
func (s *seller) undurable(t testing.TB, kept *store, change func() error) (end func() error) {
	block, blocked, ended := make(chan struct{}), make(chan struct{}, 1000), make(chan error, 1)
	synctest.Wait() // the writer calls the hook without the lock
	kept.mu.Lock()
	kept.before = func(context.Context, journal.Group) error {
		blocked <- struct{}{}
		<-block
		return nil
	}
	kept.mu.Unlock()
	open := sync.OnceFunc(func() { close(block) })
	t.Cleanup(open)
	go func() { ended <- change() }()
	<-blocked
	synctest.Wait()
	require.False(t, s.e.Changing())
	return func() error {
		open()
		return <-ended
	}
}

// I5: the refusal of a change reveals neither the change before it nor a hold before that is durable.
func TestARefusedChangeRevealsOnlyWhatIsDurable(t *testing.T) {
	synctest.Test(t, refusedChangeRevealsOnlyWhatIsDurable)
}

func refusedChangeRevealsOnlyWhatIsDurable(t *testing.T) {
	ctx := t.Context()
	five, three := 5, 3
	set := func(s *seller, ctx context.Context, n *int) error {
		_, err := s.e.SetStock(ctx, "S0", "A", n, nil)
		return err
	}
	s, kept := newChanging(t, engine.Sync)
	found, err := s.e.Definition()
	require.NoError(t, err)
	end := s.undurable(t, kept, func() error { return set(s, ctx, &five) })
	gone, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = s.e.Apply(gone, s.e.Sale(), found.Digest)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	refused := begun(func() error {
		_, err := s.e.Apply(ctx, s.e.Sale(), found.Digest)
		return err
	})
	require.Empty(t, refused, "an answer before the change is durable")
	require.NoError(t, end())
	require.ErrorIs(t, <-refused, engine.ErrOtherDefinition)

	s, kept = newChanging(t, engine.Sync)
	end = s.undurable(t, kept, func() error { _, err := s.hold("ann", "S0", 4); return err })
	gone, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, set(s, gone, &three), context.DeadlineExceeded)
	refused = begun(func() error { return set(s, ctx, &three) })
	require.Empty(t, refused, "an answer before the hold is durable")
	require.NoError(t, end())
	_, ok := errors.AsType[*engine.StockTaken](<-refused)
	require.True(t, ok)
}

// begun starts a call, and returns when that has ended or is blocked. The channel gets the error of the call. It runs
// in a bubble of synctest.
func begun(call func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	synctest.Wait()
	return ended
}

// A draw that the definition in force does not have is neither frozen nor postponed, although that is not durable yet:
// otherwise the draw could never come back.
func TestADrawThatIsRemovedIsNotFrozen(t *testing.T) {
	synctest.Test(t, removedDrawIsNotFrozen)
}

func removedDrawIsNotFrozen(t *testing.T) {
	ctx := t.Context()
	s, kept := newChanging(t, engine.Sync)
	was := s.e.Sale()
	drawn := withDraw(t, was, nil)
	s.apply(t, drawn)
	s.clock.set(saleStart.Add(2 * time.Hour))
	end := s.undurable(t, kept, func() error { _, err := s.e.Apply(ctx, was, draw.Digest{}); return err })
	frozen := begun(func() error { _, err := s.e.FreezeDraw(ctx, "late"); return err })
	postponed := begun(func() error { _, err := s.e.PostponeDraw(ctx, "late", 1<<40); return err })
	require.Empty(t, frozen, "an answer before the removal is durable")
	require.Empty(t, postponed, "an answer before the removal is durable")
	require.NoError(t, end())
	require.Equal(t, engine.DrawNotFound, codeOf(t, <-frozen))
	require.Equal(t, engine.DrawNotFound, codeOf(t, <-postponed))
	s.apply(t, drawn)
	status, err := s.e.FreezeDraw(ctx, "late")
	require.NoError(t, err)
	require.Equal(t, engine.DrawFrozen, status.State)
}

// The statistics of access slots name phases that came after the last check of the stock.
func TestStatisticsOfAPhaseThatWasAdded(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	_, err := s.e.CheckConservation(ctx)
	require.NoError(t, err)
	s.apply(t, withDraw(t, s.e.Sale(), nil))
	s.clock.set(saleStart.Add(24 * time.Hour))
	require.NotEmpty(t, s.e.Stats().Slots)
}

// A call that loaded the transition and then stalled meets reservations of sessions and phases that only the new
// definition has.
func TestALateCallOfATransition(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	was := s.e.Sale()
	now := withDraw(t, was, func(s *catalog.Sale) {
		added("S2", 40)(s)
		s.Phases[0].ClosesAt = saleStart
		s.Phases[1].ID, s.Phases[1].Access, s.Phases[1].Draw, s.Draws = "new", catalog.Open, -1, nil
		s.Phases[1].Slots = catalog.SlotRule{Group: -1}
	})
	var late *rules.Book
	require.NoError(t, s.during(func() error { _, err := s.e.Apply(ctx, now, draw.Digest{}); return err }, func() {
		late = s.e.Book()
	}))
	var r engine.Reservation
	hold := func() engine.Request {
		q := engine.Request{ID: uuid.New(), Account: "ann", Phase: "new", TTL: time.Minute,
			Lines: []engine.Line{{Session: "S2", Category: "A", Quantity: 1}}}
		require.NoError(t, s.e.Reserve(ctx, &q, &r))
		require.Equal(t, "new", r.Phase)
		return q
	}
	held, sold, over := hold(), hold(), hold()
	require.NoError(t, s.e.Extend(ctx, held.ID, saleStart.Add(5*time.Minute), &r))
	require.NoError(t, s.e.Confirm(ctx, sold.ID, "", &r))
	s.clock.set(saleStart.Add(2 * time.Minute))
	require.Equal(t, engine.ReservationExpired, codeOf(t, s.e.Confirm(ctx, over.ID, "", &r)))

	s.e.Under(late, func() {
		require.NoError(t, s.e.Reserve(ctx, &held, &r))
		require.True(t, r.Repeated)
		require.Equal(t, "S2", r.Lines[0].Session)
		require.NoError(t, s.e.Reservation(ctx, held.ID, &r))
		require.NoError(t, s.e.Extend(ctx, held.ID, saleStart.Add(4*time.Minute), &r))
		require.NoError(t, s.e.Confirm(ctx, sold.ID, "", &r))
		require.Equal(t, "S2", r.Lines[0].Session)
		for _, call := range []func() error{
			func() error { return s.e.Reserve(ctx, &over, &r) },
			func() error { return s.e.Confirm(ctx, over.ID, "", &r) },
			func() error { return s.e.ConfirmAgain(ctx, over.ID, "", &r) },
			func() error { return s.e.Reduce(ctx, held.ID, held.Lines, &r) },
			func() error { return s.e.Return(ctx, sold.ID, "", &r) },
			func() error {
				return s.e.Reserve(ctx, &engine.Request{Account: "ann", Replaces: over.ID, Lines: held.Lines}, &r)
			},
			func() error {
				return s.e.Reserve(ctx, &engine.Request{Account: "ann", Replaces: held.ID, Lines: held.Lines}, &r)
			},
		} {
			require.Equal(t, engine.Overloaded, codeOf(t, call()))
		}
		_, err := s.e.Account(ctx, "ann")
		require.NoError(t, err)
		require.NoError(t, s.e.Release(ctx, held.ID, &r))
		require.Equal(t, "S2", r.Lines[0].Session)
	})
	require.NoError(t, s.e.Return(ctx, sold.ID, "", &r))
}

// Whether an expired reservation can be taken again rests on the definition. While that changes, nobody is told that
// it cannot, since the change may be given up.
func TestWhetherAnExpiredOneCanBeTakenAgainWhileTheSaleChanges(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	held, err := s.hold("ann", "S0", 1)
	require.NoError(t, err)
	s.clock.set(saleStart.Add(time.Hour))
	given, cancel := context.WithCancel(ctx)
	answered := make(chan error, 1)
	var r engine.Reservation
	err = s.during(func() error { return s.e.Pause(given, engine.Pausable{}, true) }, func() {
		go func() { answered <- s.e.Confirm(ctx, held, "", &r) }()
		cancel()
		err := <-answered
		require.Equal(t, engine.ReservationExpired, codeOf(t, err))
		refusal, _ := errors.AsType[*engine.Refusal](err)
		require.True(t, refusal.CanTakeAgain)
	})
	require.ErrorIs(t, err, context.Canceled)
}

// A change that waits for another one ends with its context.
func TestAChangeThatWaitsEndsWithItsContext(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	require.NoError(t, s.during(func() error { return s.e.Pause(ctx, engine.Pausable{}, true) }, func() {
		gone, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.e.Pause(gone, engine.Pausable{}, false), context.DeadlineExceeded)
	}))
	found, err := s.e.Definition()
	require.NoError(t, err)
	require.True(t, found.Paused.Sale)
}

// A phase that is paused and removed is not among what is paused: nobody could resume it. It comes back paused. A
// removed session can be resumed.
func TestPausesOfRemovedParts(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	was := s.e.Sale()
	paused := func() engine.Pauses {
		found, err := s.e.Definition()
		require.NoError(t, err)
		return found.Paused
	}
	s.apply(t, withDraw(t, was, nil))
	phase, session := engine.Pausable{Phase: "drawn"}, engine.Pausable{Session: "S1"}
	require.NoError(t, s.e.Pause(ctx, phase, true))
	require.NoError(t, s.e.Pause(ctx, session, true))
	s.apply(t, edited(t, was, without("S1")))
	require.Equal(t, engine.Pauses{Sessions: []string{"S1"}}, paused())
	require.Equal(t, engine.UnknownPhase, codeOf(t, s.e.Pause(ctx, phase, false)))
	require.NoError(t, s.e.Pause(ctx, session, false))
	s.apply(t, withDraw(t, was, nil))
	require.Equal(t, engine.Pauses{Phases: []string{"drawn"}}, paused())
	require.NoError(t, s.e.Pause(ctx, phase, false))
	require.Equal(t, engine.Pauses{}, paused())
}
