// Package server is Seathold's HTTP API: JSON over HTTP/1.1 on fasthttp, in front of one engine. openapi.yaml, served at
// /openapi.yaml, describes every call.
//
// A request passes these stations in this order: the gate (gate.go), which refuses under overload what would only wait, the
// framing (framing.go), admission (admission.go), the caller's key
// (keys.go), the route (routes.go), the decoder (decode.go), the engine. The engine alone decides; the server turns bytes
// into its words and its answers into bytes (encode.go, stock.go, problem.go). Each station that refuses answers with
// problem+json, and everything a client can make the server keep has a limit in Options.
//
// The operator's port (operator.go) is another listener with its own, ordinary net/http server.
package server

import (
	"context"
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
)

// Limits that no option changes.
const (
	// MaxBody is the most bytes a request's body may have, but for a batch's: thirty lines of the longest names fit four
	// times.
	MaxBody = 16 << 10
	// MaxHeader is the most bytes a request's line and header may have together.
	MaxHeader = 8 << 10
)

// roleHeader marks the answers of a standby.
const roleHeader = "Seathold-Role"

// Options configure a Server. Engine is required; a zero field takes its default.
type Options struct {
	Engine *engine.Engine
	Keys   *Keys // callers' keys; nil lets everybody do everything, for a listener on loopback
	Log    *slog.Logger

	MaxInFlight    int // operations being answered at a time, each of a batch's counting; default 8,192
	MaxConnections int // default 16,384

	ReadTimeout  time.Duration // from a request's first byte to its last; default 10 s
	WriteTimeout time.Duration // for an answer; default 15 s
	IdleTimeout  time.Duration // between requests of a connection; default 75 s, longer than the usual gateway's 60 s
}

func (o *Options) fillIn() error {
	if o.Engine == nil {
		return errors.New("server: Options.Engine is required")
	}
	if o.MaxInFlight < 0 || o.MaxConnections < 0 || o.ReadTimeout < 0 || o.WriteTimeout < 0 || o.IdleTimeout < 0 {
		return errors.New("server: a limit is negative")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.MaxInFlight, 8192)
	orDefault(&o.MaxConnections, 16_384)
	orDefault(&o.ReadTimeout, 10*time.Second)
	orDefault(&o.WriteTimeout, 15*time.Second)
	orDefault(&o.IdleTimeout, 75*time.Second)
	return nil
}

func orDefault[T int | time.Duration](field *T, otherwise T) {
	if *field == 0 {
		*field = otherwise
	}
}

// Server answers the HTTP API on any number of listeners.
type Server struct {
	current   atomic.Pointer[engine.Engine]
	keys      *Keys
	log       *slog.Logger
	admission *Admission
	gates     *gateBounds
	stock     *stockText
	answers   answers
	http      fasthttp.Server

	maxConnections int
	draining       atomic.Bool

	// calls is the context of every engine call. It outlives connections and requests, since an outcome on its way into
	// the journal cannot be called back; only the end of a shutdown's patience cancels it.
	calls     context.Context
	cancel    context.CancelFunc
	exchanges sync.Pool // of *exchange
	batches   sync.Pool // of *batch

	mu        sync.Mutex
	listeners []*listener
}

// New makes a server. ctx bounds all its calls to the engine; Shutdown ends them before that.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.fillIn(); err != nil {
		return nil, err
	}
	s := &Server{
		keys: o.Keys, log: o.Log, maxConnections: o.MaxConnections,
		admission: NewAdmission(o.MaxInFlight),
		stock:     newStockText(o.Engine.Sale()),
	}
	s.current.Store(o.Engine)
	s.gates = newGateBounds(s, o.WriteTimeout)
	s.calls, s.cancel = context.WithCancel(ctx)
	s.exchanges.New = func() any { return &exchange{server: s} }
	s.batches.New = func() any { return &batch{} }
	s.http = fasthttp.Server{
		Handler:        s.serve,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expect,
		ErrorHandler:   s.unreadable,
		Logger:         connectionLog{o.Log},

		ReadTimeout:        o.ReadTimeout,
		WriteTimeout:       o.WriteTimeout,
		IdleTimeout:        o.IdleTimeout,
		ReadBufferSize:     MaxHeader, // fasthttp refuses a header that does not fit its read buffer
		MaxRequestBodySize: MaxBody,

		// The listener keeps the limit of connections, with an answer in the API's form. This one only has to be out of
		// its way, also while workers of closed connections wind up. Connections are not limited per address: behind a
		// gateway they all come from few.
		Concurrency: 2 * o.MaxConnections,

		// A body is read whole before the handler runs, so at most MaxBody × MaxConnections bytes are held for bodies
		// that were announced and have not arrived; MaxBatchBody × MaxConnections for callers that may sell.
		StreamRequestBody: false,
		// Forms are not part of the API; parsed in advance they would go to temporary files.
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Admission is the limit on operations in flight.
func (s *Server) Admission() *Admission { return s.admission }

// Ready tells whether requests are accepted, or why not.
func (s *Server) Ready() error {
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	return s.Engine().Ready()
}

// Replace puts another engine over the same sale in the place of a deposed one. Calls under way end on the old engine,
// which acknowledges nothing any more.
func (s *Server) Replace(e *engine.Engine) { s.current.Store(e) }

// Serve answers requests on ln until Shutdown, which makes it return nil. It owns ln from here on.
func (s *Server) Serve(ln net.Listener) error { return s.ServeThrough(ln, nil) }

// ServeThrough is Serve with connections that wrap puts a layer around, such as TLS; nil puts none.
func (s *Server) ServeThrough(ln net.Listener, wrap func(net.Listener) net.Listener) error {
	gates := s.gates
	if wrap != nil {
		gates = nil
	}
	l := newListener(ln, s.maxConnections, gates)
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	if wrap == nil {
		return s.http.Serve(l)
	}
	return s.http.Serve(wrap(l))
}

// Shutdown stops accepting, answers every request that has been read, and returns when all connections are closed. When
// ctx ends first, the calls still in flight are given up, their connections cut, and ctx's error is returned. The engine
// stays open; no call to it is under way when Shutdown returns.
//
// fasthttp's own shutdown closes a connection whose request is just being read, and forgets the answers it has buffered
// for pipelined requests. So the connections are drained here, and fasthttp only has to tidy up afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.mu.Lock()
	s.draining.Store(true)
	listeners := s.listeners
	s.mu.Unlock()
	var faults []error
	for _, l := range listeners {
		faults = append(faults, l.Close())
	}
	for _, l := range listeners {
		if err := l.drain(ctx); err != nil {
			s.cancel()
			l.cut()
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, s.http.Shutdown())...)
}

// serve answers one request, and while the server shuts down the last of its connection.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	s.answer(ctx)
	s.answers.count(ctx)
	if s.draining.Load() {
		ctx.SetConnectionClose()
		lingering(ctx.Conn()) // the client did not know, and may have sent more
	}
}

// answer answers one request. A panic costs that request alone.
func (s *Server) answer(ctx *fasthttp.RequestCtx) {
	if !s.admission.Enter(1) {
		refuse(ctx, &engine.Refusal{Code: engine.Overloaded})
		return
	}
	defer s.admission.Leave(1)
	defer s.survive(ctx)
	x := s.exchanges.Get().(*exchange)
	x.ctx, x.engine = ctx, s.Engine()
	x.answer()
	x.ctx, x.engine = nil, nil
	s.exchanges.Put(x) // not after a panic: its parts may then be in any state
}

func (s *Server) survive(ctx *fasthttp.RequestCtx) {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("a request panicked", "method", string(ctx.Method()), "path", string(ctx.URI().PathOriginal()),
		"panic", cause, "stack", string(debug.Stack()))
	ctx.Response.Reset()
	ctx.SetConnectionClose()
	reject(ctx, &encode.Internal, "the server failed to answer; whether the call took effect is told by sending it again with the same id")
}

// connectionLog takes what fasthttp has to say, all of it about what clients sent.
type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Printf(format string, facts ...any) {
	if l.log.Enabled(context.TODO(), slog.LevelDebug) {
		l.log.Debug("connection", "fault", fmt.Sprintf(format, facts...))
	}
}
