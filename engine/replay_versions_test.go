package engine_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// versionStory changes a sale in every way while tickets are held. after is called after each outcome.
func versionStory(t testing.TB, s *seller, after func()) {
	ctx := t.Context()
	first := s.e.Sale()
	hold := func(session string, n int) {
		_, err := s.hold("ann", session, n)
		require.NoError(t, err)
		after()
	}
	apply := func(sale *catalog.Sale) {
		s.apply(t, sale)
		after()
	}
	stock := func(session string, capacity, withheld int) {
		_, err := s.e.SetStock(ctx, session, "A", &capacity, &withheld)
		require.NoError(t, err)
		after()
	}
	pause := func(what engine.Pausable, paused bool) {
		require.NoError(t, s.e.Pause(ctx, what, paused))
		after()
	}
	hold("S0", 2)
	stock("S0", 4, 1)
	larger := edited(t, first, added("NEW", 5))
	apply(larger) // the stock of S0 is as at first
	hold("NEW", 1)
	stock("NEW", 9, 0)
	stock("S1", 3, 3)
	pause(engine.Pausable{Session: "NEW"}, true)
	pause(engine.Pausable{}, true)
	apply(first) // NEW is removed, and stays paused
	pause(engine.Pausable{}, false)
	hold("S0", 1)
	stock("S0", 8, 0)
	apply(edited(t, larger, capped(4))) // NEW is there again; ann is at the cap
	pause(engine.Pausable{Session: "NEW"}, false)
	_, err := s.hold("ann", "NEW", 1)
	require.Equal(t, engine.AccountCapExceeded, codeOf(t, err))
	stock("NEW", 2, 0)
}

// freedStory returns tickets whose places are withheld, and puts some of them on sale again, in several versions. after
// is called after each outcome.
func freedStory(t testing.TB, s *seller, after func()) {
	ctx := t.Context()
	giveBack := func(session string, n int) {
		id, err := s.hold("bob", session, n)
		require.NoError(t, err)
		after()
		var r engine.Reservation
		require.NoError(t, s.e.Confirm(ctx, id, "", &r))
		after()
		require.NoError(t, s.e.Return(ctx, id, "", &r))
		after()
	}
	stock := func(session string, capacity, withheld int) {
		_, err := s.e.SetStock(ctx, session, "A", &capacity, &withheld)
		require.NoError(t, err)
		after()
	}
	apply := func(sale *catalog.Sale) {
		s.apply(t, sale)
		after()
	}
	first := edited(t, s.e.Sale(), func(s *catalog.Sale) { s.Programmes[0].WithholdReturned = true })
	apply(first)
	giveBack("S1", 3)
	stock("S1", 9, 1) // frees two of its three returned places
	giveBack("S1", 1)
	stock("S0", 8, 1)
	apply(edited(t, first, added("NEW", 5))) // what is freed stays free
	giveBack("NEW", 2)
	stock("NEW", 5, 0)
	stock("S1", 4, 4)
	stock("S1", 4, 0)
	apply(edited(t, first, capped(9))) // NEW is removed
	stock("S1", 9, 7)
}

// inEachStory runs a test with each of the stories.
func inEachStory(t *testing.T, test func(t *testing.T, story func(testing.TB, *seller, func()))) {
	t.Run("versions", func(t *testing.T) { test(t, versionStory) })
	t.Run("freed", func(t *testing.T) { test(t, freedStory) })
}

// inForceOf describes what is in force, the stock and the account of ann.
func inForceOf(t testing.TB, e *engine.Engine) string {
	d, err := e.Definition()
	require.NoError(t, err)
	var text strings.Builder
	fmt.Fprintln(&text, d.Version, d.Digest, d.Since, d.Paused, engine.EarlierOf(e))
	for i := range d.Sale.Pools {
		session := &d.Sale.Sessions[d.Sale.Pools[i].Session]
		fmt.Fprintln(&text, session.ID, session.Removed, e.Stock(i))
	}
	a, err := e.Account(t.Context(), "ann")
	require.NoError(t, err)
	fmt.Fprintln(&text, a.Programmes, len(a.Reservations))
	return text.String()
}

// A journal that is cut after any record of a changed sale replays to what was shown then (I6): from the beginning,
// and from a checkpoint that has more of the changes than the record at which it starts, or some of them twice.
func TestEveryPrefixOfVersions(t *testing.T) {
	inEachStory(t, everyPrefixOf)
}

func everyPrefixOf(t *testing.T, story func(testing.TB, *seller, func())) {
	s, kept := newChanging(t, engine.Sync)
	pictures := map[uint64]string{}
	story(t, s, func() {
		last := s.e.Stats().Journal.Durable
		pictures[last] = inForceOf(t, s.e)
		_, err := s.e.Checkpoint(t.Context())
		require.NoError(t, err)
	})
	first, last := uint64(2), s.e.Stats().Journal.Durable
	require.Len(t, pictures, int(last-first+1), "one record an outcome")
	shows := func(end uint64, c *storedCheckpoint) {
		cut := kept.until(end)
		where := fmt.Sprintf("records to %d", end)
		if c != nil {
			cut.checkpoints = []storedCheckpoint{*c}
			where += fmt.Sprintf(", checkpoint %d to %d", c.info.Start, c.info.End)
		}
		again := sellerOn(s.options.Sale, cut)
		again.clock.set(saleStart)
		require.NoError(t, again.start(), where)
		require.Equal(t, pictures[end], inForceOf(t, again.e), where)
		require.Equal(t, end, again.e.Stats().Journal.Durable, "nothing is written at the start")
		checked, err := again.e.CheckConservation(t.Context())
		require.NoError(t, err)
		require.Empty(t, checked.Problem, where)
		require.NoError(t, again.e.Close())
	}
	for end := first; end <= last; end++ {
		shows(end, nil)
		for start := first - 1; start <= end; start++ {
			c := kept.checkpoints[end-first]
			c.info = journal.CheckpointInfo{Start: start, End: end}
			shows(end, &c)
			shows(last, &c)
		}
		for early := first; early < end; early++ { // what is in force is written again where it has changed meanwhile
			chunks := slices.Concat(kept.checkpoints[early-first].chunks, kept.checkpoints[end-first].chunks)
			shows(end, &storedCheckpoint{info: journal.CheckpointInfo{Start: early, End: end}, chunks: chunks})
		}
	}
}

// A standby shows after each change what its leader shows, and so does the leader that it becomes. Its own definition
// does not matter.
func TestStandbyFollowsVersions(t *testing.T) { inEachStory(t, standbyFollows) }

func standbyFollows(t *testing.T, story func(testing.TB, *seller, func())) {
	inCluster(t, func(c *cluster) {
		c.sale = stressSale(c, 2, 10)
		a := c.leader("a")
		b := c.standby("b", func(o *engine.Options) { o.Sale = stressSale(c, 3, 7) })
		time.Sleep(2 * beat)
		story(c, &seller{e: a.Engine}, func() {
			shown := inForceOf(c, a.Engine)
			time.Sleep(beat)
			synctest.Wait()
			require.Equal(c, shown, inForceOf(c, b.Engine))
		})
		shown := inForceOf(c, a.Engine)
		a.crash()
		time.Sleep(2 * silence)
		b.requireLeads()
		require.Equal(c, shown, inForceOf(c, b.Engine))
		require.Contains(c, b.log.String(), "the given sale definition is not the one in force")
		b.close()
	})
}

// A checkpoint during which the sale changes again and again replays to what is in force.
func TestCheckpointDuringVersions(t *testing.T) { inEachStory(t, checkpointDuring) }

func checkpointDuring(t *testing.T, story func(testing.TB, *seller, func())) {
	kept := newStore()
	s := sellerOn(stressSale(t, 2, 10), kept)
	var once sync.Once
	s.open = func() (journal.Backend, error) {
		return &busy{memory: kept.open(), calls: func() { once.Do(func() { story(t, s, func() {}) }) }}, nil
	}
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	_, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	shown := inForceOf(t, s.e)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, inForceOf(t, s.e))
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), nil)
}

// The replay of stock that was changed often copies the pools of a large sale only once.
func TestReplayOfManyStocks(t *testing.T) {
	const pools, changes = 6000, 3000
	kept := newStore()
	s := sellerOn(stressSale(t, pools, 10), kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	require.NoError(t, s.e.Close())
	var run []byte
	for i := range changes {
		run = record.Stock{Pool: i % 2500, Capacity: 20 + i}.Append(run, saleStart.UnixMilli())
	}
	kept.groups = append(kept.groups, journal.Group{First: 2, Count: changes, Records: run})
	allocated := func() int {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.TotalAlloc)
	}
	before := allocated()
	require.NoError(t, s.start())
	require.Less(t, (allocated()-before)>>20, 500, "MiB")
	for pool, capacity := range map[int]int{0: 20 + 2500, 499: 20 + 2999, 500: 20 + 500, 2500: 10} {
		require.Equal(t, capacity, s.e.Stock(pool).Available, pool)
	}
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), nil)
}
