package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// logged reads lines of JSON.
func logged(t testing.TB, log *safeBuffer) (lines []map[string]any) {
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		lines = append(lines, fields)
	}
	return lines
}

// requireLoggedPaths requires that requests were logged with these paths, and nothing secret.
func requireLoggedPaths(t *testing.T, log *safeBuffer, want []any) {
	t.Helper()
	until(t, func() bool { return len(logged(t, log)) == len(want) }, "every request is logged")
	var got []any
	for _, line := range logged(t, log) {
		got = append(got, line["path"])
	}
	require.ElementsMatch(t, want, got) // the lines of two connections may change places
	require.NotContains(t, log.String(), "SECRET")
}

// startLogged starts a server with an access log.
func startLogged(t testing.TB, o AccessLog, change func(*Options)) (*fixture, *safeBuffer) {
	log := &safeBuffer{}
	o.Log = slog.New(slog.NewJSONHandler(log, nil))
	return start(t, func(options *Options) {
		options.Access = o
		if change != nil {
			change(options)
		}
	}), log
}

// A line of the access log has what one needs to find a request, and no account.
func TestAccessLog(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	keys := must(ParseKeys(strings.NewReader(keyFile)))(t)
	f, log := startLogged(t, AccessLog{PerSecond: 1_000_000}, func(o *Options) { o.Keys = keys })
	f.call("GET", "/v1/accounts/alice@example.com?secret=1", "", "Authorization", "Bearer "+sellKey, "Request-Id", "r-1",
		"traceparent", "00-"+trace+"-"+span+"-01")
	f.call("GET", "/v1/draws/ballot/entries/alice@example.com", "", "Authorization", "Bearer "+sellKey, "Traceparent", "x")
	f.call("POST", "/v1/reservations", validBody, "Authorization", "Bearer "+sellKey)
	until(t, func() bool { return len(logged(t, log)) >= 3 }, "three lines")
	lines := logged(t, log)
	require.Len(t, lines, 3)
	first := lines[0]
	for field, want := range map[string]any{"msg": "request", "level": "INFO", "why": "sampled", "method": "GET",
		"path": "/v1/accounts/{account}", "route": "account", "status": 200.0, "key": "shop", "request_id": "r-1",
		"trace_id": trace, "span_id": span} {
		require.Equal(t, want, first[field], field)
	}
	require.NotZero(t, first["bytes"])
	require.NotZero(t, first["seconds"])
	require.Contains(t, first["remote"], "127.0.0.1:")
	require.Equal(t, "/v1/draws/ballot/entries/{account}", lines[1]["path"])
	require.NotContains(t, lines[1], "trace_id", "the header is not valid")
	require.Equal(t, "reserve", lines[2]["route"])
	require.Equal(t, 201.0, lines[2]["status"])
	require.NotContains(t, log.String(), "alice")
	require.NotContains(t, log.String(), sellKey)
}

// Failed and slow requests are logged although others were logged just before, each kind up to its own rate. What is
// left out is summed up, so a flood of failures costs little and is still visible.
func TestAccessLogIsBounded(t *testing.T) {
	log := &safeBuffer{}
	a := newAccessLog(AccessLog{Log: slog.New(slog.NewJSONHandler(log, nil)), PerSecond: 10, Slow: time.Second})
	c := &conn{Conn: silent{}}
	now := int64(1)
	note := func(status int, took time.Duration, times int) {
		for range times {
			a.note(c, &observation{status: status, line: &line{}}, took, now, false)
		}
	}
	note(200, time.Millisecond, 1000)
	note(503, time.Millisecond, 1000)
	note(200, time.Second, 1000)
	for range 1000 {
		a.note(c, &observation{status: 503, overloaded: true, line: &line{}}, time.Second, now, false)
	}
	kinds := func() map[any]int {
		n := map[any]int{}
		for _, l := range logged(t, log) {
			n[l["why"]]++
		}
		return n
	}
	require.Equal(t, map[any]int{"sampled": 1, "failed": 11, "overloaded": 11, "slow": 11}, kinds())
	for range 100 { // ten seconds
		now += int64(time.Second) / 10
		note(200, time.Millisecond, 10)
	}
	require.Equal(t, 101, kinds()["sampled"], "ten a second, evenly")
	var failed, overloaded, slow, others float64
	for _, l := range logged(t, log) {
		if l["msg"] == "requests left out of the access log" {
			failed, overloaded = failed+l["failed"].(float64), overloaded+l["overloaded"].(float64)
			slow, others = slow+l["slow"].(float64), others+l["others"].(float64)
		}
	}
	require.Equal(t, []float64{989, 989, 989}, []float64{failed, overloaded, slow})
	require.GreaterOrEqual(t, others, 999.0)
	require.Less(t, strings.Count(log.String(), "left out"), 3, "only when something important was left out")
}

// A failure is logged although refusals because of load have just used up their lines. They have a kind of their own,
// wherever they are made.
func TestAccessLogKeepsFailuresInOverload(t *testing.T) {
	f, log := startLogged(t, AccessLog{PerSecond: 1}, func(o *Options) { o.MaxBuffered = LeastBuffered })
	var taken charge
	f.server.budget.hold(&taken, f.server.budget.limit+1, nil)
	list := "GET /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	body := `{"operations":[` + strings.Repeat(" ", 2*exempt) + `]}`
	batch := fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			request := list
			if i%2 == 0 {
				request = batch
			}
			if a := f.raw(request); a.code() != "overloaded" {
				t.Errorf("the code is %q", a.code())
			}
		})
	}
	all.Wait()
	f.server.budget.release(&taken)
	e := f.server.current.Swap(nil) // so the handler panics
	require.Equal(t, 500, f.raw(list).status)
	f.server.current.Store(e)
	until(t, func() bool { return strings.Contains(log.String(), `"status":500`) }, "the failure is logged")
	kinds := map[any]map[any]bool{}
	for _, l := range logged(t, log) {
		if l["msg"] == "request" {
			if kinds[l["why"]] == nil {
				kinds[l["why"]] = map[any]bool{}
			}
			kinds[l["why"]][l["status"]] = true
		}
	}
	require.Equal(t, map[any]map[any]bool{"overloaded": {503.0: true}, "failed": {500.0: true}}, kinds)
}

// Whatever a client sends, a line of the log is one line, is valid, and has only the fields that the server writes.
func FuzzAccessLog(f *testing.F) {
	f.Add("/v1/phases", "id", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("/v1/accounts/a\"b", "a\" key=admin", "x y")
	f.Add("/%0a\u2028\x7f\xff", "\x1b[31m", "{\"status\":200}")
	f.Add("/v1/phases?x\x00y", "a\tb\\n\"", "00-")
	fields := strings.Fields("time level msg why method path route status bytes seconds read_seconds waited_seconds key " +
		"remote request_id trace_id span_id")
	f.Fuzz(func(t *testing.T, path, id, parent string) {
		ctx := &fasthttp.RequestCtx{}
		request := "GET " + path + " HTTP/1.1\r\nHost: x\r\nRequest-Id: " + id + "\r\nTraceparent: " + parent + "\r\n\r\n"
		if ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(request))) != nil {
			return
		}
		var asJSON, asText bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&asJSON, nil), slog.NewTextHandler(&asText, nil)} {
			o := newObserver(newAccessLog(AccessLog{Log: slog.New(h), PerSecond: 1, Slow: time.Second}))
			c := &conn{Conn: silent{}, seen: o.timeline()}
			c.seen.read()
			c.seen.count(ctx, c.seen.begin(&ctx.Request.Header, c.seen.last))
			c.seen.wrote(nil)
			c.seen.end(c)
		}
		var got map[string]any
		require.NoError(t, json.Unmarshal(asJSON.Bytes(), &got), "%q", asJSON.String())
		for field := range got {
			require.Contains(t, fields, field)
		}
		text := strings.TrimSuffix(asText.String(), "\n")
		require.True(t, strings.HasPrefix(text, "time="), "%q", text)
		require.Equal(t, -1, strings.IndexFunc(text, unicode.IsControl), "%q", text)
		for _, field := range fields {
			require.LessOrEqual(t, strings.Count(withoutQuoted(text), " "+field+"="), 1, "%q", text)
		}
	})
}

// withoutQuoted returns a text without its quoted parts.
func withoutQuoted(text string) string { return quotedPart.ReplaceAllString(text, "") }

// Answers that wait to be written keep their own line while those before them are logged and others follow.
func TestAccessLogOfPipelinedRequests(t *testing.T) {
	log := &safeBuffer{}
	o := newObserver(newAccessLog(AccessLog{Log: slog.New(slog.NewJSONHandler(log, nil)), PerSecond: 1_000_000,
		Slow: 1}))
	c := &conn{Conn: silent{}, seen: o.timeline()}
	answer := func(path string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.Header.SetRequestURI(path)
		c.seen.read()
		c.seen.count(ctx, c.seen.begin(&ctx.Request.Header, o.now()))
	}
	var paths []any
	for round := range 5 {
		answer("/first")
		c.seen.wrote(nil) // it did not fit the buffer
		for range round {
			answer("/second")
		}
		c.seen.end(c) // reads the rest of the third
		answer("/third")
		c.seen.wrote(nil)
		c.seen.end(c)
		require.Empty(t, c.seen.answered)
	}
	for _, line := range logged(t, log) {
		paths = append(paths, line["path"])
	}
	var want []any
	for round := range 5 {
		want = append(want, "/first")
		for range round {
			want = append(want, "/second")
		}
		want = append(want, "/third")
	}
	require.Equal(t, want, paths)
}

// A path that does not exist may be a misspelt one with an account or an id. Neither is logged. The same goes for
// requests that were not read.
func TestAccessLogOfUnknownPaths(t *testing.T) {
	f, log := startLogged(t, AccessLog{PerSecond: 1_000_000, Slow: 1}, nil)
	var want []any
	for _, c := range []struct{ path, logged string }{
		{"/v1/accountz/SECRET", "/v1/accountz/"},
		{"/v1/accountz/SECRET/more", "/v1/accountz/"},
		{"/v1/accounts/SECRET/more", "/v1/accounts/"},
		{"/v1/accounts%2FSECRET", "/v1/accounts"},
		{"/v1/accounts;SECRET", "/v1/accounts"},
		{"/v1/accounts@SECRET", "/v1/accounts"},
		{"/v1//accounts/SECRET", "/v1//"},
		{"//v1/accountz/SECRET", "//"},
		{"/v1%2Faccounts%2FSECRET", "/v1"},
		{"/V1/accountz/SECRET", "/V1/"},
		{"/v2/accountz/SECRET", "/v2/"},
		{"/accountz/SECRET", "/accountz/"},
		{"/api/v1/accountz/SECRET", "/api/"},
		{"/v1/reservationz/SECRET/confirm", "/v1/reservationz/"},
		{"/v1/reservations/SECRET/confirmed", "/v1/reservations/"},
		{"/v1/draws/ballot/entriez/SECRET", "/v1/draws/"},
		{"/v1", "/v1"},
		{"/v1/", "/v1/"},
		{"/", "/"},
		{"/wp-login.php", "/wp-login.php"},
		{"http://SECRET@x/v1/accountz/SECRET?SECRET", "/v1/accountz/"},
	} {
		require.Equal(t, 404, f.raw("GET "+c.path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status, c.path)
		want = append(want, c.logged)
	}
	for _, c := range []struct {
		path, logged string
		status       int
	}{
		{"/v1/accountz/SECRET", "/v1/accountz/", 413},
		{"/v1/reservations/SECRET/confirm", "/v1/reservations/", 413},
		{"SECRET", "/", 400},
	} {
		request := "POST " + c.path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
		require.Equal(t, c.status, f.raw(request).status, c.path)
		want = append(want, c.logged)
	}
	requireLoggedPaths(t, log, want)
}

// Whatever a client sends, its line is short, and has no password of an absolute URL.
func TestAccessLogOfHostileRequests(t *testing.T) {
	f, log := startLogged(t, AccessLog{PerSecond: 1_000_000}, nil)
	f.raw(strings.Repeat("M", 2000) + " /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
	f.raw("GET http://user:SECRET@x/v1/phases?SECRET HTTP/1.1\r\nHost: x\r\n\r\n")
	f.raw("GET http://user:SECRET@x HTTP/1.1\r\nHost: x\r\n\r\n")
	f.raw("GET http://user:SECRET@x?a=/ HTTP/1.1\r\nHost: x\r\n\r\n")
	f.raw("GET /v1/http://" + strings.Repeat("x", 2000) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	until(t, func() bool { return len(logged(t, log)) == 5 }, "five lines")
	require.NotContains(t, log.String(), "SECRET")
	require.Less(t, len(log.String()), 5*1000)
	require.Contains(t, log.String(), `"method":"`+strings.Repeat("M", maxMethod)+`"`)
	require.Contains(t, log.String(), `"method":"GET","path":"/v1/phases"`)
}
