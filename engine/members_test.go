package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// forMembers returns a sale whose first phase is open to members of the group club alone.
func forMembers(t testing.TB, was *catalog.Sale) *catalog.Sale {
	return edited(t, was, func(s *catalog.Sale) {
		s.Groups = []catalog.Group{{ID: "friends"}, {ID: "club"}}
		s.Phases[0].Access, s.Phases[0].Group = catalog.Members, 1
	})
}

// newMembers starts a seller of two sessions of ten places each, in a phase for the members of a group.
func newMembers(t testing.TB, d engine.Durability) (*seller, *store) {
	kept := newStore()
	s := sellerOn(forMembers(t, stressSale(t, 2, 10)), kept)
	if s.options.Durability = d; d == engine.None {
		s.open = nil
	}
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	t.Cleanup(func() { require.NoError(t, s.e.Close()) })
	return s, kept
}

func (s *seller) requireMembers(t testing.TB, of string, names ...string) {
	t.Helper()
	n, err := s.e.Members(of)
	require.NoError(t, err)
	require.Equal(t, len(names), n)
	for _, name := range names {
		is, err := s.e.Member(of, name)
		require.NoError(t, err)
		require.True(t, is, name)
	}
}

// An account buys in a phase for members as soon as it has joined, until it leaves. What it holds stays.
func TestMembersBuy(t *testing.T) {
	for _, d := range []engine.Durability{engine.Sync, engine.Async, engine.None} {
		s, _ := newMembers(t, d)
		ctx := t.Context()
		_, err := s.hold("ann", "S0", 1)
		require.Equal(t, engine.NoAccessSlot, codeOf(t, err))
		require.ErrorContains(t, err, "is open to members of the group club alone, and the account is not one")

		joined, err := s.e.Join(ctx, "club", []string{"ann", "bob", "ann"})
		require.NoError(t, err)
		require.Equal(t, engine.Joined{Entered: 2, Already: 1}, joined)
		s.requireMembers(t, "club", "ann", "bob")
		s.requireMembers(t, "friends")
		held, err := s.hold("ann", "S0", 1)
		require.NoError(t, err)
		a, err := s.e.Account(ctx, "ann")
		require.NoError(t, err)
		p := &s.e.Sale().Phases[0]
		require.Equal(t, []engine.AccessSlot{{Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt}}, a.Access)

		left, err := s.e.Leave(ctx, "club", "ann")
		require.NoError(t, err)
		require.True(t, left)
		left, err = s.e.Leave(ctx, "club", "ann")
		require.NoError(t, err)
		require.False(t, left)
		s.requireMembers(t, "club", "bob")
		_, err = s.hold("ann", "S0", 1)
		require.Equal(t, engine.NoAccessSlot, codeOf(t, err))
		var r engine.Reservation
		require.NoError(t, s.e.Confirm(ctx, held, "", &r))
		_, err = s.e.Join(ctx, "club", []string{"ann"})
		require.NoError(t, err)
		_, err = s.hold("ann", "S0", 1)
		require.NoError(t, err)
	}
}

// What is no group and no account is refused before anybody joins.
func TestWhoCannotJoin(t *testing.T) {
	s, _ := newMembers(t, engine.Sync)
	ctx := t.Context()
	_, err := s.e.Join(ctx, "club", []string{"ann", "no name"})
	require.Equal(t, engine.MalformedRequest, codeOf(t, err))
	require.ErrorContains(t, err, `"no name"`)
	s.requireMembers(t, "club")
	_, err = s.e.Join(ctx, "clubs", []string{"ann"})
	require.ErrorIs(t, err, engine.ErrNoGroup)
	_, err = s.e.Leave(ctx, "clubs", "ann")
	require.ErrorIs(t, err, engine.ErrNoGroup)
	_, err = s.e.Members("clubs")
	require.ErrorIs(t, err, engine.ErrNoGroup)
	_, err = s.e.Leave(ctx, "club", strings.Repeat("a", 100))
	require.Equal(t, engine.MalformedRequest, codeOf(t, err))
	left, err := s.e.Leave(ctx, "club", "ann")
	require.NoError(t, err)
	require.False(t, left)
}

// More accounts than one step takes join in one call. Where the table is full, those before stay members.
func TestManyJoin(t *testing.T) {
	kept := newStore()
	s := sellerOn(forMembers(t, stressSale(t, 2, 10)), kept)
	s.options.MaxAccounts = 9000
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	defer func() { require.NoError(t, s.e.Close()) }()
	var names []string
	for i := range 8500 {
		names = append(names, fmt.Sprint("account", i))
	}
	joined, err := s.e.Join(t.Context(), "club", names)
	require.NoError(t, err)
	require.Equal(t, engine.Joined{Entered: 8500}, joined)
	s.requireMembers(t, "club", names...)
	for _, name := range names[:1000] {
		names = append(names, "other"+name)
	}
	joined, err = s.e.Join(t.Context(), "club", names)
	require.Equal(t, engine.Full, codeOf(t, err))
	require.Equal(t, 8500, joined.Already)
	n, err := s.e.Members("club")
	require.NoError(t, err)
	require.Equal(t, 8500+joined.Entered, n)
}
