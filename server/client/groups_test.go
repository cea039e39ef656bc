package client

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMembership makes accounts members of a group, in several requests where they are many, and ends a membership.
// Each call takes effect once, even if its answer is lost.
func TestMembership(t *testing.T) {
	f := start(t)
	url, requests := proxy(t, f.admin, nil, func(n int64) bool { return n == 1 || n == 4 })
	o, err := NewOperator(Options{URL: url, Key: adminKey})
	require.NoError(t, err)
	defer o.Close()
	joined, err := o.Join(t.Context(), "friends", []string{"alice", "bob@example.org"})
	require.NoError(t, err)
	require.Equal(t, Joined{Already: 2, Members: 2}, joined, "of the second request; the answer of the first was lost")
	require.NoError(t, o.Member(t.Context(), "friends", "bob@example.org"))
	left, err := o.Leave(t.Context(), "friends", "bob@example.org")
	require.NoError(t, err)
	require.False(t, left, "the first request ended it")
	require.EqualValues(t, 5, requests.Load())
	refusedWith(t, o.Member(t.Context(), "friends", "bob@example.org"), 404, "not_found")
	left, err = o.Leave(t.Context(), "friends", "alice")
	require.NoError(t, err)
	require.True(t, left)

	var many []string
	for i := range MaxJoined + 5 {
		many = append(many, fmt.Sprint("friend", i))
	}
	before := requests.Load()
	joined, err = o.Join(t.Context(), "friends", append(many, "friend0"))
	require.NoError(t, err)
	require.Equal(t, Joined{MaxJoined + 5, 1, MaxJoined + 5}, joined)
	require.EqualValues(t, before+2, requests.Load())
	groups, err := o.Groups(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Group{{"friends", "Friends of the games", MaxJoined + 5}}, groups)

	joined, err = o.Join(t.Context(), "friends", nil)
	require.NoError(t, err)
	require.Equal(t, Joined{Members: MaxJoined + 5}, joined)
	_, err = o.Join(t.Context(), "friends", []string{"carol", "not an account"})
	require.Equal(t, []string{`line 2 is not an account: "not an account"`},
		refusedWith(t, err, 422, "faulty_list").Texts("faults"))
	_, err = o.Leave(t.Context(), "friends", "not an account")
	refusedWith(t, err, 400, "malformed_request")
	_, err = o.Join(t.Context(), "none", []string{"carol"})
	refusedWith(t, err, 404, "not_found")
}

// TestAccountsOfDots: an account may be . or .., which are directories in a path unless they are escaped.
func TestAccountsOfDots(t *testing.T) {
	f := start(t)
	o, err := NewOperator(Options{URL: f.admin, Key: adminKey})
	require.NoError(t, err)
	defer o.Close()
	c, err := New(Options{URL: f.api, Key: sellKey})
	require.NoError(t, err)
	defer c.Close()
	for _, account := range []string{".", "..", "..."} {
		ledger, err := c.Account(t.Context(), account)
		require.NoError(t, err)
		require.Equal(t, account, ledger.Account)
		refusedWith(t, o.Member(t.Context(), "friends", account), 404, "not_found")
		_, err = o.Join(t.Context(), "friends", []string{account})
		require.NoError(t, err)
		require.NoError(t, o.Member(t.Context(), "friends", account))
		left, err := o.Leave(t.Context(), "friends", account)
		require.NoError(t, err)
		require.True(t, left)
		_, err = c.Entry(t.Context(), "none", account)
		refusedWith(t, err, 404, "draw_not_found")
		refusedWith(t, o.Withdraw(t.Context(), "none", account), 404, "draw_not_found")
		refusedWith(t, o.SetPaused(t.Context(), "", account, true), 404, "session_not_found")
		_, err = o.SetStock(t.Context(), account, account, StockWanted{})
		refusedWith(t, err, 400, "malformed_request")
	}
}

// TestJoinWithoutRoom: after a refusal those that became members are counted, by the last attempt.
func TestJoinWithoutRoom(t *testing.T) {
	url, _ := proxy(t, "", func(n int64, w http.ResponseWriter) bool {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, `{"status":503,"code":"full","table":"accounts","entered":%d,"already":%d}`, 7*(2-n), 7*(n-1)+2)
		return true
	}, nil)
	o, err := NewOperator(Options{URL: url, Key: adminKey, Attempts: 2,
		Sleep: func(context.Context, time.Duration) error { return nil }})
	require.NoError(t, err)
	defer o.Close()
	joined, err := o.Join(t.Context(), "friends", []string{"alice", "bob"})
	refusedWith(t, err, 503, "full")
	require.Equal(t, Joined{Already: 9}, joined)
}
