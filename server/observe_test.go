package server

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/correlation"
)

// until waits until the condition holds: the server counts latencies after the client has its answer.
func until(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

// counted returns how many answers a caller got on a route with a status.
func (f *fixture) counted(key, route string, status int) (n uint64) {
	for _, a := range f.server.Stats().ByKey {
		if a.Key == key && a.Route == route && a.Status == status {
			n += a.Count
		}
	}
	return n
}

// waits returns how many waits were observed on a route with a result, and their sum.
func (f *fixture) waits(route, result string) (n uint64, sum float64) {
	for _, l := range f.server.Stats().Latencies {
		if l.Route == route && l.Result == result {
			return l.Count(), l.Sum()
		}
	}
	return 0, 0
}

// Every answer is counted once, by the name of the key, the route and the status, and its client's wait is observed.
// That is so for refusals before the handler too.
func TestEveryAnswerIsCounted(t *testing.T) {
	noLeaks(t)
	keys := must(ParseKeys(strings.NewReader(keyFile)))(t)
	f := start(t, func(o *Options) { o.Keys = keys })
	shop, ops := []string{"Authorization", "Bearer " + sellKey}, []string{"Authorization", "Bearer " + adminKey}
	const id = "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a01"
	body := `{"id":"` + id + `",` + validBody[1:]
	post := "POST /v1/reservations HTTP/1.1\r\nHost: x\r\n"
	as := "Authorization: Bearer " + sellKey + "\r\n"
	for _, c := range []struct {
		answer             *answer
		key, route, result string
		status             int
	}{
		{f.call("POST", "/v1/reservations", body, shop...), "shop", "reserve", "ok", 201},
		{f.call("POST", "/v1/reservations", body, shop...), "shop", "reserve", "ok", 200},
		{f.call("POST", "/v1/reservations", body, ops...), "ops", "reserve", "ok", 200},
		{f.call("POST", "/v1/reservations", body), "anonymous", "reserve", "refused", 401},
		{f.call("GET", "/v1/reservations/"+id, "", shop...), "shop", "reservation", "ok", 200},
		{f.call("POST", "/v1/reservations/"+id+"/confirm", "", shop...), "shop", "confirm", "ok", 200},
		{f.call("POST", "/v1/reservations/"+id+"/release", "", shop...), "shop", "release", "refused", 409},
		{f.call("PUT", "/v1/reservations/"+id+"/release", "", shop...), "shop", "release", "refused", 405},
		{f.call("POST", "/v1/reservations/"+id+"/extend", "", shop...), "shop", "extend", "refused", 400},
		{f.call("POST", "/v1/reservations/"+id+"/reduce", "", shop...), "shop", "reduce", "refused", 400},
		{f.call("POST", "/v1/reservations/"+id+"/return", "[]", shop...), "shop", "return", "refused", 400},
		{f.call("GET", "/v1/sessions", "", shop...), "shop", "sessions", "ok", 200},
		{f.call("HEAD", "/v1/sessions/SWM01", "", shop...), "shop", "session", "ok", 200},
		{f.call("GET", "/v1/accounts/alice", "", shop...), "shop", "account", "ok", 200},
		{f.call("GET", "/v1/phases", "", ops...), "ops", "phases", "ok", 200},
		{f.call("GET", "/v1/draws/ballot", "", shop...), "shop", "draw", "ok", 200},
		{f.call("POST", "/v1/draws/ballot/entries", `{"account":"x"}`, shop...), "shop", "enter", "refused", 409},
		{f.call("GET", "/v1/draws/ballot/entries/x", "", shop...), "shop", "entry", "refused", 404},
		{f.call("POST", "/v1/batch", `{"operations":[]}`, ops...), "ops", "batch", "refused", 400},
		{f.call("GET", "/openapi.yaml", ""), "anonymous", "document", "ok", 200},
		{f.call("GET", "/v1/accounts", "", shop...), "shop", "unknown", "refused", 404},
		{f.raw("no HTTP\r\n\r\n"), "anonymous", "unread", "refused", 400},
		{f.raw(post + as + "Content-Length: 1000000\r\n\r\n"), "shop", "unread", "refused", 413},
		{f.raw(post + as + "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"), "shop", "unread", "refused", 413},
	} {
		require.Equal(t, c.status, c.answer.status, "%+v", c)
		require.NotZero(t, f.counted(c.key, c.route, c.status), "%+v", c)
		until(t, func() bool { n, _ := f.waits(c.route, c.result); return n > 0 }, c.route+" "+c.result)
	}
	stats := f.server.Stats()
	sum := uint64(0)
	for _, n := range stats.Answers {
		sum += n
	}
	require.EqualValues(t, 24, sum, "%+v", stats.ByKey)
	require.EqualValues(t, 2, f.counted("shop", "unread", 413))
	until(t, func() bool { // a wait is observed after its answer is sent
		observed := uint64(0)
		for _, l := range f.server.Stats().Latencies {
			observed += l.Count()
		}
		require.LessOrEqual(t, observed, uint64(24))
		return observed == 24
	}, "every wait is observed")
}

// A connection that is refused with an answer is counted too.
func TestRefusedConnectionsAreCounted(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxConnections = 1 })
	held := f.dial()
	defer held.Close()
	until(t, func() bool { return f.server.Stats().Connections == 1 }, "the first connection is open")
	c := f.dial()
	defer c.Close()
	require.Len(t, f.readAnswer(bufio.NewReader(c)).header.Get("Request-Id"), correlation.NewSize)
	until(t, func() bool { return f.counted(Anonymous, "unread", 503) == 1 }, "the answer is counted")
}

// The answer to HTTP without TLS, which the handshake gives, is counted, and has an id.
func TestAnswersWithoutTLSAreCounted(t *testing.T) {
	f := start(t, nil).overTLS()
	c := must(net.Dial("tcp", f.address))(t)
	defer c.Close() // the server has closed it
	_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	a := f.readAnswer(bufio.NewReader(c))
	require.Equal(t, 400, a.status)
	require.Len(t, a.header.Get("Request-Id"), correlation.NewSize)
	until(t, func() bool { return f.counted(Anonymous, "unread", 400) == 1 }, "the answer is counted")
	require.EqualValues(t, 1, f.server.Stats().Handshakes.Failed["not_tls"])
}

// A client's wait begins with the first byte of its request, not when the request is complete.
func TestWaitBeginsWithTheFirstByte(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	defer c.Close()
	before := time.Now()
	_, err := io.WriteString(c, "G")
	require.NoError(t, err)
	until(t, func() bool { return f.anyConn(func(c *conn) bool { return c.received.Load() }) }, "the byte was read")
	arrived := time.Now()
	for time.Since(arrived) < 20*time.Millisecond { // what a slow client takes
		f.server.Stats()
	}
	took := time.Since(arrived)
	_, err = io.WriteString(c, "ET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, 200, f.readAnswer(bufio.NewReader(c)).status)
	until(t, func() bool { n, _ := f.waits("phases", "ok"); return n == 1 }, "observed")
	_, sum := f.waits("phases", "ok")
	require.GreaterOrEqual(t, sum, took.Seconds())
	require.Less(t, sum, time.Since(before).Seconds())
}

func (f *fixture) anyConn(is func(*conn) bool) bool {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	for _, l := range f.server.listeners {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			if is(c) {
				return true
			}
		}
	}
	return false
}

// Pipelined requests are observed one by one, also while the body of the last is still missing.
func TestPipelinedAnswersAreCounted(t *testing.T) {
	const many = 100
	f := start(t, nil)
	c := f.dial()
	defer c.Close()
	post := "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
	_, err := io.WriteString(c, strings.Repeat("GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n", many)+post)
	require.NoError(t, err)
	until(t, func() bool { return f.counted(Anonymous, "phases", 200) == many }, "all were answered but the last")
	_, err = io.WriteString(c, "{bad}")
	require.NoError(t, err)
	r := bufio.NewReader(c)
	for range many {
		require.Equal(t, 200, f.readAnswer(r).status)
	}
	require.Equal(t, 400, f.readAnswer(r).status)
	until(t, func() bool { n, _ := f.waits("reserve", "refused"); return n == 1 }, "the last is observed")
	n, sum := f.waits("phases", "ok")
	require.EqualValues(t, many, n)
	require.Less(t, sum, many*patience.Seconds())
}

// A connection does not keep room for many pipelined requests, and answers that are not written stay.
func TestTimelineForgetsWhatWasWritten(t *testing.T) {
	c := &conn{Conn: silent{}, seen: newObserver(nil).timeline()}
	ctx := &fasthttp.RequestCtx{}
	answer := func() { c.seen.count(ctx, c.seen.begin(&ctx.Request.Header, c.seen.observer.now())) }
	for range 10 * mostKept {
		answer()
	}
	c.seen.end(c)
	require.Len(t, c.seen.answered, 10*mostKept, "nothing was written")
	c.seen.wrote(nil)
	answer()
	c.seen.end(c)
	require.Len(t, c.seen.answered, 1, "the last was answered after the write")
	c.seen.wrote(nil)
	c.seen.end(c)
	require.Empty(t, c.seen.answered)
	require.LessOrEqual(t, cap(c.seen.answered), mostKept)
}

// hangingUp is a listener of connections that take so many bytes, and fail to take more.
type hangingUp struct {
	net.Listener
	takes int
}

func (l hangingUp) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hungUp{c, l.takes}, nil
}

type hungUp struct {
	net.Conn
	takes int
}

func (c *hungUp) Write(p []byte) (int, error) {
	n := min(len(p), c.takes)
	c.takes -= n
	n, err := c.Conn.Write(p[:n])
	if err == nil && n < len(p) {
		err = errors.New("the client has hung up")
	}
	return n, err
}

// sendTo sends requests on a connection that takes so many bytes of the answers, and returns what arrived.
func (f *fixture) sendTo(takes int, requests string) []byte {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(f.t)
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(hangingUp{ln, takes}) }()
	f.t.Cleanup(func() {
		f.stop()
		require.NoError(f.t, <-served)
	})
	c := must(net.Dial("tcp", ln.Addr().String()))(f.t)
	defer c.Close()
	_, err := io.WriteString(c, requests)
	require.NoError(f.t, err)
	require.NoError(f.t, c.(*net.TCPConn).CloseWrite())
	arrived, _ := io.ReadAll(c) // a reset is an end too
	return arrived
}

// An answer that could not be written whole is counted by its status, but its client's wait is that of one that was cut
// off. That is so whether a part of it was written or nothing.
func TestCutAnswersAreNotCountedAsSent(t *testing.T) {
	const (
		small = "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n"
		large = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"
		block = 4096 // fasthttp's buffer: answers to pipelined requests are written when it is full
		many  = 100
	)
	size := len(start(t, nil).sendTo(1<<20, small))
	require.NotZero(t, block%size, "an answer would end with a block")
	for _, c := range []struct {
		name     string
		takes    int
		requests string
		sent     int
		cut      int // some for those that were answered before the write failed
	}{
		{"nothing of one", 0, small, 0, 1},
		{"a part of one", size - 1, small, 0, 1},
		{"the first block of one", block, large, 0, 1},
		{"all of two", 1 << 20, small + large, 2, 0},
		{"nothing of many", 0, strings.Repeat(small, many), 0, block/size + 1},
		{"the first block of many", block, strings.Repeat(small, many), block / size, 2*block/size + 1 - block/size},
		{"the second of two", block, small + large, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, log := startLogged(t, AccessLog{PerSecond: 1_000_000, Slow: 1}, nil)
			f.sendTo(c.takes, c.requests)
			until(t, func() bool { return f.server.Stats().Connections == 0 }, "the connection is closed")
			sum := map[string]int{}
			for _, l := range f.server.Stats().Latencies {
				sum[l.Result] += int(l.Count())
			}
			require.Equal(t, map[string]int{"ok": c.sent, "cut": c.cut}, map[string]int{"ok": sum["ok"], "cut": sum["cut"]})
			require.EqualValues(t, c.sent+c.cut, f.server.Stats().Answers[200], "by status")
			require.Len(t, logged(t, log), c.sent+c.cut)
			require.Equal(t, c.cut, strings.Count(log.String(), `"cut":true`))
		})
	}
}

// The wait for a refusal is none for an answer, even if the client has hung up meanwhile: refusals are held back.
func TestCutRefusalsCountAsFailed(t *testing.T) {
	f, log := startLogged(t, AccessLog{PerSecond: 1}, func(o *Options) { o.MaxBuffered = LeastBuffered })
	var taken charge
	f.server.budget.hold(&taken, f.server.budget.limit+1, nil)
	f.sendTo(0, "GET /v1/sessions HTTP/1.1\r\nHost: x\r\n\r\n")
	until(t, func() bool { return f.server.Stats().Connections == 0 }, "the connection is closed")
	f.server.budget.release(&taken)
	waits := map[string]uint64{}
	for _, l := range f.server.Stats().Latencies {
		if l.Route == "sessions" {
			waits[l.Result] = l.Count()
		}
	}
	require.Equal(t, map[string]uint64{"failed": 1}, waits)
	require.Contains(t, log.String(), `"cut":true`)
}

// Every answer has a Request-Id: the client's if it is good, or else a new one. So have refusals before the handler.
func TestRequestIDs(t *testing.T) {
	f := start(t, nil)
	const good = "Root=1-67891233-abcdef012345678912345678"
	for name, request := range map[string]string{
		"answer":       "GET /v1/phases HTTP/1.1\r\nHost: x\r\n",
		"refusal":      "GET /v1/sessions/NONE HTTP/1.1\r\nHost: x\r\n",
		"unknown path": "GET / HTTP/1.1\r\nHost: x\r\n",
		"ambiguous":    "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"too large":    "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n",
		"expectation":  "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n",
	} {
		for _, field := range []string{"Request-Id", "request-id", "REQUEST-ID"} {
			require.Equal(t, good, f.raw(request+field+": "+good+"\r\n\r\n").header.Get("Request-Id"), name)
		}
		seen := map[string]bool{}
		for _, bad := range []string{"", "Request-Id: \r\n", "Request-Id: a b\r\n", "Request-Id: é\r\n",
			`Request-Id: "a"` + "\r\n",
			"Request-Id: " + strings.Repeat("a", correlation.MaxRequestID+1) + "\r\n"} {
			made := f.raw(request + bad + "\r\n").header.Get("Request-Id")
			require.Len(t, made, correlation.NewSize, "%s %q", name, bad)
			require.False(t, seen[made])
			seen[made] = true
		}
	}
	require.Len(t, f.raw("no HTTP\r\n\r\n").header.Get("Request-Id"), correlation.NewSize)
}

// What observing one exchange costs: the part of the handler, and that of the connection.
func BenchmarkObserve(b *testing.B) {
	for _, name := range []string{"off", "access log"} {
		b.Run("log="+name, func(b *testing.B) { benchmarkObserve(b, name != "off") })
	}
}

func benchmarkObserve(b *testing.B, access bool) {
	var log *accessLog
	if access {
		log = newAccessLog(AccessLog{Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), PerSecond: 100, Slow: time.Second})
	}
	o := newObserver(log)
	c := &conn{Conn: silent{}, seen: o.timeline()}
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetRequestURI("/v1/reservations")
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.Header.Set("Host", "127.0.0.1:8080")
	ctx.Request.Header.Set("Authorization", "Bearer "+sellKey)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		c.seen.read()
		seen := c.seen.begin(&ctx.Request.Header, c.seen.last)
		seen.route = routeReserve
		c.seen.count(ctx, seen)
		c.seen.wrote(nil)
		c.seen.end(c)
	}
}

// silent is a connection that is only asked for its addresses.
type silent struct{ net.Conn }

func (silent) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
