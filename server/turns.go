package server

import (
	"sync"
	"sync/atomic"
	"time"
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
	limit   int64
	longest time.Duration // longestWait, other than in tests
	pause   time.Duration // retryAfter, other than in tests
	free    atomic.Int64  // turns that nobody has
	opened  atomic.Int64  // turns that open has added
	waiting atomic.Int64  // requests in the queue

	refused [refusalReasons]atomic.Uint64

	mu      sync.Mutex
	queue   turnQueue
	expiry  *time.Timer // calls expire; made with the first waiter
	expires time.Time   // when expiry fires; zero while it is stopped
	waits   TurnWaits
}

const (
	// longestWait is how long a new hold or a list waits for its turn. Service takes less than 50 ms even with all turns
	// taken, so what is accepted is answered within 300 ms.
	longestWait = 200 * time.Millisecond
	// retryAfter is the time in Retry-After.
	retryAfter = time.Second
	// maxShare is which part of all turns one batch takes at most.
	maxShare = 8
	// bytesPerTurn is how many bytes of a batch count as one request: about as much work for the engine.
	bytesPerTurn = 1 << 10
)

// refusalReason is why a request or a connection was refused as overloaded.
type refusalReason int

const (
	refusedWaited      refusalReason = iota // it has waited longestWait for a turn
	refusedEarly                            // it came before the Retry-After of a refusal on its connection
	refusedKey                              // its key has too many requests in flight
	refusedConnections                      // too many connections
	refusedAddress                          // too many connections from its address
	refusalReasons
)

// refusalNames are the reasons in metrics.
var refusalNames = [refusalReasons]string{"waited", "early", "key", "connections", "address"}

// waitBounds are the upper bounds of the buckets of waiting times.
var waitBounds = [...]time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
	500 * time.Millisecond, time.Second}

// TurnWaits are the times that requests waited for their turn, of those that had to wait and were not refused.
type TurnWaits struct {
	Count   uint64
	Sum     time.Duration
	buckets [len(waitBounds)]uint64 // not cumulative
}

// Buckets returns how many waits were not longer than each bound, in seconds.
func (w *TurnWaits) Buckets() map[float64]uint64 {
	all := make(map[float64]uint64, len(waitBounds))
	sum := uint64(0)
	for i, bound := range waitBounds {
		sum += w.buckets[i]
		all[bound.Seconds()] = sum
	}
	return all
}

func (w *TurnWaits) add(d time.Duration) {
	w.Count++
	w.Sum += d
	for i, bound := range waitBounds {
		if d <= bound {
			w.buckets[i]++
			return
		}
	}
}

func newTurns(limit int) *turns {
	t := &turns{limit: int64(limit), longest: longestWait, pause: retryAfter}
	t.free.Store(t.limit)
	return t
}

// taken returns how many turns are taken.
func (t *turns) taken() int { return int(t.limit + t.opened.Load() - t.free.Load()) }

// weightOf returns how many turns a request takes: 1, and for a batch more.
func (t *turns) weightOf(body int) int64 {
	return min(int64(1+body/bytesPerTurn), max(1, t.limit/maxShare))
}

// take waits until w has its turns, and reports whether it has; then the caller calls leave with w.weight afterwards.
// Otherwise the request is refused, for the reason in w. The caller sets the fields of w that turnQueue describes.
func (t *turns) take(w *waiter) bool {
	if t.waiting.Load() == 0 && t.tryTake(w.weight) {
		return true
	}
	w.arrived = time.Now()
	switch {
	case w.urgency == finishing:
		w.deadline = time.Time{}
	case w.arrived.Before(w.notBefore):
		w.urgency, w.deadline, w.reason = tooEarly, w.notBefore, refusedEarly
	default:
		w.deadline, w.reason = w.arrived.Add(t.longest), refusedWaited
	}
	t.mu.Lock()
	t.queue.push(w)
	t.waiting.Add(1)
	t.dispatch()
	t.mu.Unlock()
	return <-w.served
}

// tryTake takes n turns if they are free.
func (t *turns) tryTake(n int64) bool {
	for free := t.free.Load(); free >= n; free = t.free.Load() {
		if t.free.CompareAndSwap(free, free-n) {
			return true
		}
	}
	return false
}

// leave ends n turns.
func (t *turns) leave(n int64) {
	t.free.Add(n)
	if t.waiting.Load() > 0 {
		t.mu.Lock()
		t.dispatch()
		t.mu.Unlock()
	}
}

// open ends all waiting: every request has its turn from now on. A shutdown that times out needs it.
func (t *turns) open() {
	const plenty = 1 << 32
	t.opened.Add(plenty)
	t.leave(plenty)
}

// dispatch gives free turns to those who are next. It is called with mu locked.
func (t *turns) dispatch() {
	for w := t.queue.next(); w != nil && t.tryTake(w.weight); w = t.queue.next() {
		t.queue.pick(w)
		t.waiting.Add(-1)
		t.waits.add(time.Since(w.arrived))
		w.served <- true
	}
	t.armExpiry()
}

// armExpiry makes the timer fire at the earliest deadline. While it would fire earlier, it is left alone: that is
// cheaper than stopping it with each turn. It is called with mu locked.
func (t *turns) armExpiry() {
	first := t.queue.firstDeadline()
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
	for w := t.queue.firstDeadline(); w != nil && !w.deadline.After(now); w = t.queue.firstDeadline() {
		t.queue.remove(w)
		t.waiting.Add(-1)
		t.refused[w.reason].Add(1)
		w.served <- false
	}
	t.dispatch() // one that was refused may have kept a smaller one behind it from its turn
}
