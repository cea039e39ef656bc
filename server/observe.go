package server

import (
	"log/slog"
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/correlation"
	"github.com/seathold/seathold/server/internal/latency"
)

// route is what a request calls, for metrics and logs. There are few, whatever paths clients invent.
type route uint8

const (
	routeUnread  route = iota // the request was refused before it was read completely
	routeUnknown              // there is no such path
	routeReserve              // from here to routeReturn: the calls that alerts watch
	routeConfirm
	routeRelease
	routeExtend
	routeReduce
	routeReturn
	routeReservation
	routeSessions
	routeSession
	routeStock
	routeAccount
	routePhases
	routeDraw
	routeEnter
	routeEntry
	routeBatch
	routeDocument
	routes
)

var routeNames = [routes]string{"unread", "unknown", "reserve", "confirm", "release", "extend", "reduce",
	"return", "reservation", "sessions", "session", "stock", "account", "phases", "draw", "enter", "entry", "batch",
	"document"}

// routeTemplates are the paths of routes as the OpenAPI document has them; "" for a route without one path.
var routeTemplates = [routes]string{
	routeReserve:     "/v1/reservations",
	routeConfirm:     "/v1/reservations/{id}/confirm",
	routeRelease:     "/v1/reservations/{id}/release",
	routeExtend:      "/v1/reservations/{id}/extend",
	routeReduce:      "/v1/reservations/{id}/reduce",
	routeReturn:      "/v1/reservations/{id}/return",
	routeReservation: "/v1/reservations/{id}",
	routeSessions:    "/v1/sessions",
	routeSession:     "/v1/sessions/{session}",
	routeStock:       "/v1/stock",
	routeAccount:     "/v1/accounts/{account}",
	routePhases:      "/v1/phases",
	routeDraw:        "/v1/draws/{draw}",
	routeEnter:       "/v1/draws/{draw}/entries",
	routeEntry:       "/v1/draws/{draw}/entries/{account}",
	routeBatch:       "/v1/batch",
}

// observation is one answer: what is counted and logged of it.
type observation struct {
	route   route
	status  int
	bytes   int // of the body
	caller  Caller
	arrived int64         // when the request's first byte was read; this and the next in ns since the observer was made
	began   int64         // when the request was complete and the handler began
	waited  time.Duration // for its turn
	id      []byte
	made    [correlation.NewSize]byte // the id, if the client sent none
	line    *line                     // what the access log needs; nil while there is none

	overloaded bool // refused because of load
}

// observer counts every answer that leaves the server, by caller, route and status, and how long its client waited for
// it. It is the end of every exchange.
//
// A client's wait begins when the first byte of its request is read, so it includes the request's body and the wait for
// a turn. It ends when the answer's last byte was passed to the system, or to TLS. It does not include a handshake. Of
// pipelined requests, one whose first byte arrived together with its predecessor's counts from that read; and answers
// that are written together end together. The wait for an answer that was cut ends when its write failed.
type observer struct {
	began   time.Time
	stripes []stripe
	next    atomic.Uint64 // of the next connection, its stripe
	access  *accessLog    // nil while it is off
}

// stripe has the counts of some of the connections, so that two processors rarely write to the same word. Its parts are
// made when they are needed: most callers use few routes, and get few statuses.
type stripe struct {
	callers   [MaxCallers]atomic.Pointer[callerCounts]
	latencies [routes][results]atomic.Pointer[latency.Histogram]
}

type callerCounts [routes]atomic.Pointer[statusCounts]

type statusCounts [len(statuses)]atomic.Uint64

// statuses are those that answers can have. One that is not listed is counted as the first.
var statuses = [...]int{0, 200, 201, 204, 206, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414,
	415, 416, 417, 421, 422, 428, 429, 431, 500, 501, 503, 505}

// statusIndex finds a status in statuses.
var statusIndex = func() (index [600]uint8) {
	for i, status := range statuses {
		index[status] = uint8(i)
	}
	return index
}()

// result is the outcome of a request as histograms distinguish it.
type result int

const (
	resultOK      result = iota // a status below 400
	resultRefused               // 4xx: by a rule
	resultFailed                // 5xx
	resultCut                   // below 500, but not written whole: the client has hung up, or read too slowly
	results
)

var resultNames = [results]string{"ok", "refused", "failed", "cut"}

func resultOf(status int, cut bool) result {
	switch {
	case status >= fasthttp.StatusInternalServerError:
		return resultFailed // even if it was cut: a refusal because of load is held back, and is no answer to wait for
	case cut:
		return resultCut
	case status >= fasthttp.StatusBadRequest:
		return resultRefused
	}
	return resultOK
}

func newObserver(access *accessLog) *observer {
	stripes := 1 << bits.Len(uint(min(runtime.GOMAXPROCS(0), 16)-1)) // a power of two
	return &observer{began: time.Now(), stripes: make([]stripe, stripes), access: access}
}

// now returns the time in ns since the observer was made; it is never 0.
func (o *observer) now() int64 { return int64(time.Since(o.began)) | 1 }

// orMake returns what p points to, made if nothing is there yet.
func orMake[T any](p *atomic.Pointer[T]) *T {
	if there := p.Load(); there != nil {
		return there
	}
	p.CompareAndSwap(nil, new(T))
	return p.Load()
}

// timeline is what a connection keeps of the requests on it. Its worker alone uses it, except for close.
type timeline struct {
	observer *observer
	stripe   *stripe

	first   int64 // when the first byte of the request that is being read arrived; 0 between requests
	last    int64 // the end of the last read
	written int64 // the end of the last write that succeeded
	failed  int64 // the end of the write that failed, the connection's last; 0 before

	owed     atomic.Bool   // answered is not empty: the goroutine that resets this uses it
	answered []observation // not known to be written
	room     [1]observation
}

// mostKept is how many observations a connection keeps room for between requests.
const mostKept = 16

func (o *observer) timeline() timeline {
	return timeline{observer: o, stripe: &o.stripes[o.next.Add(1)%uint64(len(o.stripes))]}
}

// read notes that bytes have arrived.
func (t *timeline) read() {
	t.last = t.observer.now()
	if t.first == 0 {
		t.first = t.last
	}
}

// wrote notes that bytes were written, or could not be.
func (t *timeline) wrote(err error) {
	if now := t.observer.now(); err == nil {
		t.written = now
	} else {
		t.failed = now
	}
}

// begin returns the observation of the next request.
func (t *timeline) begin(h *fasthttp.RequestHeader, began int64) *observation {
	n := len(t.answered)
	switch {
	case t.answered == nil:
		t.answered = t.room[:1]
	case n < cap(t.answered):
		t.answered = t.answered[:n+1]
	default:
		t.answered = append(t.answered, observation{})
	}
	seen := &t.answered[n]
	*seen = observation{line: seen.line, began: began, arrived: t.first}
	if t.first == 0 { // it was in the same read as the end of its predecessor
		seen.arrived = t.last
	}
	t.first = 0
	if seen.id = h.PeekCanonical(requestIDHeader); !correlation.Good(seen.id) {
		seen.id = correlation.AppendNew(seen.made[:0])
	}
	return seen
}

var requestIDHeader = []byte(correlation.RequestID)

// count counts the answer to a request, before it is written, and sets its Request-Id.
func (t *timeline) count(ctx *fasthttp.RequestCtx, seen *observation) {
	ctx.Response.Header.SetCanonical(requestIDHeader, seen.id)
	seen.status = ctx.Response.StatusCode()
	if !ctx.IsHead() {
		seen.bytes = len(ctx.Response.Body())
	}
	slot := uint8(0)
	if seen.status < len(statusIndex) {
		slot = statusIndex[seen.status]
	}
	orMake(&orMake(&t.stripe.callers[seen.caller.Index])[seen.route])[slot].Add(1)
	if t.observer.access != nil {
		seen.line = seen.line.of(ctx, seen)
	}
	t.owed.Store(true)
}

// end ends the requests whose answers were written. The worker calls it when it reads again.
func (t *timeline) end(c *conn) {
	if !t.owed.CompareAndSwap(true, false) {
		return
	}
	ended := t.sent()
	for i := range ended {
		t.observe(c, &t.answered[i], t.written, false)
	}
	left := len(t.answered) - ended // pipelined, while the body of the next request is read
	for i := range left {
		t.answered[i], t.answered[ended+i] = t.answered[ended+i], t.answered[i] // each keeps a line of its own
	}
	if t.answered = t.answered[:left]; left > 0 {
		t.owed.Store(true)
	} else if cap(t.answered) > mostKept {
		t.answered = nil
	}
}

// sent returns how many of the answered requests have their answer. A write has all that was answered before it, or the
// first part of the last. If a later write has failed, that part may be all that was written of it.
func (t *timeline) sent() (n int) {
	for n < len(t.answered) && t.answered[n].began < t.written {
		n++
	}
	if t.failed != 0 && n > 0 {
		n--
	}
	return n
}

// observe observes one wait.
func (t *timeline) observe(c *conn, seen *observation, ended int64, cut bool) {
	took := time.Duration(ended - seen.arrived)
	orMake(&t.stripe.latencies[seen.route][resultOf(seen.status, cut)]).Observe(took)
	if t.observer.access != nil {
		t.observer.access.note(c, seen, took, ended, cut)
	}
}

// close ends the requests of a connection that is closed: answers that are not written now never will be. The goroutine
// that closes the connection calls it.
func (t *timeline) close(c *conn) {
	if t.end(c); !t.owed.CompareAndSwap(true, false) {
		return
	}
	if t.failed == 0 {
		t.failed = t.observer.now()
	}
	for i := range t.answered {
		t.observe(c, &t.answered[i], t.failed, true)
	}
	t.answered = nil
}

// serve answers one request. During a shutdown it is the last of its connection.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn().(*conn)
	c.held.server = s
	c.written() // a pipelined answer is
	began := int64(ctx.Time().Sub(s.observer.began))
	body, err := s.receive(ctx, c)
	switch {
	case err != nil:
		s.refuseBody(ctx, err)
	default:
		if body != nil && body.size > 0 { // it may have arrived while it was received
			began = s.observer.now()
		}
		c.held.received = body
		seen := c.seen.begin(&ctx.Request.Header, began)
		s.answer(ctx, seen)
		c.seen.count(ctx, seen)
	}
	s.discard(ctx, c)
	if s.draining.Load() {
		ctx.SetConnectionClose()
		closeGracefully(ctx.Conn()) // the client may have sent more
	}
}

// refuseUnread answers a request that could not be read completely.
func (s *Server) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	s.unreadable(ctx, err)
	s.countUnread(ctx, false)
}

// expectOrRefuse answers an Expect field.
func (s *Server) expectOrRefuse(ctx *fasthttp.RequestCtx) (status int) {
	if status = s.expect(ctx); status != fasthttp.StatusContinue {
		ctx.SetStatusCode(status)
		s.countUnread(ctx, false)
	}
	return status
}

// countUnread counts a refusal that the handler has not made. A client that has sent nothing gets no answer.
func (s *Server) countUnread(ctx *fasthttp.RequestCtx, overloaded bool) {
	c := ctx.Conn().(*conn)
	if !c.received.Load() {
		return
	}
	seen := c.seen.begin(&ctx.Request.Header, s.observer.now())
	seen.caller, seen.overloaded = s.callerOf(&ctx.Request.Header), overloaded
	c.seen.count(ctx, seen)
}

// countUnseen counts an answer on a connection of which fasthttp has read no request.
func (o *observer) countUnseen(status int) {
	orMake(&orMake(&o.stripes[0].callers[0])[routeUnread])[statusIndex[status]].Add(1)
}

// attributes are what every line of the log about a request has.
func (seen *observation) attributes(ctx *fasthttp.RequestCtx) []slog.Attr {
	h := &ctx.Request.Header
	attributes := []slog.Attr{slog.String("method", string(loggedMethod(h.Method()))),
		slog.String("path", string(appendPath(nil, ctx, seen.route))), slog.String("key", seen.caller.Name),
		slog.String("request_id", string(seen.id))}
	return append(attributes, traceOf(h.PeekCanonical(traceParentHeader))...)
}
