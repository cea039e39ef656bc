package server

import (
	"net/netip"
	"time"
)

// urgency orders requests. A smaller one is served first.
type urgency int

const (
	finishing urgency = iota // confirms, releases, and reads of what one has: they complete what was begun
	buying                   // new holds, batches with new holds, entries in draws
	browsing                 // lists, and other reads that are polled
	urgencies
)

// urgencyNames are the urgencies in metrics.
var urgencyNames = [urgencies]string{"finishing", "buying", "browsing"}

// Of the turns that are given while requests of all kinds wait, one in buyingShare is for buying and one in
// browsingShare for browsing, so that neither starves.
const (
	buyingShare   = 4
	browsingShare = 16
)

// A caller with more than crowd requests of one urgency in the queue has asked for more than it can be given in time,
// so most of what it gets is at the cost of others. It is picked crowdRounds rounds less often than others.
const (
	crowd       = 256
	crowdRounds = 3
)

// callerID is who waits: the key, or the address of callers without one. Turns are shared between callers, not between
// connections, so more connections do not make a larger share.
type callerID struct {
	key     int // Caller.Index
	address netip.Addr
}

// waiter is one request in the queue.
type waiter struct {
	served chan bool // of one: whether it has its turn, or is refused

	// Set by the caller of turns.take.
	caller  callerID
	urgency urgency
	rounds  int // its cost: how many requests of others are served in return

	arrived  time.Time   // when it began to wait; zero if it did not
	deadline time.Time   // when it gives up; zero for never
	held     *time.Timer // of turns.holdBack; nil until it is used

	line         *waitLine
	prev, next   *waiter // in its line
	older, newer *waiter // of those with a deadline
}

// turnQueue orders the requests that wait for a turn: by urgency, then round robin between the callers, then first come
// first served. It is bounded by the number of connections, since each waits with one request at most. turns guards it.
type turnQueue struct {
	lanes          [urgencies]lane
	picks          uint64
	oldest, newest *waiter   // of those with a deadline, in the order in which they came
	spare          *waitLine // unused lines, by their next
}

// lane has the requests of one urgency. Callers who wait are in a ring; those who do not have no memory.
type lane struct {
	at    *waitLine // whose request is next
	lines map[callerID]*waitLine
	count int
}

// waitLine has the requests of one caller and urgency.
type waitLine struct {
	caller      callerID
	first, last *waiter
	count       int
	owed        int // rounds that others are served before this one is again
	prev, next  *waitLine
}

// push adds a request. If it has a deadline, that is no earlier than those of the requests before it.
func (q *turnQueue) push(w *waiter) {
	l := &q.lanes[w.urgency]
	own := l.lines[w.caller]
	if own == nil {
		own = q.join(l, w.caller)
	}
	w.line, w.prev, w.next = own, own.last, nil
	if own.last == nil {
		own.first = w
	} else {
		own.last.next = w
	}
	own.last = w
	own.count++
	l.count++
	if w.deadline.IsZero() {
		return
	}
	if w.older = q.newest; w.older == nil {
		q.oldest = w
	} else {
		w.older.newer = w
	}
	q.newest = w
}

// join adds a line as the last of the ring.
func (q *turnQueue) join(l *lane, caller callerID) *waitLine {
	own := q.spare
	if own == nil {
		own = &waitLine{}
	} else {
		q.spare = own.next
	}
	*own = waitLine{caller: caller, prev: own, next: own}
	if l.lines == nil {
		l.lines = map[callerID]*waitLine{}
	}
	l.lines[caller] = own
	if l.at == nil {
		l.at = own
		return own
	}
	own.prev, own.next = l.at.prev, l.at
	own.prev.next, own.next.prev = own, own
	return own
}

// next returns whose turn is next, nil if nobody waits. It stays the same until something is pushed, picked or removed.
func (q *turnQueue) next() *waiter {
	l := q.lane()
	if l == nil {
		return nil
	}
	// Those who owe are passed over. Each step pays one round, so all steps together are no more than what was owed.
	for l.at.owed > 0 && l.at.next != l.at {
		l.at.owed--
		l.at = l.at.next
	}
	return l.at.first
}

// lane returns the lane whose turn is next, nil if all are empty.
func (q *turnQueue) lane() *lane {
	// It is not one of the turns for buying.
	if q.picks%browsingShare == browsingShare-2 && q.lanes[browsing].count > 0 {
		return &q.lanes[browsing]
	}
	if q.picks%buyingShare == buyingShare-1 && q.lanes[buying].count > 0 {
		return &q.lanes[buying]
	}
	for u := range q.lanes {
		if q.lanes[u].count > 0 {
			return &q.lanes[u]
		}
	}
	return nil
}

// pick removes the request that next returned, and moves on to the next caller.
func (q *turnQueue) pick(w *waiter) {
	q.picks++
	own := w.line
	own.owed = w.rounds - 1
	if own.count > crowd {
		own.owed += crowdRounds
	}
	q.lanes[w.urgency].at = own.next
	q.remove(w)
}

// remove removes a request.
func (q *turnQueue) remove(w *waiter) {
	own, l := w.line, &q.lanes[w.urgency]
	if w.prev == nil {
		own.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		own.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.line, w.prev, w.next = nil, nil, nil
	own.count--
	l.count--
	if own.count == 0 {
		q.leaveRing(l, own)
	}
	if !w.deadline.IsZero() {
		q.removeDeadline(w)
	}
}

func (q *turnQueue) removeDeadline(w *waiter) {
	if w.older == nil {
		q.oldest = w.newer
	} else {
		w.older.newer = w.newer
	}
	if w.newer == nil {
		q.newest = w.older
	} else {
		w.newer.older = w.older
	}
	w.older, w.newer = nil, nil
}

// leaveRing removes an empty line.
func (q *turnQueue) leaveRing(l *lane, own *waitLine) {
	delete(l.lines, own.caller)
	own.prev.next, own.next.prev = own.next, own.prev
	if l.at == own {
		l.at = own.next
	}
	if len(l.lines) == 0 {
		l.at = nil
	}
	own.next, q.spare = q.spare, own
}
