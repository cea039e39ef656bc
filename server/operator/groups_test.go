package operator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGroups makes accounts members of a group, lists groups and ends memberships. Repeating a call changes nothing.
func TestGroups(t *testing.T) {
	s := sell(t)
	listed := func(members int) {
		t.Helper()
		want := fmt.Sprintf(`{"groups":[{"group":"friends","title":"Friends of the games","members":%d}]}`, members)
		require.JSONEq(t, want, string(s.want(200, "", "GET", "/admin/groups", "").body))
	}
	join := func(list string, entered, already, members int) {
		t.Helper()
		want := fmt.Sprintf(`{"group":"friends","entered":%d,"already":%d,"members":%d}`, entered, already, members)
		require.JSONEq(t, want, string(s.want(200, "", "POST", "/admin/groups/friends/accounts", list).body))
	}
	listed(0)
	join("", 0, 0, 0)
	join("account\nalice\nbob@example.org\n", 2, 0, 2)
	join("carol\r\n\r\n\"alice\"\r\naccount\r\n", 1, 1, 3)
	require.Contains(t, s.log.String(), "key=ops role=admin method=POST path=/admin/groups/friends/accounts status=200 "+
		"entered=1 already=1 ")
	listed(3)

	const bob = "/admin/groups/friends/accounts/bob@example.org"
	is := `{"group":"friends","account":"bob@example.org"}`
	require.JSONEq(t, is, string(s.want(200, "", "GET", bob, "").body))
	for _, left := range []string{"true", "false"} {
		require.JSONEq(t, is[:len(is)-1]+`,"left":`+left+`}`, string(s.want(200, "", "DELETE", bob, "").body))
		s.want(404, "not_found", "GET", bob, "")
	}
	require.Contains(t, s.log.String(), " method=DELETE path="+bob+" status=200 left=true ")
	listed(2)
	join("bob@example.org", 1, 0, 3)
}

// TestManyMembers enters more accounts than one call of the engine takes.
func TestManyMembers(t *testing.T) {
	s := sell(t)
	var list strings.Builder
	for i := range 2*joinedAtOnce + 1 {
		fmt.Fprintf(&list, "member%d\n", i)
	}
	a := s.want(200, "", "POST", "/admin/groups/friends/accounts", list.String())
	require.EqualValues(t, 2*joinedAtOnce+1, a.json["entered"])
	require.Equal(t, a.json["entered"], a.json["members"])
	a = s.want(200, "", "POST", "/admin/groups/friends/accounts", list.String())
	require.Equal(t, a.json["members"], a.json["already"])
	s.want(200, "", "GET", fmt.Sprintf("/admin/groups/friends/accounts/member%d", 2*joinedAtOnce), "")
}

// TestFaultyLists checks that a list is refused whole, and that its lines without an account are named.
func TestFaultyLists(t *testing.T) {
	s := sell(t)
	const path = "/admin/groups/friends/accounts"
	refused := s.want(422, "faulty_list", "POST", path, "account\nalice\n=1+1\nbob\n\ncarol,club\n")
	require.Equal(t, []any{`line 3 is not an account: "=1+1"`, `line 6 is not an account: "carol,club"`},
		refused.json["faults"])
	require.Equal(t, "2 lines are not accounts, and no account has become a member", refused.json["detail"])
	faults := s.want(422, "faulty_list", "POST", path, strings.Repeat("?\n", mostFaults+7)).json["faults"]
	require.Len(t, faults, mostFaults+1)
	require.Equal(t, "and 7 more", faults.([]any)[mostFaults])
	s.want(413, "payload_too_large", "POST", path, strings.Repeat("alice\n", MaxAccounts/6+1))
	s.want(415, "unsupported_media_type", "POST", path, "alice\n", "Content-Encoding", "gzip")

	for _, call := range [][2]string{{"POST", "/admin/groups/none/accounts"}, {"GET", "/admin/groups/none/accounts/a"},
		{"DELETE", "/admin/groups/none/accounts/a"}} {
		s.want(404, "not_found", call[0], call[1], "alice\n")
	}
	s.want(403, "forbidden", "POST", path, "alice\n", "Authorization", "Bearer "+readKey)
	s.want(405, "method_not_allowed", "PUT", path, "alice\n")
	require.EqualValues(t, 0, s.call("GET", "/admin/groups", "").json["groups"].([]any)[0].(map[string]any)["members"])
}
