package server

import (
	"math"
	"net/netip"
	"time"
)

// urgency orders requests. A smaller one is served first.
type urgency int

const (
	finishing urgency = iota // confirms, releases, changes, and reads of what one has: they complete what was begun
	buying                   // new holds, batches with new holds, entries in draws
	browsing                 // lists, and other reads that are polled
	urgencies
)

// urgencyNames are the urgencies in metrics.
var urgencyNames = [urgencies]string{"finishing", "buying", "browsing"}

// While requests of all kinds wait, one in buyingShare of the turns that any of them may have is for buying and one in
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

	arrived  time.Time     // when it began to wait
	waited   time.Duration // how long it waited until it was served or refused; 0 if it did not wait
	deadline time.Time     // when it gives up; zero for never
	held     *time.Timer   // of turns.holdBack; nil until it is used

	line  *waitLine
	links [orders]struct{ before, after *waiter } // in the lists that it is in
}

// order is one of the lists that a waiter may be in.
type order int

const (
	ofCaller order = iota // its line
	ofAll                 // those with a deadline, or whose refusal is held back
	orders
)

// waiters is a list, the first to come first. A waiter is in one list of each order.
type waiters struct {
	order       order
	first, last *waiter
	count       int
}

// push adds a waiter at the end.
func (l *waiters) push(w *waiter) {
	own := &w.links[l.order]
	if own.before = l.last; own.before == nil {
		l.first = w
	} else {
		own.before.links[l.order].after = w
	}
	l.last = w
	l.count++
}

// remove removes a waiter that is in the list.
func (l *waiters) remove(w *waiter) {
	own := &w.links[l.order]
	if own.before == nil {
		l.first = own.after
	} else {
		own.before.links[l.order].after = own.after
	}
	if own.after == nil {
		l.last = own.before
	} else {
		own.after.links[l.order].before = own.before
	}
	own.before, own.after = nil, nil
	l.count--
}

// turnQueue orders the requests that wait for a turn: by urgency, then round robin between the callers, then first come
// first served. It is bounded by the number of connections, since each waits with one request at most. turns guards it.
type turnQueue struct {
	lanes  [urgencies]lane
	picks  uint64    // of those for which all lanes could be next
	beside uint64    // picks of callers without a crowd while another had one, of the same urgency
	aging  waiters   // those with a deadline, in the order in which they came
	spare  *waitLine // unused lines, by their next
}

func newTurnQueue() turnQueue { return turnQueue{aging: waiters{order: ofAll}} }

// lane has the requests of one urgency. Callers who wait are in a ring, and so are those who still owe rounds.
type lane struct {
	at     *waitLine // whose request is next
	lines  map[callerID]*waitLine
	count  int
	crowds int // lines with a crowd
}

// waitLine has the requests of one caller and urgency.
type waitLine struct {
	waiters
	caller     callerID
	owed       int // rounds that others are served before this one is again
	prev, next *waitLine
}

// push adds a request. If it has a deadline, that is no earlier than those of the requests before it.
func (q *turnQueue) push(w *waiter) {
	l := &q.lanes[w.urgency]
	own := l.lines[w.caller]
	if own == nil {
		own = q.join(l, w.caller)
	}
	w.line = own
	own.push(w)
	if own.count == crowd+1 {
		l.crowds++
	}
	l.count++
	if !w.deadline.IsZero() {
		q.aging.push(w)
	}
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

// next returns whose turn is next, nil if nobody waits; all: of all who wait, or of those who finish only. It stays the
// same until something is pushed, picked or removed.
func (q *turnQueue) next(all bool) *waiter {
	l := q.lane(all)
	if l == nil {
		return nil
	}
	// Those who owe are passed over, and pay a round. If all who wait owe, the rounds without a request are paid at once:
	// thousands of callers may owe hundreds of rounds each. So each line is visited three times at most, and over all
	// calls a line is visited little more often than it owes rounds.
	if least := l.leastOwed(); least > 0 {
		for own := range l.ring {
			own.owed = max(0, own.owed-least)
		}
	}
	for {
		at := l.at
		switch {
		case at.count > 0 && at.owed == 0:
			return at.first
		case at.owed > 0:
			at.owed--
			l.at = at.next
		default:
			q.leaveRing(l, at)
		}
	}
}

// ring yields the lines from at on.
func (l *lane) ring(yield func(*waitLine) bool) {
	for own := l.at; yield(own) && own.next != l.at; own = own.next {
	}
}

// leastOwed returns the fewest rounds that one who waits owes. Some must wait.
func (l *lane) leastOwed() int {
	least := math.MaxInt
	for own := range l.ring {
		if own.count > 0 {
			least = min(least, own.owed)
		}
		if least == 0 {
			break
		}
	}
	return least
}

// lane returns the lane whose turn is next, nil if all are empty; all: of all lanes, or of those who finish only.
func (q *turnQueue) lane(all bool) *lane {
	last := urgencies
	switch {
	case !all:
		last = finishing + 1
	// It is not one of the turns for buying.
	case q.picks%browsingShare == browsingShare-2 && q.lanes[browsing].count > 0:
		return &q.lanes[browsing]
	case q.picks%buyingShare == buyingShare-1 && q.lanes[buying].count > 0:
		return &q.lanes[buying]
	}
	for u := range last {
		if q.lanes[u].count > 0 {
			return &q.lanes[u]
		}
	}
	return nil
}

// pick removes the request that next(all) returned, and moves on to the next caller.
func (q *turnQueue) pick(w *waiter, all bool) {
	if all { // in a steady rhythm, the turn for browsing would be one that only finishing may have, each time
		q.picks++
	}
	own, l := w.line, &q.lanes[w.urgency]
	own.owed = w.rounds - 1
	switch {
	case own.count > crowd:
		own.owed += crowdRounds
	case l.crowds > 0:
		q.beside++
	}
	l.at = own.next
	q.remove(w)
}

// remove removes a request. Its line stays in the ring while it owes and others wait: who comes again with one request
// at a time pays for it too.
func (q *turnQueue) remove(w *waiter) {
	own, l := w.line, &q.lanes[w.urgency]
	w.line = nil
	own.remove(w)
	if own.count == crowd {
		l.crowds--
	}
	l.count--
	switch {
	case l.count == 0:
		for l.at != nil {
			q.leaveRing(l, l.at)
		}
	case own.count == 0 && own.owed == 0:
		q.leaveRing(l, own)
	}
	if !w.deadline.IsZero() {
		q.aging.remove(w)
	}
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
