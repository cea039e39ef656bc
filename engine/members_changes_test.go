package engine_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
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
