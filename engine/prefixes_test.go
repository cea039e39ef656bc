package engine_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/spec"
)

// changingSale has three sessions of games, with packs of all three, and one of a museum, which withholds what is
// returned.
func changingSale(t testing.TB) *catalog.Sale {
	forever := saleStart.Add(1000 * 24 * time.Hour)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 12, SessionLimit: 5},
			{ID: "museum", AccountCap: 5, SessionLimit: 5, WithholdReturned: true}},
		Phases: []spec.DefinedPhase{{ID: "singles", Programme: "games", OpensAt: saleStart, ClosesAt: forever},
			{ID: "packs", Programme: "games", PackSessions: 3, OpensAt: saleStart, ClosesAt: forever},
			{ID: "visits", Programme: "museum", OpensAt: saleStart, ClosesAt: forever}},
	}
	for _, id := range []string{"S0", "S1", "S2"} {
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: id, Programme: "games", Places: []int{9}})
	}
	d.Sessions = append(d.Sessions, spec.DefinedSession{ID: "M0", Programme: "museum", Places: []int{9}})
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// changeStory is a sequence of calls, each of which has one outcome. Every kind of change happens to held, sold and
// expired reservations, and to what an earlier change made.
type changeStory struct {
	testing.TB
	e        *engine.Engine
	pass     func(time.Duration) // lets time pass
	after    func()              // called after each outcome
	accounts []string
	ids      []uuid.UUID
	r        engine.Reservation
}

func (s *changeStory) done(err error) {
	s.Helper()
	require.NoError(s, err)
	require.False(s, s.r.Repeated)
	s.after()
	s.pass(time.Second)
}

// ofEach returns a line of as many tickets of each session.
func ofEach(quantity int, sessions ...string) (l []engine.Line) {
	for _, id := range sessions {
		l = append(l, engine.Line{Session: id, Category: "A", Quantity: quantity})
	}
	return l
}

func (s *changeStory) reserve(name, account, phase string, l []engine.Line) {
	s.Helper()
	s.replace(name, "", account, phase, l)
}

func (s *changeStory) replace(name, old, account, phase string, l []engine.Line) {
	s.Helper()
	q := engine.Request{ID: idOf(name), Account: account, Phase: phase, Lines: l}
	if old != "" {
		q.Replaces = idOf(old)
	}
	s.ids = append(s.ids, q.ID)
	if !slices.Contains(s.accounts, account) {
		s.accounts = append(s.accounts, account)
	}
	s.done(s.e.Reserve(s.Context(), &q, &s.r))
}

func (s *changeStory) extend(name string, after time.Duration) {
	s.Helper()
	require.NoError(s, s.e.Reservation(s.Context(), idOf(name), &s.r))
	s.done(s.e.Extend(s.Context(), idOf(name), s.r.CreatedAt.Add(after), &s.r))
}

func (s *changeStory) reduce(name string, keep []engine.Line) {
	s.Helper()
	s.done(s.e.Reduce(s.Context(), idOf(name), keep, &s.r))
}

func (s *changeStory) confirm(name, reference string) {
	s.Helper()
	s.done(s.e.Confirm(s.Context(), idOf(name), reference, &s.r))
}

func (s *changeStory) giveBack(name, reference string) {
	s.Helper()
	s.done(s.e.Return(s.Context(), idOf(name), reference, &s.r))
}

// expire lets the time of a reservation pass, and reads it, which ends it.
func (s *changeStory) expire(name string) {
	s.Helper()
	require.NoError(s, s.e.Reservation(s.Context(), idOf(name), &s.r))
	s.pass(s.r.ExpiresAt.Sub(s.e.Now()))
	require.NoError(s, s.e.Reservation(s.Context(), idOf(name), &s.r))
	require.Equal(s, engine.Expired, s.r.State)
	s.done(nil)
}

func (s *changeStory) again(name, reference string) {
	s.Helper()
	s.done(s.e.ConfirmAgain(s.Context(), idOf(name), reference, &s.r))
}

func (s *changeStory) play() {
	s.reserve("late", "eve", "singles", ofEach(2, "S0"))
	s.extend("late", 5*time.Minute)
	s.expire("late")
	s.again("late", "paid late")
	s.reduce("late", ofEach(1, "S0"))
	s.reserve("a", "ann", "singles", ofEach(2, "S0"))
	s.reserve("pack", "bob", "packs", ofEach(3, "S0", "S1", "S2"))
	s.extend("a", 20*time.Minute)
	s.reduce("pack", ofEach(2, "S2", "S1", "S0"))
	s.confirm("a", "paid")
	s.reserve("museum", "cat", "visits", ofEach(4, "M0"))
	s.reserve("b", "dan", "singles", append(ofEach(4, "S1"), ofEach(1, "S2")...))
	s.replace("c", "b", "dan", "singles", append(ofEach(3, "S1"), ofEach(2, "S0")...))
	s.reduce("a", ofEach(1, "S0"))
	s.confirm("museum", "visit")
	s.extend("c", 40*time.Minute)
	s.replace("d", "c", "dan", "singles", ofEach(5, "S1"))
	s.reduce("museum", ofEach(3, "M0"))
	s.giveBack("a", "")
	s.reduce("pack", ofEach(1, "S0", "S1", "S2"))
	s.giveBack("museum", "refunded")
	s.confirm("pack", "")
	s.giveBack("late", "refunded")
	s.expire("d")
	s.again("d", "")
	s.giveBack("pack", "")
	s.reserve("left", "ann", "singles", ofEach(1, "S2"))
	s.extend("left", 30*time.Minute)
}

// picture describes the stock and what there is of the story's reservations and ledgers, as reads show it.
func (s *changeStory) picture(e *engine.Engine) string {
	var text strings.Builder
	for i := range e.Sale().Pools {
		fmt.Fprintf(&text, "%+v\n", e.Stock(i))
	}
	for _, id := range s.ids {
		if err := e.Reservation(s.Context(), id, &s.r); codeOf(s, err) != engine.ReservationNotFound {
			fmt.Fprintln(&text, shown(&s.r, err))
		}
	}
	for _, account := range s.accounts {
		a, err := e.Account(s.Context(), account)
		require.NoError(s, err)
		if len(a.Reservations) > 0 {
			fmt.Fprintln(&text, a.Account, a.Programmes)
		}
		for i := range a.Reservations {
			fmt.Fprintln(&text, shown(&a.Reservations[i], nil))
		}
	}
	return text.String()
}

// playedStory is a story with what it showed after each of its records.
type playedStory struct {
	*changeStory
	kept     *store
	seller   *seller
	pictures map[uint64]string
	at       map[uint64]time.Time
	first    uint64 // record of the first outcome
	last     uint64
}

// playChanges plays the story on a journal in memory, and writes a checkpoint after each outcome.
func playChanges(t *testing.T) *playedStory {
	kept := newStore()
	s := sellerOn(changingSale(t), kept)
	s.options.MaxReservations, s.options.MaxAccounts = 1<<8, 1<<8
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	x := &playedStory{kept: kept, seller: s, pictures: map[uint64]string{}, at: map[uint64]time.Time{}, first: 2, last: 1}
	x.changeStory = &changeStory{TB: t, e: s.e, pass: func(d time.Duration) { s.clock.set(s.clock.now().Add(d)) },
		after: func() {
			x.last++
			require.Equal(t, x.last, s.e.Stats().Journal.Durable, "one record an outcome")
			x.pictures[x.last], x.at[x.last] = x.picture(s.e), s.clock.now()
			_, err := s.e.Checkpoint(t.Context())
			require.NoError(t, err)
			checked, err := s.e.CheckConservation(t.Context())
			require.NoError(t, err)
			require.Empty(t, checked.Problem)
		}}
	x.changeStory.play()
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
	return x
}

// requireShows starts a seller on the records up to last, with a checkpoint or nil, and requires that it shows what was
// shown after the last record. Rows of a checkpoint may come in another order than their outcomes, and so may ledgers.
func (x *playedStory) requireShows(last uint64, c *storedCheckpoint, ordered bool) {
	kept := newStore()
	for _, g := range x.kept.groups {
		if g.Last() <= last {
			kept.groups = append(kept.groups, g)
		}
	}
	where := fmt.Sprintf("records to %d", last)
	if c != nil {
		kept.checkpoints = []storedCheckpoint{*c}
		where = fmt.Sprintf("checkpoint %d to %d, records to %d", c.info.Start, c.info.End, last)
	}
	s := sellerOn(x.seller.options.Sale, kept)
	s.options.MaxReservations, s.options.MaxAccounts = x.seller.options.MaxReservations, x.seller.options.MaxAccounts
	s.clock.set(x.at[last])
	require.NoError(x, s.start(), where)
	want, got := strings.Split(x.pictures[last], "\n"), strings.Split(x.picture(s.e), "\n")
	if !ordered {
		slices.Sort(want)
		slices.Sort(got)
	}
	require.Equal(x, want, got, where)
	checked, err := s.e.CheckConservation(x.Context())
	require.NoError(x, err)
	require.Empty(x, checked.Problem, where)
	require.NoError(x, s.e.Close())
}

// A journal that is cut after any record replays to what was shown after that outcome (I6), from the beginning and from
// any checkpoint, whose rows may all be newer than the record at which it starts.
func TestEveryPrefixOfChanges(t *testing.T) {
	x := playChanges(t)
	for end := x.first; end <= x.last; end++ {
		x.requireShows(end, nil, true)
		for start := x.first - 1; start <= end; start++ {
			c := x.kept.checkpoints[end-x.first]
			c.info.Start, c.info.End = start, end
			x.requireShows(end, &c, true)
			x.requireShows(x.last, &c, true)
		}
	}
}

// A checkpoint that is written during changes has each reservation as it was before some of them, or after, or both: as
// one row and as the row that followed it. It may have neither, if a row was made after it had begun. The replay of the
// records after its start shows the same as without it.
func TestCheckpointsDuringChanges(t *testing.T) {
	x := playChanges(t)
	random := seeded(t)
	for range rounds(t, 300) {
		start := x.first + uint64(random.IntN(int(x.last-x.first)))
		early := start + uint64(random.IntN(int(x.last-start)))
		end := early + 1 + uint64(random.IntN(int(x.last-early)))
		before, _ := x.rows(early)
		after, run := x.rows(end)
		anew, since := x.rowsMade(early, end), x.rowsMade(start, end)
		for _, name := range x.ids {
			id := inventory.ID(name)
			choices := [][]byte{before[id], after[id]}
			if anew[id] {
				choices = append(choices, slices.Concat(before[id], after[id]))
			}
			if since[id] {
				choices = append(choices, nil)
			}
			run = append(run, choices[random.IntN(len(choices))]...)
		}
		x.requireShows(x.last, &storedCheckpoint{info: journal.CheckpointInfo{Start: start, End: end},
			chunks: [][]byte{run}}, false)
	}
}

// rows returns the rows of the checkpoint that was written after this record, by reservation, and its other records.
func (x *playedStory) rows(end uint64) (rows map[inventory.ID][]byte, others []byte) {
	rows = map[inventory.ID][]byte{}
	for _, chunk := range x.kept.checkpoints[end-x.first].chunks {
		require.NoError(x, record.Replay(nil, func(_ uint64, b []byte) error {
			var r record.Record
			framed := append(binary.AppendUvarint(nil, uint64(len(b))), b...)
			if err := r.Decode(b); err != nil {
				return err
			}
			if r.Kind == record.KindReservation || r.Kind == record.KindChanged {
				rows[r.Request.ID] = framed
			} else {
				others = append(others, framed...)
			}
			return nil
		}).Chunk(chunk))
	}
	return rows, others
}

// rowsMade returns the reservations of which a row was made after record start and up to record end.
func (x *playedStory) rowsMade(start, end uint64) map[inventory.ID]bool {
	made := map[inventory.ID]bool{}
	for _, g := range x.kept.groups {
		if g.First <= start || g.Last() > end {
			continue
		}
		require.NoError(x, eachRecord(g.Records, func(b []byte) {
			var r record.Record
			require.NoError(x, r.Decode(b))
			made[r.Request.ID] = made[r.Request.ID] || r.Kind.Complete()
		}))
	}
	return made
}

// A standby that follows shows after each change what its leader shows, and so does the leader that it becomes.
func TestStandbyFollowsChanges(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.sale = changingSale(c)
		a := c.leader("a")
		b := c.standby("b")
		time.Sleep(2 * beat)
		s := &changeStory{TB: c, e: a.Engine, pass: time.Sleep}
		s.after = func() {
			shown := s.picture(a.Engine)
			time.Sleep(beat)
			synctest.Wait()
			require.Equal(c, shown, s.picture(b.Engine))
		}
		s.play()
		shown := s.picture(a.Engine)
		a.crash()
		time.Sleep(2 * silence)
		b.requireLeads()
		require.Equal(c, shown, s.picture(b.Engine))
		b.close()
		c.verify()
	})
}
