package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	readKey  = "read-0123456789abcdef"
	sellKey  = "sell-0123456789abcdef"
	adminKey = "admin-0123456789abcdef"
	keyFile  = "# keys\n\n read " + readKey + "\nsell\t" + sellKey + "\nadmin " + adminKey + "\n"
)

// TestKeys checks which caller may make which call.
func TestKeys(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader(keyFile)))(t) })
	callers := []string{"", "Bearer", "Bearer ", "Bearer wrong-0123456789abcdef", "Basic " + sellKey, sellKey,
		"Bearer " + sellKey + "x", "Bearer  " + sellKey, "Bearer " + strings.Repeat("x", 300),
		"Bearer " + readKey, "bearer " + sellKey, "Bearer " + adminKey}
	const strangers = 9 // the first 9 have no valid key
	for i, o := range operations() {
		for c, caller := range callers {
			o := o.on(otherID(100*i + c))
			if strings.Contains(o.path, otherID(100*i+c)) {
				f.call("POST", "/v1/reservations", `{"id":"`+otherID(100*i+c)+`","account":"`+o.name+callersName(c)+
					`","lines":[{"session":"SWM01","category":"A","quantity":1}]}`, "Authorization", "Bearer "+sellKey)
			}
			var header []string
			if caller != "" {
				header = []string{"Authorization", caller}
			}
			a := f.call(o.method, o.path, o.body, header...)
			switch {
			case o.name == "readDocument":
				require.Equal(t, 200, a.status)
			case c < strangers:
				require.Equal(t, "unauthenticated", a.code(), "%s as %q: %s", o.name, caller, a.body)
				require.Equal(t, `Bearer realm="seathold"`, a.header.Get("WWW-Authenticate"))
			case o.method == "POST" && caller == "Bearer "+readKey:
				require.Equal(t, "forbidden", a.code(), "%s as %q: %s", o.name, caller, a.body)
			default:
				require.Less(t, a.status, 300, "%s as %q: %s", o.name, caller, a.body)
			}
		}
	}
	require.Equal(t, "unauthenticated", f.get("/v1/nothing").code(),
		"a caller without a key does not learn which paths exist")
}

func callersName(c int) string { return string(rune('a' + c)) }

// TestKeyFiles checks the format of key files. No error contains a key.
func TestKeyFiles(t *testing.T) {
	for file, fault := range map[string]string{
		"":                                      "the file has no key",
		"# sell " + sellKey:                     "the file has no key",
		"sell":                                  "line 1: has 1 words instead of a role and a key",
		"sell a b":                              "line 1: has 3 words instead of a role and a key",
		"\nSELL " + sellKey:                     "line 2: the role must be read, sell or admin",
		"sell short-secret":                     "line 1: the key has 12 characters; it must have 16 to 256",
		"sell " + strings.Repeat("k", 257):      "line 1: the key has 257 characters; it must have 16 to 256",
		"sell sécret-0123456789":                "line 1: the key has a character that is not printable ASCII",
		"sell " + sellKey + "\nread " + sellKey: "line 2: the key is already on line 1",
	} {
		_, err := ParseKeys(strings.NewReader(file))
		require.ErrorContains(t, err, fault)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), sellKey)
	}
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(keyFile), 0o600))
	_, warning, err := LoadKeys(path)
	require.NoError(t, err)
	require.Empty(t, warning)
	require.NoError(t, os.Chmod(path, 0o644))
	_, warning, err = LoadKeys(path)
	require.NoError(t, err)
	require.Contains(t, warning, "readable by all users")
	_, _, err = LoadKeys(path + "-none")
	require.ErrorIs(t, err, os.ErrNotExist)
}
