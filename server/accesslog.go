package server

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/correlation"
)

// AccessLog configures the log of requests. It is off without Log.
type AccessLog struct {
	// Log receives the lines, at level info. It must not wait for a reader, since requests would wait with it.
	Log *slog.Logger
	// PerSecond is the most lines a second of each kind of request: refused because of load, failed otherwise, slow, and
	// any other. Default 100.
	PerSecond int
	// Slow is the time from which on a request is slow. Default 500 ms.
	Slow time.Duration
}

// accessLog logs failed requests, slow ones, and a sample of the others. The rate of lines of each kind is limited, so
// what it costs is bounded however many requests fail; what it leaves out is counted, and summarised each second.
// Refusals because of load are a kind of their own: there may be many, and must not use up the lines of failures.
type accessLog struct {
	log      *slog.Logger
	slow     time.Duration
	kinds    [kinds]limiter
	left     [kinds]atomic.Uint64 // requests without a line since the last summary
	nextSums atomic.Int64         // when the next summary may be logged, in ns since the observer was made
}

// kind is why a request is logged.
type kind int

const (
	kindFailed     kind = iota // its status is 5xx
	kindOverloaded             // the same, because of load
	kindSlow                   // its client waited for long
	kindSampled                // any other
	kinds
)

var kindNames = [kinds]string{"failed", "overloaded", "slow", "sampled"}

func newAccessLog(o AccessLog) *accessLog {
	a := &accessLog{log: o.Log, slow: o.Slow}
	for i := range a.kinds {
		a.kinds[i].interval = int64(time.Second) / int64(o.PerSecond)
		a.kinds[i].burst = int64(time.Second)
	}
	// A burst of ordinary requests is sampled evenly; one of failures is logged whole, up to a second's lines.
	a.kinds[kindSampled].burst = 0
	return a
}

// limiter admits lines at a steady rate after an initial burst: the generic cell rate algorithm. full is the instant at
// which an unused limiter has its whole burst again.
type limiter struct {
	interval, burst int64 // ns
	full            atomic.Int64
}

// admit reports whether a line may be written now. It fails when another goroutine has just taken the line.
func (l *limiter) admit(now int64) bool {
	full := l.full.Load()
	return full-now <= l.burst && l.full.CompareAndSwap(full, max(full, now)+l.interval)
}

// note logs a request, or counts that it was left out.
func (a *accessLog) note(c *conn, seen *observation, took time.Duration, now int64, cut bool) {
	why := kindSampled
	switch {
	case seen.overloaded:
		why = kindOverloaded
	case seen.status >= fasthttp.StatusInternalServerError:
		why = kindFailed
	case took >= a.slow:
		why = kindSlow
	}
	if a.kinds[why].admit(now) {
		a.write(c, seen, took, why, cut)
	} else {
		a.left[why].Add(1)
	}
	if next := a.nextSums.Load(); now >= next && a.nextSums.CompareAndSwap(next, now+int64(time.Second)) {
		a.summarise()
	}
}

// summarise logs how many requests had no line, if one of them was refused because of load, failed or was slow. That
// most others have none is no news.
func (a *accessLog) summarise() {
	failed, overloaded := a.left[kindFailed].Swap(0), a.left[kindOverloaded].Swap(0)
	slow, others := a.left[kindSlow].Swap(0), a.left[kindSampled].Swap(0)
	if failed+overloaded+slow > 0 {
		a.log.LogAttrs(context.Background(), slog.LevelInfo, "requests left out of the access log",
			slog.Uint64("failed", failed), slog.Uint64("overloaded", overloaded), slog.Uint64("slow", slow),
			slog.Uint64("others", others))
	}
}

// line is what a line of the access log needs of a request after fasthttp has reset it. Connections keep them.
type line struct {
	text                  []byte // method, path, id and traceparent, without separators
	method, path, id, end int    // where each of them ends
}

// of copies what the line needs.
func (l *line) of(ctx *fasthttp.RequestCtx, seen *observation) *line {
	if l == nil {
		l = &line{}
	}
	h := &ctx.Request.Header
	l.text = append(l.text[:0], loggedMethod(h.Method())...)
	l.method = len(l.text)
	l.text = appendPath(l.text, ctx, seen.route)
	l.path = len(l.text)
	l.text = append(l.text, seen.id...)
	l.id = len(l.text)
	parent := h.PeekCanonical(traceParentHeader)
	l.text = append(l.text, parent[:min(len(parent), maxParent)]...)
	l.end = len(l.text)
	return l
}

var traceParentHeader = []byte(correlation.TraceParent)

// maxParent is the most bytes of a traceparent that are looked at: its present version has 55.
const maxParent = 128

// write writes a line.
func (a *accessLog) write(c *conn, seen *observation, took time.Duration, why kind, cut bool) {
	l := seen.line
	attributes := []slog.Attr{
		slog.String("why", kindNames[why]),
		slog.String("method", string(l.text[:l.method])),
		slog.String("path", string(l.text[l.method:l.path])),
		slog.String("route", routeNames[seen.route]),
		slog.Int("status", seen.status),
		slog.Int("bytes", seen.bytes),
		slog.Float64("seconds", seconds(took)),
		slog.Float64("read_seconds", seconds(time.Duration(seen.began-seen.arrived))),
		slog.Float64("waited_seconds", seconds(seen.waited)),
		slog.String("key", seen.caller.Name),
		slog.String("remote", c.RemoteAddr().String()),
		slog.String("request_id", string(l.text[l.path:l.id])),
	}
	if cut {
		attributes = append(attributes, slog.Bool("cut", true))
	}
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "request", append(attributes, traceOf(l.text[l.id:l.end])...)...)
}

// seconds returns a duration in seconds, to the microsecond.
func seconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e6 }

// traceOf returns the trace and the span of a traceparent as attributes; none if it is not valid.
func traceOf(parent []byte) []slog.Attr {
	trace, span, ok := correlation.Trace(parent)
	if !ok {
		return nil
	}
	return []slog.Attr{slog.String("trace_id", string(trace)), slog.String("span_id", string(span))}
}

// loggedMethod returns a request's method as logs have it. A client may invent one that is as long as its header.
func loggedMethod(method []byte) []byte { return method[:min(len(method), maxMethod)] }

// maxMethod is the most bytes of a method in the log: longer ones than those of WebDAV are not registered.
const maxMethod = 20
