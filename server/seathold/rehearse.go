package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/rehearsal"
)

type rehearseCommand struct {
	Scale      float64    `default:"0.01" placeholder:"0.001..1" help:"How large: 1 is four million entries a draw and all tickets on sale (default: ${default})."`
	Seed       uint64     `default:"1" help:"Seed of all randomness (default: ${default}). With --workers 1 the same seed and scale give the same result to the digit."`
	Workers    int        `help:"How many goroutines play buyers. Default: one a processor."`
	Data       string     `placeholder:"DIR" help:"Keep the journal in this directory, which must be new or empty. Default: one in the working directory that is removed at the end."`
	Redis      redisFlags `embed:"" envprefix:"SEATHOLD_REHEARSE_"`
	Durability string     `default:"sync" enum:"sync,async,none" help:"Answer after the outcome is on disk (sync, the default), before it (async), or keep no journal at all (none)."`
	Sale       string     `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition (default: ${default})."`
	JSON       string     `name:"json" placeholder:"FILE" help:"Also write the report as JSON."`
}

// rehearsalMemory is the memory limit of the runtime, unless GOMEMLIMIT sets another. A whole sale fills large tables
// without pointers. The collector has almost nothing to scan in them, but would let the heap double between its cycles.
const rehearsalMemory = 2500 << 20

// Run plays the sale and prints the report. A rehearsal whose audit is not clean is a failure.
func (c *rehearseCommand) Run(p *process) error {
	o, tidy, err := c.options(p)
	if err != nil {
		return err
	}
	report, err := c.play(p, o)
	if err = errors.Join(err, tidy()); err != nil {
		return err
	}
	if err := errors.Join(report.WriteTable(p.stdout), c.writeJSON(report)); err != nil {
		return err
	}
	switch {
	case report.Audit.Broken > 0:
		return fmt.Errorf("the audit found %s problems", count(report.Audit.Broken))
	case report.Places.Missed > 0:
		return fmt.Errorf("%s tickets were requested and are left", count(report.Places.Missed))
	}
	return nil
}

// play runs the rehearsal; a signal ends it.
func (c *rehearseCommand) play(p *process, o rehearsal.Options) (*rehearsal.Report, error) {
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(rehearsalMemory))
	}
	ctx, stop := p.untilSignal()
	defer stop()
	bar := newProgressBar(p.stderr)
	o.Progress = bar.show
	report, err := rehearsal.Run(ctx, o)
	bar.end()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return report, err
}

// options checks the flags and opens the journal. tidy removes a journal that is not to be kept.
func (c *rehearseCommand) options(p *process) (o rehearsal.Options, tidy func() error, err error) {
	tidy = func() error { return nil }
	switch {
	case c.Scale < rehearsal.MinScale || c.Scale > rehearsal.MaxScale:
		return o, nil, usagef("--scale %g is not from %g to %g", c.Scale, rehearsal.MinScale, float64(rehearsal.MaxScale))
	case c.Workers < 0:
		return o, nil, usagef("--workers %d is negative", c.Workers)
	case c.Durability == "none" && (c.Data != "" || c.Redis.URL != ""):
		return o, nil, usagef("--durability none keeps no journal: it excludes --data and --redis")
	case c.Data != "" && c.Redis.URL != "":
		return o, nil, usagef("--data and --redis exclude each other: a journal is kept in one of them")
	}
	if err := c.Redis.check(); err != nil {
		return o, nil, err
	}
	o = rehearsal.Options{Scale: c.Scale, Seed: c.Seed, Workers: c.Workers, Durability: durabilities[c.Durability]}
	if o.Sale, err = catalog.Load(c.Sale); err != nil || o.Durability == engine.None {
		return o, tidy, err
	}
	if c.Redis.URL != "" {
		return o, tidy, c.openRedis(p, &o)
	}
	dir := c.Data
	if dir == "" {
		temporary, err := os.MkdirTemp(".", "seathold-rehearsal-")
		if err != nil {
			return o, nil, err
		}
		tidy = func() error { return os.RemoveAll(temporary) }
		dir = filepath.Join(temporary, "journal") // a journal leaves a trace beside its directory
	}
	o.Reopen = func() (rehearsal.Readable, error) { return embedded.OpenReadOnly(dir) }
	if o.Journal, err = embedded.Open(dir, embedded.Options{}); err != nil {
		return o, nil, errors.Join(err, tidy())
	}
	return o, tidy, nil
}

// openRedis opens a journal in the Redis, with a new name unless --redis-name sets one. It is not removed at the end.
func (c *rehearseCommand) openRedis(p *process, o *rehearsal.Options) error {
	at, err := c.Redis.options("rehearsal-" + time.Now().UTC().Format("20060102-150405"))
	if err != nil {
		return err
	}
	at.Log = p.logger()
	journal, err := redis.Open(at)
	if err != nil {
		return err
	}
	o.Journal, o.Reopen = journal, func() (rehearsal.Readable, error) { return redis.OpenReadOnly(at) }
	_, err = fmt.Fprintf(p.stderr, "the journal is named %s\n", at.Name)
	return err
}

func (c *rehearseCommand) writeJSON(report *rehearsal.Report) error {
	if c.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.JSON, append(text, '\n'), 0o644)
}
