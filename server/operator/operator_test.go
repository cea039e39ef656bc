package operator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/server"
)

const (
	readKey  = "read-0123456789abcdef"
	adminKey = "admin-0123456789abcdef"
)

// TestPort checks who may read which path: without keys, on loopback, and with keys. On loopback keys are required too,
// except for metrics.
func TestPort(t *testing.T) {
	var fault error
	keys, err := server.ParseKeys(strings.NewReader("read " + readKey + "\nadmin " + adminKey + "\n"))
	require.NoError(t, err)
	get := func(o Options, path, key string) *httptest.ResponseRecorder {
		o.Ready = func() error { return fault }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeLine(w, 200, "metric 1") })
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		New(o).Handler.ServeHTTP(w, r)
		return w
	}
	open, loopback, locked := Options{}, Options{Keys: keys, Loopback: true}, Options{Keys: keys}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		require.Equal(t, 200, get(open, path, "").Code, path)
		require.Equal(t, 200, get(loopback, path, adminKey).Code, path)
		require.Equal(t, 200, get(locked, path, adminKey).Code, path)
		probe := path == "/healthz" || path == "/readyz"
		require.Equal(t, probe || path == "/metrics", get(loopback, path, "").Code == 200, path)
		require.Equal(t, probe || path == "/metrics", get(loopback, path, readKey).Code == 200, path)
		require.Equal(t, probe, get(locked, path, "").Code == 200, path)
		require.Equal(t, probe || path == "/metrics", get(locked, path, readKey).Code == 200, path)
	}
	require.Equal(t, 404, get(open, "/v1/sessions", "").Code)
	require.Equal(t, 404, get(open, "/admin/draws/draw1", "").Code)
	fault = http.ErrServerClosed
	w := get(open, "/readyz", "")
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), fault.Error())
	require.Equal(t, 200, get(open, "/healthz", "").Code)

	failing := Options{Keys: keys, Failed: func() error { return nil }}
	require.Equal(t, 200, get(failing, "/healthz", "").Code)
	failing.Failed = func() error { return fault }
	w = get(failing, "/healthz", "")
	require.Equal(t, 503, w.Code)
	require.Equal(t, "only a restart helps: "+fault.Error()+"\n", w.Body.String())
	for _, lost := range []error{journal.ErrGone, journal.ErrDamaged, journal.ErrForeign} {
		fault = fmt.Errorf("the journal: %w", lost)
		w = get(failing, "/healthz", "")
		require.Equal(t, 200, w.Code, "a restart would lose the sale")
		require.Contains(t, w.Body.String(), fault.Error())
		require.Contains(t, w.Body.String(), "seathold journal rescue")
	}
}

// TestWebPages checks that where no key is required, a web page of another origin reaches only the probes.
func TestWebPages(t *testing.T) {
	keys, err := server.ParseKeys(strings.NewReader("admin " + adminKey + "\n"))
	require.NoError(t, err)
	get := func(o Options, path string, header ...string) *httptest.ResponseRecorder {
		o.Ready = func() error { return nil }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeLine(w, 200, "metric 1") })
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost:9090"+path, nil)
		for i := 0; i < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		New(o).Handler.ServeHTTP(w, r)
		return w
	}
	for _, o := range []Options{{}, {Loopback: true}, {Keys: keys, Loopback: true}} {
		for _, header := range [][]string{{"Origin", "http://localhost:3000"}, {"Origin", "null"},
			{"Sec-Fetch-Site", "cross-site"}, {"Host", "evil.example:9090"}} {
			for _, path := range []string{"/metrics", "/debug/pprof/", "/admin/draws/draw1"} {
				w := get(o, path, header...)
				require.Equal(t, 403, w.Code, "%s %v", path, header)
				require.Contains(t, w.Body.String(), `"code":"forbidden"`)
				require.Equal(t, o.Keys == nil, strings.Contains(w.Body.String(), "--keys"), w.Body)
			}
			require.Equal(t, 200, get(o, "/healthz", header...).Code)
		}
		require.Equal(t, 200, get(o, "/metrics", "Origin", "http://localhost:9090").Code)
	}
	withKey := []string{"Host", "metrics.example", "Authorization", "Bearer " + adminKey}
	require.Equal(t, 200, get(Options{Keys: keys, Loopback: true}, "/metrics", withKey...).Code)
	require.Equal(t, 401, get(Options{Keys: keys}, "/metrics", "Host", "metrics.example").Code)
}

// TestNotes checks that /readyz has the notes after its first line, ready or not, and that the process's arguments are
// not shown.
func TestNotes(t *testing.T) {
	var fault error
	var notes []string
	o := Options{Ready: func() error { return fault }, Notes: func() []string { return notes },
		Metrics: http.NotFoundHandler(), Arguments: []string{"seathold", "--redis", "redis://host"}}
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		New(o).Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		return w.Code, w.Body.String()
	}
	want := func(code int, text string) {
		t.Helper()
		gotCode, got := get("/readyz")
		require.Equal(t, code, gotCode)
		require.Equal(t, text, got)
	}
	want(200, "ready\n")
	notes = []string{"it is slow", "it is warm"}
	want(200, "ready\nnote: it is slow\nnote: it is warm\n")
	fault = http.ErrServerClosed
	want(503, "not ready: "+fault.Error()+"\nnote: it is slow\nnote: it is warm\n")
	_, arguments := get("/debug/pprof/cmdline")
	require.Equal(t, "seathold\x00--redis\x00redis://host", arguments)
}

// TestNoRedirects: paths that net/http would redirect are no calls, with and without a key.
func TestNoRedirects(t *testing.T) {
	s := sell(t)
	for _, path := range []string{"/admin/sessions//paused", "/admin/sessions/./paused", "/admin/sessions/../paused",
		"/admin/phases//paused", "/admin//sale", "/admin/./sale", "/admin/sale/../sale", "/admin/sale/.",
		"/admin/groups/friends/accounts/..", "/admin/groups/friends/accounts/.", "/admin/../metrics", "/admin",
		"//metrics", "/debug/../metrics", "/debug/pprof"} {
		for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
			a := s.want(404, "not_found", method, path, `{"paused":true}`)
			require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), path)
			require.Empty(t, a.header.Get("Location"), path)
		}
		if strings.HasPrefix(path, "/admin/") {
			s.want(401, "unauthenticated", "GET", path, "", "Authorization", "")
		}
	}
	s.want(404, "session_not_found", "PUT", "/admin/sessions/%2E%2E/paused", `{"paused":true}`)
	s.want(200, "", "POST", "/admin/groups/friends/accounts", "..\n")
	s.want(200, "", "GET", "/admin/groups/friends/accounts/%2e%2E", "")
	s.want(200, "", "GET", "/admin/sale?path=/../x", "")
	s.want(200, "", "GET", "/debug/pprof/", "")
}
