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

// ErrStalled is returned once the journal has not responded within the writer's timeout. The awaited outcome is not
// lost: it becomes durable once the journal responds again, unless the process ends before.
var ErrStalled = errors.New("the journal does not respond")

// beatEvery is after how long without an append a Beater beats. For a Shared journal's leader it is a sixth of the
// silence after which a standby takes over by default, so that a few beats may be late or lost.
const beatEvery = 500 * time.Millisecond

// longYield is the longest average time that yielding to the callers may take. Half of a thousand callers need half a
// millisecond to one millisecond.
const longYield = 4 * time.Millisecond

// Feed is the source of a Writer's records. The writer's goroutine alone calls both functions.
type Feed struct {
	// Fill appends all records that were placed, in their order, to run and returns run with the number of records.
	Fill func(run []byte) (_ []byte, count int)
	// Durable is called once all that the last Fill returned is durable, before any waiter wakes.
	Durable func(g Group)
}

// Writer is the group commit. One goroutine drains all placed records into a group, makes it durable and wakes the
// group's waiters together. The next group fills while the last one syncs, so groups grow with the load.
//
// Waiting costs a caller one channel receive, on a channel that the group shares. At any moment waiters wait for one of
// two groups: the one in flight and the one that fills. A record that was placed before its caller waits is in one of
// these two, and its sequence says in which. A channel for each caller was rejected for its allocation, a condition
// variable because each group would also wake the waiters of the next one.
//
// Half of a group's callers wait on one channel, half on another. When the group is durable, the first half is woken
// and runs. Only then is the second half woken, and the next group, with what the first half has placed, is written
// while the second half runs. So the processors work while the disk does. Two simpler ways were slower. When the next
// group was written at once, it held the few records that had been placed by then, and few callers shared its cost.
// When all callers ran first, all of them soon waited for the same group, and the processors idled. With 1,024 callers
// a group holds two thirds of their records in the long run. Where running the first half takes long, because other
// work wants the processors, the writer stops yielding: an overloaded server has more pressing work.
type Writer struct {
	backend   Backend
	monitored Monitored // the backend, if it is one; otherwise nil
	feed      Feed
	timeout   time.Duration

	began    time.Time
	deadline atomic.Int64 // of the group in flight, in ns since began

	durable atomic.Uint64 // sequence of the last durable record; stored by the writer's goroutine alone
	open    atomic.Pointer[openGroups]
	stalled atomic.Bool
	failure atomic.Pointer[error] // set once: nothing becomes durable any more

	mu        sync.Mutex    // guards changes of open and the closing of wake-up channels; waiters do not take it
	yieldTime time.Duration // recent average; used by the writer's goroutine alone
	wake      chan struct{}
	closing   chan struct{}
	failed    chan struct{}
	done      chan struct{}
	cancel    context.CancelFunc

	records atomic.Uint64
	bytes   atomic.Uint64
	syncs   meter.Histogram // of each group, from the call of Append to its return
}

// openGroups are the two groups that callers may wait for. It is replaced, never changed.
type openGroups struct {
	last     uint64  // last record of the group in flight
	inFlight wakeups // closed when that group is durable or has failed
	filling  wakeups // closed when the next group is
}

// wakeups are the channels that wake the waiters of a group when they are closed.
type wakeups [2]chan struct{}

func newWakeups() wakeups { return wakeups{make(chan struct{}), make(chan struct{})} }

// of returns the channel for the caller whose record has the sequence.
func (w wakeups) of(seq uint64) chan struct{} { return w[seq%2] }

// wakeAll closes both channels. The caller holds Writer.mu.
func (w wakeups) wakeAll() {
	closeOnce(w[0])
	closeOnce(w[1])
}

// closeOnce closes the channel unless it is closed. The caller holds Writer.mu.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// NewWriter starts the writer of a recovered backend. last is the sequence of the journal's last record. Callers that
// wait for a group longer than timeout get ErrStalled.
func NewWriter(b Backend, feed Feed, last uint64, timeout time.Duration) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{backend: b, feed: feed, timeout: timeout, cancel: cancel, began: time.Now(),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), failed: make(chan struct{}), done: make(chan struct{})}
	w.monitored, _ = b.(Monitored)
	w.durable.Store(last)
	w.open.Store(&openGroups{last: last, inFlight: newWakeups(), filling: newWakeups()})
	go w.run(ctx, last)
	return w
}

// Wake notifies the writer that records were placed. It never blocks.
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

// Err returns why nothing becomes durable now: the journal's error once it has failed for good, an ErrUnsafe while a
// Monitored backend withholds its acknowledgement, ErrStalled while it does not respond, nil otherwise.
func (w *Writer) Err() error {
	if w.monitored != nil && w.failure.Load() == nil {
		if err := w.monitored.Withheld(); err != nil {
			return err
		}
	}
	return w.waitErr()
}

// Failure returns why the journal has failed for good. It is nil while nothing becomes durable for another reason: the
// writer goes on then.
func (w *Writer) Failure() error {
	if err := w.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// waitErr returns why a caller must not wait any longer. While acknowledgements are withheld it does wait, since the
// group in flight may still become durable in time.
func (w *Writer) waitErr() error {
	if err := w.Failure(); err != nil {
		return err
	}
	if w.stalled.Load() {
		return ErrStalled
	}
	return nil
}

// Wait returns nil once the placed record with the sequence is durable. It returns ErrStalled after the writer's
// timeout, the journal's error once the journal has failed, or ctx's error. None of these errors undoes the outcome.
func (w *Writer) Wait(ctx context.Context, seq uint64) error {
	for w.durable.Load() < seq {
		open := w.open.Load()
		wakeup := open.filling.of(seq)
		if seq <= open.last {
			wakeup = open.inFlight.of(seq)
		}
		// The group may have completed, or the journal stalled or failed, before open was loaded. Then wakeup is a later
		// group's, so both are checked once more.
		if w.durable.Load() >= seq {
			return nil
		}
		if err := w.waitErr(); err != nil {
			return err
		}
		if ctx.Done() == nil {
			<-wakeup
			continue
		}
		select {
		case <-wakeup:
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
	beater, beats := w.backend.(Beater)
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
			if beats {
				idle.Reset(beatEvery)
			}
			select {
			case <-w.wake:
			case <-w.closing:
				closing = true // after one more Fill
			case <-idle.C:
				if err := beater.Beat(ctx); err != nil {
					w.fail(err)
					return
				}
			}
			continue
		}
		g := Group{First: last + 1, Count: count, Records: run}
		last = g.Last()
		w.begin(last)
		w.deadline.Store(int64(time.Since(w.began) + w.timeout))
		watchdog.Reset(w.timeout)
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

// append makes what one Fill returned durable: as one group, or as several where it is too large for one.
func (w *Writer) append(ctx context.Context, g Group) error {
	for len(g.Records) > maxGroup {
		head, rest, err := g.split(maxGroup)
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

// begin puts the filling group in flight. last is the group's last record.
func (w *Writer) begin(last uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open.Store(&openGroups{last: last, inFlight: w.open.Load().filling, filling: newWakeups()})
}

// end wakes the waiters of the group in flight, in two halves. They return, since durable covers their records.
func (w *Writer) end(last uint64) {
	w.mu.Lock()
	waiting := w.open.Load().inFlight
	w.durable.Store(last)
	w.stalled.Store(false)
	closeOnce(waiting[0])
	w.mu.Unlock()
	w.yield()
	w.mu.Lock()
	closeOnce(waiting[1])
	w.mu.Unlock()
}

// yield lets every goroutine that can run do so. It is a no-op while that has recently taken long.
func (w *Writer) yield() {
	if w.yieldTime > longYield {
		w.yieldTime -= w.yieldTime / 16 // until the next attempt
		return
	}
	began := time.Now()
	runtime.Gosched()
	w.yieldTime += (time.Since(began) - w.yieldTime) / 4
}

// stall returns ErrStalled to all waiters; the group stays in flight. A timer that fired for the previous group just as
// it completed is ignored.
func (w *Writer) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(time.Since(w.began)) < w.deadline.Load() {
		return
	}
	if open := w.open.Load(); w.durable.Load() < open.last && w.failure.Load() == nil {
		w.stalled.Store(true)
		open.inFlight.wakeAll()
		open.filling.wakeAll()
		w.open.Store(&openGroups{last: open.last, inFlight: open.inFlight, filling: newWakeups()})
	}
}

// fail ends the journal for good and wakes all waiters.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure.Store(&err)
	close(w.failed)
	open := w.open.Load()
	open.inFlight.wakeAll()
	open.filling.wakeAll()
}

// Close makes all placed records durable and ends the writer. When ctx is done first, it cancels the Append in flight
// and returns its error. No record may be placed any more. The backend stays open.
func (w *Writer) Close(ctx context.Context) error {
	close(w.closing)
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	w.cancel()
	<-w.done
	return w.waitErr() // a writer that has ended is not stalled
}

// WriterStats are counts since the writer's start.
type WriterStats struct {
	Records uint64          // durable ones
	Bytes   uint64          // of those records
	Syncs   meter.Durations // one for each group, from the call of Append to its return
}

// Stats returns the counts. It may be called at any time.
func (w *Writer) Stats() WriterStats {
	s := WriterStats{Records: w.records.Load(), Bytes: w.bytes.Load()}
	w.syncs.AddTo(&s.Syncs)
	return s
}
