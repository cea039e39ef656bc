package engine_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
)

// memberStory has accounts join and leave while they buy, and while the sale loses the group and gets it back. after is
// called after each outcome.
func memberStory(t testing.TB, s *seller, after func()) {
	ctx := t.Context()
	is := s.e.Sale()
	join := func(group, account string) {
		joined, err := s.e.Join(ctx, group, []string{account})
		require.NoError(t, err)
		require.Equal(t, engine.Joined{Entered: 1}, joined)
		after()
	}
	leave := func(group, account string) {
		left, err := s.e.Leave(ctx, group, account)
		require.NoError(t, err)
		require.True(t, left)
		after()
	}
	hold := func(account string, code engine.Code) {
		if _, err := s.hold(account, "S0", 1); code != "" {
			require.Equal(t, code, codeOf(t, err))
			return
		}
		after()
	}
	hold("ann", engine.NoAccessSlot)
	join("club", "ann")
	hold("ann", "")
	join("friends", "ann")
	join("club", "bob")
	leave("club", "ann")
	hold("ann", engine.NoAccessSlot)
	hold("bob", "")
	join("club", "ann")
	hold("ann", "")
	s.apply(t, edited(t, is, func(sale *catalog.Sale) { // without the group the phase is open
		sale.Groups = nil
		sale.Phases[0].Access, sale.Phases[0].Group = catalog.Open, -1
	}))
	after()
	hold("carl", "")
	_, err := s.e.Join(ctx, "club", []string{"carl"})
	require.ErrorIs(t, err, engine.ErrNoGroup)
	s.apply(t, edited(t, is, func(sale *catalog.Sale) { sale.Sessions[0].Limit = 5 })) // the group comes back
	after()
	hold("carl", engine.NoAccessSlot)
	hold("bob", "")
	leave("club", "bob")
	hold("bob", engine.NoAccessSlot)
	leave("friends", "ann")
}

// membersOf describes the members, and what the accounts may buy and have.
func membersOf(t testing.TB, e *engine.Engine) string {
	var text strings.Builder
	for _, group := range []string{"friends", "club"} {
		n, err := e.Members(group)
		fmt.Fprintln(&text, group, n, err)
	}
	for _, account := range []string{"ann", "bob", "carl"} {
		for _, group := range []string{"friends", "club"} {
			is, _ := e.Member(group, account)
			fmt.Fprint(&text, is, " ")
		}
		a, err := e.Account(t.Context(), account)
		require.NoError(t, err)
		fmt.Fprintln(&text, account, a.Access, len(a.Reservations))
	}
	return text.String()
}

// A journal that is cut after any record replays to the members of that instant (I6): from the beginning, and from a
// checkpoint that has later changes.
func TestEveryPrefixOfMembers(t *testing.T) {
	s, kept := newMembers(t, engine.Sync)
	pictures, sales := map[uint64]string{}, map[uint64]*catalog.Sale{}
	memberStory(t, s, func() {
		sales[s.e.Stats().Journal.Durable] = s.e.Sale()
		pictures[s.e.Stats().Journal.Durable] = membersOf(t, s.e)
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
		again := sellerOn(sales[end], cut)
		again.clock.set(saleStart)
		require.NoError(t, again.start(), where)
		require.Equal(t, pictures[end], membersOf(t, again.e), where)
		require.Equal(t, end, again.e.Stats().Journal.Durable, "nothing is written at the start")
		require.NoError(t, again.e.Close())
		verify(t, cut.open(), nil)
	}
	for end := first; end <= last; end++ {
		shows(end, nil)
		for start := first - 1; start <= end; start++ {
			c := kept.checkpoints[end-first]
			c.info = journal.CheckpointInfo{Start: start, End: end}
			shows(end, &c)
			shows(last, &c)
		}
	}
}

// A checkpoint during which accounts join and leave replays to the members of its end.
func TestCheckpointDuringMembers(t *testing.T) {
	kept := newStore()
	s := sellerOn(forMembers(t, stressSale(t, 2, 10)), kept)
	var once sync.Once
	s.open = func() (journal.Backend, error) {
		return &busy{memory: kept.open(), calls: func() { once.Do(func() { memberStory(t, s, func() {}) }) }}, nil
	}
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	_, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	shown := membersOf(t, s.e)
	require.NoError(t, s.Restart())
	require.Equal(t, shown, membersOf(t, s.e))
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), nil)
}

// A standby shows the members of its leader, and judges by them when it leads.
func TestStandbyFollowsMembers(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.sale = forMembers(c, stressSale(c, 2, 10))
		a, b := c.leader("a"), c.standby("b")
		time.Sleep(2 * beat)
		memberStory(c, &seller{e: a.Engine}, func() {
			shown := membersOf(c, a.Engine)
			time.Sleep(beat)
			synctest.Wait()
			require.Equal(c, shown, membersOf(c, b.Engine))
		})
		_, err := b.Join(c.Context(), "club", []string{"dora"})
		require.Equal(c, engine.NotLeader, codeOf(c, err))
		_, err = b.Leave(c.Context(), "club", "ann")
		require.Equal(c, engine.NotLeader, codeOf(c, err))
		a.crash()
		time.Sleep(2 * silence)
		b.requireLeads()
		next := &seller{e: b.Engine}
		_, err = next.hold("bob", "S1", 1)
		require.Equal(c, engine.NoAccessSlot, codeOf(c, err))
		_, err = next.hold("ann", "S1", 1)
		require.NoError(c, err)
		left, err := b.Leave(c.Context(), "club", "ann")
		require.NoError(c, err)
		require.True(c, left)
		_, err = next.hold("ann", "S1", 1)
		require.Equal(c, engine.NoAccessSlot, codeOf(c, err))
		next.requireMembers(c, "club")
		b.close()
	})
}
