// Package operator is the operator's port: health, metrics, profiles, and the calls that only an operator may make. It
// is an ordinary net/http server on a listener of its own.
package operator

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/encode"
	"github.com/seathold/seathold/server/internal/origin"
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
	// Engine returns the current engine, nil while the journal is replayed. Without the function there is no
	// /admin/draws/.
	Engine func() *engine.Engine
	// Keys are the callers' keys: any key for /metrics, an admin's key for profiles and draws. /healthz and /readyz need
	// none. Without keys every caller may do everything.
	Keys *server.Keys
	// Loopback lets callers read metrics and profiles without a key.
	Loopback bool
	// Log receives failures of calls; nil discards them.
	Log *slog.Logger
}

// New makes the server of /healthz, /readyz, /metrics, /debug/pprof/ and /admin/draws/. The caller gives it a listener
// and shuts it down.
func New(o Options) *http.Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	paths := http.NewServeMux()
	paths.HandleFunc("GET /healthz", o.healthz)
	paths.HandleFunc("GET /readyz", o.readyz)
	paths.Handle("GET /metrics", o.guard(server.Read, o.Metrics))
	for path, profile := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": o.cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		paths.Handle(path, o.guard(server.Admin, profile))
	}
	if o.Engine != nil {
		c := calls{engine: o.Engine, keys: o.Keys, log: o.Log}
		paths.Handle("/admin/draws/", (&draws{calls: c}).handler())
		paths.Handle("GET /admin/journal/rescue", c.call(c.rescue))
	}
	return &http.Server{
		Handler:           o.ownMachine(paths),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile takes as long as its caller requests
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    server.MaxHeader,
	}
}

// ownMachine refuses web pages where no key is required: they would have the trust that loopback has. Probes of health
// may use any name.
func (o *Options) ownMachine(next http.Handler) http.Handler {
	if o.Keys != nil && !o.Loopback {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && (o.Keys == nil || callerOf(o.Keys, r).Role == 0) {
			detail := origin.Fault([]byte(r.Host), []byte(r.Header.Get("Origin")), []byte(r.Header.Get("Sec-Fetch-Site")))
			if detail != "" {
				(&calls{}).fail(w, r, &refusal{&encode.Forbidden, detail})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
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

// guard requires a key with at least the role.
func (o *Options) guard(least server.Role, next http.Handler) http.Handler {
	if o.Loopback {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch role := callerOf(o.Keys, r).Role; {
		case role == 0:
			w.Header().Set("WWW-Authenticate", encode.Challenge)
			writeLine(w, http.StatusUnauthorized, encode.KeyRule)
		case role < least:
			writeLine(w, http.StatusForbidden, "the key's role does not permit this")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// callerOf returns the caller with the request's key.
func callerOf(keys *server.Keys, r *http.Request) server.Caller {
	return keys.CallerOf([]byte(r.Header.Get("Authorization")))
}

// writeLine responds with a line of text.
func writeLine(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line) // an error means that the client has gone
}
