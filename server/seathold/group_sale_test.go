//go:build unix

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// forFriends makes the phase that is open to everybody one for the members of a group.
var forFriends = [3]string{"sale.yaml", "    closes_at: 2024-01-20 00:00\n    access: open\n",
	"    closes_at: 2024-01-20 00:00\n    access: group\n    group: friends\n"}

// TestPresaleByMembership sells to the members of a group alone, who join and leave while the phase is open. Who is a
// member outlives a crash.
func TestPresaleByMembership(t *testing.T) {
	s := selling(t, gamesWith(t, forFriends), filepath.Join(t.TempDir(), "data"))
	presale(t, s, func() *program {
		s.kill()
		return start(t, s.command.Args[2:]...)
	})
}

// TestTakeoverOfMemberships does the same over a takeover.
func TestTakeoverOfMemberships(t *testing.T) {
	r := redistest.Start(t)
	args := []string{"--redis", r.URL(), "--sale", gamesWith(t, forFriends), "--clock", "2024-01-10T09:00:00Z",
		"--takeover-after", "1s"}
	leader := start(t, args...)
	presale(t, leader, func() *program {
		standby := launch(t, append(args, "--standby")...)
		leader.kill()
		standby.await(standby.ready)
		return standby
	})
}

// presale plays the sale. next ends the server, and returns the one after it.
func presale(t *testing.T, s *program, next func() *program) {
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	refused := func(account string) {
		t.Helper()
		a, err := s.call("POST", "/v1/reservations",
			`{"account":"`+account+`","lines":[{"session":"ATH01","category":"A","quantity":1}]}`)
		require.NoError(t, err)
		require.Equal(t, 403, a.status)
		require.Equal(t, "no_access_slot", a.text("code"))
		require.Equal(t, "early", a.text("phase"))
		require.Contains(t, a.text("detail"), "friends")
	}
	refused("alice")
	done(t, "group", "join", "friends", write(t, "alice\ncarol\n"))
	require.Equal(t, 201, s.take("alice", "ATH01", "1"))
	refused("bob")
	done(t, "group", "join", "friends", write(t, "bob\n"))
	require.Equal(t, 201, s.take("bob", "ATH01", "1"))
	done(t, "group", "leave", "friends", "carol")
	refused("carol")
	a, err := s.call("GET", "/v1/accounts/alice", "")
	require.NoError(t, err)
	require.Equal(t, []any{map[string]any{"phase": "early", "opens_at": "2024-01-10T00:00:00.000Z",
		"closes_at": "2024-01-20T00:00:00.000Z", "priority": false}}, a.body["access"])

	s = next()
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	require.Equal(t, "group friends, Friends of the games: 2 members\n", done(t, "group", "list"))
	require.EqualValues(t, 2, s.gauge(`seathold_group_members{group="friends"}`))
	require.Equal(t, 201, s.take("alice", "ATH01", "1"))
	refused("carol")
	done(t, "group", "leave", "friends", "alice")
	refused("alice")
	done(t, "group", "join", "friends", write(t, "carol\n"))
	require.Equal(t, 201, s.take("carol", "ATH01", "1"))
	require.Equal(t, exitDone, s.stop())
}
