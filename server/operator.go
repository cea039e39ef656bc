package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"
)

// OperatorOptions configure the operator's port.
type OperatorOptions struct {
	// Ready tells whether requests are accepted, or why not: Server.Ready, or what stands in for it before there is one.
	Ready func() error
	// Metrics answers /metrics.
	Metrics http.Handler
	// Keys, if set, ask for a key everywhere but on /healthz and /readyz: any for /metrics, an admin's for the rest. A port
	// on loopback can do without.
	Keys *Keys
	// Draws, if set, answers /admin/draws/, and asks for keys itself: see DrawCalls.
	Draws http.Handler
}

// NewOperator makes the server of the operator's port: /healthz, /readyz, /metrics, /debug/pprof/ and /admin/draws/. The
// caller gives it a listener and shuts it down.
func NewOperator(o OperatorOptions) *http.Server {
	paths := http.NewServeMux()
	paths.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") })
	paths.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	paths.Handle("GET /metrics", o.guard(Read, o.Metrics))
	for path, profile := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		paths.Handle(path, o.guard(Admin, profile))
	}
	if o.Draws != nil {
		paths.Handle("/admin/draws/", o.Draws)
	}
	return &http.Server{
		Handler:           paths,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile takes as long as it is asked to
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    MaxHeader,
	}
}

func (o *OperatorOptions) guard(least Role, next http.Handler) http.Handler {
	if o.Keys == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch role := o.Keys.RoleOf([]byte(r.Header.Get("Authorization"))); {
		case role == 0:
			w.Header().Set("WWW-Authenticate", `Bearer realm="seathold"`)
			say(w, http.StatusUnauthorized, "send a valid key as Authorization: Bearer KEY")
		case role < least:
			say(w, http.StatusForbidden, "the key's role may not do this")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// say answers with a line of text. Where that fails the client has gone.
func say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line)
}
