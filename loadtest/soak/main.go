// Command soak sells for ever, in virtual time: as many holds as --holds says, of which --alive are held at a time,
// with every kind of end, in the core and in an engine without a journal. It fails if memory grows, if anything is
// forgotten too early or never, or if the sale does not add up.
//
//	soak                                    a billion holds, a million alive, in the core and then in the engine
//	soak --of core --holds 1e7 --alive 1e5  a hundredth of that, in the core alone
//
// Each of the callers keeps books of its own: it knows the answer to each of its calls and the content of each
// reservation. At the end of each part of the run the callers stop, and the whole sale is compared with the books.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"
)

type command struct {
	Holds      float64 `default:"1e9" help:"Holds to make."`
	Alive      float64 `default:"1e6" help:"Holds that are alive at a time."`
	Of         string  `enum:"core,engine,both" default:"both" help:"What is soaked: core, engine, or both in turn."`
	Seed       uint64  `default:"1" help:"Seed of all choices."`
	Rows       int     `help:"Room for so many rows of reservations. Default: six for each hold that is alive, and 65,536."`
	Goroutines int     `help:"Callers. Default: one for each processor, at least two."`
	Limit      float64 `default:"1228.8" help:"The most resident memory, in MiB."`
}

// gcPercent is how much garbage there may be, in percent of what is in use. Nearly all of it are former tables of the
// indexes, and nothing is scanned for pointers, so a collection takes some milliseconds. There is no limit beside it
// that would hide growth.
const gcPercent = 10

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	command := kong.Parse(&command{}, kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Sells for ever, in virtual time. Fails if memory grows or the sale does not add up."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak: "+err.Error())
		stop()
		os.Exit(1)
	}
}

// Run soaks the core, the engine, or one after the other.
func (c *command) Run(ctx context.Context) error {
	p, err := c.plan()
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	for _, of := range []string{"core", "engine"} {
		if c.Of != of && c.Of != "both" {
			continue
		}
		if err := c.soak(ctx, of, p, os.Stdout); err != nil {
			return fmt.Errorf("%s, seed %d: %w", of, c.Seed, err)
		}
		debug.FreeOSMemory() // the next one starts from nothing
	}
	return nil
}

// plan returns what the flags ask for.
func (c *command) plan() (p plan, err error) {
	p = plan{seed: c.Seed, holds: int(c.Holds), alive: int(c.Alive), rows: c.Rows, callers: c.Goroutines,
		patience: patience, measures: true}
	if p.callers == 0 {
		p.callers = max(2, runtime.GOMAXPROCS(0))
	}
	if p.rows == 0 {
		p.rows = 6*p.alive + 4*spareRows
	}
	switch {
	case p.callers < 2 || p.callers > maxCallers:
		return p, fmt.Errorf("--goroutines %d: use 2 to %d", p.callers, maxCallers)
	case p.alive < minAlive:
		return p, fmt.Errorf("--alive %d: use at least %d", p.alive, minAlive)
	case p.holds < minLives*p.alive:
		return p, fmt.Errorf("--holds %d: use at least %d times --alive", p.holds, minLives)
	case p.rows < 4*p.alive+2*spareRows:
		return p, fmt.Errorf("--rows %d: use at least four times --alive and %d, since what has ended is remembered", p.rows,
			2*spareRows)
	}
	return p, nil
}

func (c *command) soak(ctx context.Context, of string, p plan, to io.Writer) error {
	open := openCore
	if of == "engine" {
		open = openEngine
	}
	clock := &clock{}
	s, err := open(p, clock)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, "%s: %s holds, %s alive, %d goroutines, seed %d\n", of, humanize.Comma(int64(p.holds)),
		humanize.Comma(int64(p.alive)), p.callers, p.seed)
	r := newRun(p, clock, s, to)
	r.limit = int(c.Limit)
	return errors.Join(err, r.do(ctx), s.close())
}
