package engine_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// A call that stalls delays the end of a membership, and no other buyer. A hold that passed with the membership comes
// before its end; afterwards the account is refused.
func TestAStalledCallDelaysWhoLeaves(t *testing.T) {
	ctx := context.Background()
	s, _ := newMembers(t, engine.Sync)
	_, err := s.e.Join(ctx, "club", []string{"ann", "bob"})
	require.NoError(t, err)
	require.NoError(t, s.during(func() error { _, err := s.e.Leave(ctx, "club", "ann"); return err }, func() {
		_, err := s.hold("bob", "S0", 1)
		require.NoError(t, err, "another member buys")
		_, err = s.hold("ann", "S0", 1)
		require.Equal(t, engine.Overloaded, codeOf(t, err), "neither answer holds yet")
		s.requireMembers(t, "club", "ann", "bob")
	}))
	_, err = s.hold("ann", "S0", 1)
	require.Equal(t, engine.NoAccessSlot, codeOf(t, err))

	gone, cancel := context.WithCancel(ctx)
	err = s.during(func() error { _, err := s.e.Leave(gone, "club", "bob"); return err }, func() {
		cancel()
		for s.e.Changing() {
			runtime.Gosched()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, s.e.Changing())
	_, err = s.hold("bob", "S0", 1)
	require.NoError(t, err, "the change was given up")
	s.requireMembers(t, "club", "bob")
}

// I5: what is not durable is not shown, and no refusal reveals it.
func TestMembersAreRevealedWhenTheyAreDurable(t *testing.T) {
	synctest.Test(t, membersAreRevealedWhenTheyAreDurable)
}

func membersAreRevealedWhenTheyAreDurable(t *testing.T) {
	ctx := t.Context()
	join := func(s *seller, account string) func() error {
		return func() error { _, err := s.e.Join(ctx, "club", []string{account}); return err }
	}
	s, kept := newMembers(t, engine.Sync)
	require.NoError(t, join(s, "ann")())
	end := s.undurable(t, kept, join(s, "bob"))
	again := begun(join(s, "bob"))
	held := begun(func() error { _, err := s.hold("bob", "S0", 1); return err })
	s.requireMembers(t, "club", "ann")
	require.Empty(t, again, "an answer before the membership is durable")
	require.Empty(t, held, "an answer before the membership is durable")
	require.NoError(t, end())
	require.NoError(t, <-again)
	require.NoError(t, <-held)
	s.requireMembers(t, "club", "ann", "bob")

	s, kept = newMembers(t, engine.Sync)
	require.NoError(t, join(s, "ann")())
	leave := func() error { _, err := s.e.Leave(ctx, "club", "ann"); return err }
	end = s.undurable(t, kept, leave)
	s.requireMembers(t, "club", "ann")
	again = begun(leave)
	held = begun(func() error { _, err := s.hold("ann", "S0", 1); return err })
	require.Empty(t, again, "an answer before the end is durable")
	require.Empty(t, held, "an answer before the end is durable")
	require.NoError(t, end())
	require.NoError(t, <-again)
	require.Equal(t, engine.NoAccessSlot, codeOf(t, <-held))
	s.requireMembers(t, "club")
}
