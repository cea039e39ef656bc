package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
)

// I5, I7: whoever leaves, joins and leaves again while nothing becomes durable has left. Meanwhile others buy and are
// refused as ever.
func TestMembersComeAndGoWhileTheJournalIsSlow(t *testing.T) {
	synctest.Test(t, membersComeAndGoWhileTheJournalIsSlow)
}

func membersComeAndGoWhileTheJournalIsSlow(t *testing.T) {
	for _, d := range []engine.Durability{engine.Sync, engine.Async} {
		ctx := t.Context()
		s, kept := newMembers(t, d)
		join := func() error { _, err := s.e.Join(ctx, "club", []string{"ann"}); return err }
		leave := func() error { _, err := s.e.Leave(ctx, "club", "ann"); return err }
		_, err := s.e.Join(ctx, "club", []string{"ann", "bob"})
		require.NoError(t, err)
		require.NoError(t, s.e.Flush(ctx)) // the writer is idle
		end := s.undurable(t, kept, func() error { _, err := s.hold("bob", "S0", 1); return err })
		first, again := begun(leave), begun(join)
		last := begun(leave)
		require.False(t, s.e.Changing())
		require.NoError(t, end())
		for _, ended := range []<-chan error{first, again, last} {
			require.NoError(t, <-ended)
		}
		require.NoError(t, s.e.Flush(ctx))
		s.requireMembers(t, "club", "bob")
		_, err = s.hold("ann", "S0", 1)
		require.Equal(t, engine.NoAccessSlot, codeOf(t, err))
	}
}

// I5: a refusal that shows that an account has joined, or that it has left, waits until that is durable. The refusals
// of other accounts do not.
func TestARefusalRevealsNoMembershipThatIsNotDurable(t *testing.T) {
	synctest.Test(t, refusalRevealsNoMembershipThatIsNotDurable)
}

func refusalRevealsNoMembershipThatIsNotDurable(t *testing.T) {
	ctx := t.Context()
	s, kept := newMembers(t, engine.Sync)
	over, err := s.expiredOf(t, "ann")
	require.NoError(t, err)
	hold := func(account string, n int) func() error {
		return func() error { _, err := s.hold(account, "S0", n); return err }
	}
	confirm := func() error { var r engine.Reservation; return s.e.Confirm(ctx, over, "", &r) }

	end := s.undurable(t, kept, func() error { _, err := s.e.Join(ctx, "club", []string{"ann"}); return err })
	refused, again := begun(hold("ann", 7)), begun(confirm)
	require.Equal(t, engine.NoAccessSlot, codeOf(t, hold("bob", 7)()))
	require.Empty(t, refused, "an answer before the account is a member for good")
	require.Empty(t, again, "an answer before the account is a member for good")
	require.NoError(t, end())
	require.Equal(t, engine.SessionLimitExceeded, codeOf(t, <-refused))
	err = <-again
	require.Equal(t, engine.ReservationExpired, codeOf(t, err))
	require.True(t, err.(*engine.Refusal).CanTakeAgain)

	end = s.undurable(t, kept, func() error { _, err := s.e.Leave(ctx, "club", "ann"); return err })
	refused = begun(hold("ann", 1))
	require.Equal(t, engine.NoAccessSlot, codeOf(t, hold("bob", 7)()))
	require.Empty(t, refused, "an answer before the account has left for good")
	require.NoError(t, end())
	require.Equal(t, engine.NoAccessSlot, codeOf(t, <-refused))
}

// A caller that stalls delays an account that leaves, and of the buyers only that account where it needs the
// membership. While it leaves, nobody is told that it is no member: it may stay.
func TestAStalledCallDelaysWhoLeavesNotTheBuyers(t *testing.T) {
	ctx := t.Context()
	s, _ := newMembers(t, engine.Sync)
	over, err := s.expiredOf(t, "ann")
	require.NoError(t, err)
	_, err = s.e.Join(ctx, "club", []string{"ann", "bob"})
	require.NoError(t, err)
	held, err := s.hold("ann", "S0", 2)
	require.NoError(t, err)
	var r engine.Reservation
	late := make(chan error, 3)
	meanwhile := func() {
		_, err := s.hold("bob", "S0", 7)
		require.Equal(t, engine.SessionLimitExceeded, codeOf(t, err))
		_, err = s.hold("cid", "S0", 7)
		require.Equal(t, engine.NoAccessSlot, codeOf(t, err))
		require.NoError(t, s.e.Extend(ctx, held, s.clock.now().Add(time.Minute), &r))
		for range cap(late) {
			go func() { _, err := s.hold("ann", "S1", 1); late <- err }()
		}
		_, err = s.hold("ann", "S0", 7)
		require.Equal(t, engine.Overloaded, codeOf(t, err))
		require.Equal(t, engine.Overloaded, codeOf(t, s.e.Confirm(ctx, over, "", &r)))
		require.Equal(t, engine.Overloaded, codeOf(t, s.e.ConfirmAgain(ctx, over, "", &r)))
		require.True(t, s.e.Changing())
	}
	given, cancel := context.WithCancel(ctx)
	err = s.during(func() error { _, err := s.e.Leave(given, "club", "ann"); return err }, func() {
		meanwhile()
		cancel()
		for s.e.Changing() {
			runtime.Gosched()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	for range cap(late) {
		if err := <-late; err != nil {
			require.Equal(t, engine.Overloaded, codeOf(t, err))
		}
	}
	s.requireMembers(t, "club", "ann", "bob")
	require.NoError(t, s.during(func() error { _, err := s.e.Leave(ctx, "club", "ann"); return err }, meanwhile))
	for range cap(late) {
		require.Contains(t, []engine.Code{engine.Overloaded, engine.NoAccessSlot}, codeOf(t, <-late))
	}
	s.requireMembers(t, "club", "bob")
	require.NoError(t, s.e.Confirm(ctx, held, "", &r))
	err = s.e.Confirm(ctx, over, "", &r)
	require.Equal(t, engine.ReservationExpired, codeOf(t, err))
	require.False(t, err.(*engine.Refusal).CanTakeAgain)
}

// expiredOf makes an account a member, has it hold a ticket until the hold is over, and ends its membership.
func (s *seller) expiredOf(t testing.TB, account string) (engine.ID, error) {
	ctx := context.Background()
	_, err := s.e.Join(ctx, "club", []string{account})
	require.NoError(t, err)
	over, err := s.hold(account, "S1", 1)
	require.NoError(t, err)
	s.clock.set(s.clock.now().Add(s.e.TTL()))
	left, err := s.e.Leave(ctx, "club", account)
	require.True(t, left)
	return over, err
}

// I6, I7: accounts join and leave two groups while others buy, while the phase is opened to another group, to all and
// back, and while a group is removed and comes back. Checkpoints are written meanwhile. No hold lacks its membership in
// the journal. Each crash leaves the same members, from all records and from the last checkpoint, and they count.
func TestMembersComeAndGoWhileEverythingChanges(t *testing.T) {
	random := seeded(t)
	ctx := context.Background()
	base := stressSale(t, 8, 400)
	to := func(group string, groups ...string) *catalog.Sale {
		return edited(t, base, func(s *catalog.Sale) {
			for _, id := range groups {
				s.Groups = append(s.Groups, catalog.Group{ID: id})
			}
			if at := slices.Index(groups, group); at >= 0 {
				s.Phases[0].Access, s.Phases[0].Group = catalog.Members, at
			}
		})
	}
	versions := []*catalog.Sale{to("club", "club", "friends"), to("friends", "club", "friends"), to("club", "club"),
		to("", "friends")}
	for range rounds(t, 2) {
		kept := newStore()
		s := sellerOn(versions[0], kept)
		s.options.Clock = saleclock.Virtual(func() time.Time { return saleStart.Add(time.Second) })
		require.NoError(t, s.start())
		codes := tally{n: map[engine.Code]int{}}
		stop := s.sellMeanwhile(t, random, 4, &codes, func() bool { return s.soundly(t) })
		var operators sync.WaitGroup
		for range 4 {
			random := rand.New(rand.NewPCG(random.Uint64(), 1))
			operators.Go(func() {
				for range 60 {
					s.changeMembers(t, random, versions)
				}
			})
		}
		operators.Wait()
		stop()
		t.Log(codes.n)
		require.NotZero(t, codes.n[engine.NoAccessSlot])
		s.apply(t, versions[0])
		require.NoError(t, s.e.Flush(ctx))
		shown := s.membersOf(t, "club", "friends")
		require.NoError(t, s.Restart())
		require.Equal(t, shown, s.membersOf(t, "club", "friends"), "from the last checkpoint")
		for _, name := range accountsOf(12) {
			_, err := s.hold(name, "S0", 1)
			require.Equal(t, slices.Contains(shown["club"], name), err == nil || codeOf(t, err) != engine.NoAccessSlot)
		}
		require.NoError(t, s.e.Close())
		found, err := audit.Verify(kept.open(), nil)
		require.NoError(t, err)
		require.Empty(t, found.Problems)
		all := kept.until(math.MaxUint64)
		s.open = func() (journal.Backend, error) { return all.open(), nil }
		require.NoError(t, s.start())
		require.Equal(t, shown, s.membersOf(t, "club", "friends"), "from all records")
		require.NoError(t, s.e.Close())
	}
}

// changeMembers makes one change of the members, of the sale or of nothing. Some callers go away meanwhile.
func (s *seller) changeMembers(t *testing.T, random *rand.Rand, versions []*catalog.Sale) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if random.IntN(4) == 0 {
		go func() { runtime.Gosched(); cancel() }()
	}
	group := []string{"club", "friends"}[random.IntN(2)]
	names := accountsOf(12)
	var err error
	switch random.IntN(16) {
	case 0:
		_, err = s.e.Apply(ctx, versions[random.IntN(len(versions))], draw.Digest{})
	case 1:
		err = s.e.Pause(ctx, engine.Pausable{Phase: "singles"}, random.IntN(3) == 0)
	case 2:
		_, err = s.e.Checkpoint(context.Background())
	case 3, 4, 5, 6:
		first := random.IntN(len(names))
		_, err = s.e.Join(ctx, group, names[first:first+random.IntN(len(names)-first)])
	default:
		_, err = s.e.Leave(ctx, group, names[random.IntN(len(names))])
	}
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrNoGroup) {
		return
	}
	if _, refused := errors.AsType[*engine.ChangeRefused](err); !refused {
		assert.Equal(t, engine.Overloaded, codeOf(t, err))
	}
}

// accountsOf returns the names of so many accounts that buyAndGiveBack uses.
func accountsOf(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("a", i))
	}
	return names
}

// membersOf returns the members of groups, and checks that they are as many as is counted.
func (s *seller) membersOf(t testing.TB, groups ...string) map[string][]string {
	all := map[string][]string{}
	for _, group := range groups {
		for _, name := range accountsOf(12) {
			is, err := s.e.Member(group, name)
			require.NoError(t, err)
			if is {
				all[group] = append(all[group], name)
			}
		}
		s.requireMembers(t, group, all[group]...)
	}
	return all
}
