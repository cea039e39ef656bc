// Package operator is the operator's port: health, metrics, profiles, and the calls that only an operator may make. It
// is an ordinary net/http server on a listener of its own.
package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/server"
)

// Options configure the operator's port. Ready and Metrics are required.
type Options struct {
	// Ready reports whether reservations are accepted, or why not: Server.Ready, or a substitute until there is a server.
	Ready func() error
	// Notes returns what else an operator should know. /readyz has each in a line of its own after the first line, whether
	// or not it is ready. Without the function there are none.
	Notes func() []string
	// Arguments are shown at /debug/pprof/cmdline instead of the process's own, which may contain passwords.
	Arguments []string
	// Failed returns why the journal has failed for good, or nil. /healthz fails then, since only a restart helps, but
	// not with journal.ErrGone, ErrDamaged or ErrForeign: a restart would lose what only the memory has. Nil stands for
	// a function that returns nil.
	Failed func() error
	// Metrics serves /metrics.
	Metrics http.Handler
	// Engine returns the current engine, nil while the journal is replayed. Without the function there is nothing below
	// /admin/.
	Engine func() *engine.Engine
	// Keys are the callers' keys: any key for /metrics, an admin's key for profiles and all calls below /admin/. /healthz
	// and /readyz need none. Without keys every caller may do everything.
	Keys *server.Keys
	// ClientCertificates means that every call but /healthz and /readyz requires a client certificate, which the listener
	// has verified: probes have none.
	ClientCertificates bool
	// Loopback means that only programs of this machine reach the port. They may read /metrics without a key.
	Loopback bool
	// Log receives failures of calls; nil discards them.
	Log *slog.Logger
	// Audit receives a line at Info, named "audit", for each profile and each call below /admin/, also for refused ones.
	// It should not drop Info. Nil stands for Log.
	Audit *slog.Logger
}

// Port is the operator's port, a server that Close ends.
type Port struct {
	*http.Server
	calls *atomic.Int64 // in progress, of those that are audited
}

// closePatience is how long Close waits for the calls that it ends.
const closePatience = time.Second

// Close closes the listener and all connections. It returns when the calls that were in progress have their lines in
// the audit log, but waits for at most a second.
func (p *Port) Close() error {
	err := p.Server.Close()
	for began := time.Now(); p.calls.Load() > 0 && time.Since(began) < closePatience; {
		time.Sleep(time.Millisecond)
	}
	return err
}

// New makes the server of /healthz, /readyz, /metrics, /debug/pprof/ and /admin/. The caller gives it a listener
// and closes it.
func New(o Options) *Port {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	paths := http.NewServeMux()
	paths.HandleFunc("GET /healthz", o.healthz)
	paths.HandleFunc("GET /readyz", o.readyz)
	paths.Handle("GET /metrics", o.readers(o.Metrics))
	for path, profile := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": o.cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		paths.Handle(path, guard(server.Admin, profile))
	}
	admin := http.NotFoundHandler()
	if o.Engine != nil {
		admin = (&calls{engine: o.Engine, log: o.Log, uploads: newUploads()}).handler()
		paths.Handle("/admin/", admin)
	}
	calls := new(atomic.Int64)
	return &Port{calls: calls, Server: &http.Server{
		Handler:           o.identified(o.audited(calls, o.certified(o.ownMachine(unredirected(paths, admin))))),
		ReadHeaderTimeout: 5 * time.Second, // also of a TLS handshake
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile takes as long as its caller requests
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    server.MaxHeader,
		ConnState:         (&connections{limit: maxConnections, idle: map[net.Conn]time.Time{}}).note,
		ErrorLog:          log.New(connectionLog{o.Log}, "", 0),
	}}
}

// unredirected serves the paths as they were sent: where net/http would redirect, there is no such path.
func unredirected(paths *http.ServeMux, admin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, _ := paths.Handler(r)
		switch {
		case !redirects(answer):
			paths.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/admin/"):
			admin.ServeHTTP(w, r)
		default:
			(&calls{}).fail(w, r, &noSuchCall)
		}
	})
}

// connectionLog logs the messages of net/http. Most are about clients that failed a TLS handshake, such as probes that
// only connect.
type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: panic")) {
		level = slog.LevelError
	}
	l.log.Log(context.TODO(), level, "operator's port", "fault", string(bytes.TrimSpace(line)))
	return len(line), nil
}

// healthz reports whether a supervisor should restart the server.
func (o *Options) healthz(w http.ResponseWriter, _ *http.Request) {
	var err error
	if o.Failed != nil {
		err = o.Failed()
	}
	// The journal was removed, has lost records, or was overwritten: the memory has the only copy of the sale.
	lost := errors.Is(err, journal.ErrGone) || errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrForeign)
	switch {
	case err == nil:
		writeLine(w, http.StatusOK, "alive")
	case lost:
		writeLine(w, http.StatusOK, "alive, but do not restart it before `seathold journal rescue`: "+err.Error())
	default:
		writeLine(w, http.StatusServiceUnavailable, "only a restart helps: "+err.Error())
	}
}

// readyz writes whether reservations are accepted, or why not, and the notes.
func (o *Options) readyz(w http.ResponseWriter, _ *http.Request) {
	status, text := http.StatusOK, "ready"
	if err := o.Ready(); err != nil {
		status, text = http.StatusServiceUnavailable, "not ready: "+err.Error()
	}
	if o.Notes != nil {
		for _, note := range o.Notes() {
			text += "\nnote: " + note
		}
	}
	writeLine(w, status, text)
}

// cmdline writes the arguments as pprof does, separated by NUL.
func (o *Options) cmdline(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join(o.Arguments, "\x00")) // an error means that the client has gone
}

// writeLine responds with a line of text.
func writeLine(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line) // an error means that the client has gone
}
