package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// troubles are the calls that have failed and are being retried now. They are logged when the first one fails, when the
// kind of failure changes, and when a call succeeds again with none left. At most one line a quietTime reports a
// failure, so a Redis that comes and goes does not fill the log.
type troubles struct {
	log *slog.Logger
	now func() time.Time

	retries  atomic.Uint64
	reported atomic.Bool // a failure is logged and its end is not; a call that succeeds reads only this

	mu         sync.Mutex // guards the fields below
	calls      map[uint64]error
	lastCall   uint64
	newest     error     // of the call that failed last
	began      time.Time // of the trouble that is logged
	loggedKind string
	loggedAt   time.Time
}

// quietTime is the least time between two log lines about failed calls.
const quietTime = 5 * time.Second

// beatCall stands for beats, which are repeated by other means than attempts.
const beatCall = 1

func newTroubles(log *slog.Logger) *troubles {
	return &troubles{log: log, now: time.Now, calls: map[uint64]error{}, lastCall: beatCall}
}

// failed records that an attempt at a call failed and another follows. It returns the call's number, which the caller
// passes to the next failed and to ended; 0 stands for a call that has not failed before.
func (t *troubles) failed(call uint64, err error) uint64 {
	t.retries.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if call == 0 {
		t.lastCall++
		call = t.lastCall
	}
	t.calls[call], t.newest = err, err
	now, kind := t.now(), kindOf(err)
	if kind == t.loggedKind || !t.loggedAt.IsZero() && now.Sub(t.loggedAt) < quietTime {
		return call
	}
	if t.loggedKind == "" {
		t.began = now
	}
	t.loggedKind, t.loggedAt = kind, now
	t.reported.Store(true)
	t.log.Warn("a call to Redis has failed and is retried", "kind", kind, "error", err)
	return call
}

// gaveUp records that a call that has failed before is not retried any more.
func (t *troubles) gaveUp(call uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, call)
}

// succeeded records that a call has succeeded; 0 stands for one that has not failed before.
func (t *troubles) succeeded(call uint64) {
	if call == 0 && !t.reported.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, call)
	if len(t.calls) > 0 || t.loggedKind == "" {
		return
	}
	t.loggedKind, t.loggedAt = "", t.now()
	t.reported.Store(false)
	t.log.Info("calls to Redis succeed again", "after", t.loggedAt.Sub(t.began).Round(time.Millisecond),
		"retries", t.retries.Load())
}

// cause returns why a call is being retried now; nil if none is.
func (t *troubles) cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.calls) == 0 {
		return nil
	}
	return t.newest
}

// kindOf returns the kind of a failure: the first word of what Redis returned, or what failed on the way.
func kindOf(err error) string {
	var reply redis.Error
	var operation *net.OpError
	switch {
	case errors.As(err, &reply):
		word, _, _ := strings.Cut(strings.TrimPrefix(reply.Error(), "ERR "), " ")
		return word
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isTLS(err):
		return "tls"
	case errors.As(err, &operation):
		return operation.Op
	}
	return "connection"
}

// isTLS reports whether a TLS handshake failed for a reason that a repetition does not change.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var operation *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &header) ||
		errors.As(err, &operation) && operation.Op == "remote error" // an alert
}

// SilenceClient discards the log lines of the Redis client, for the whole process: it logs each failed attempt of its
// own, of which Options.Log has the first. A program calls it once, at its start.
func SilenceClient() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
