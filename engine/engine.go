package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/internal/waits"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/rules"
)

// Engine runs a sale. All methods may be called by any number of goroutines, except Close.
type Engine struct {
	o         Options
	book      atomic.Pointer[rules.Book] // by which calls are judged; each attempt of one loads it once
	shown     atomic.Pointer[shownBook]  // made when a read asks for it
	inventory *inventory.Inventory
	slot      func(account string, draw int) (opens, closes time.Time, won bool) // slotOf, so that no call allocates it
	member    func(account string, group int) bool                               // likewise Members.Judges

	term     atomic.Pointer[term]     // nil until this engine leads
	idle     atomic.Pointer[idleness] // until then: why it accepts no calls
	deposed  chan struct{}            // closed by term.watch, or, if there was no term, by follow
	ballots  *ballot.Ballots
	memory   outcomes.Memory // the inventory, the ballots and the definition, as the journal makes them durable
	recovery Recovery

	counts       *counts
	altering     chan struct{} // full while what is in force changes, until the record has its place: see alter.go
	changes      changeCounts
	waits        *waits.Waits
	caughtUpAt   atomic.Int64 // when a standby last had all that the leader had made durable, in ns since counts.began
	conservation conservationCheck

	sweepLock      sync.Mutex
	sweep          *inventory.Sweep
	checkpointLock sync.Mutex
	checkpointedAt atomic.Uint64 // record at which the last complete checkpoint starts
	checkpoints    checkpointCounts
	// checkpointRetry is when a checkpoint may be tried after one has failed. Only checkpointDue uses it.
	checkpointRetry time.Time
	background      sync.WaitGroup
	stop            chan struct{}
	closed          atomic.Bool
}

// Open recovers the sale from its journal and starts it. A standby is returned at once and follows in the background.
// Other engines of a shared journal lead at once if its last leader has stepped down, and otherwise once that leader
// has been silent for Options.TakeoverAfter. ctx bounds the recovery only.
//
// Errors are those of the options, of the journal, and of a sale definition that no longer has what the journal's
// reservations name. The error wraps journal.ErrNotSilent if another server leads. After an error the journal is
// closed.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	e := &Engine{o: o, stop: make(chan struct{}), deposed: make(chan struct{}), waits: waits.New(),
		altering: make(chan struct{}, 1)}
	e.memory.Begin(o.Sale)
	e.judgeBy(e.memory.Judging())
	e.slot = e.slotOf
	v, err := inventory.New(e.inventoryConfig())
	if err != nil {
		return nil, err
	}
	e.inventory = v
	e.sweep = v.NewSweep()
	e.conservation.census = census.New(v)
	e.conservation.census.Bounds = e.bounds
	e.counts = newCounts(o.Timed)
	e.ballots = e.newBallots()
	m := &e.memory
	m.Inventory, m.Ballots, m.Reclaimer = v, e.ballots, v.NewReclaimer()
	m.Journalled, m.ShowsAtOnce = o.Durability != None, o.Durability != Sync
	m.Forget, m.Now = o.Forget, e.nowMs
	m.Members = e.newMembers()
	e.member = m.Members.Judges
	e.standsBy(errFollowing, "")
	switch {
	case o.Durability == None:
		if err := e.startUnrecorded(); err != nil {
			return nil, err
		}
	case o.Standby:
		e.background.Go(e.follow)
	default:
		if err := e.recover(ctx); err != nil {
			return nil, errors.Join(err, o.Journal.Close())
		}
	}
	return e, nil
}

// inventoryConfig returns that of an inventory without pools: they come with the definition that is put into force.
func (e *Engine) inventoryConfig() inventory.Config {
	s := e.o.Sale
	c := inventory.Config{
		MaxPools: outcomes.MostPools, MaxSessions: outcomes.MostSessions, MaxQuotas: outcomes.MostQuotas,
		MaxReservations: e.o.MaxReservations, MaxAccounts: e.o.MaxAccounts, ExpectAccounts: e.o.ExpectAccounts,
		Journalled: e.o.Durability != None, Pause: e.waits.Pause,
		Wake: func() { e.term.Load().writer.Wake() },
	}
	// Every account may enter every draw. A definition may add the first one.
	c.MaxNotes = min(e.o.MaxAccounts*max(len(s.Draws), 1)+1024, 1<<30-1)
	return c
}

// Close makes placed outcomes durable, answers the callers that wait for them, and closes the journal. A standby stops
// following; one that is taking over leads no more. No call may be made concurrently or later, except on an engine that
// is deposed. Closing again returns nil.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	close(e.stop)
	e.background.Wait()
	if e.o.Durability == None {
		return nil
	}
	var err error
	if t := e.term.Load(); t != nil {
		ctx, cancel := context.WithTimeout(context.Background(), e.o.JournalTimeout)
		defer cancel()
		err = t.close(ctx)
	}
	return errors.Join(err, e.o.Journal.Close())
}

// Sale returns the definition that is in force, as far as it is durable (I5). What a later one says has the same
// numbers.
func (e *Engine) Sale() *catalog.Sale { return e.memory.Shown().Sale }

// Shown returns the sale and what is paused of one instant, as far as they are durable (I5). It never blocks. A reader
// that finds them to be the same before and after it reads the stock of pools has the stock of this sale.
func (e *Engine) Shown() (*catalog.Sale, rules.Pauses) {
	f := e.memory.Shown()
	return f.Sale, f.Paused
}

// shownBook is the book of a definition that may be shown.
type shownBook struct {
	of   *outcomes.InForce
	book *rules.Book
}

// bookShown returns the book of the definition that may be shown, for reads.
func (e *Engine) bookShown() *rules.Book {
	last, now := e.shown.Load(), e.memory.Shown()
	if last == nil || last.of != now {
		last = &shownBook{of: now, book: e.bookOf(now)}
		e.shown.Store(last)
	}
	return last.book
}

func (e *Engine) bookOf(f *outcomes.InForce) *rules.Book {
	return rules.NewBook(f.Sale, e.o.TTL, f.Paused, f.Since.Seq)
}

// judgeBy publishes the book of what is in force. From here on calls are judged by it.
func (e *Engine) judgeBy(f *outcomes.InForce) { e.book.Store(e.bookOf(f)) }

// PhaseOpen reports whether a phase of the sale, by its index in Sale().Phases, is open now on the sale clock, and
// neither it nor the sale is paused.
func (e *Engine) PhaseOpen(phase int) bool {
	_, paused := e.Shown()
	return !paused.Sale() && !paused.Phase(phase) && e.bookShown().PhaseOpen(phase, e.nowMs())
}

// TTL returns how long a hold lasts if the request has no TTL.
func (e *Engine) TTL() time.Duration { return e.o.TTL }

// Now returns the instant on the sale clock, in UTC.
func (e *Engine) Now() time.Time { return e.o.Clock.Now() }

func (e *Engine) nowMs() int64 { return e.o.Clock.Ms() }

// instant returns the time of the engine's milliseconds.
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Failed returns why the journal has failed for good, so that only a restart helps: nothing becomes durable in this
// engine any more. It returns nil while the journal works or does not respond, and on a standby. It also returns nil
// once a newer leader has taken over, which Deposed reports.
func (e *Engine) Failed() error {
	t := e.term.Load()
	if t == nil || errors.Is(t.failure(), journal.ErrFenced) {
		return nil
	}
	return t.failure()
}

// Ready reports whether reservations are accepted: this engine leads, the journal is replayed and responds. The error
// is why not.
func (e *Engine) Ready() error {
	if e.closed.Load() {
		return journal.ErrClosed
	}
	t := e.term.Load()
	if t == nil {
		return e.idle.Load().why
	}
	return e.explain(t.err())
}

// every runs do in the background, at this interval, until the engine stops.
func (e *Engine) every(interval time.Duration, do func()) {
	e.background.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-e.stop:
				return
			case <-tick.C:
				do()
			}
		}
	})
}
