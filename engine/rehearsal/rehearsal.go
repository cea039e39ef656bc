package rehearsal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
)

// The range of Options.Scale.
const (
	MinScale = 0.001
	MaxScale = 1
)

// Readable is a journal that is open for reading.
type Readable interface {
	journal.Reader
	io.Closer
}

// Options defines a rehearsal.
type Options struct {
	Sale       *catalog.Sale // at full size; the rehearsal scales a copy
	Scale      float64       // MinScale to MaxScale
	Seed       uint64
	Workers    int // goroutines that play buyers, at most 1,024; default GOMAXPROCS. One makes the result reproducible
	Durability engine.Durability
	Journal    journal.Backend          // empty; the rehearsal closes it. Nil with durability none
	Reopen     func() (Readable, error) // opens the journal again for the audit; nil with durability none

	// Progress, if set, receives how much of a stage is done. A stage may be interrupted by another and continue later.
	// Calls are made one at a time, a few thousand in all, and should return soon.
	Progress func(stage string, done, total int, note string)
}

func (o *Options) setDefaults() error {
	switch {
	case o.Sale == nil:
		return errors.New("no sale definition")
	case o.Scale < MinScale || o.Scale > MaxScale:
		return fmt.Errorf("a scale of %g is not between %g and %g", o.Scale, MinScale, float64(MaxScale))
	case o.Workers < 0 || o.Workers > maxWorkers:
		return fmt.Errorf("%d workers are not between 0 and %d", o.Workers, maxWorkers)
	case (o.Journal == nil) != (o.Durability == engine.None), (o.Journal == nil) != (o.Reopen == nil):
		return errors.New("a journal and Reopen are required for every durability but none, and not allowed there")
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int, string) {}
	}
	return nil
}

const maxWorkers = 1024

// rehearsal is a rehearsal in progress.
type rehearsal struct {
	o      Options
	sale   *catalog.Sale // scaled
	crowd  crowd
	engine *engine.Engine
	clock  clock
	lanes  []*lane
	stages []*stage // by phase of the sale
	draws  []drawReport
	stock  []int32 // available tickets by pool, when the clock last advanced
	places *places
	report Report

	progress progress
}

// Run plays the sale from its first entry to its last ticket and audits it. An error means that the rehearsal could not
// be played; the findings of the audit are in the report. If ctx ends, the rehearsal stops between two batches.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.setDefaults(); err != nil {
		if o.Journal != nil {
			err = errors.Join(err, o.Journal.Close())
		}
		return nil, err
	}
	began := time.Now()
	r := &rehearsal{o: o, sale: withStandIns(scaled(o.Sale, o.Scale)), crowd: crowdOf(o.Scale)}
	r.progress.report = o.Progress
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	err := r.play(ctx)
	if err == nil {
		r.report.Measured.SaleSeconds = time.Since(began).Seconds()
		err = r.audit(ctx)
	}
	err = errors.Join(err, r.close())
	if err == nil && o.Reopen != nil {
		err = r.verify()
	}
	if err != nil {
		return nil, err
	}
	r.report.Measured.Seconds = time.Since(began).Seconds()
	r.report.Measured.PeakBytes = peakMemory()
	return &r.report, nil
}

// open starts the engine on an empty journal. It writes no checkpoints, because the audit reads every record from the
// first on.
func (r *rehearsal) open(ctx context.Context) error {
	r.report.describe(&r.o)
	e, err := engine.Open(ctx, engine.Options{
		Sale: r.sale, Journal: r.o.Journal, Durability: r.o.Durability, Clock: saleclock.Virtual(r.clock.now),
		SweepEvery: -1, CheckpointAfter: -1, JournalTimeout: time.Minute, ExpectAccounts: r.crowd.entrants,
		Random: rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "secrets of draws %d", r.o.Seed))),
	})
	if err != nil {
		return err
	}
	r.engine = e
	if found := e.Recovery(); found.Accounts > 0 || found.Reservations > 0 {
		return errors.Join(errors.New("the journal is not empty: a rehearsal needs an empty one"), r.close())
	}
	r.stock, r.places = make([]int32, len(r.sale.Pools)), newPlaces(r.sale)
	for i := range r.sale.Phases {
		r.stages = append(r.stages, newStage(r, i))
	}
	for range r.o.Workers {
		r.lanes = append(r.lanes, newLane(r))
	}
	r.draws = make([]drawReport, len(r.sale.Draws))
	return nil
}

// close closes the engine and frees its memory, which the audit of the journal needs.
func (r *rehearsal) close() error {
	err := r.engine.Close()
	r.engine, r.lanes = nil, nil
	debug.FreeOSMemory()
	return err
}

// play runs the events of the calendar in the order of the sale clock.
func (r *rehearsal) play(ctx context.Context) error {
	events := r.calendar()
	for len(events) > 0 {
		next := 0
		for i := range events {
			if events[i].at.Before(events[next].at) {
				next = i
			}
		}
		r.clock.advance(events[next].at)
		at, more, err := events[next].happen(ctx)
		if err != nil {
			return err
		}
		if events[next].at = at; !more {
			events = append(events[:next], events[next+1:]...)
		}
	}
	r.summarize()
	return nil
}

// event is a step of the sale, which may schedule itself again.
type event struct {
	at     time.Time
	happen func(ctx context.Context) (next time.Time, more bool, err error)
}

// once is a step that is not repeated.
func once(at time.Time, happen func(ctx context.Context) error) event {
	return event{at: at, happen: func(ctx context.Context) (time.Time, bool, error) {
		return time.Time{}, false, happen(ctx)
	}}
}

// calendar returns the registrations, draws, memberships and phases of the sale. Of two events at the same time, the
// first in the list happens first.
func (r *rehearsal) calendar() []event {
	var all []event
	for i := range r.sale.Draws {
		d := &r.sale.Draws[i]
		all = append(all,
			once(d.RegistrationOpens, func(ctx context.Context) error { return r.register(ctx, i) }),
			once(d.RegistrationCloses, func(ctx context.Context) error { return r.draw(ctx, i) }))
	}
	all = append(all, r.memberships()...)
	for _, s := range r.stages {
		all = append(all, event{at: s.first(), happen: s.serve})
	}
	return all
}

// clock is the sale clock. It is advanced between instants only, while no buyer is served.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// advance sets the clock, but never back.
func (c *clock) advance(to time.Time) { c.ms.Store(max(c.ms.Load(), to.UnixMilli())) }

// lapse advances the clock past the end of every hold, expires the holds that were not paid for, and takes stock. It
// calls late in between: when the holds are over but not yet swept.
func (r *rehearsal) lapse(ctx context.Context, phase string, late func() error) error {
	r.clock.ms.Add(r.engine.TTL().Milliseconds())
	if err := late(); err != nil {
		return err
	}
	for ended := -1; ended != 0; { // each sweep fills half of the journal's backlog at most
		ended = r.engine.ExpireDue()
		if err := r.engine.Flush(ctx); err != nil {
			return err
		}
	}
	r.takeStock(phase)
	return ctx.Err()
}

// takeStock reads the stock for the listings of the next instant.
func (r *rehearsal) takeStock(phase string) {
	sold := 0
	for i := range r.stock {
		s := r.engine.Stock(i)
		r.stock[i] = int32(s.Available)
		sold += s.Sold
	}
	r.o.Progress("tickets", sold, r.sale.PlacesOnSale(), phase+", "+r.engine.Now().Format("2 January 2006"))
}
