package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
)

// forgetful returns a seller whose sale forgets after an hour, with the journal in memory.
func forgetful(t testing.TB) (*seller, *store) {
	kept := newStore()
	s := newSeller(stressSale(t, 1, 100_000), func() (journal.Backend, error) { return kept.open(), nil })
	s.options.Forget = time.Hour
	s.clock.set(saleStart)
	return s, kept
}

// What ended is forgotten by a start a millisecond after Forget, with and without a checkpoint, and not earlier: what
// was released counts from then, not from the end of its time. What is confirmed or still held is not forgotten.
func TestForgettingToTheMillisecond(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		t.Run(fmt.Sprint("checkpoint=", checkpoint), func(t *testing.T) {
			s, kept := forgetful(t)
			require.NoError(t, s.start())
			var r engine.Reservation
			ids := map[string]uuid.UUID{}
			for _, name := range []string{"released", "expired", "confirmed", "held"} {
				ids[name] = uuid.New()
				require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: ids[name], Account: name,
					Lines: lines("S0/A", 1)}, &r))
			}
			over, released := r.ExpiresAt, saleStart.Add(time.Second)
			s.clock.set(released)
			require.NoError(t, s.e.Release(t.Context(), ids["released"], &r))
			require.NoError(t, s.e.Confirm(t.Context(), ids["confirmed"], "paid", &r))
			s.clock.set(over)
			require.NoError(t, s.e.Reservation(t.Context(), ids["expired"], &r)) // ends it
			states := func() (found []string) {
				for _, name := range []string{"released", "expired", "confirmed"} {
					if codeOf(t, s.e.Reservation(t.Context(), ids[name], &r)) == "" {
						require.Equal(t, name, r.State.String())
						found = append(found, name)
					}
				}
				return found
			}
			restartAt := func(at time.Time) {
				s.clock.set(at)
				if checkpoint {
					_, err := s.e.Checkpoint(t.Context())
					require.NoError(t, err)
				}
				require.NoError(t, s.Restart())
				require.EqualValues(t, 1, s.e.Stock(0).Held, "it is due and not swept yet")
				require.EqualValues(t, 1, s.e.Stock(0).Sold)
			}
			restartAt(released.Add(time.Hour))
			require.Equal(t, []string{"released", "expired", "confirmed"}, states())
			require.Equal(t, 4, s.e.Recovery().Reservations)
			restartAt(released.Add(time.Hour + time.Millisecond))
			require.Equal(t, []string{"expired", "confirmed"}, states())
			restartAt(over.Add(time.Hour))
			require.Equal(t, []string{"expired", "confirmed"}, states())
			require.Equal(t, 3, s.e.Recovery().Reservations)
			restartAt(over.Add(time.Hour + time.Millisecond))
			require.Equal(t, []string{"confirmed"}, states())
			require.Equal(t, "paid", r.Reference)
			require.Equal(t, 2, s.e.Recovery().Reservations)
			require.NoError(t, s.e.Reservation(t.Context(), ids["held"], &r))
			require.Equal(t, engine.Expired, r.State)
			require.NoError(t, s.e.Close())
			verify(t, kept.open(), s.options.Sale)
		})
	}
}

// A table that abandoned holds have filled refuses with its name, and has room again after a start that forgets them,
// life after life and without a checkpoint. The confirmed ones stay.
func TestFullTableHasRoomAgain(t *testing.T) {
	s, kept := forgetful(t)
	const room = 50
	s.options.MaxReservations = room
	var r engine.Reservation
	for life := range 4 {
		require.NoError(t, s.start())
		require.Equal(t, life, s.e.Recovery().Reservations, "one confirmed reservation a life")
		var refusal *engine.Refusal
		made := life
		for ; made <= room; made++ {
			err := s.e.Reserve(t.Context(), &engine.Request{Account: fmt.Sprint("a", made), Lines: lines("S0/A", 1)}, &r)
			if err != nil {
				require.ErrorAs(t, err, &refusal)
				break
			}
		}
		require.Equal(t, room, made)
		require.Equal(t, engine.Full, refusal.Code)
		require.Equal(t, "reservations", refusal.Table)
		require.NoError(t, s.e.Confirm(t.Context(), r.ID, "", &r), "a full table refuses new reservations only")
		fill := s.e.Stats().Tables[0]
		require.Equal(t, [2]int{room, room}, [2]int{fill.Used, fill.Limit})
		s.clock.ms.Add(s.options.TTL.Milliseconds())
		require.Equal(t, room-life-1, s.e.ExpireDue())
		require.NoError(t, s.e.Close())
		s.clock.ms.Add(time.Hour.Milliseconds() + 1)
	}
	found := verify(t, kept.open(), s.options.Sale)
	require.Equal(t, 4, found.ByState[engine.Confirmed])
}

// A full table of accounts refuses those it does not know.
func TestFullTableOfAccounts(t *testing.T) {
	s := newSeller(stressSale(t, 1, 100), nil)
	s.options.MaxAccounts = 1
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{Account: "ann", Lines: lines("S0/A", 1)}, &r))
	var refusal *engine.Refusal
	require.ErrorAs(t, s.e.Reserve(t.Context(), &engine.Request{Account: "bob", Lines: lines("S0/A", 1)}, &r), &refusal)
	require.Equal(t, engine.Full, refusal.Code)
	require.Equal(t, "accounts", refusal.Table)
	require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{Account: "ann", Lines: lines("S0/A", 1)}, &r))
	require.NoError(t, s.e.Close())
}

// A full table of accounts refuses entries for a draw, too.
func TestFullTableRefusesEntries(t *testing.T) {
	r := newBallotRun(t)
	e, err := engine.Open(t.Context(), engine.Options{Sale: r.sale, Durability: engine.None, SweepEvery: -1,
		MaxAccounts: 1, MaxReservations: 1 << 10, Clock: saleclock.Virtual(func() time.Time { return *r.now.Load() })})
	require.NoError(t, err)
	_, err = e.Enter(t.Context(), "draw1", "ann", "")
	require.NoError(t, err)
	require.Equal(t, 1, e.Stats().Forgetting.KeptAccounts)
	_, err = e.Enter(t.Context(), "draw1", "bob", "")
	var refusal *engine.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, engine.Full, refusal.Code)
	require.Equal(t, "accounts", refusal.Table)
	require.NoError(t, e.Close())
}

// Random lives of a sale: ids are used again once they are forgotten, the sale goes on while checkpoints are written,
// and the newest checkpoint may be lost. After each start every reservation is what it was, unless it ended and was
// forgotten, and the journal is legal.
func TestForgettingInRandomLives(t *testing.T) {
	random := seeded(t)
	for range rounds(t, 10) {
		lives := randomLives{t: t, random: random, was: map[uuid.UUID]engine.Reservation{},
			changed: map[uuid.UUID]bool{}, over: map[uuid.UUID]time.Time{}, counts: map[string]int{}}
		lives.run()
		for _, call := range []string{"extend", "reduce", "return", "again", "replace"} {
			require.Positive(t, lives.counts[call], call)
		}
	}
}

type randomLives struct {
	t       *testing.T
	random  *rand.Rand
	s       *seller
	kept    *store
	ids     []uuid.UUID
	was     map[uuid.UUID]engine.Reservation // as last read, by id
	changed map[uuid.UUID]bool               // ever, under this id
	over    map[uuid.UUID]time.Time          // when it was released or returned
	again   int                              // ids that were used again
	counts  map[string]int                   // calls that changed something
}

func (l *randomLives) run() {
	l.s, l.kept = forgetful(l.t)
	l.s.open = func() (journal.Backend, error) {
		return &busy{memory: l.kept.open(), calls: func() {
			l.calls(20)
			if l.random.IntN(3) == 0 {
				l.s.clock.ms.Add(2 * time.Hour.Milliseconds())
				l.calls(20)
			}
		}}, nil
	}
	require.NoError(l.t, l.s.start())
	for range 8 {
		for range 4 {
			l.calls(30)
			l.s.clock.ms.Add(l.random.Int64N(40 * time.Minute.Milliseconds()))
			if l.random.IntN(2) == 0 {
				_, err := l.s.e.Checkpoint(l.t.Context())
				require.NoError(l.t, err)
			}
		}
		require.NoError(l.t, l.s.e.Flush(l.t.Context()))
		l.readAll()
		if n := len(l.kept.checkpoints); n > 1 && l.random.IntN(3) == 0 {
			l.kept.checkpoints = l.kept.checkpoints[:n-1]
		}
		l.s.clock.ms.Add(l.random.Int64N(90 * time.Minute.Milliseconds()))
		now, behind := l.s.clock.now(), l.random.IntN(3) == 0
		if behind { // a simulated clock begins at its start and is set forward after the replay
			l.s.clock.set(saleStart)
			l.s.options.Clock = saleclock.Virtual(l.s.clock.now)
		}
		require.NoError(l.t, l.s.Restart())
		l.s.clock.set(now)
		l.compare(behind)
	}
	require.NoError(l.t, l.s.e.Close())
	verify(l.t, l.kept.open(), l.s.options.Sale)
	require.Positive(l.t, l.again)
}

// calls makes random calls.
func (l *randomLives) calls(n int) {
	var r engine.Reservation
	for range n {
		switch l.random.IntN(12) {
		case 0, 1, 2, 3, 4:
			l.reserve(&r)
		case 5:
			_ = codeOf(l.t, l.s.e.Confirm(l.t.Context(), l.anyID(), "paid", &r))
		case 6:
			id := l.anyID()
			if codeOf(l.t, l.s.e.Release(l.t.Context(), id, &r)) == "" && !r.Repeated {
				l.over[id] = l.s.clock.now()
			}
		case 7:
			l.s.e.ExpireDue()
		default:
			l.change(&r)
		}
	}
}

// reserve makes a new reservation, sometimes under an id that was used, or in the place of another one.
func (l *randomLives) reserve(r *engine.Reservation) {
	id := uuid.Must(uuid.NewRandomFromReader(randomBytes{l.random}))
	if len(l.ids) > 0 && l.random.IntN(2) == 0 {
		id = l.anyID()
	}
	account := fmt.Sprintf("a%063d", l.random.IntN(1000)) // long, so that checkpoints have many pieces
	q := engine.Request{ID: id, Account: account, Lines: lines("S0/A", 1+l.random.IntN(3))}
	if old := l.anyID(); old != id && l.random.IntN(3) == 0 && l.s.e.Reservation(l.t.Context(), old, r) == nil {
		q.Account, q.Replaces = r.Account, old
	}
	if err := l.s.e.Reserve(l.t.Context(), &q, r); codeOf(l.t, err) != "" || r.Repeated {
		return
	}
	if q.Replaces != uuid.Nil {
		l.counts["replace"]++
		l.over[q.Replaces] = l.s.clock.now()
	}
	delete(l.over, id)
	if slices.Contains(l.ids, id) {
		l.again++
	} else {
		l.ids = append(l.ids, id)
	}
}

// change makes a random change of a reservation.
func (l *randomLives) change(r *engine.Reservation) {
	id, now := l.anyID(), l.s.clock.now()
	if l.s.e.Reservation(l.t.Context(), id, r) != nil {
		return
	}
	var call string
	var err error
	switch l.random.IntN(4) {
	case 0:
		call, err = "extend", l.s.e.Extend(l.t.Context(), id, now.Add(time.Duration(1+l.random.IntN(20))*time.Minute), r)
	case 1:
		call, err = "reduce", l.s.e.Reduce(l.t.Context(), id, lines("S0/A", max(1, r.Tickets-1)), r)
	case 2:
		call, err = "return", l.s.e.Return(l.t.Context(), id, "", r)
	case 3:
		call, err = "again", l.s.e.ConfirmAgain(l.t.Context(), id, "paid late", r)
	}
	if codeOf(l.t, err) == "" && !r.Repeated {
		l.counts[call]++
		l.changed[id] = true
		if call == "return" {
			l.over[id] = now
		}
	}
}

func (l *randomLives) anyID() uuid.UUID {
	if len(l.ids) == 0 {
		return uuid.New()
	}
	return l.ids[l.random.IntN(len(l.ids))]
}

func (l *randomLives) readAll() {
	for _, id := range l.ids {
		var r engine.Reservation
		delete(l.was, id)
		if l.s.e.Reservation(l.t.Context(), id, &r) == nil {
			l.was[id] = r
		}
	}
}

// compare requires that a restart has kept everything that it may not forget, and nothing else. A replay whose clock
// was behind may keep more, and any replay may keep more of the reservations that were changed.
func (l *randomLives) compare(behind bool) {
	held, sold := 0, 0
	for _, id := range l.ids {
		was := l.was[id]
		switch was.State {
		case engine.Held:
			held += was.Tickets
		case engine.Confirmed:
			sold += was.Tickets
		}
	}
	stock := l.s.e.Stock(0)
	require.Equal(l.t, [2]int{held, sold}, [2]int{stock.Held, stock.Sold})
	for _, id := range l.ids {
		was, known := l.was[id]
		over, given := l.over[id]
		if !given {
			over = was.ExpiresAt
		}
		var r engine.Reservation
		err := l.s.e.Reservation(l.t.Context(), id, &r)
		gone := !known || ended(was.State) && over.Before(l.s.clock.now().Add(-time.Hour))
		if gone && (behind || l.changed[id]) && err == nil {
			require.True(l.t, ended(r.State), r.State)
			continue
		}
		if gone {
			require.Equal(l.t, engine.ReservationNotFound, codeOf(l.t, err))
			continue
		}
		require.NoError(l.t, err)
		if was.State == engine.Held && !l.s.clock.now().Before(was.ExpiresAt) {
			was.State = engine.Expired
		}
		require.Equal(l.t, shown(&was, nil), shown(&r, nil))
	}
}

func ended(s engine.State) bool {
	return s == engine.Released || s == engine.Expired || s == engine.Returned
}

type randomBytes struct{ *rand.Rand }

func (r randomBytes) Read(to []byte) (int, error) {
	for i := range to {
		to[i] = byte(r.Uint32())
	}
	return len(to), nil
}

// However often a hold is changed, its former rows make room for the next ones, while the sale runs and in a replay.
func TestChangesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := forgetful(t)
		const room = 100
		s.options.MaxReservations, s.options.CheckpointAfter = room, -1
		require.NoError(t, s.start())
		var r engine.Reservation
		require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{Account: "ann", Lines: lines("S0/A", 1)}, &r))
		for n := 1; n <= 20*room; n++ {
			require.NoError(t, s.e.Extend(t.Context(), r.ID, r.CreatedAt.Add(time.Duration(n)*time.Second), &r))
			if n%(room/2) == 0 {
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		require.Less(t, s.e.Stats().Tables[0].Used, room)
		require.NoError(t, s.Restart())
		require.Equal(t, 1, s.e.Stats().Tables[0].Used)
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), s.options.Sale)
	})
}

// A standby forgets when it starts, although its leader, which has run for longer, still knows. It leads with the room
// that this gives.
func TestStandbyForgets(t *testing.T) {
	inCluster(t, func(c *cluster) {
		forgetsSoon := func(o *engine.Options) { o.Forget = time.Hour }
		a := c.leader("a")
		abandoned, sold := a.sell(), a.sell()
		var r engine.Reservation
		require.NoError(c, a.Confirm(c.Context(), sold, "", &r))
		time.Sleep(2 * time.Hour)
		last := a.sell()
		require.Equal(c, "expired", a.state(abandoned))
		b := c.standby("b", forgetsSoon)
		time.Sleep(2 * beat)
		require.Equal(c, "reservation_not_found", b.state(abandoned))
		require.Equal(c, "confirmed", b.state(sold))
		require.Equal(c, "held", b.state(last))
		require.Equal(c, 2, b.Stats().Tables[0].Used)
		a.close()
		b.requireLeads()
		require.NoError(c, b.hold(abandoned, "S1"), "the id is free")
		require.Equal(c, engine.Stock{Capacity: 1000, Available: 996, Held: 2, Sold: 2}, b.Stock(0))
		b.close()
		c.verify()
	})
}

// A standby makes room while it follows: it forgets what its leader, which has more room, still knows.
func TestStandbyMakesRoom(t *testing.T) {
	inCluster(t, func(c *cluster) {
		small := func(o *engine.Options) { o.Forget, o.MaxReservations = time.Minute, 4 }
		a := c.leader("a")
		b := c.standby("b", small)
		for range 10 {
			for range 3 {
				a.sell()
			}
			time.Sleep(20 * time.Minute)
			require.False(c, b.isDeposed())
		}
		last := a.sell()
		time.Sleep(2 * beat)
		require.Equal(c, "held", b.state(last))
		require.Equal(c, "held", a.state(last))
		a.close()
		b.requireLeads()
		b.close()
		c.verify()
	})
}

// A standby whose tables are full stops following and says why. The engine that is opened in its place follows as soon
// as there is room.
func TestFullStandbyStartsAgain(t *testing.T) {
	inCluster(t, func(c *cluster) {
		small := func(o *engine.Options) { o.Forget, o.MaxReservations = time.Hour, 4 }
		a := c.leader("a")
		b := c.standby("b", small)
		for range 5 {
			a.sell()
		}
		time.Sleep(2 * beat)
		require.True(c, b.isDeposed())
		require.ErrorContains(c, b.Ready(), "no room for more than 4 reservations")
		b.close()
		time.Sleep(2 * time.Hour)
		last := a.sell()
		_, err := a.Checkpoint(c.Context())
		require.NoError(c, err)
		b = c.standby("b", small)
		time.Sleep(2 * beat)
		require.Equal(c, "held", b.state(last))
		a.close()
		b.requireLeads()
		b.close()
		c.verify()
	})
}
