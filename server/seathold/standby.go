package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/server"
)

// standby are the flags of servers that share a journal.
type standby struct {
	Standby       bool          `env:"SEATHOLD_STANDBY" help:"Follow the leader's journal and take over when it stops (with --redis)."`
	TakeoverAfter time.Duration `default:"3s" env:"SEATHOLD_TAKEOVER_AFTER" help:"How long the leader must be silent before a standby takes over (default: ${default})."`
	MayLose       bool          `name:"redis-may-lose" env:"SEATHOLD_REDIS_MAY_LOSE" help:"Start with --durability sync even on a Redis that may lose what it acknowledged."`
	Advertise     string        `env:"SEATHOLD_ADVERTISE" placeholder:"URL" help:"Where clients reach this server, told to them by a standby (default: the address of the API)."`
}

const betweenReplacements = time.Second

// checked asks the Redis what it guarantees, keeps the answer for the banner, and refuses one that cannot keep the promise
// of --durability sync.
func (s *service) checked(r *redis.Journal) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	report, err := r.Check(ctx)
	if err != nil {
		return err
	}
	s.report = report.Lines
	if s.command.Durability == "sync" && !report.Safe && !s.command.Standby.MayLose {
		return fmt.Errorf("%s cannot keep the promise of --durability sync (%s); mend it, or start with --redis-may-lose",
			s.command.Journal, strings.Join(report.Why, "; "))
	}
	return nil
}

// checkTime bounds the questions about a Redis before the start.
const checkTime = 30 * time.Second

// leastTakeover leaves a leader, which beats every half second, two chances.
const leastTakeover = time.Second

func (f *standby) check(c *serveCommand) error {
	if c.Journal.Redis != "" && c.Journal.Data != defaultData {
		return usagef("--data and --redis: a journal is kept in one of them")
	}
	if f.Standby && c.Journal.Redis == "" {
		return usagef("--standby needs --redis: a directory is one server's alone")
	}
	if f.Standby && c.Durability == "none" {
		return usagef("--standby needs a journal, and --durability none keeps none")
	}
	if f.TakeoverAfter < leastTakeover {
		return usagef("--takeover-after %s is shorter than %s", f.TakeoverAfter, leastTakeover)
	}
	return nil
}

// advertised is where clients reach this server.
func (s *service) advertised() string {
	if s.command.Standby.Advertise != "" {
		return s.command.Standby.Advertise
	}
	return s.url(s.api)
}

// becomeStandby puts an engine that follows in the place of one that was deposed: what the old one has in memory may
// never have become durable. Until the new one leads again, calls are refused with the leader's address.
func (s *service) becomeStandby(api *server.Server) error {
	if since := time.Since(s.replacedAt); since < betweenReplacements { // a journal that cannot be followed must not keep it busy
		select {
		case <-time.After(betweenReplacements - since):
		case signal := <-s.process.signals:
			return fmt.Errorf("ended by a signal (%s) while it could neither lead nor follow: %w", signal, s.engine.Ready())
		}
	}
	s.replacedAt = time.Now()
	s.log.Warn("another server leads; this one becomes a standby", "reason", s.engine.Ready())
	followed, err := s.openEngine(true)
	if err != nil {
		return err
	}
	old := s.engine
	s.engine = followed
	api.Replace(followed)
	if err := old.Close(); err != nil && !errors.Is(err, journal.ErrFenced) {
		s.log.Warn("closing the deposed engine", "error", err)
	}
	return nil
}
