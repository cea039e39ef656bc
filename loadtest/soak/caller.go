package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// flags say what has happened to a hold.
type flags uint8

const (
	replacement flags = 1 << iota // it took the place of the hold of that number
	changed                       // it is in its second life
	reduced
)

// hold is a reservation as its caller knows it.
type hold struct {
	n       number // 0: none
	expires int64  // ms since 1970
	flags   flags
}

// caller makes holds and ends them when a life is over. It knows the answer to each of its calls.
type caller struct {
	p      *plan
	index  int
	clock  *clock
	seller seller
	twin   seller    // for requests that race
	all    []*caller // itself included
	rolls  uint64
	waited time.Duration // for room
	sale   sale
	stop   *atomic.Bool
	err    error

	ring  []hold
	at    int
	n     uint64        // of the last hold, by this caller
	turn  uint64        // of the ring
	turns atomic.Uint64 // turn, for the others
	holds uint64        // made
	kept  []hold

	demand demand
	facts  facts
	lines  []inventory.Line
	counts counts
}

// counts are what happened.
type counts struct {
	refused [answers]uint64
	ended   [events]uint64
}

// event is what happens to a hold.
type event uint8

const (
	expired event = iota
	released
	returned
	sold
	extendedOnce
	reducedOnce
	replacedOnce
	taken
	reusedID
	raced
	events
)

func (e event) String() string {
	return [...]string{"expired", "released", "sold and returned", "sold for good", "extended", "reduced", "replaced",
		"confirmed after the expiry", "made under a forgotten id", "requested twice at a time"}[e]
}

const (
	slackShare = 16 // a caller is at most such a part of a life ahead of another one
	wait       = 50 * time.Microsecond
	tick       = 16      // turns
	glance     = 64      // turns
	ahead      = 8       // turns from a prefetch to the calls
	room       = 4096    // turns
	mostRows   = 2.6     // for each hold that is alive
	spareRows  = 1 << 14 // besides: a pass takes rows where many have ended
	patience   = 30 * time.Second
	reuses     = 5 // of 64 holds, the one that is made under an id of long ago
	forgotten  = 7 // of 64 holds, the one whose id that is
	races      = 9 // of 4,096 holds, the one that is requested twice at a time
)

// faultf notes the first thing that is wrong, and stops all callers.
func (c *caller) faultf(format string, facts ...any) {
	c.stop.Store(true)
	if c.err == nil {
		c.err = fmt.Errorf(format, facts...)
	}
}

// want notes a fault unless the call was answered so.
func (c *caller) want(call string, n number, got answer, one ...answer) bool {
	for _, a := range one {
		if got == a {
			return true
		}
	}
	c.faultf("%s of hold %d: the answer is %v, not %v", call, n, got, one)
	return false
}

// make takes so many turns: in each, a hold of long ago ends, and another one takes its place.
func (c *caller) make(turns uint64) {
	last := c.turn + turns
	for c.turn < last && c.err == nil && !c.stop.Load() {
		h := &c.ring[c.at]
		if h.n == 0 || c.end(h) {
			*h = hold{}
			for h.n == 0 && c.err == nil {
				c.hold(h)
			}
		}
		if c.at++; c.at == len(c.ring) {
			c.at = 0
		}
		if next := &c.ring[min(c.at+ahead, len(c.ring)-1)]; next.n != 0 {
			c.seller.prefetch(c.p.id(next.n, next.flags&replacement != 0))
		}
		if c.turn++; c.turn%tick == 0 {
			c.tick()
		}
	}
	c.turns.Store(c.turn)
}

// tick sets the clock forward, waits for callers that lag far, and looks at a hold.
func (c *caller) tick() {
	c.turns.Store(c.turn)
	slack := uint64(len(c.ring) / slackShare)
	for {
		least := c.turn
		for _, other := range c.all {
			least = min(least, other.turns.Load())
		}
		c.clock.raise(int64(least) * life / int64(len(c.ring)))
		if c.turn <= least+slack || c.stop.Load() {
			break
		}
		time.Sleep(wait) // the processor is for those that lag
	}
	if c.turn%glance == 0 {
		c.look(c.roll())
	}
	if c.turn%room == 0 {
		c.awaitRoom()
	}
}

// awaitRoom waits while the rows in use are many more than those that are alive or remembered. The sale clock runs a
// hundred times as fast as a real one, and callers must not outrun the work in the background.
func (c *caller) awaitRoom() {
	began := time.Now()
	for rows := 0; !c.stop.Load(); time.Sleep(wait) {
		if rows = c.sale.usage().rows; rows <= int(mostRows*float64(c.p.alive))+spareRows {
			break
		}
		if time.Since(began) > c.p.patience {
			c.faultf("%d rows are in use for %d holds that are alive, and none comes back in %v", rows, c.p.alive, c.p.patience)
			break
		}
	}
	c.waited += time.Since(began)
}

// roll returns a random number.
func (c *caller) roll() uint64 {
	c.rolls++
	return mix(c.p.seed ^ c.rolls<<numberBits ^ uint64(c.index))
}

// ask fills in the request for a hold.
func (c *caller) ask(what *choice) *demand {
	account := c.p.account(what)
	if account == c.demand.account { // several holds of one account follow each other
		account = c.demand.account
	}
	c.lines = c.p.lines(c.lines[:0], what, 0)
	c.demand = demand{id: c.p.id(what.n, false), account: account, pack: what.isPack(), ttl: what.ttl(), lines: c.lines}
	return &c.demand
}

// hold tries to make the next hold.
func (c *caller) hold(h *hold) {
	c.n++
	if c.n%64 == reuses {
		if old := c.n + forgotten - reuses; old > uint64(reuseAfter*len(c.ring))/64*64 {
			c.reuse(h, numberOf(c.index, old-uint64(reuseAfter*len(c.ring))/64*64))
			return
		}
	}
	what := c.p.choose(numberOf(c.index, c.n))
	o := c.ask(&what)
	if c.n%4096 == races && what.kind == usual {
		c.race(h, o, what.n)
		return
	}
	a, expires := c.seller.reserve(o)
	switch what.kind {
	case usual:
		c.want("reserve", what.n, a, done)
	case hot:
		c.want("reserve for a hot account", what.n, a, done, overCap, overLimit)
	case scarce:
		c.want("reserve of a scarce session", what.n, a, done, soldOut)
	case greedy:
		c.want("reserve of more than the limit", what.n, a, overLimit)
	case hoard:
		c.want("reserve of more than the cap", what.n, a, overCap)
	}
	c.made(h, what.n, a, expires)
}

// made notes a hold, or a refusal.
func (c *caller) made(h *hold, n number, a answer, expires int64) {
	if a != done {
		c.counts.refused[a]++
		return
	}
	*h = hold{n: n, expires: expires}
	c.holds++
}

// reuse requests a hold again that has ended long ago. If it is forgotten, this is a new one.
func (c *caller) reuse(h *hold, n number) {
	what := c.p.choose(n)
	if what.kind != usual || what.fate == reduces || what.fate == replaces { // other content, or another id, may be known
		return
	}
	a, expires := c.seller.reserve(c.ask(&what))
	c.want("repeat of a hold that has ended", n, a, done, wasReleased, wasReturned, wasExpired)
	c.made(h, n, a, expires)
	if a == done {
		c.counts.ended[reusedID]++
	}
}

// race makes one request twice at a time: one of the two makes the hold, and the other one finds it.
func (c *caller) race(h *hold, o *demand, n number) {
	var second sync.WaitGroup
	var b answer
	second.Go(func() { b, _ = c.twin.reserve(o) })
	a, expires := c.seller.reserve(o)
	second.Wait()
	if a == b || a+b != done+repeated {
		c.faultf("hold %d, requested twice at a time: the answers are %q and %q", n, a, b)
	}
	c.counts.ended[raced]++
	c.made(h, n, done, expires)
}

// look reads a random hold, and requests it once more if nothing has changed it.
func (c *caller) look(roll uint64) {
	h := c.ring[roll%uint64(len(c.ring))]
	if h.n == 0 {
		return
	}
	c.verify(&h, inventory.Held)
	if h.flags != 0 {
		return
	}
	what := c.p.choose(h.n)
	before := c.clock.now()
	a, _ := c.seller.reserve(c.ask(&what))
	switch after := c.clock.now(); {
	case h.expires > after:
		c.want("repeat", h.n, a, repeated)
	case after < h.expires+remembered:
		c.want("repeat after the expiry", h.n, a, wasExpired, repeated)
		if a == repeated && h.expires <= before {
			c.faultf("hold %d is repeated as held after its time is over", h.n)
		}
	}
	c.counts.refused[a]++
}

// verify reads a reservation and compares it with the books, which have it held or confirmed.
func (c *caller) verify(h *hold, state inventory.State) {
	what := c.p.choose(h.n)
	before := c.clock.now()
	a := c.seller.read(c.p.id(h.n, h.flags&replacement != 0), &c.facts)
	after := c.clock.now()
	if state == inventory.Held && h.expires <= after {
		if h.expires+remembered <= after && a == notFound || h.expires > before && c.facts.state == state {
			return
		}
		state = inventory.Expired
	}
	f := &c.facts
	if !c.want("read", h.n, a, done) {
		return
	}
	reference := ""
	if state == inventory.Confirmed {
		reference = what.reference()
	}
	c.lines = c.p.lines(c.lines[:0], &what, h.flags)
	if f.state != state || f.account != c.p.account(&what) || f.expires != h.expires || f.reference != reference ||
		!sameLines(f.lines, c.lines) {
		c.faultf("hold %d is %v, account %q, lines %v, until %d, reference %q; it should be %v, account %q, lines %v, "+
			"until %d, reference %q", h.n, f.state, f.account, f.lines, f.expires, f.reference, state, c.p.account(&what),
			c.lines, h.expires, reference)
	}
}

// sameLines compares lines in any order.
func sameLines(a, b []inventory.Line) bool {
	if len(a) != len(b) {
		return false
	}
	for i, l := range a {
		if l != b[i] && !slices.Contains(b, l) {
			return false
		}
	}
	return true
}
