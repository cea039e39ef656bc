package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// guard holds what the last check found, and withholds acknowledgements while a required guarantee is missing (I5).
//
// A guarantee can be lost at any time: an operator changes a setting, a failover puts another server behind the
// address. So the check is repeated every Options.CheckEvery and after every new connection. A group that was sent over
// a connection opened after the last check began is acknowledged only after another check. What remains is a setting
// that is changed without a new connection: groups are acknowledged for up to CheckEvery until it is noticed.
//
// While acknowledgements are withheld, the leader sends its groups and beats as before, so that no standby claims: it
// would find the same Redis; also while Redis responds that it may not be asked. A group is acknowledged once a check
// is satisfied and a beat was appended after that, with no new connection in between. With appendfsync always, the sync
// of the beat covers everything written to the file before it.
type guard struct {
	required  bool
	unchecked atomic.Bool           // a connection was opened after the last check began
	withheld  atomic.Pointer[error] // why nothing is acknowledged; always nil unless required
	connected chan struct{}         // holds one value after a connection was opened
	checking  sync.Mutex            // held during a check

	mu  sync.Mutex // guards the fields below
	why []string   // Report.Why of the last check; empty before the first
	run string     // identifies the process that was checked last
}

func newGuard(required bool) *guard {
	g := &guard{required: required, connected: make(chan struct{}, 1)}
	g.unchecked.Store(true)
	return g
}

// opened is called by the client after it has opened a connection.
func (g *guard) opened(context.Context, *redis.Conn) error {
	g.unchecked.Store(true)
	select {
	case g.connected <- struct{}{}:
	default:
	}
	return nil
}

// record stores what a check found, and logs what has changed.
func (g *guard) record(r Report, to *slog.Logger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.run != "" && g.run != "" && r.run != g.run {
		to.Warn("another Redis process answers than before", "run", r.run, "before", g.run)
	}
	if r.run != "" {
		g.run = r.run
	}
	changed := !slices.Equal(r.Why, g.why)
	g.why = r.Why
	if !changed {
		return
	}
	reason := strings.Join(r.Why, "; ")
	switch {
	case len(r.Why) == 0:
		g.withheld.Store(nil)
		to.Info("Redis guarantees again that acknowledged records survive")
	case g.required:
		err := fmt.Errorf("%w: %s", journal.ErrUnsafe, reason)
		g.withheld.Store(&err)
		to.Error("Redis does not guarantee that acknowledged records survive; nothing is acknowledged until it does",
			"why", reason)
	default:
		to.Warn("Redis does not guarantee that acknowledged records survive", "why", reason)
	}
}

// Withheld returns why nothing is acknowledged now: an ErrUnsafe with the reasons of the last check, with
// Options.RequireSafe only. See journal.Monitored.
func (j *Journal) Withheld() error {
	if err := j.link.guard.withheld.Load(); err != nil {
		return *err
	}
	return nil
}

// Condition returns how Redis is doing. See journal.Monitored.
func (j *Journal) Condition() journal.Condition {
	g := j.link.guard
	g.mu.Lock()
	why := g.why
	g.mu.Unlock()
	return journal.Condition{Retrying: j.link.troubles.cause(), Retries: j.link.troubles.retries.Load(),
		Resent: j.Status().Resent, Unsafe: why}
}

// watch repeats the check until the link is closed. A check that fails leaves the last one's result: Redis does not
// respond, so nothing is acknowledged.
func (j *Journal) watch() {
	ctx, g := j.link.ctx, j.link.guard
	tick := time.NewTicker(j.link.options.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.connected:
		}
		_ = j.link.inspect(ctx) // see above
		select {
		case <-g.connected: // perhaps of the check itself; the next tick checks if not
		default:
		}
	}
}

// inspect makes one attempt at a check and records the result.
func (l *link) inspect(ctx context.Context) error {
	l.guard.checking.Lock() // an older result must not replace a newer one
	defer l.guard.checking.Unlock()
	l.guard.unchecked.Store(false) // before the check: a connection opened during it needs another one
	report, err := l.check(ctx)
	if errors.Is(err, errUnfit) {
		report, err = Report{Why: []string{err.Error()}}, nil
	}
	if err != nil {
		l.guard.unchecked.Store(true)
		return err
	}
	l.guard.record(report, l.options.Log)
	return nil
}

// holdEvery is the time between two checks, each with a beat, while a group is not acknowledged. It is that of the
// writer's beats.
const holdEvery = 500 * time.Millisecond

// holdUntilSafe returns when the last group may be acknowledged: the connections that it may have been sent over were
// checked, and Redis guarantees what is required. Errors are final.
func (j *Journal) holdUntilSafe(ctx context.Context) error {
	g := j.link.guard
	if !g.required || !g.unchecked.Load() && g.withheld.Load() == nil {
		return nil
	}
	a := j.link.attempts(0)
	held := g.withheld.Load() != nil
	for {
		err := j.link.inspect(ctx)
		safe := err == nil && g.withheld.Load() == nil
		if (held || !safe) && (err == nil || isReply(err)) { // Redis responds, perhaps only to say that it may not be asked
			held = true
			j.number++
			if _, beatErr := j.beat(ctx, beatType); beatErr != nil {
				err = beatErr
			}
			safe = safe && !g.unchecked.Load() // the beat may have synced another Redis than the one that was checked
		}
		switch {
		case err != nil:
			err = a.backOff(ctx, err)
		case safe:
			a.succeeded()
			return nil
		default:
			a.succeeded()
			err = j.link.pause(ctx, holdEvery)
		}
		if err != nil {
			return err
		}
	}
}
