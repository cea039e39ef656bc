package server

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/server/internal/latency"
)

// turns bounds the requests that are served at a time (I10), and decides whose turn is next.
//
// A request takes a turn after it was read completely and its key and path were checked, so its urgency and its caller
// are known and no guess. It leaves when the engine has decided and the response is rendered. While it waits, nothing
// more is read from its connection. So a client that sends or reads slowly has no turn, and pipelined requests take a
// turn each. Without a turn there is neither use of the engine nor a wait for the journal: under overload few requests
// compete for the processors, and how long the others wait is known.
//
// A request that nothing but its own turn can help waits in a queue, see turnQueue for the order. New holds and lists
// that have waited longestWait are refused. Their buyers are about to give up, and the time that is not spent on them
// keeps the others' wait short. Confirms, releases and reads of what one has are never refused, since they complete
// what was begun.
//
// Without a queue a turn costs one compare-and-swap, and an addition when it ends. A free turn is always visible in
// free, never in transit: whoever may have made one available dispatches. A waiter is counted in waiting before it
// looks for a free turn; leave adds to free before it looks for waiters. The order of these atomic operations is total,
// so at least one of the two sees the other, and no waiter is left beside a free turn.
type turns struct {
	limit   atomic.Int64  // set under mu
	longest time.Duration // longestWait, other than in tests
	hold    time.Duration // holdRefused, other than in tests
	free    atomic.Int64  // turns that nobody has
	opened  atomic.Int64  // turns that open has added
	waiting atomic.Int64  // requests in the queue
	held    atomic.Int64  // requests whose refusal is held back
	ending  chan struct{} // closed when refusals are no longer held back

	refused [refusalReasons]atomic.Uint64

	mu      sync.Mutex
	queue   turnQueue
	pace    pace
	paced   atomic.Bool       // adapt will be called
	expiry  *time.Timer       // calls expire; made with the first waiter
	expires time.Time         // when expiry fires; zero while it is stopped
	waits   latency.Histogram // of those that had to wait and were served
}

const (
	// longestWait is how long a new hold or a list waits for its turn. Service takes less than 50 ms even with all turns
	// taken, so what is accepted is answered within 300 ms.
	longestWait = 200 * time.Millisecond
	// fewestPerCPU is how many turns there are at least for each processor. With fewer, the requests that wait for the
	// journal leave the processors idle. Where other programs use the processors, fewer turns would not make the delays
	// shorter, and only the sale slower.
	fewestPerCPU = 16
	// holdRefused is for how long on average the refusal of a request that has waited for longestWait is held back. A
	// client that ignores Retry-After, and a gateway that gives its next buyer the same connection, sends the next
	// request when it has the response. At once, ten thousand of them would come back five times a second, and the
	// processors would be busy with refusals. Holding costs nothing. The time is random, between half of it and one and a
	// half, or those that came in one moment would come back in one moment.
	holdRefused = 2 * time.Second
	// bytesPerRound is how many bytes of a batch count as one request: about as much work for the engine.
	bytesPerRound = 1 << 10
)

// refusalReason is why a request or a connection was refused as overloaded.
type refusalReason int

const (
	refusedWaited      refusalReason = iota // it has waited longestWait for a turn
	refusedKey                              // its key has too many requests in flight
	refusedConnections                      // too many connections
	refusedAddress                          // too many connections from its address
	refusalReasons
)

// refusalNames are the reasons in metrics.
var refusalNames = [refusalReasons]string{"waited", "key", "connections", "address"}

// newTurns makes turns, at most so many.
func newTurns(most int) *turns {
	t := &turns{longest: longestWait, hold: holdRefused, ending: make(chan struct{})}
	t.pace = pace{most: int64(most), fewest: min(int64(most), fewestPerCPU*int64(runtime.GOMAXPROCS(0))),
		delay: schedulerDelay()}
	t.limit.Store(min(int64(most), 2*t.pace.fewest))
	t.free.Store(t.limit.Load())
	return t
}

// taken returns how many turns are taken.
func (t *turns) taken() int { return int(t.limit.Load() + t.opened.Load() - t.free.Load()) }

// take waits until w has its turn, and reports whether it has; then the caller calls leave afterwards. Otherwise the
// request is refused; then the caller gives back what the request takes, and calls holdBack. The caller sets the fields
// of w that turnQueue describes.
func (t *turns) take(w *waiter) bool {
	if t.waiting.Load() == 0 && t.tryTake() {
		if int64(t.taken()) > t.pace.fewest {
			t.keepPace()
		}
		return true
	}
	t.keepPace()
	t.mu.Lock()
	w.arrived = time.Now()
	if w.deadline = (time.Time{}); w.urgency != finishing {
		w.deadline = w.arrived.Add(t.longest)
	}
	t.queue.push(w)
	t.waiting.Add(1)
	t.dispatch()
	t.mu.Unlock()
	if <-w.served {
		return true
	}
	t.refused[refusedWaited].Add(1)
	return false
}

// holdBack waits before the refusal of a request.
func (t *turns) holdBack(w *waiter) {
	t.held.Add(1)
	defer t.held.Add(-1)
	pause := t.hold/2 + rand.N(t.hold+1)
	if w.held == nil {
		w.held = time.NewTimer(pause)
	} else {
		w.held.Reset(pause)
	}
	select {
	case <-w.held.C:
	case <-t.ending:
		w.held.Stop()
	}
}

// end ends the holding back of refusals, for a shutdown. It must be called once at most.
func (t *turns) end() { close(t.ending) }

// tryTake takes a turn if one is free.
func (t *turns) tryTake() bool {
	for free := t.free.Load(); free > 0; free = t.free.Load() {
		if t.free.CompareAndSwap(free, free-1) {
			return true
		}
	}
	return false
}

// leave ends a turn.
func (t *turns) leave() { t.give(1) }

// give adds free turns.
func (t *turns) give(n int64) {
	t.free.Add(n)
	if t.waiting.Load() > 0 {
		t.mu.Lock()
		t.dispatch()
		t.mu.Unlock()
	}
}

// keepPace has the number of turns adapted from now on, until few turns are taken.
func (t *turns) keepPace() {
	if !t.paced.Load() && t.paced.CompareAndSwap(false, true) {
		time.AfterFunc(paceEvery, t.adapt)
	}
}

// adapt adapts the number of turns. If there are fewer now than are taken, free is negative until enough have ended.
func (t *turns) adapt() {
	t.mu.Lock()
	limit := t.limit.Load()
	next := t.pace.next(limit, t.waiting.Load() > 0)
	t.limit.Store(next)
	t.free.Add(next - limit)
	t.dispatch()
	t.mu.Unlock()
	t.paced.Store(false)
	if int64(t.taken()) > t.pace.fewest || t.waiting.Load() > 0 {
		t.keepPace()
	}
}

// open ends all waiting: every request has its turn from now on. A shutdown that times out needs it.
func (t *turns) open() {
	const plenty = 1 << 32
	t.opened.Add(plenty)
	t.give(plenty)
}

// dispatch gives free turns to those who are next. It is called with mu locked.
func (t *turns) dispatch() {
	for w := t.queue.next(); w != nil && t.tryTake(); w = t.queue.next() {
		t.queue.pick(w)
		t.waiting.Add(-1)
		t.waits.Observe(time.Since(w.arrived))
		w.served <- true
	}
	t.armExpiry()
}

// armExpiry makes the timer fire at the earliest deadline. While it would fire earlier, it is left alone: that is
// cheaper than stopping it with each turn. It is called with mu locked.
func (t *turns) armExpiry() {
	first := t.queue.oldest
	if first == nil || !t.expires.IsZero() && !first.deadline.Before(t.expires) {
		return
	}
	t.expires = first.deadline
	if t.expiry == nil {
		t.expiry = time.AfterFunc(time.Until(t.expires), t.expire)
		return
	}
	t.expiry.Reset(time.Until(t.expires))
}

// expire refuses those that have waited too long.
func (t *turns) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expires = time.Time{}
	now := time.Now()
	for w := t.queue.oldest; w != nil && !w.deadline.After(now); w = t.queue.oldest {
		t.queue.remove(w)
		t.waiting.Add(-1)
		w.served <- false
	}
	t.armExpiry()
}
