//go:build unix

package main

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"
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
	require.Equal(t, []any{
		map[string]any{"phase": "early", "opens_at": "2024-01-10T00:00:00.000Z", "closes_at": "2024-01-20T00:00:00.000Z",
			"priority": false},
		map[string]any{"phase": "presale", "opens_at": "2024-01-05T00:00:00.000Z", "closes_at": "2024-01-09T00:00:00.000Z",
			"priority": false},
	}, a.body["access"])

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

// TestPlaces sells two tickets of a session in a phase, and the rest in the next one. What the phase has sold outlives
// a crash. Its places are changed while it sells, but not to fewer than it has sold.
func TestPlaces(t *testing.T) {
	two := [3]string{"sale.yaml", "    closes_at: 2024-01-20 00:00\n    access: open\n",
		"    closes_at: 2024-01-20 00:00\n    access: open\n    only: [{session: GYM01, places: 2}]\n"}
	dir, data := gamesWith(t, two), filepath.Join(t.TempDir(), "data")
	s := selling(t, dir, data)
	soldOut := func() {
		t.Helper()
		a, err := s.call("POST", "/v1/reservations",
			`{"id":"`+uuid.NewString()+`","account":"c","lines":[{"session":"GYM01","category":"A","quantity":1}]}`)
		require.NoError(t, err)
		require.Equal(t, 409, a.status)
		require.Equal(t, "sold_out", a.text("code"))
		require.Contains(t, a.text("detail"), "phase early")
		require.EqualValues(t, 0, a.body["available"])
	}
	sell := func(account string) {
		t.Helper()
		id := uuid.NewString()
		for _, c := range [][2]string{{"", `{"id":"` + id + `","account":"` + account +
			`","lines":[{"session":"GYM01","category":"A","quantity":1}]}`}, {"/" + id + "/confirm", ""}} {
			a, err := s.call("POST", "/v1/reservations"+c[0], c[1])
			require.NoError(t, err)
			require.Less(t, a.status, 300, a.body)
		}
	}
	sell("a")
	sell("b")
	soldOut()
	s.kill()
	s = start(t, s.command.Args[2:]...)
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	soldOut()
	require.EqualValues(t, 2, s.gauge(`seathold_phase_places{phase="early"}`))
	require.EqualValues(t, 2, s.gauge(`seathold_phase_places_taken{phase="early"}`))

	edit(t, dir, [3]string{"sale.yaml", "places: 2}", "places: 1}"})
	code, stdout, _ := command("sale", "apply", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stdout, "objection  phase early: 2 tickets of session GYM01 ")
	edit(t, dir, [3]string{"sale.yaml", "places: 1}", "places: 3}"})
	require.Contains(t, done(t, "sale", "apply", dir), "phase early, session GYM01: places 2 → 3")
	sell("c")
	soldOut()
	require.Equal(t, exitDone, s.stop())

	s = start(t, "--sale", dir, "--data", data, "--clock", "2024-02-01T00:00:00Z") // the next phase is open
	for _, account := range []string{"a", "b", "d", "e"} {
		sell(account)
	}
	require.EqualValues(t, 3, s.gauge(`seathold_phase_places_taken{phase="early"}`))
	require.Equal(t, exitDone, s.stop())
}
