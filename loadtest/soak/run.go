package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// run is one soak.
type run struct {
	plan
	clock   *clock
	sale    sale
	callers []*caller
	stop    atomic.Bool
	limit   int // MiB of resident memory
	memory  watch
	table   *table
	parts   []part
}

// part is what was measured of one part of the run.
type part struct {
	holds   uint64 // up to its end
	took    time.Duration
	used    time.Duration // of all processors
	peak    int           // bytes that were resident, the most in this part
	kept    int           // bytes that are resident at its end, when nothing runs and garbage was returned
	alive   int
	lookup  float64 // ns
	known   float64
	usage   usage
	elapsed time.Duration
	made    uint64
}

const (
	mostParts  = 100
	fewParts   = 10
	partLives  = 4
	settled    = 10   // memory is flat after one part in so many
	flatWithin = 0.05 // how much more than the most that those parts kept is flat
	// A table grows by pieces: see table.Slab. In a soak of fewer holds they may all grow after the first tenth, and in a
	// small one, a piece of each is more than a twentieth of all memory.
	billion = 1_000_000_000
	pieces  = 48 << 20
)

func newRun(p plan, clock *clock, s sale, to io.Writer) *run {
	r := &run{plan: p, clock: clock, sale: s, table: &table{to: to}}
	ring := p.alive * 9 / 8 / p.callers // some have expired before their caller comes back
	for i := range p.callers {
		r.callers = append(r.callers, &caller{p: &r.plan, index: i, clock: clock, sale: s, seller: s.seller(),
			twin: s.seller(), stop: &r.stop, ring: make([]hold, ring), kept: make([]hold, 0, p.alive/keptShare/p.callers)})
	}
	for _, c := range r.callers {
		c.all = r.callers
	}
	return r
}

// do makes all holds, in parts, checks the sale after each, and then ends everything.
func (r *run) do(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { r.stop.Store(true) })()
	if err := r.memory.begin(); err != nil {
		return err
	}
	defer r.memory.end()
	parts := min(max(r.holds/r.alive/partLives, fewParts), mostParts)
	r.sale.start()
	r.table.head()
	began := time.Now()
	for i := range parts {
		p, err := r.part(uint64(r.holds) / uint64(parts) * uint64(i+1))
		if err != nil {
			return err
		}
		if r.stop.Load() {
			return ctx.Err()
		}
		p.elapsed = time.Since(began)
		r.parts = append(r.parts, p)
		r.table.row(&p)
		if err := r.judge(parts); err != nil {
			return err
		}
	}
	return r.finish()
}

// part makes holds until there are so many, and checks the sale.
func (r *run) part(holds uint64) (p part, err error) {
	_, used, _ := resident()
	began, before := time.Now(), r.made()
	for made := before; made < holds && !r.stop.Load(); made = r.made() {
		// As many turns as that took so far. All callers take equally many, so that none falls behind.
		turns := (holds-made)*(r.callers[0].turn+1)/(r.callers[0].holds+1)/uint64(len(r.callers)) + 1
		if err := r.each(func(c *caller) { c.make(turns) }); err != nil {
			return p, err
		}
	}
	_, usedNow, _ := resident()
	p = part{took: time.Since(began), used: usedNow - used, holds: r.made(), peak: r.memory.most()}
	p.made = p.holds - before
	if p.alive, err = r.compare(); err != nil {
		return p, err
	}
	switch difference, err := r.sale.census(); {
	case err != nil:
		return p, fmt.Errorf("the census differs by %d tickets: %w", difference, err)
	case difference != 0:
		return p, fmt.Errorf("the census differs by %d tickets", difference)
	}
	if p.known, err = r.sample(); err != nil {
		return p, err
	}
	p.lookup, p.usage = r.lookup(), r.sale.usage()
	debug.FreeOSMemory()
	p.kept, _, err = resident()
	_ = r.memory.most() // of the checks
	return p, err
}

func (r *run) made() (holds uint64) {
	for _, c := range r.callers {
		holds += c.holds
	}
	return holds
}

// judge compares the last part with those before it.
func (r *run) judge(parts int) error {
	last := &r.parts[len(r.parts)-1]
	if r.limit > 0 && last.peak > r.limit<<20 {
		return fmt.Errorf("%d MiB are resident; the limit is %d", last.peak>>20, r.limit)
	}
	from := parts / settled
	if len(r.parts) <= from || !r.measures {
		return nil
	}
	most, quickest := 0, last.lookup
	for _, p := range r.parts[:from] {
		most = max(most, p.kept)
	}
	for _, p := range r.parts[from:] {
		quickest = min(quickest, p.lookup)
	}
	if last.kept > most+r.slack(most) {
		return fmt.Errorf("memory is not flat: %d MiB are kept, and at most %d were in the first tenth", last.kept>>20,
			most>>20)
	}
	if last.lookup > slowest*quickest {
		return fmt.Errorf("a look-up takes %.0f ns, and took %.0f before", last.lookup, quickest)
	}
	return nil
}

// slack returns how many bytes more than the most that the first parts kept are flat.
func (r *run) slack(most int) int {
	slack := int(flatWithin * float64(most))
	if r.holds < billion {
		slack = max(slack, pieces)
	}
	return slack
}

// finish ends everything, and checks that all comes back but what is sold.
func (r *run) finish() error {
	if err := r.each((*caller).endAll); err != nil {
		return err
	}
	r.clock.raise(r.clock.ms.Load() + longTTL + remembered + 1000)
	switch alive, err := r.compare(); {
	case err != nil:
		return fmt.Errorf("after the end: %w", err)
	case alive > 0:
		return fmt.Errorf("after the end, %d holds are alive", alive)
	}
	accounts, err := r.sale.forget()
	if err != nil {
		return err
	}
	kept, buyers := 0, map[number]bool{}
	for _, c := range r.callers {
		kept += len(c.kept)
		for _, h := range c.kept {
			buyers[numberOf(c.index, h.n.at()/perAccount)] = true
		}
	}
	if u := r.sale.usage(); u.rows != kept || accounts && u.accounts != len(buyers) {
		return fmt.Errorf("at the end %d rows are in use for %d reservations that are sold, and %d accounts for %d buyers",
			u.rows, kept, u.accounts, len(buyers))
	}
	err = r.each(func(c *caller) {
		for i := range c.kept {
			c.verify(&c.kept[i], inventory.Confirmed)
		}
		for range samples {
			if known, ok := c.remembers(numberOf(c.index, 1+c.roll()%c.n)); ok && known > 0 {
				c.faultf("a reservation that has ended is known after all were forgotten")
			}
		}
	})
	if err != nil {
		return err
	}
	r.table.foot(r, kept)
	return r.table.err
}

// watch samples the resident memory.
type watch struct {
	peak  atomic.Int64
	over  chan struct{}
	ended sync.WaitGroup
}

const sampleEvery = 20 * time.Millisecond

func (w *watch) begin() error {
	if _, _, err := resident(); err != nil {
		return err
	}
	w.over = make(chan struct{})
	w.ended.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.over:
				return
			case <-tick.C:
				w.sample()
			}
		}
	})
	return nil
}

func (w *watch) sample() {
	bytes, _, _ := resident()
	for {
		if was := w.peak.Load(); was >= int64(bytes) || w.peak.CompareAndSwap(was, int64(bytes)) {
			return
		}
	}
}

// most returns the most resident memory since it was called last.
func (w *watch) most() int {
	w.sample()
	return int(w.peak.Swap(0))
}

func (w *watch) end() {
	close(w.over)
	w.ended.Wait()
}
