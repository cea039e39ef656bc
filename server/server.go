// Package server is Seathold's HTTP API: JSON over HTTP/1.1 on fasthttp, in front of one engine. openapi.yaml, served
// at /openapi.yaml and shown at /docs, describes every call.
//
// A request passes through these stations, in this order:
//
//   - listener.go bounds the connections, and drains them when the server shuts down.
//   - internal/handshake completes the TLS handshakes in order of arrival, a few at a time.
//   - framing.go and fields.go refuse what is not unambiguous HTTP.
//   - internal/origin refuses web pages where there are no keys.
//   - keys.go checks the caller's key.
//   - routes.go, sessions.go, draws.go and batch.go map paths to calls of the engine.
//   - admission.go, turns.go, turnqueue.go and pace.go bound the requests that are served at a time, and order those
//     that wait.
//   - receive.go reads the body, and budget.go bounds the memory of large ones; decode.go and bodies.go decode it.
//   - internal/encode, stock.go and problem.go encode the result.
//   - board.go and renderings.go share lists of stock among their readers; negotiate.go chooses what a client gets.
//   - documents.go serves the document, and the page that shows it.
//   - observe.go counts and times every answer, accesslog.go logs some.
//
// All decisions about the sale are the engine's. Every refusal is problem+json. Everything that a client can make the
// server buffer has a limit, in Options or below.
//
// The operator's port is server/operator, with a listener of its own.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
	"github.com/seathold/seathold/server/internal/handshake"
)

// MaxHeader is the most bytes that the request line and header may have together.
const MaxHeader = 8 << 10

// LeastBuffered is the least Options.MaxBuffered: room for a few batches.
const LeastBuffered = 16 << 20

// maxBody is the most bytes of a body, other than a batch's. Thirty lines with the longest names take a quarter of it.
const maxBody = 16 << 10

// roleHeader marks the responses of a standby.
const roleHeader = "Seathold-Role"

// Options configure a Server. Engine is required; other fields have a default, which zero selects.
type Options struct {
	Engine *engine.Engine
	Keys   *Keys // of callers; without them every caller may do everything, for a listener on loopback
	Log    *slog.Logger
	Access AccessLog // off by default

	MaxInFlight    int // most requests that are served at a time, while others wait for their turn; default 2,048
	MaxConnections int // of each listener; default 16,384
	// MaxConnectionsPerAddress is the most connections of a listener from one address; default no such limit. It is for
	// servers that buyers reach directly: a gateway has one address.
	MaxConnectionsPerAddress int
	// MaxInFlightPerKey is the most requests of one key that are served or wait; default no such limit. Confirms,
	// releases, changes of a reservation and reads of one's own are counted and never refused.
	MaxInFlightPerKey int
	// MaxBuffered is the most bytes of bodies and answers that exceed 16 KiB, and of lists: default 256 MiB, at least
	// LeastBuffered. Each connection takes about 40 KiB besides.
	MaxBuffered int64

	ReadTimeout  time.Duration // from the first byte of a request to its last; default 10 s
	WriteTimeout time.Duration // of a response; default 15 s
	IdleTimeout  time.Duration // before each request of a connection; default 75 s, more than the usual 60 s of gateways
}

func (o *Options) fillIn() error {
	if o.Engine == nil {
		return errors.New("server: Options.Engine is required")
	}
	if o.MaxInFlight < 0 || o.MaxConnections < 0 || o.MaxConnectionsPerAddress < 0 || o.MaxInFlightPerKey < 0 ||
		o.ReadTimeout < 0 || o.WriteTimeout < 0 || o.IdleTimeout < 0 {
		return errors.New("server: a limit is negative")
	}
	if o.Access.PerSecond < 0 || o.Access.PerSecond > 1_000_000 || o.Access.Slow < 0 {
		return errors.New("server: the access log has at most a million lines a second, and its times are not negative")
	}
	o.Access.PerSecond, o.Access.Slow = cmp.Or(o.Access.PerSecond, 100), cmp.Or(o.Access.Slow, 500*time.Millisecond)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 2048)
	o.MaxConnections = cmp.Or(o.MaxConnections, 16_384)
	if o.MaxBuffered = cmp.Or(o.MaxBuffered, 256<<20); o.MaxBuffered < LeastBuffered {
		return fmt.Errorf("server: Options.MaxBuffered is %d; it must be at least %d", o.MaxBuffered, LeastBuffered)
	}
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 15*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 75*time.Second)
	return nil
}

// Server serves the HTTP API on any number of listeners.
type Server struct {
	current  atomic.Pointer[engine.Engine]
	keys     *Keys
	log      *slog.Logger
	turns    *turns
	keyLimit *keyLimit
	board    board
	budget   *budget
	bodies   bodies
	observer *observer
	http     fasthttp.Server

	handshakes     *handshake.Queue
	maxConnections int
	maxPerAddress  int
	draining       atomic.Bool

	// calls is the context of every call to the engine. It outlives requests and connections, since an outcome that is
	// being journalled cannot be cancelled. Only a shutdown that times out cancels it; from then on calls decide nothing.
	calls      context.Context
	cancel     context.CancelFunc
	exchanges  sync.Pool // of *exchange
	workspaces sync.Pool // of *workspace
	batches    sync.Pool // of *batch
	results    sync.Pool // of *[]byte: answers of batches

	mu        sync.Mutex
	listeners []*listener
}

// New makes a server. ctx is the parent context of all its calls to the engine; Shutdown cancels them earlier.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.fillIn(); err != nil {
		return nil, err
	}
	s := &Server{
		keys: o.Keys, log: o.Log, maxConnections: o.MaxConnections, maxPerAddress: o.MaxConnectionsPerAddress,
		turns:    newTurns(o.MaxInFlight),
		keyLimit: newKeyLimit(o.MaxInFlightPerKey),
		observer: newObserver(nil),
	}
	if o.Access.Log != nil {
		s.observer.access = newAccessLog(o.Access)
	}
	s.handshakes = handshake.New(handshake.Options{Timeout: o.ReadTimeout, Plain: plainAnswer,
		Answered: func() { s.observer.countUnseen(fasthttp.StatusBadRequest) },
		Busy:     s.pressed})
	s.current.Store(o.Engine)
	// Lists on shelves take a quarter, and everything that a client can delay the rest.
	s.budget = newBudget(o.MaxBuffered - o.MaxBuffered/4)
	s.board.init(s.budget, o.MaxBuffered/4)
	s.calls, s.cancel = context.WithCancel(ctx)
	s.exchanges.New = func() any {
		return &exchange{server: s, waiter: waiter{served: make(chan bool, 1)}}
	}
	s.workspaces.New = func() any { return &workspace{} }
	s.batches.New = func() any { return &batch{} }
	s.results.New = func() any { return new([]byte) }
	s.http = fasthttp.Server{
		Handler:        s.serve,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expectOrRefuse,
		ErrorHandler:   s.refuseUnread,
		Logger:         connectionLog{o.Log},

		ReadTimeout:        o.ReadTimeout,
		WriteTimeout:       o.WriteTimeout,
		IdleTimeout:        o.IdleTimeout,
		ReadBufferSize:     MaxHeader, // fasthttp refuses a header that does not fit its read buffer
		MaxRequestBodySize: maxBody,

		// The listener enforces the limit of connections, with problem+json. fasthttp's own limit must never apply first,
		// even while the workers of closed connections are ending. Connections are not limited per address: a gateway has
		// few.
		Concurrency: 2 * o.MaxConnections,

		// The handler reads a body completely before anything else, see receive. fasthttp would reserve its announced length
		// before it has arrived.
		StreamRequestBody: true,
		ConnState:         closed,
		// The API has no forms. Pre-parsed, they would be written to temporary files.
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Engine returns the current engine.
func (s *Server) Engine() *engine.Engine { return s.current.Load() }

// Ready reports whether reservations are accepted, or why not.
func (s *Server) Ready() error {
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	return s.Engine().Ready()
}

// Replace replaces an engine that is deposed, or no longer follows, by another one of the same sale. Calls in flight
// end on the old engine, which acknowledges nothing.
func (s *Server) Replace(e *engine.Engine) { s.current.Store(e) }

// Serve serves ln, and closes it, until Shutdown is called. It then returns nil.
func (s *Server) Serve(ln net.Listener) error { return s.ServeTLS(ln, nil) }

// ServeTLS is Serve with TLS. The handshakes run in order of arrival, a few at a time. A client has Options.ReadTimeout
// for its part of one, and waits for at most 30 s besides. A nil config serves plain connections.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	l := s.newListener(ln, config)
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	return s.http.Serve(l)
}

// Shutdown stops accepting, answers every request that was read, and returns when all connections are closed. When ctx
// ends first, it cancels the calls in flight, cuts their connections and returns ctx's error. No call to the engine is
// in flight when Shutdown returns. The engine stays open.
//
// fasthttp's own shutdown closes a connection while a request is being read from it, and drops responses that it has
// buffered for pipelined requests. So the connections are drained here first.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.mu.Lock()
	if !s.draining.Swap(true) {
		s.turns.end()
	}
	listeners := s.listeners
	s.mu.Unlock()
	var faults []error
	for _, l := range listeners {
		faults = append(faults, l.Close())
	}
	for _, l := range listeners {
		if err := l.drain(ctx); err != nil {
			s.cancel()
			s.turns.open()
			l.cut()
			faults = append(faults, err)
		}
	}
	faults = append(faults, s.http.Shutdown())
	if s.observer.access != nil {
		s.observer.access.summarise()
	}
	return errors.Join(faults...)
}

// answer answers one request. A panic fails only that request.
func (s *Server) answer(ctx *fasthttp.RequestCtx, seen *observation) {
	defer s.recoverPanic(ctx, seen)
	x := s.exchanges.Get().(*exchange)
	x.ctx, x.seen, x.engine = ctx, seen, s.Engine()
	x.answer()
	x.ctx, x.seen, x.engine = nil, nil, nil
	s.exchanges.Put(x) // not after a panic, which may leave it in any state
}

// recoverPanic responds to a request that panicked.
func (s *Server) recoverPanic(ctx *fasthttp.RequestCtx, seen *observation) {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.LogAttrs(context.Background(), slog.LevelError, "a request panicked", append(
		seen.attributes(ctx), slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))...)
	seen.overloaded = false
	ctx.Response.Reset()
	ctx.SetConnectionClose()
	reject(ctx, &encode.Internal, "the server failed; retry with the same id to learn whether the call took effect")
}

// pressed reports whether the requests need all the time of the processors: some wait for a turn, more have one than
// fewestPerCPU, or refusals are held back. With fewer, requests mostly wait for the journal, and the processors have
// time for handshakes. Under pressure the number of turns is adapted every paceEvery, so a pause between two groups of
// the journal ends it only if it lasts.
func (s *Server) pressed() bool { return s.turns.paced.Load() }
