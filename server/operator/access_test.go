package operator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server"
)

// TestAudit checks the line of every call below /admin/ and of profiles: complete, refused and cut ones have one, in
// their order; other paths have none. No line has a key, a query or a body.
func TestAudit(t *testing.T) {
	var log bytes.Buffer
	keys, err := server.ParseKeys(strings.NewReader("read " + readKey + " dashboard\nadmin " + adminKey + " ops\n"))
	require.NoError(t, err)
	cut := false
	o := Options{Keys: keys, Loopback: true, Ready: func() error { return nil }, Metrics: http.NotFoundHandler(),
		Audit: slog.New(slog.NewTextHandler(&log, nil)),
		Engine: func() *engine.Engine {
			if cut {
				panic(http.ErrAbortHandler)
			}
			return nil // 503
		}}
	handler := New(o).Handler
	call := func(method, path string, header ...string) (line string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "http://localhost:9090"+path, strings.NewReader("SECRET"))
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		r.Header.Set("Request-Id", "req-1")
		log.Reset()
		func() {
			defer func() {
				if fault := recover(); fault != http.ErrAbortHandler && fault != nil {
					panic(fault)
				}
			}()
			handler.ServeHTTP(w, r)
		}()
		require.Equal(t, "req-1", w.Header().Get("Request-Id"))
		require.NotContains(t, log.String(), "SECRET")
		require.NotContains(t, log.String(), "0123456789abcdef")
		require.LessOrEqual(t, strings.Count(log.String(), "\n"), 1)
		_, line, _ = strings.Cut(strings.TrimSuffix(log.String(), "\n"), "level=INFO msg=audit ")
		line, _, _ = strings.Cut(line, " seconds=")
		return line
	}
	const tail = " request_id=req-1 remote=192.0.2.1:1234"
	ops, dashboard := "Bearer "+adminKey, "Bearer "+readKey
	for _, c := range []struct {
		method, path, key, want string
	}{
		{"POST", "/admin/draws/draw1/freeze?key=SECRET", ops,
			"key=ops role=admin method=POST path=/admin/draws/draw1/freeze status=503"},
		{"GET", "/admin/journal/rescue", ops, "key=ops role=admin method=GET path=/admin/journal/rescue status=503"},
		{"GET", "/admin/journal/rescue", dashboard,
			"key=dashboard role=read method=GET path=/admin/journal/rescue status=403"},
		{"GET", "/admin/journal/rescue", "", "key=anonymous role=none method=GET path=/admin/journal/rescue status=401"},
		{"GET", "/admin/journal/rescue", ops + "SECRET",
			"key=anonymous role=none method=GET path=/admin/journal/rescue status=401"},
		{"GET", "/admin/nothing", ops, "key=ops role=admin method=GET path=/admin/nothing status=404"},
		{"GET", "/admin/nothing", "", "key=anonymous role=none method=GET path=/admin/nothing status=401"},
		{"POST", "/admin/draws/draw1/export", ops,
			"key=ops role=admin method=POST path=/admin/draws/draw1/export status=405"},
		{"GET", "/debug/pprof/", ops, "key=ops role=admin method=GET path=/debug/pprof/ status=200"},
		{"GET", "/debug/pprof/cmdline", dashboard, "key=dashboard role=read method=GET path=/debug/pprof/cmdline status=403"},
		{"GET", "/debug/pprof/cmdline", "", "key=anonymous role=none method=GET path=/debug/pprof/cmdline status=401"},
		{"GET", "/admin/%0alevel=INFO%20msg=audit", ops,
			`key=ops role=admin method=GET path="/admin/\nlevel=INFO msg=audit" status=404`},
		{"GET", "/admin/" + strings.Repeat("x", 1000), ops,
			"key=ops role=admin method=GET path=/admin/" + strings.Repeat("x", 249) + "… status=404"},
		{"GET", "/healthz", "", ""},
		{"GET", "/readyz", "", ""},
		{"GET", "/metrics", dashboard, ""},
	} {
		want := c.want
		if want != "" {
			want += tail
		}
		var header []string
		if c.key != "" {
			header = []string{"Authorization", c.key}
		}
		require.Equal(t, want, call(c.method, c.path, header...))
	}
	require.Equal(t, "key=anonymous role=none method=GET path=/admin/journal/rescue status=401"+tail,
		call("GET", "/admin/journal/rescue", "Authorization", dashboard, "Authorization", ops), "two keys are none")
	require.Equal(t, "key=ops role=admin method=POST path=/admin/draws/d/run status=403"+tail,
		call("POST", "/admin/draws/d/run", "Authorization", ops, "Origin", "https://elsewhere.example"))
	require.Equal(t, "key=anonymous role=none method=POST path=/admin/draws/d/run status=403"+tail,
		call("POST", "/admin/draws/d/run", "Origin", "https://elsewhere.example"), "a web page")
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	require.Equal(t, "key=ops role=admin method=GET path=/admin/x status=404 request_id=req-1 trace_id="+trace+
		" span_id="+span+" remote=192.0.2.1:1234",
		call("GET", "/admin/x", "Authorization", ops, "Traceparent", "00-"+trace+"-"+span+"-01"))
	for _, id := range []string{"", "not a good one"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost/healthz", nil)
		r.Header.Set("Request-Id", id)
		handler.ServeHTTP(w, r)
		require.Regexp(t, "^[0-9a-f]{16}$", w.Header().Get("Request-Id"), "the server makes one")
	}
	cut = true
	require.Equal(t, "key=ops role=admin method=GET path=/admin/journal/rescue status=0 cut=true"+tail,
		call("GET", "/admin/journal/rescue", "Authorization", ops))
}

// TestAuditOfACutResponse checks that a response that began and was cut is logged as such, over a real connection.
func TestAuditOfACutResponse(t *testing.T) {
	var log bytes.Buffer
	o := Options{Audit: slog.New(slog.NewTextHandler(&log, nil))}
	cut := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProcessing)
		_, _ = fmt.Fprint(w, "begun")
		require.NoError(t, http.NewResponseController(w).Flush())
		panic(http.ErrAbortHandler)
	})
	port := httptest.NewServer(o.identified(o.audited(new(atomic.Int64), cut)))
	response, err := http.Get(port.URL + "/admin/backup")
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, response.Body.Close())
	port.Close()
	require.Contains(t, log.String(), "key=anonymous role=admin method=GET path=/admin/backup status=200 cut=true")
}

// TestFailureHasTheRequestsID checks that the line about a call that failed has the id of its audit line, and the
// trace.
func TestFailureHasTheRequestsID(t *testing.T) {
	var log bytes.Buffer
	c := calls{log: slog.New(slog.NewTextHandler(&log, nil))}
	handler := (&Options{}).identified(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, errors.New("of a kind that nobody expects"))
	}))
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/admin/draws/d/run?secret", nil)
	r.Header.Set("Request-Id", "req-1")
	r.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
	handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	_, line, _ := strings.Cut(log.String(), "level=ERROR msg=")
	require.Equal(t, `"a call on the operator's port failed" error="of a kind that nobody expects" key=anonymous `+
		"path=/admin/draws/d/run request_id=req-1 trace_id="+trace+" span_id="+span+"\n", line)
}

// TestAuditOfACallAtTheEnd checks that a call which the end of the server cuts has its line when Close returns.
func TestAuditOfACallAtTheEnd(t *testing.T) {
	var log bytes.Buffer
	port := New(Options{Ready: func() error { return nil }, Metrics: http.NotFoundHandler(),
		Audit: slog.New(slog.NewTextHandler(&log, nil))})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served, ended := make(chan error, 1), make(chan error, 1)
	go func() { served <- port.Serve(ln) }()
	go func() { // a profile of a minute
		response, err := http.Get("http://" + ln.Addr().String() + "/debug/pprof/goroutine?seconds=60")
		if err == nil {
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		ended <- err
	}()
	require.Eventually(t, func() bool { return port.calls.Load() == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, port.Close())
	require.Contains(t, log.String(), "key=anonymous role=admin method=GET path=/debug/pprof/goroutine ")
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	require.Error(t, <-ended)
}
