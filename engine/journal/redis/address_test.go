package redis

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		address, user, password, master string
		addrs                           []string
		db                              int
		cluster, tls                    bool
		sentinelPassword                string
	}{
		{address: "redis://localhost", addrs: []string{"localhost:6379"}},
		{address: "redis://10.1.2.3:7000/4", addrs: []string{"10.1.2.3:7000"}, db: 4},
		{address: "redis://[::1]:7000?db=2", addrs: []string{"[::1]:7000"}, db: 2},
		{address: "redis://[fe80::1]", addrs: []string{"[fe80::1]:6379"}},
		{address: "redis://:p%40ss%3Aword@host", password: "p@ss:word", addrs: []string{"host:6379"}},
		{address: "redis://seller:secret@host:1", user: "seller", password: "secret", addrs: []string{"host:1"}},
		{address: "rediss://cache.example:6380", addrs: []string{"cache.example:6380"}, tls: true},
		{address: "unix:///run/redis.sock?db=3", addrs: []string{"/run/redis.sock"}, db: 3},
		{address: "unix://u:p@/run/redis.sock", user: "u", password: "p", addrs: []string{"/run/redis.sock"}},
		{address: "redis+sentinel://a,b:1,[::1]:2/main?db=1&sentinel_password=x", master: "main", db: 1,
			sentinelPassword: "x", addrs: []string{"a:26379", "b:1", "[::1]:2"}},
		{address: "redis+cluster://a:1,b:2,c", cluster: true, addrs: []string{"a:1", "b:2", "c:6379"}},
		{address: "rediss+cluster://a", cluster: true, tls: true, addrs: []string{"a:6379"}},
	} {
		o, err := parseAddress(c.address)
		require.NoError(t, err, c.address)
		require.Equal(t, c.addrs, o.Addrs, c.address)
		require.Equal(t, []any{c.user, c.password, c.master, c.db, c.cluster, c.sentinelPassword},
			[]any{o.Username, o.Password, o.MasterName, o.DB, o.IsClusterMode, o.SentinelPassword}, c.address)
		require.Equal(t, c.tls, o.TLSConfig != nil, c.address)
		require.Equal(t, -1, o.MaxRetries, "the client must not retry")
		require.True(t, o.ContextTimeoutEnabled)
	}
	for _, address := range []string{"", "secret", "localhost:secret", "secret://host", "redis+secret://host",
		"redis://host:secret", "redis://u:se?cret@host:1", "redis://u:12?secret@host", "redis://u:1/secret",
		"redis://host/secret", "redis://host?secret=1", "redis://u:8443secret:x", "unix://secret", "redis://u:p@host:secret@",
		"localhost:6379", "http://localhost", "redis://", "redis://:6379",
		"redis://host:x", "redis://host:0", "redis://host:70000", "redis://a,b", "redis://host/x", "redis://host/-1",
		"redis://host?db=x", "redis://host?max_retries=5", "redis://%zz:secret@host", "redis://u:secret%@host",
		"redis://::1:6379:7", "unix://run/redis.sock", "redis+sentinel://a:1", "redis+sentinel://a:1/m/n",
		"redis+cluster://a/1", "redis+cluster://a?db=1", "redis+ring://a", "redis://host?sentinel_password=secret",
		"redis://host?%zz=secret", "redis+cluster://"} {
		_, err := parseAddress(address)
		require.ErrorIs(t, err, errAddress, address)
		require.NotContains(t, err.Error(), "secret", "the error contains the password")
		require.NotContains(t, err.Error(), "cret", "the error contains a part of the password")
		require.NotContains(t, Location(address), "secret")
	}
}

func TestLocation(t *testing.T) {
	for address, want := range map[string]string{
		"redis://user:secret@host":                           "redis://host:6379",
		"rediss://secret@host:1/4":                           "rediss://host:1?db=4",
		"unix://:secret@/run/redis.sock?db=3":                "unix:///run/redis.sock?db=3",
		"redis+cluster://:secret@a:1,b:2":                    "redis+cluster://a:1,b:2",
		"redis+sentinel://a,b/main?sentinel_password=secret": "redis+sentinel://a:26379,b:26379/main",
		"redis+sentinel://a/main?db=2&sentinel_user=secret":  "redis+sentinel://a:26379/main?db=2",
		"redis://host:secret":                                "a malformed address",
	} {
		require.Equal(t, want, Location(address))
	}
}

func TestOptions(t *testing.T) {
	_, err := Open(Options{Address: "redis://localhost", TLS: &tls.Config{}})
	require.ErrorIs(t, err, errAddress, "TLS settings must not be ignored")
	_, err = Open(Options{Address: "redis://localhost", ResendBytes: -1})
	require.Error(t, err)
	for _, name := range []string{"a b", "{x}", "ü", "x:y", string(make([]byte, 65))} {
		_, err := Open(Options{Address: "redis://localhost", Name: name})
		require.Error(t, err, name)
	}
}
