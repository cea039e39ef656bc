package journal

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/internal/meter"
)

// ErrStalled says that the journal has not answered for the writer's patience. The outcome waited for is not lost: it
// becomes durable when the journal answers again, unless the process ends before.
var ErrStalled = errors.New("the journal does not answer")

// beatEvery is how long nothing is appended to a Shared journal until the leader beats: a sixth of the silence after which
// a standby takes over by default, so that a few beats may be late or lost.
const beatEvery = 500 * time.Millisecond

// Feed is where a Writer's records come from. Both functions are called by the writer's goroutine alone.
type Feed struct {
	// Fill appends all records that are there, in their order, to run and returns it with their number.
	Fill func(run []byte) (_ []byte, count int)
	// Durable is told that what the last Fill gave is durable, before anybody who waits for it wakes.
	Durable func(g Group)
}

// Writer is the group commit: one goroutine that drains all that is there into a group, makes it durable and wakes those
// who wait for it together. The next group fills while the last one syncs, so the harder the load, the larger the groups.
//
// Waiting costs a caller one channel receive, on a channel shared by its whole group: two groups are open to waiters at
// any moment, the one in flight and the one that fills. A record that was placed before a waiter looks is in one of these
// two, and which one its sequence tells. A channel for each caller was rejected for its allocation, a condition variable
// because each group would wake the waiters of the next one too.
//
// Half of a group's callers wait on one channel, half on another. When the group is durable the first half is woken and has
// its turn on the processors; only then the second half is woken, and the next group written, with what the first half has
// placed, while the second half runs. So the processors work while the disk does. Without the turn a group took whatever
// few records were there, and its cost was shared by few; with a turn for all together, all soon waited for one group, and
// the processors with them. Of 1,024 callers, a group has two thirds of the records in the long run. Where a turn takes
// long, because others than callers want the processors, there is none: a server in overload has more pressing work.
type Writer struct {
	backend  Backend
	feed     Feed
	patience time.Duration

	began time.Time
	late  atomic.Int64 // when the group in flight is late, in ns since began

	durable atomic.Uint64 // sequence of the last durable record; the writer's goroutine writes it
	turn    atomic.Pointer[turn]
	stalled atomic.Bool
	failure atomic.Pointer[error] // set once: nothing becomes durable any more

	gates   sync.Mutex    // orders the changes of turn; waiters do not take it
	yielded time.Duration // about how long yielding to the callers took of late; the writer's goroutine alone
	wake    chan struct{}
	closing chan struct{}
	failed  chan struct{}
	done    chan struct{}
	cancel  context.CancelFunc

	records atomic.Uint64
	bytes   atomic.Uint64
	syncs   meter.Histogram // of each group, from handing it to the backend to its answer
}

// turn says which channel to wait on. It is replaced, never changed.
type turn struct {
	upTo     uint64 // last record of the group in flight
	inFlight gates  // closed when that group is decided
	filling  gates  // closed when the group after it is decided
}

// gates are what the callers of a group wait on, each on one of two by its sequence.
type gates [2]chan struct{}

func newGates() gates { return gates{make(chan struct{}), make(chan struct{})} }

// of returns the gate that the caller waits on whose outcome has the sequence.
func (g gates) of(seq uint64) chan struct{} { return g[seq%2] }

func (g gates) open() {
	openOnce(g[0])
	openOnce(g[1])
}

// openOnce is called under Writer.gates.
func openOnce(gate chan struct{}) {
	select {
	case <-gate:
	default:
		close(gate)
	}
}

// NewWriter starts the writer of a recovered backend. last is the journal's last record. Callers waiting longer than
// patience for a group are sent away with ErrStalled.
func NewWriter(b Backend, feed Feed, last uint64, patience time.Duration) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{backend: b, feed: feed, patience: patience, cancel: cancel, began: time.Now(),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), failed: make(chan struct{}), done: make(chan struct{})}
	w.durable.Store(last)
	w.turn.Store(&turn{upTo: last, inFlight: newGates(), filling: newGates()})
	go w.run(ctx, last)
	return w
}

// Wake tells the writer that there are records. It never blocks.
func (w *Writer) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Durable returns the sequence of the last durable record.
func (w *Writer) Durable() uint64 { return w.durable.Load() }

// Failed is closed when the journal has failed for good.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// Err returns why nothing becomes durable now: ErrStalled while the journal does not answer, another error for good once
// it has failed, nil otherwise.
func (w *Writer) Err() error {
	if err := w.failure.Load(); err != nil {
		return *err
	}
	if w.stalled.Load() {
		return ErrStalled
	}
	return nil
}

// Wait returns nil once the record with the sequence, already placed, is durable; ErrStalled after the writer's patience,
// the journal's error once it has failed, or the context's. The outcome itself is not undone by any of them.
func (w *Writer) Wait(ctx context.Context, seq uint64) error {
	for w.durable.Load() < seq {
		t := w.turn.Load()
		gate := t.filling.of(seq)
		if seq <= t.upTo {
			gate = t.inFlight.of(seq)
		}
		if w.durable.Load() >= seq {
			return nil
		}
		if err := w.Err(); err != nil {
			return err
		}
		if ctx.Done() == nil {
			<-gate
			continue
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *Writer) run(ctx context.Context, last uint64) {
	defer close(w.done)
	watchdog := time.AfterFunc(time.Hour, w.stall)
	watchdog.Stop()
	followed, shared := w.backend.(Shared)
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	var run []byte
	closing := false
	for {
		var count int
		run, count = w.feed.Fill(run[:0])
		if count == 0 {
			if closing {
				return
			}
			if shared {
				idle.Reset(beatEvery)
			}
			select {
			case <-w.wake:
			case <-w.closing:
				closing = true
			case <-idle.C:
				if err := followed.Beat(ctx); err != nil {
					w.fail(err)
					return
				}
			}
			continue
		}
		g := Group{First: last + 1, Count: count, Records: run}
		last = g.Last()
		w.begin(last)
		w.late.Store(int64(time.Since(w.began) + w.patience))
		watchdog.Reset(w.patience)
		err := w.append(ctx, g)
		watchdog.Stop()
		if err != nil {
			w.fail(err)
			return
		}
		w.feed.Durable(g)
		w.end(last)
	}
}

// append makes what one filling gave durable: one group, or several where it is too much for one.
func (w *Writer) append(ctx context.Context, g Group) error {
	for len(g.Records) > MaxGroup {
		head, rest, err := g.split(MaxGroup)
		if err != nil {
			return err
		}
		if err := w.sync(ctx, head); err != nil {
			return err
		}
		g = rest
	}
	return w.sync(ctx, g)
}

// sync makes one group durable.
func (w *Writer) sync(ctx context.Context, g Group) error {
	start := time.Now()
	if err := w.backend.Append(ctx, g); err != nil {
		return err
	}
	w.syncs.Observe(time.Since(start))
	w.records.Add(uint64(g.Count))
	w.bytes.Add(uint64(len(g.Records)))
	return nil
}

// begin makes the group that was filling the one in flight.
func (w *Writer) begin(upTo uint64) {
	w.gates.Lock()
	defer w.gates.Unlock()
	w.turn.Store(&turn{upTo: upTo, inFlight: w.turn.Load().filling, filling: newGates()})
}

// end wakes those who waited for the group in flight, in two halves. Their first look, at durable, lets them go.
func (w *Writer) end(last uint64) {
	w.gates.Lock()
	g := w.turn.Load().inFlight
	w.durable.Store(last)
	w.stalled.Store(false)
	openOnce(g[0])
	w.gates.Unlock()
	w.yield()
	w.gates.Lock()
	openOnce(g[1])
	w.gates.Unlock()
}

// yield returns when all that could run has had its turn; at once, where nothing could, or where that took long of late.
func (w *Writer) yield() {
	if w.yielded > longYield {
		w.yielded -= w.yielded / 16 // until it is tried again
		return
	}
	began := time.Now()
	runtime.Gosched()
	w.yielded += (time.Since(began) - w.yielded) / 4
}

// longYield is how long yielding to the callers may take: half of a thousand callers need half a millisecond to a whole one.
const longYield = 4 * time.Millisecond

// stall sends all waiters away; the group goes on. A watchdog that barked for the group before, as that came in, is not heard.
func (w *Writer) stall() {
	w.gates.Lock()
	defer w.gates.Unlock()
	if int64(time.Since(w.began)) < w.late.Load() {
		return
	}
	if t := w.turn.Load(); w.durable.Load() < t.upTo && w.failure.Load() == nil {
		w.stalled.Store(true)
		t.inFlight.open()
		t.filling.open()
		w.turn.Store(&turn{upTo: t.upTo, inFlight: t.inFlight, filling: newGates()})
	}
}

// fail ends the journal for good.
func (w *Writer) fail(err error) {
	w.gates.Lock()
	defer w.gates.Unlock()
	w.failure.Store(&err)
	close(w.failed)
	t := w.turn.Load()
	t.inFlight.open()
	t.filling.open()
}

// Close makes durable what is still placed, waiting at most as long as ctx lives, and ends the writer. No record may be
// placed any more. The backend stays open.
func (w *Writer) Close(ctx context.Context) error {
	close(w.closing)
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	w.cancel()
	<-w.done
	if err := w.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// WriterStats are counts since the start.
type WriterStats struct {
	Records uint64
	Bytes   uint64          // of records
	Syncs   meter.Durations // one for each group, from handing it to the backend to its answer
}

// Stats reads the counts.
func (w *Writer) Stats() WriterStats {
	s := WriterStats{Records: w.records.Load(), Bytes: w.bytes.Load()}
	w.syncs.AddTo(&s.Syncs)
	return s
}
