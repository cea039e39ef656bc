package operator

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/correlation"
	"github.com/seathold/seathold/server/internal/encode"
	"github.com/seathold/seathold/server/internal/origin"
)

// callerKey is the key of a request's caller in its context.
type callerKey struct{}

// callerOf returns who made the request.
func callerOf(r *http.Request) server.Caller { return r.Context().Value(callerKey{}).(server.Caller) }

// identified gives a request its id, the client's own if that is a good one, and finds the caller by its key. Both are
// done once: a call ends under the caller with which it began, even if the keys are read again meanwhile.
func (o *Options) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := []byte(r.Header.Get(correlation.RequestID))
		if !correlation.Good(id) {
			id = correlation.AppendNew(nil)
		}
		w.Header().Set(correlation.RequestID, string(id))
		caller := o.Keys.CallerOf(nil)
		if sent := r.Header["Authorization"]; len(sent) == 1 { // of several, a proxy may have checked another one
			caller = o.Keys.CallerOf([]byte(sent[0]))
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
	})
}

// certified requires a client certificate, if clients of the API need one. The listener has verified it.
func (o *Options) certified(next http.Handler) http.Handler {
	if !o.ClientCertificates {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isProbe(r) && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			(&calls{}).fail(w, r, &refusal{&encode.Forbidden, "this requires a client certificate"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isProbe reports whether a request is about the health of the server. Probes have no credentials.
func isProbe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// ownMachine refuses web pages where no key is required: they would have the trust that loopback has. Probes of health
// may use any name.
func (o *Options) ownMachine(next http.Handler) http.Handler {
	if o.Keys != nil && !o.Loopback {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isProbe(r) && (o.Keys == nil || callerOf(r).Role == 0) {
			detail := origin.Fault([]byte(r.Host), []byte(r.Header.Get("Origin")), []byte(r.Header.Get("Sec-Fetch-Site")))
			if detail != "" && o.Keys != nil {
				detail = noKeyRule // the server has keys, so --keys is no way out
			}
			if detail != "" {
				(&calls{}).fail(w, r, &refusal{&encode.Forbidden, detail})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// noKeyRule is the detail of such a refusal where there are keys.
const noKeyRule = "without a key, this port accepts only requests for localhost or a loopback address, and none " +
	"of web pages of other origins; " + encode.KeyRule

// readers requires a key of any role, except on loopback: a Prometheus on the same machine needs none.
func (o *Options) readers(next http.Handler) http.Handler {
	if o.Loopback {
		return next
	}
	return guard(server.Read, next)
}

// guard requires a key with at least the role.
func guard(least server.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch role := callerOf(r).Role; {
		case role == 0:
			w.Header().Set("WWW-Authenticate", encode.Challenge)
			writeLine(w, http.StatusUnauthorized, encode.KeyRule)
		case role < least:
			writeLine(w, http.StatusForbidden, "this requires a key with the role "+least.String())
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// changeKey is the key of what a call has changed in its context, a *[]slog.Attr.
type changeKey struct{}

// audit adds what the call has changed to its line. The line has no other part of a body.
func audit(r *http.Request, changed ...slog.Attr) {
	if all, ok := r.Context().Value(changeKey{}).(*[]slog.Attr); ok {
		*all = append(*all, changed...)
	}
}

// audited logs a line for each call below /admin/ and /debug/: who made it, its outcome, and what it changed. Calls
// that are refused or do not exist have one too. A line has no query. It is logged when the call has ended. calls
// counts those that have no line yet.
func (o *Options) audited(calls *atomic.Int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/admin/") && !strings.HasPrefix(r.URL.Path, "/debug/") {
			next.ServeHTTP(w, r)
			return
		}
		calls.Add(1)
		defer calls.Add(-1)
		began, outcome := time.Now(), &outcome{ResponseWriter: w}
		complete := false
		r = r.WithContext(context.WithValue(r.Context(), changeKey{}, &[]slog.Attr{}))
		defer func() { o.logCall(r, outcome, complete, time.Since(began)) }() // also if the call panics
		next.ServeHTTP(outcome, r)
		outcome.begin()
		complete = true
	})
}

// logCall logs one call.
func (o *Options) logCall(r *http.Request, done *outcome, complete bool, took time.Duration) {
	caller := callerOf(r)
	facts := []slog.Attr{
		slog.String("key", caller.Name), slog.String("role", caller.Role.String()),
		slog.String("method", shortened(r.Method)), slog.String("path", shortened(r.URL.Path)),
		slog.Int("status", done.status),
	}
	if !complete {
		facts = append(facts, slog.Bool("cut", true)) // the response did not end, or did not begin if the status is 0
	}
	facts = append(facts, *r.Context().Value(changeKey{}).(*[]slog.Attr)...)
	facts = append(facts, identifiers(done, r)...)
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		facts = append(facts, slog.String("certificate", r.TLS.PeerCertificates[0].Subject.CommonName))
	}
	facts = append(facts, slog.String("remote", r.RemoteAddr),
		slog.Float64("seconds", took.Round(time.Microsecond).Seconds()))
	o.Audit.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, "audit", facts...)
}

// identifiers are the request's id, which the response has, and the trace and span of a valid traceparent.
func identifiers(w http.ResponseWriter, r *http.Request) []slog.Attr {
	facts := []slog.Attr{slog.String("request_id", w.Header().Get(correlation.RequestID))}
	if trace, span, ok := correlation.Trace([]byte(r.Header.Get(correlation.TraceParent))); ok {
		facts = append(facts, slog.String("trace_id", string(trace)), slog.String("span_id", string(span)))
	}
	return facts
}

// shortened bounds what a client can put into a line of the log.
func shortened(path string) string {
	const most = 256
	if len(path) > most {
		return path[:most] + "…"
	}
	return path
}

// outcome is a response whose status is noted.
type outcome struct {
	http.ResponseWriter
	status int // 0 before the response has begun
}

func (o *outcome) WriteHeader(status int) {
	if o.status == 0 && status >= http.StatusOK { // 1xx precede the response
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *outcome) Write(data []byte) (int, error) {
	o.begin()
	return o.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController find the connection.
func (o *outcome) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// begin notes the status that net/http sends with the first byte, or at the end of a call that wrote nothing.
func (o *outcome) begin() {
	if o.status == 0 {
		o.status = http.StatusOK
	}
}
