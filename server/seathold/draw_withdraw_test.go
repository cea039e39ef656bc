package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Entries are taken back from the command line until they are frozen; the accounts may enter again.
func TestWithdrawEntries(t *testing.T) {
	s := newDrawServer(t, "")
	done(t, "draw", "register", "--draw", "draw1", "--file", write(t, "account\nalice\nbob@example.org\ncarol\ndave\n"),
		"--server", s.api)
	on := func(more ...string) []string {
		return append([]string{"draw", "withdraw", "--draw", "draw1", "--admin", s.admin}, more...)
	}
	require.Equal(t, "draw draw1: 2 entries withdrawn, 1 accounts have none\n",
		done(t, on("--account", "alice", "--account", "bob@example.org", "--account", "eve")...))
	list := write(t, "account\nalice\n\"carol\"\naccount\n")
	require.Equal(t, "draw draw1: 1 entries withdrawn, 1 accounts have none\n", done(t, on("--file", list)...))
	status, answer := s.call("GET", "/v1/draws/draw1", "")
	require.Equal(t, 200, status)
	require.EqualValues(t, 1, answer["entries"])
	status, _ = s.call("POST", "/v1/draws/draw1/entries", `{"account":"alice"}`)
	require.Equal(t, 201, status, "it enters again")

	refusedWith(t, "draw_not_found", "draw", "withdraw", "--draw", "draw9", "--admin", s.admin, "--account", "alice")
	refusedWith(t, `line 3 is not an account: "!!"`, on("--file", write(t, "account\ndave\n!!\n"))...)
	refusedWith(t, "the first line must be account", on("--file", write(t, "dave\n"))...)
	for _, wrong := range [][]string{on(), on("--account", "not an account")} {
		code, _, _ := command(wrong...)
		require.Equal(t, exitUsage, code)
	}
	s.at("2023-02-01T00:00:00Z")
	s.await("frozen")
	refusedWith(t, "registration_closed", on("--account", "dave")...)
	_, answer = s.call("GET", "/v1/draws/draw1", "")
	require.EqualValues(t, 2, answer["entries"], "dave, and alice again")
}
