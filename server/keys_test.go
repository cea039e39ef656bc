package server

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

const (
	readKey  = "read-0123456789abcdef"
	sellKey  = "sell-0123456789abcdef"
	adminKey = "admin-0123456789abcdef"
	keyFile  = "# keys\n\n read " + readKey + "\nsell\t" + sellKey + " shop\nadmin " + adminKey + "  ops\n"
)

// TestKeys checks which caller may make which call.
func TestKeys(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader(keyFile)))(t) })
	callers := []string{"", "Bearer", "Bearer ", "Bearer wrong-0123456789abcdef", "Basic " + sellKey, sellKey,
		"Bearer " + sellKey + "x", "Bearer\t" + sellKey, "Bearer " + strings.Repeat("x", 300),
		"Bearer " + readKey, "bearer " + sellKey, "Bearer   " + sellKey, "Bearer " + adminKey}
	const strangers = 9 // the first 9 have no valid key
	for i, o := range operations() {
		for c, caller := range callers {
			o := o.on(otherID(100*i + c))
			if strings.Contains(o.path, otherID(100*i+c)) {
				f.prepare(o, otherID(100*i+c), o.name+callersName(c), "1", "Authorization", "Bearer "+sellKey)
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
		"sell":                                  "line 1: has 1 words instead of a role, a key and a name",
		"sell " + sellKey + " my shop":          "line 1: has 4 words instead of a role, a key and a name",
		"\nSELL " + sellKey:                     "line 2: the role must be read, sell or admin",
		"sell short-secret":                     "line 1: the key has 12 characters; it must have 16 to 256",
		"sell " + strings.Repeat("k", 257):      "line 1: the key has 257 characters; it must have 16 to 256",
		"sell sécret-0123456789":                "line 1: the key has a character that is not printable ASCII",
		"sell " + sellKey + "\nread " + sellKey: "line 2: the key is already on line 1",
		"sell " + sellKey + " a\nread " + readKey + " a":      `line 2: "a" has the role sell on line 1; keys that share`,
		"sell " + sellKey + " read\nread " + readKey:          `line 2: "read" has the role sell on line 1`,
		"sell " + sellKey + " " + strings.Repeat("n", 65):     "line 1: the name has 65 characters; it may have at most 64",
		"sell " + sellKey + " shop/1":                         "line 1: the name has a character other than A-Z",
		"sell " + sellKey + " anonymous":                      "line 1: the name anonymous is that of callers without",
		"sell " + "shop-gateway-paris" + " " + sellKey:        "line 1: the name is as long as the key",
		"sell " + strings.Repeat("k", 300<<10):                "line 1: the key has 307200 characters",
		strings.Repeat("# comment\n", 2000) + "sell " + "key": "line 2001: the key has 3 characters",
	} {
		_, err := ParseKeys(strings.NewReader(file))
		require.ErrorContains(t, err, fault)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), sellKey)
	}
	keys := must(ParseKeys(strings.NewReader("\ufeffsell " + sellKey + " shop\r\n" + "sell other-0123456789abc shop\r\n" +
		"read " + readKey + "\nadmin " + adminKey + " " + "a-name-of-19-letter")))(t)
	for key, want := range map[string]Caller{
		sellKey:                 {"shop", Sell, 1},
		"other-0123456789abc":   {"shop", Sell, 1},
		readKey:                 {"read", Read, 2},
		adminKey:                {"a-name-of-19-letter", Admin, 3},
		"another-0123456789abc": {Name: Anonymous},
	} {
		require.Equal(t, want, keys.CallerOf([]byte("Bearer "+key)))
	}
	require.Equal(t, []string{Anonymous, "shop", "read", "a-name-of-19-letter"}, keys.Names())
	require.Equal(t, Caller{Anonymous, Admin, 0}, (*Keys)(nil).CallerOf(nil), "without a key file")
	require.Equal(t, []string{Anonymous}, (*Keys)(nil).Names())
}

// TestSwappedWords checks that of two words that could both be keys at most one order is accepted: metrics and logs
// never show a key because its line has the words in another order.
func TestSwappedWords(t *testing.T) {
	accepted := func(key, name string) bool {
		_, err := ParseKeys(strings.NewReader("sell " + key + " " + name))
		return err == nil
	}
	for a := 1; a <= 70; a++ {
		for b := 1; b <= 70; b++ {
			one, other := strings.Repeat("a", a), strings.Repeat("b", b)
			require.False(t, accepted(one, other) && accepted(other, one), "%d and %d characters", a, b)
		}
	}
	require.True(t, accepted(strings.Repeat("a", 17), strings.Repeat("b", 16)))
	require.True(t, accepted(strings.Repeat("a", 16), strings.Repeat("b", 15)))
}

// FuzzKeyFile checks that of any file either all lines are accepted, each with a good name, or none; and that no error
// contains what may be a key.
func FuzzKeyFile(f *testing.F) {
	f.Add(keyFile)
	f.Add("\ufeffsell " + sellKey + " shop\r\nsell " + sellKey + " shop")
	f.Add("sell shop-gateway-paris " + sellKey + "\nread " + sellKey + " shop-gateway-paris")
	name := regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseKeyFile([]byte(text))
		for _, word := range strings.Fields(text) {
			if err != nil && len(word) >= minKey && !strings.Contains(err.Error(), "the role") {
				require.NotContains(t, err.Error(), word)
			}
		}
		require.Equal(t, err == nil, len(lines) > 0)
		require.LessOrEqual(t, len(lines), maxKeys)
		roles := map[string]Role{}
		for _, l := range lines {
			require.Regexp(t, name, l.name)
			require.NotEqual(t, Anonymous, l.name)
			require.Contains(t, []Role{0, l.role}, roles[l.name], "keys that share a name have one role")
			roles[l.name] = l.role
		}
	})
}

// TestReload checks what a key file that is read again changes: all of it, or nothing if it is faulty.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("sell " + sellKey + " shop\nread " + readKey + " dashboard\nadmin " + adminKey + " ops\n")
	keys, warning, err := LoadKeys(path)
	require.NoError(t, err)
	require.Empty(t, warning)
	caller := func(key string) Caller { return keys.CallerOf([]byte("Bearer " + key)) }
	shop, dashboard, ops := caller(sellKey), caller(readKey), caller(adminKey)
	require.Equal(t, Caller{"shop", Sell, 1}, shop)
	require.Equal(t, Caller{"dashboard", Read, 2}, dashboard)
	require.Equal(t, Caller{"ops", Admin, 3}, ops)

	const newKey = "new-0123456789abcdef"
	write("admin " + adminKey + " ops\nsell " + newKey + " shop\n" +
		"admin " + readKey + " dashboard\nread r" + readKey + " bi\n")
	change, warning, err := keys.Reload()
	require.NoError(t, err)
	require.Empty(t, warning)
	require.Equal(t, KeyChange{Added: []string{"bi"}, Rotated: []string{"shop"},
		Roles: []string{"dashboard: read to admin"}}, change)
	require.Equal(t, "added bi; rotated shop; role changed dashboard: read to admin", change.String())
	require.Zero(t, caller(sellKey).Role, "the old key")
	require.Equal(t, shop, caller(newKey), "a name keeps its index")
	require.Equal(t, Caller{"dashboard", Admin, 2}, caller(readKey))
	require.Equal(t, ops, caller(adminKey))
	require.Equal(t, []string{Anonymous, "shop", "dashboard", "ops", "bi"}, keys.Names())

	for _, faulty := range []string{"", "admin " + adminKey + "\nsell " + sellKey + "\nsell secret\n"} {
		write(faulty)
		_, _, err = keys.Reload()
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, shop, caller(newKey), "the keys stay")
		require.Zero(t, caller(sellKey).Role)
	}
	require.NoError(t, os.Remove(path))
	_, _, err = keys.Reload()
	require.ErrorIs(t, err, os.ErrNotExist)

	write("sell " + sellKey + " shop\nadmin " + adminKey + " ops\n")
	require.NoError(t, os.Chmod(path, 0o644))
	change, warning, err = keys.Reload()
	require.NoError(t, err)
	require.Contains(t, warning, "can be read by all users")
	require.Equal(t, "removed bi, dashboard; rotated shop", change.String())
	require.Len(t, keys.Names(), 5, "names are kept with their indexes")
	change, _, err = keys.Reload()
	require.NoError(t, err)
	require.Equal(t, "nothing changed", change.String())
	_, _, err = LoadKeys(path + "-none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestKeyAddedMeanwhile adds a key between the header of a batch, whose body is then not read, and its answer. The
// batch is refused for its key, not as malformed.
func TestKeyAddedMeanwhile(t *testing.T) {
	f := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader("read " + readKey)))(t) })
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	request := "POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sellKey + "\r\nContent-Length: 2\r\n\r\n"
	require.NoError(t, ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(request))))
	f.server.headerReceived(&ctx.Request.Header)
	require.Zero(t, ctx.Request.Header.ContentLength(), "the body is not read")
	_, err := f.server.keys.replace([]byte("sell " + sellKey))
	require.NoError(t, err)
	f.server.answer(&ctx, &observation{})
	require.Equal(t, 401, ctx.Response.StatusCode(), "%s", ctx.Response.Body())
}

// TestMostCallers checks that the indexes of callers stay below MaxCallers (I10).
func TestMostCallers(t *testing.T) {
	file := func(from, n int) []byte {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "sell key-%016d n%d\n", i, from+i)
		}
		return []byte(text.String())
	}
	keys := &Keys{}
	used := 1
	for ; used+maxKeys <= MaxCallers; used += maxKeys {
		_, err := keys.replace(file(used, maxKeys))
		require.NoError(t, err)
	}
	before := keys.current.Load()
	_, err := keys.replace(file(used, maxKeys))
	require.ErrorContains(t, err,
		fmt.Sprintf("line %d: the name is new, and the server has had 4095 names", MaxCallers-used+1))
	require.Same(t, before, keys.current.Load())
	_, err = keys.replace(file(used, MaxCallers-used))
	require.NoError(t, err)
	require.Len(t, keys.Names(), MaxCallers)
	_, err = keys.replace(file(1, maxKeys))
	require.NoError(t, err, "earlier names")
	require.Equal(t, Caller{"n1", Sell, 1}, keys.CallerOf([]byte("Bearer key-0000000000000000")))
}

// BenchmarkCallerOf looks up the last key of a file.
func BenchmarkCallerOf(b *testing.B) {
	for _, n := range []int{1, maxKeys} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "sell key-%032d\n", i)
			}
			keys := must(ParseKeys(strings.NewReader(text.String())))(b)
			authorization := fmt.Appendf(nil, "Bearer key-%032d", n-1)
			b.ReportAllocs()
			for b.Loop() {
				if keys.CallerOf(authorization).Role != Sell {
					b.Fatal("not recognised")
				}
			}
		})
	}
}
