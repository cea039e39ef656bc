package lines

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAccounts reads lists with and without a header, and goes on after lines that have no account.
func TestAccounts(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, c := range []struct{ list, want string }{
		{"", ""},
		{"account", ""},
		{"alice", "alice"},
		{"account\nalice\nbob@example.org\n", "alice bob@example.org"},
		{"\xef\xbb\xbfalice\r\n\r\nbob\r\n", "alice bob"},
		{"\xef\xbb\xbf\"account\"\n\"alice\"\naccount\nbob", "alice bob"},
		{"alice\n\xef\xbb\xbfaccount\nbob", "alice bob"},
		{"alice\n=1+1\nbob\n", "alice (line 2 is not an account: \"=1+1\") bob"},
		{"account,priority_group\nalice,club\n", "(line 1 is not an account: \"account,priority_group\") " +
			"(line 2 is not an account: \"alice,club\")"},
		{long + "\nbob", "(line 1 is not an account: \"" + long + "\") bob"},
		{"\"a\n\"b\"\n \n", `(line 1 is not an account: "\"a") b (line 3 is not an account: " ")`},
		{strings.Repeat("a", 5000) + "\nbob",
			`(line 1 is not an account: "` + strings.Repeat("a", MaxText) + `...") bob`},
		{"\xff\n", `(line 1 is not an account: "\xff")`},
		{"Account\nalice\nACCOUNT,\n account , \nbob", "alice bob"},
		{"accounts\n", "accounts"},
	} {
		r := NewAccounts(strings.NewReader(c.list))
		var got []string
		for {
			account, err := r.NextAccount()
			if errors.Is(err, io.EOF) {
				break
			}
			if bad, ok := errors.AsType[*NotAccount](err); ok {
				got = append(got, "("+bad.Error()+")")
				continue
			}
			require.NoError(t, err)
			got = append(got, string(account))
		}
		require.Equal(t, c.want, strings.Join(got, " "), "%q", c.list)
	}
}
