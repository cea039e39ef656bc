//go:build unix

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOperatorNeedsAnAdmin checks the operator's port of a server with keys on loopback: metrics and probes need no
// key, profiles and calls below /admin/ need an admin's, the commands can send one, and each such call is in the log
// with the key's name.
func TestOperatorNeedsAnAdmin(t *testing.T) {
	const sell, admin = "shop-0123456789abcdef", "admin-0123456789abcdef"
	f := keyed(t, "sell "+sell+" shop\nadmin "+admin+" ops\n", "--log-level", "error")
	f.api = f.operator
	for _, c := range []struct {
		path                     string
		without, seller, ofAdmin int
	}{
		{"/healthz", 200, 200, 200},
		{"/readyz", 200, 200, 200},
		{"/metrics", 200, 200, 200},
		{"/debug/pprof/cmdline", 401, 403, 200},
		{"/debug/pprof/profile?seconds=1", 401, 403, 200},
		{"/admin/draws/draw1", 401, 403, 200},
		{"/admin/sale", 401, 403, 200},
		{"/admin/journal/rescue", 401, 403, 409},
	} {
		for key, want := range map[string]int{"": c.without, sell: c.seller, admin: c.ofAdmin} {
			status, _, err := f.as(f.client, key, http.MethodGet, c.path, "")
			require.NoError(t, err)
			require.Equal(t, want, status, "%s as %q", c.path, key)
		}
	}
	audited := func(calls int) func() bool {
		return func() bool { return strings.Count(f.output.String(), "msg=audit") == calls }
	}
	f.await(audited(15))
	log := f.output.String()
	for _, line := range []string{
		"msg=audit key=anonymous role=none method=GET path=/debug/pprof/cmdline status=401 ",
		"msg=audit key=shop role=sell method=GET path=/debug/pprof/profile status=403 ",
		"msg=audit key=ops role=admin method=GET path=/debug/pprof/profile status=200 ",
		"msg=audit key=ops role=admin method=GET path=/admin/draws/draw1 status=200 ",
		"msg=audit key=ops role=admin method=GET path=/admin/journal/rescue status=409 ",
	} {
		require.Equal(t, 1, strings.Count(log, line), "%s\n%s", line, log)
	}

	rescue := []string{"journal", "rescue", "--from", f.operator, "--to", filepath.Join(t.TempDir(), "to")}
	refusedWith(t, "set SEATHOLD_KEY, or --key, to a key in the server's --keys file", rescue...)
	t.Setenv("SEATHOLD_KEY", sell)
	refusedWith(t, "forbidden", rescue...)
	t.Setenv("SEATHOLD_KEY", admin)
	refusedWith(t, "journal_works", rescue...)
	f.await(audited(18))
	require.NotContains(t, f.output.String(), "0123456789abcdef", "a key is in the log")
	require.Equal(t, exitDone, f.stop())
}
