//go:build unix

package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGroupCommands makes accounts members of a group, lists the groups and ends a membership.
func TestGroupCommands(t *testing.T) {
	s := selling(t, gamesWith(t), filepath.Join(t.TempDir(), "data"))
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	friends := func(members int) {
		t.Helper()
		require.Equal(t, fmt.Sprintf("group friends, Friends of the games: %d members\n", members), done(t, "group", "list"))
	}
	friends(0)
	list := write(t, "account\nalice\nbob@example.org\n\nalice\n")
	require.Equal(t, "group friends: 2 accounts entered, 1 were members before; 2 members now\n",
		done(t, "group", "join", "friends", list))
	require.Equal(t, "group friends: 0 accounts entered, 3 were members before; 2 members now\n",
		done(t, "group", "join", "friends", list))
	var out, errs bytes.Buffer
	require.Equal(t, exitDone, run([]string{"group", "join", "friends", "-"},
		&process{stdin: strings.NewReader("carol"), stdout: &out, stderr: &errs}), errs.String())
	require.Equal(t, "group friends: 1 accounts entered, 0 were members before; 3 members now\n", out.String())
	require.Equal(t, "bob@example.org is no longer a member of group friends\n",
		done(t, "group", "leave", "friends", "bob@example.org"))
	require.Equal(t, "bob@example.org was not a member of group friends\n",
		done(t, "group", "leave", "friends", "bob@example.org"))
	friends(2)

	faulty := write(t, "dave\n=1+1\n"+strings.Repeat("\"\"\n", 30))
	refusedWith(t, faulty+`: line 2 is not an account: "=1+1"; line 3 is not an account: "\"\""; `, "group", "join",
		"friends", faulty)
	refusedWith(t, "; and 11 more lines", "group", "join", "friends", faulty)
	refusedWith(t, `not_found: the sale has no such group: "none"`, "group", "join", "none", list)
	refusedWith(t, `not_found: the sale has no such group: "none"`, "group", "leave", "none", "alice")
	refusedWith(t, "no such file", "group", "join", "friends", filepath.Join(t.TempDir(), "none"))
	refusedWith(t, faulty+`: line 2 is not an account: "=1+1"; `, "group", "leave", "friends", "--file", faulty)
	for _, wrong := range [][]string{{"join", "friends"}, {"leave", "friends"}, {"leave", "friends", ""},
		{"leave", "friends", "alice "}, {"leave", "friends", "alice", "a/b"}} {
		code, _, _ := command(append([]string{"group"}, wrong...)...)
		require.Equal(t, exitUsage, code, wrong)
	}
	friends(2)
	require.Equal(t, "group friends: 2 memberships ended, 2 accounts were no members\n",
		done(t, "group", "leave", "friends", "carol", "--file", list))
	friends(0)
}
