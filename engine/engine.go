package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Durability says when a call is answered.
type Durability uint8

const (
	Sync  Durability = iota // after its outcome is durable (I5)
	Async                   // before: a crash may take back the last moments
	None                    // no journal at all
)

// Options configure an engine. Sale is required, and Journal unless Durability is None.
type Options struct {
	Sale       *catalog.Sale
	Journal    journal.Backend // not yet recovered; the engine closes it
	Durability Durability

	TTL time.Duration // how long a hold lasts unless the request asks for less, in whole seconds; default 17 minutes

	// Clock makes the sale clock. It is called once, after recovery, with the latest instant that the journal mentions
	// (zero for an empty one), so that a simulated clock goes on from there. Default: wall time.
	Clock func(latest time.Time) (now func() time.Time)

	// SweepEvery is the wall time between two looks for reservations whose time is over; default 100 ms. Negative: only
	// ExpireDue looks, and only FreezeDraw freezes draws.
	SweepEvery time.Duration
	// Patience is how long a call waits for the journal before it is sent away with JournalUnavailable; default 5 s.
	Patience time.Duration
	// Backlog is how many outcomes may wait for the journal before further calls are refused; default 65,536.
	Backlog int
	// CheckpointAfter is how many records must follow a checkpoint before the next is written; default one million, and
	// never fewer than twice the reservations known. Negative: only Checkpoint writes one.
	CheckpointAfter int
	// Forget is how long after its time a reservation that was released or expired can still be asked for; default 24
	// hours on the sale clock. It is forgotten at the first start after that. Confirmed ones are kept for ever.
	Forget time.Duration

	// Standby follows the leader of a journal.Shared and takes over when it has been silent for TakeoverAfter (default 3 s).
	// Address is how clients reach this server; the journal tells it to the others.
	Standby       bool
	TakeoverAfter time.Duration
	Address       string

	MaxReservations int // default 33,554,432; each takes 112 bytes and some for the index
	MaxAccounts     int // default 16,777,216
	ExpectAccounts  int // sizes tables from the start; they grow by themselves all the same

	// Timed makes Stats tell how long calls took. It costs each call two or three readings of the monotonic clock.
	Timed bool
	// CheckEvery is the wall time between two checks of I1 and I2 on the live sale, see CheckConservation; default 10 s.
	// Negative: only CheckConservation checks.
	CheckEvery time.Duration

	Log *slog.Logger // default: discards
}

func (o *Options) setDefaults() error {
	switch {
	case o.Sale == nil:
		return errors.New("no sale definition")
	case o.Journal == nil && o.Durability != None:
		return errors.New("no journal")
	case o.Journal != nil && o.Durability == None:
		return errors.New("a journal where none is to be kept")
	case o.Standby && o.shared() == nil:
		return errors.New("a standby needs a journal that several servers share")
	case o.TTL < 0 || o.TTL%time.Second != 0 || o.TTL > maxTTL:
		return fmt.Errorf("a hold of %v: whole seconds up to %v", o.TTL, maxTTL)
	}
	fill := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	fill(&o.TTL, 17*time.Minute)
	fill(&o.SweepEvery, 100*time.Millisecond)
	fill(&o.Patience, 5*time.Second)
	fill(&o.Forget, 24*time.Hour)
	fill(&o.CheckEvery, 10*time.Second)
	fill(&o.TakeoverAfter, 3*time.Second)
	if o.MaxAccounts == 0 {
		o.MaxAccounts = 1 << 24
	}
	if o.Backlog == 0 {
		o.Backlog = 1 << 16
	}
	if o.CheckpointAfter == 0 {
		o.CheckpointAfter = 1_000_000
	}
	if o.Clock == nil {
		o.Clock = func(time.Time) func() time.Time { return time.Now }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// shared returns the journal as one that several processes share; nil where it is not.
func (o *Options) shared() journal.Shared {
	s, _ := o.Journal.(journal.Shared)
	return s
}

// maxTTL bounds a hold. Nobody needs a year to pay.
const maxTTL = 366 * 24 * time.Hour

// Engine is a sale. All methods may be called by any number of goroutines.
type Engine struct {
	sale      *catalog.Sale
	o         Options
	inventory *inventory.Inventory
	calendar  calendar
	rules     *ruleTexts
	clock     func() time.Time
	ahead     atomic.Int64 // ms that the sale clock was put forward when a standby took over

	term     atomic.Pointer[term] // nil while another server leads
	leader   atomic.Pointer[string]
	deposed  chan struct{}
	fault    atomic.Pointer[error] // why a standby no longer follows
	ballots  []*ballot             // by draw
	recovery Recovery

	counts       *counts
	heardAt      atomic.Int64 // when a standby last heard of the leader, in nanoseconds since counts.began
	conservation watchman     // of I1 and I2

	sweepLock      sync.Mutex
	sweep          *inventory.Sweep
	checkpointLock sync.Mutex
	checkpointedAt atomic.Uint64 // record at which the last checkpoint began
	checkpoints    checkpointCounts
	lastCheckpoint atomic.Pointer[CheckpointReport]
	background     sync.WaitGroup
	stop           chan struct{}
	closed         atomic.Bool
}

// term is the time during which this engine leads: it takes calls and writes the journal.
type term struct {
	writer   *journal.Writer // nil without a journal
	outcomes *outcomes       // what the writer feeds on; nil likewise
}

// Open recovers the sale from its journal and starts it; a standby is returned at once and follows in the background. ctx
// bounds the recovery only.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	e := &Engine{sale: o.Sale, o: o, stop: make(chan struct{}), deposed: make(chan struct{})}
	e.calendar = newCalendar(o.Sale)
	e.rules = newRuleTexts(o.TTL)
	v, err := inventory.New(e.inventoryConfig())
	if err != nil {
		return nil, err
	}
	e.inventory = v
	e.sweep = v.NewSweep()
	e.conservation.census = v.NewCensus()
	e.counts = newCounts(o.Timed)
	e.ballots = newBallots(o.Sale, o.MaxAccounts)
	switch {
	case o.Durability == None:
		e.clock = o.Clock(time.Time{})
		e.term.Store(&term{})
		e.start()
	case o.Standby:
		e.clock = o.Clock(time.Time{})
		e.background.Add(1)
		go e.follow()
	default:
		if err := e.recover(ctx); err != nil {
			close(e.stop)
			e.background.Wait()
			return nil, errors.Join(err, o.Journal.Close())
		}
		e.start()
	}
	return e, nil
}

func (e *Engine) inventoryConfig() inventory.Config {
	s := e.sale
	c := inventory.Config{
		MaxReservations: e.o.MaxReservations, MaxAccounts: e.o.MaxAccounts, ExpectAccounts: e.o.ExpectAccounts,
		Journalled: e.o.Durability != None, Pause: pause,
		Wake: func() { e.term.Load().writer.Wake() },
	}
	c.MaxNotes = min(e.o.MaxAccounts*len(s.Draws)+1024, 1<<30-1) // every account may enter every draw
	for i := range s.Programmes {
		c.Caps = append(c.Caps, s.Programmes[i].AccountCap)
	}
	for i := range s.Sessions {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Programme: uint8(s.Sessions[i].Programme), Limit: s.Sessions[i].Limit})
	}
	for i := range s.Pools {
		p := &s.Pools[i]
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: uint32(p.Session), Units: uint32(p.Capacity - p.Withheld)})
	}
	return c
}

// pause waits before looking again at something another caller is about to decide. It yields first, since that caller
// may be waiting for a processor, and then sleeps, since its thread may have been taken off one; after some 100 ms it
// gives up.
func pause(attempt int) bool {
	const yields, sleeps = 256, 400
	switch {
	case attempt < yields:
		runtime.Gosched()
	case attempt < yields+sleeps:
		time.Sleep(200 * time.Microsecond)
	default:
		return false
	}
	return true
}

// start begins what goes on by itself while this engine leads.
func (e *Engine) start() {
	e.counts.countBase(e.inventory)
	if e.o.CheckEvery > 0 {
		e.background.Add(1)
		go e.checkLoop()
	}
	if e.o.SweepEvery > 0 {
		e.background.Add(2)
		go e.sweepLoop()
		go e.freezeLoop()
	}
	if e.o.Durability != None && e.o.CheckpointAfter > 0 {
		e.background.Add(1)
		go e.checkpointLoop()
	}
}

// Close ends the engine: outcomes that have been placed are made durable and their callers answered. No call may be made
// at the same time or after.
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
		ctx, cancel := context.WithTimeout(context.Background(), e.o.Patience)
		defer cancel()
		if err = t.writer.Close(ctx); err == nil && e.o.shared() != nil {
			err = e.o.shared().StepDown(ctx)
		}
	}
	return errors.Join(err, e.o.Journal.Close())
}

// Sale returns the sale definition.
func (e *Engine) Sale() *catalog.Sale { return e.sale }

// TTL returns how long a hold lasts unless the request asks for less.
func (e *Engine) TTL() time.Duration { return e.o.TTL }

// Now returns the instant on the sale clock.
func (e *Engine) Now() time.Time { return instant(e.nowMs()) }

func (e *Engine) nowMs() int64 { return e.clock().UnixMilli() + e.ahead.Load() }

// Ready tells whether reservations are accepted: this engine leads, the journal is replayed and answers. The error says
// why not.
func (e *Engine) Ready() error {
	if e.closed.Load() {
		return journal.ErrClosed
	}
	t := e.term.Load()
	if t == nil {
		return e.following()
	}
	return t.err()
}

// err returns why nothing becomes durable now.
func (t *term) err() error {
	if t.writer == nil {
		return nil
	}
	return t.writer.Err()
}

// admit refuses a call that the journal could not follow.
func (e *Engine) admit(r *Reservation) error {
	t := e.term.Load()
	switch {
	case t == nil:
		return r.refuse(e.notLeader())
	case t.writer == nil:
		return nil
	case t.writer.Err() != nil || e.backlog(t) > e.o.Backlog:
		return r.refuse(Refusal{Code: JournalUnavailable})
	}
	return nil
}

// backlog returns how many outcomes wait for the journal.
func (e *Engine) backlog(t *term) int {
	durable := t.writer.Durable() // first: what is placed never lies behind it
	return int(e.inventory.Placed() - durable)
}

// settle waits until the outcome may be told (I5).
func (e *Engine) settle(ctx context.Context, seq uint64, r *Reservation) error {
	t := e.term.Load()
	if t == nil || t.writer == nil || e.o.Durability == Async {
		return nil // what a standby has is durable
	}
	if t.writer.Durable() >= seq {
		return nil
	}
	r.waitedFrom = e.counts.instant()
	err := t.writer.Wait(ctx, seq)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return r.refuse(Refusal{Code: JournalUnavailable})
}

// refuse keeps the refusal in the caller's reservation, so that it costs no allocation.
func (r *Reservation) refuse(refusal Refusal) error {
	r.refusal = refusal
	return &r.refusal
}
