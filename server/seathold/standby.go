package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/server"
)

// standby are the flags of servers that share a journal.
type standby struct {
	Standby       bool          `env:"SEATHOLD_STANDBY" help:"Follow the leader's journal and take over when it stops (with --redis)."`
	TakeoverAfter time.Duration `default:"3s" env:"SEATHOLD_TAKEOVER_AFTER" help:"How long the leader must be silent before a standby takes over, or a server that is started after a crash leads (default: ${default})."`
	MayLose       bool          `name:"redis-may-lose" env:"SEATHOLD_REDIS_MAY_LOSE" help:"Accept, with --durability sync, a Redis that may lose what it acknowledged in a crash or a failover."`
	Advertise     string        `env:"SEATHOLD_ADVERTISE" placeholder:"URL" help:"Where clients reach this server; a standby refers them there (default: the address of the API)."`
}

// leastTakeover is two of the half seconds between heartbeats of a leader.
const leastTakeover = time.Second

func (f *standby) check(c *serveCommand) error {
	switch {
	case f.Standby && c.Journal.Redis.URL == "":
		return usagef("--standby needs --redis: servers cannot share a directory")
	case f.Standby && c.Durability == "none":
		return usagef("--standby needs a journal: --durability none keeps none")
	case f.TakeoverAfter < leastTakeover:
		return usagef("--takeover-after %s is shorter than %s", f.TakeoverAfter, leastTakeover)
	}
	return nil
}

// advertised returns where clients reach this server.
func (s *service) advertised() string {
	if s.command.Standby.Advertise != "" {
		return s.command.Standby.Advertise
	}
	return s.url(s.api)
}

// The pause before a server that can neither lead nor follow opens the journal again. It reads all of the journal each
// time, and what is wrong, such as another sale definition, usually needs an operator.
const (
	minPause = time.Second
	maxPause = time.Minute
)

// following paces a server that opens the journal again and again because it cannot follow.
type following struct {
	openedAt time.Time // when the engine was opened
	last     time.Duration
	reason   string // of the last log line
}

// pause returns how long to wait until the journal is opened as a standby, and logs why, once for each reason. A leader
// that was fenced follows at once, since another one leads. A standby that could not follow waits, each time for twice
// as long.
func (f *following) pause(log *slog.Logger, why error) time.Duration {
	fenced := errors.Is(why, journal.ErrFenced)
	if fenced || time.Since(f.openedAt) > 2*maxPause {
		f.last, f.reason = 0, ""
	}
	if reason := why.Error(); reason != f.reason {
		log.Warn("this server does not lead; it follows the journal as soon as that is possible", "reason", reason)
		f.reason = reason
	}
	if fenced {
		return 0
	}
	f.last = min(max(2*f.last, minPause), maxPause)
	return f.last
}

// afterDeposition returns when to open the journal as a standby, after an engine was deposed or could not follow; nil
// for never. If that was the engine to come, the present one stays, so that readyz and the metrics keep showing why.
func (s *service) afterDeposition() <-chan time.Time {
	why := s.engine.Ready()
	s.hasRead = s.hasRead || s.engine.Stats().Accounts > 0
	switch {
	case s.next != nil:
		why = s.next.Ready()
		s.hasRead = s.hasRead || s.next.Stats().Accounts > 0
		s.end(s.next)
		s.next = nil
	case s.engine.Rescuable():
		s.log.Error("the journal is gone, and this standby has a copy of the sale in its memory: write it out with "+
			"`seathold journal rescue` before this server is stopped", "reason", why)
		return nil
	}
	return time.After(s.following.pause(s.log, why))
}

// lookEvery is how often the engine to come is asked whether it has caught up.
const lookEvery = 50 * time.Millisecond

// adopt replaces the deposed engine once the next one has caught up or leads. What the old one has in memory may never
// have become durable. Until the new one leads, calls are refused with the leader's address.
func (s *service) adopt(api *server.Server) {
	if s.next == nil || !s.next.CanRead() {
		return
	}
	old := s.engine
	s.engine, s.next = s.next, nil
	api.Replace(s.engine)
	s.end(old)
}

// end closes an engine that was deposed or could not follow.
func (s *service) end(e *engine.Engine) {
	if err := e.Close(); err != nil && !errors.Is(err, journal.ErrFenced) {
		s.log.Warn("closing the deposed engine", "error", err)
	}
}
