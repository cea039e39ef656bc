package server

import (
	"math/rand/v2"
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
// Half of the turns at most are for requests that begin something: new holds, batches with new holds, lists. So who
// finishes rarely waits for a turn, and its request is not touched twice with thousands of others in between, which
// would cost the processors a sixth more. The others wait in a queue, see turnQueue for the order. New holds and lists
// that have waited longestWait are refused. Their buyers are about to give up, and the time that is not spent on them
// keeps the others' wait short. Confirms, releases, changes of a reservation and reads of what one has are never
// refused, since they complete what was begun.
//
// Without a queue a turn costs two compare-and-swaps, and as many additions when it ends. No turn is in transit for
// longer than claim takes, and who does not get it there dispatches afterwards. A waiter is counted in waiting before
// it looks for a turn; leave adds to fresh and free before it looks for waiters. These atomic operations have a total
// order, so at least one of the two sees the other, and no waiter is left beside a turn that it may have.
type turns struct {
	limit     atomic.Int64  // set under mu
	longest   time.Duration // longestWait, other than in tests
	hold      time.Duration // holdRefused, other than in tests
	free      atomic.Int64  // turns that nobody has
	fresh     atomic.Int64  // turns that requests which begin something may still have: mayBegin without those they have
	opened    atomic.Int64  // turns that open has added
	waiting   atomic.Int64  // requests in the queue
	finishers atomic.Int64  // those of them that finish
	ending    chan struct{} // closed when refusals are no longer held back

	refused [refusalReasons]atomic.Uint64

	mu      sync.Mutex
	queue   turnQueue
	held    waiters // requests whose refusal is held back
	pace    pace
	paced   atomic.Bool       // adapt will be called
	pacer   *time.Timer       // calls adapt; who has set paced starts it
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
	// paceEvery is how often the number of turns is adapted.
	paceEvery = 2 * time.Millisecond
	// holdRefused is for how long on average the refusal of a request that has waited for longestWait is held back. A
	// client that ignores Retry-After, and a gateway that gives its next buyer the same connection, sends the next
	// request when it has the response. At once, ten thousand of them would come back five times a second, and the
	// processors would be busy with refusals. Holding costs nothing. The time is random, between half of it and one and a
	// half, or those that came in one moment would come back in one moment. When nobody waits any more, refusals are sent
	// earlier, see letGo. Longer than this, clients would run into their timeouts.
	holdRefused = 3 * time.Second
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
	t := &turns{longest: longestWait, hold: holdRefused, ending: make(chan struct{}), pace: newPace(int64(most)),
		queue: newTurnQueue(), held: waiters{order: ofAll}}
	t.setLimit(min(int64(most), 4*t.pace.fewest))
	t.pacer = time.AfterFunc(time.Hour, t.adapt)
	t.pacer.Stop()
	return t
}

// mayBegin is how many of limit turns requests that begin something may have.
func mayBegin(limit int64) int64 { return (limit + 1) / 2 }

// setLimit sets the number of turns. If that is less than are taken, free or fresh is negative until enough have ended.
func (t *turns) setLimit(limit int64) {
	before := t.limit.Swap(limit)
	t.fresh.Add(mayBegin(limit) - mayBegin(before))
	t.free.Add(limit - before)
}

// taken returns how many turns are taken. Without mu it may be wrong while their number is set.
func (t *turns) taken() int { return int(t.limit.Load() + t.opened.Load() - t.free.Load()) }

// take waits until w has its turn, and reports whether it has; then the caller calls leave afterwards. Otherwise the
// request is refused; then the caller gives back what the request takes, and calls holdBack. The caller sets the fields
// of w that turnQueue describes.
func (t *turns) take(w *waiter) bool {
	w.waited = 0
	first := t.waiting.Load() == 0 || w.urgency == finishing && t.finishers.Load() == 0
	if first && t.claim(w.urgency) {
		if int64(t.taken()) > t.pace.fewest {
			t.keepPace()
		}
		return true
	}
	t.mu.Lock()
	w.arrived = time.Now()
	if w.deadline = (time.Time{}); w.urgency != finishing {
		w.deadline = w.arrived.Add(t.longest)
	}
	t.queue.push(w)
	t.count(w, 1)
	t.dispatch()
	t.mu.Unlock()
	t.keepPace()
	if <-w.served {
		return true
	}
	t.refused[refusedWaited].Add(1)
	return false
}

// count counts a request that begins or ends to wait.
func (t *turns) count(w *waiter, n int64) {
	if w.urgency == finishing {
		t.finishers.Add(n)
	}
	t.waiting.Add(n)
}

// holdBack waits before the refusal of a request.
func (t *turns) holdBack(w *waiter) {
	pause := t.hold/2 + rand.N(t.hold+1)
	if w.held == nil {
		w.held = time.NewTimer(pause)
	} else {
		w.held.Reset(pause)
	}
	t.mu.Lock()
	t.held.push(w)
	t.mu.Unlock()
	t.keepPace()
	select {
	case <-w.served:
		w.held.Stop()
		return
	case <-w.held.C:
	case <-t.ending:
		w.held.Stop()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-w.served: // letGo came before
	default:
		t.held.remove(w)
	}
}

// letGo sends some of the refusals that are held back. It is called with mu locked when few turns are taken and nobody
// waits: those clients may come again now. A few at a time do, so that they find a turn.
func (t *turns) letGo() {
	for range max(1, t.pace.fewest/4) {
		w := t.held.first
		if w == nil {
			return
		}
		t.held.remove(w)
		w.served <- false
	}
}

// end ends the holding back of refusals, for a shutdown. It must be called once at most.
func (t *turns) end() { close(t.ending) }

// claim takes a turn if one is free for the urgency. Otherwise the caller dispatches afterwards, since others may have
// missed what claim had for a moment.
func (t *turns) claim(u urgency) bool {
	if u == finishing {
		return takeOne(&t.free)
	}
	if !takeOne(&t.fresh) {
		return false
	}
	if takeOne(&t.free) {
		return true
	}
	t.fresh.Add(1)
	return false
}

// takeOne takes one of n, if there is one.
func takeOne(n *atomic.Int64) bool {
	for left := n.Load(); left > 0; left = n.Load() {
		if n.CompareAndSwap(left, left-1) {
			return true
		}
	}
	return false
}

// leave ends the turn of a request.
func (t *turns) leave(u urgency) {
	if u != finishing {
		t.fresh.Add(1)
	}
	t.give(1)
}

// give adds free turns.
func (t *turns) give(n int64) {
	t.free.Add(n)
	if t.waiting.Load() > 0 {
		t.mu.Lock()
		t.dispatch()
		t.mu.Unlock()
	}
}

// keepPace has the number of turns adapted from now on, until few turns are taken. It is called after what needs it is
// counted, and adapt clears paced before it looks at what is counted. So at least one of the two starts the timer.
func (t *turns) keepPace() {
	if !t.paced.Load() && t.paced.CompareAndSwap(false, true) {
		t.pacer.Reset(paceEvery)
	}
}

// adapt adapts the number of turns.
func (t *turns) adapt() {
	runnable := t.pace.runnable() // it may wait for another reader of metrics
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setLimit(t.pace.next(t.limit.Load(), runnable, t.waiting.Load() > 0, t.queue.beside))
	t.dispatch()
	if t.waiting.Load() == 0 && int64(t.taken()) < t.pace.fewest {
		t.letGo()
	}
	t.paced.Store(false)
	if int64(t.taken()) > t.pace.fewest || t.waiting.Load() > 0 || t.held.count > 0 {
		t.keepPace()
	}
}

// open ends all waiting: every request has its turn from now on. A shutdown that times out needs it.
func (t *turns) open() {
	const plenty = 1 << 32
	t.opened.Add(plenty)
	t.fresh.Add(plenty)
	t.give(plenty)
}

// dispatch gives free turns to those who are next. It is called with mu locked.
func (t *turns) dispatch() {
	now := time.Time{}
	for t.free.Load() > 0 {
		all := t.fresh.Load() > 0
		w := t.queue.next(all)
		if w == nil {
			break
		}
		if !t.claim(w.urgency) {
			continue // another request has taken the turn, or the last that it may have
		}
		if now.IsZero() {
			now = time.Now()
		}
		t.queue.pick(w, all)
		t.count(w, -1)
		w.waited = now.Sub(w.arrived)
		t.waits.Observe(w.waited)
		w.served <- true
	}
	t.armExpiry()
}

// armExpiry makes the timer fire at the earliest deadline. While it would fire earlier, it is left alone: that is
// cheaper than stopping it with each turn. It is called with mu locked.
func (t *turns) armExpiry() {
	first := t.queue.aging.first
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
	for w := t.queue.aging.first; w != nil && !w.deadline.After(now); w = t.queue.aging.first {
		t.queue.remove(w)
		t.count(w, -1)
		w.waited = now.Sub(w.arrived)
		w.served <- false
	}
	t.armExpiry()
}
