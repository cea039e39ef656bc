package rehearsal

import (
	"encoding/binary"
	"fmt"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Shares of a thousand holds, or of a thousand wishes where it says so.
const (
	abandoned    = 60
	paidLate     = 15
	givenBack    = 20
	sentTwice    = 20  // requests
	paidTwice    = 10  // confirmations
	byHeart      = 250 // of picks
	twice        = 90  // of buyers: buy once more
	greedy       = 30  // of buyers: buy on until their cap
	wrongShape   = 3   // of packs
	aboveLimit   = 5   // of lines: ask for one ticket more than the session allows
	phaseUnnamed = 250 // of buyers: leave the phase to the engine
	takeTheRest  = 700 // of those who find too few: take what is left
	withNote     = 125 // of confirmations: carry a reference
)

const (
	patience = 8  // refusals after which a buyer gives up a wish
	tries    = 12 // picks to find a session that is not chosen yet
	maxWish  = 10 // lines a wish may have here
)

// next is what a buyer does next.
type next uint8

const (
	reserve next = iota
	reserveAgain
	confirm
	confirmAgain
	release
	leave
)

// choice is a line of a wish.
type choice struct {
	pool     uint32
	quantity int
}

// buyer is somebody at the counter: one request at a time, the next one after the answer.
type buyer struct {
	visit   visit
	stage   *stage
	lane    *lane
	chance  dice
	name    string
	phase   string // as it is given in requests
	next    next
	wishes  int // purchases to make after this one
	refused int // of this wish
	attempt uint16
	id      engine.ID
	lines   []choice
	request []engine.Line
}

// enter makes the buyer out of a visit. Its slices are those of the buyer who had the place before.
func (b *buyer) enter(l *lane, s *stage, v visit) {
	*b = buyer{visit: v, stage: s, lane: l, lines: b.lines[:0], request: b.request[:0],
		chance: throw(l.r.o.Seed, 3000+uint64(s.index), uint64(v.number)), name: account(v.account), phase: s.phase.ID}
	if s.opened() && b.chance.perMille(phaseUnnamed) {
		b.phase = ""
	}
	switch x := b.chance.below(1000); {
	case x < greedy:
		b.wishes = 12
	case x < greedy+twice:
		b.wishes = 1
	}
	b.want()
}

// want makes a wish: which sessions, how many tickets.
func (b *buyer) want() {
	b.lines, b.refused = b.lines[:0], 0
	quantity := b.quantity()
	count := b.sessions()
	for range count {
		pool, ok := b.pick(b.chance.perMille(byHeart))
		if !ok {
			break
		}
		if b.stage.phase.Kind == catalog.Single && len(b.lines) > 0 {
			quantity = b.quantity()
		}
		b.choose(pool, quantity)
	}
	if len(b.lines) == 0 {
		pool, _ := b.pick(true) // nothing is left that is not wished by heart
		b.choose(pool, quantity)
	}
	b.ask()
}

// sessions is how many of them the buyer wants at once.
func (b *buyer) sessions() int {
	if b.stage.phase.Kind == catalog.Pack {
		if b.chance.perMille(wrongShape) {
			return b.stage.phase.PackSessions - 1
		}
		return b.stage.phase.PackSessions
	}
	switch x := b.chance.below(100); {
	case x < 75:
		return 1
	case x < 95:
		return 2
	}
	return 3
}

// quantity is how many tickets the buyer wants of a session.
func (b *buyer) quantity() int {
	switch x := b.chance.below(100); {
	case x < 15:
		return 1
	case x < 60:
		return 2
	case x < 72:
		return 3
	case x < 92:
		return 4
	case x < 95:
		return 5
	}
	return 6
}

// pick finds a pool of a session that the wish does not have yet.
func (b *buyer) pick(heart bool) (pool uint32, ok bool) {
	l := &b.stage.listing
	for range tries {
		if heart {
			pool = l.wish(&b.chance)
		} else if pool, ok = l.offer(&b.chance); !ok {
			return 0, false
		}
		if !b.has(pool) {
			return pool, true
		}
	}
	return pool, false
}

func (b *buyer) has(pool uint32) bool {
	for _, c := range b.lines {
		if b.lane.r.sale.Pools[c.pool].Session == b.lane.r.sale.Pools[pool].Session {
			return true
		}
	}
	return false
}

// choose adds a line, within the session's limit but for the few who do not know it.
func (b *buyer) choose(pool uint32, quantity int) {
	limit := b.lane.r.sale.Sessions[b.lane.r.sale.Pools[pool].Session].Limit
	quantity = min(quantity, limit)
	if b.chance.perMille(aboveLimit) {
		quantity = limit + 1
	}
	b.lines = append(b.lines, choice{pool: pool, quantity: quantity})
	b.lane.tally.asked[pool] += int64(quantity)
}

// ask makes the wish a new request.
func (b *buyer) ask() {
	b.attempt++
	b.id = b.newID()
	b.next = reserve
	b.request = b.request[:0]
	for _, c := range b.lines {
		p := &b.lane.r.sale.Pools[c.pool]
		b.request = append(b.request, engine.Line{Session: b.lane.r.sale.Sessions[p.Session].ID, Category: p.Category, Quantity: c.quantity})
	}
}

// newID names the request: different for every stage, visit and attempt, and a UUID of version 8.
func (b *buyer) newID() (id engine.ID) {
	binary.BigEndian.PutUint64(id[:], b.chance.next())
	id[6] = 0x80 | id[6]&0xf
	id[8] = 0x80 | uint8(b.stage.index)
	binary.BigEndian.PutUint32(id[9:], b.visit.number)
	binary.BigEndian.PutUint16(id[13:], b.attempt)
	return id
}

// say writes down what the buyer asks the engine.
func (b *buyer) say(op *engine.Op) {
	switch b.next {
	case reserve, reserveAgain:
		op.Kind = engine.OpReserve
		op.Request = engine.Request{ID: b.id, Account: b.name, Phase: b.phase, Lines: b.request}
	case confirm, confirmAgain:
		op.Kind, op.ID, op.Reference = engine.OpConfirm, b.id, ""
		if b.id[0] < 256*withNote/1000 {
			op.Reference = "rehearsal"
		}
	case release:
		op.Kind, op.ID = engine.OpRelease, b.id
	default:
		panic("BUG: a buyer who has left is asked")
	}
}

// hear takes the answer and decides what comes next. The error is for an answer that no rule of the sale explains.
func (b *buyer) hear(op *engine.Op) error {
	t := b.lane.tally
	if op.Kind == engine.OpReserve {
		t.requests++
	}
	if op.Err != nil {
		return b.hearRefusal(op)
	}
	if err := b.compare(&op.Result); err != nil {
		return err
	}
	switch b.next {
	case reserve:
		t.held++
		b.decide()
	case reserveAgain:
		t.repeated++
		b.next = confirm
	case confirm:
		b.bought()
	case confirmAgain:
		b.another()
	case release:
		t.released++
		b.another()
	}
	return nil
}

// decide what becomes of the hold.
func (b *buyer) decide() {
	t := b.lane.tally
	switch x := b.chance.below(1000); {
	case x < abandoned:
		t.expired++
		b.next = leave
	case x < abandoned+paidLate:
		t.expired++
		b.lane.late = append(b.lane.late, tardy{visit: b.visit, id: b.id})
		b.next = leave
	case x < abandoned+paidLate+givenBack:
		b.next = release
	case x < abandoned+paidLate+givenBack+sentTwice:
		b.next = reserveAgain
	default:
		b.next = confirm
	}
}

// bought notes what the buyer has paid for.
func (b *buyer) bought() {
	t := b.lane.tally
	t.confirmed++
	for _, c := range b.lines {
		t.sold[c.pool] += int64(c.quantity)
		t.tickets += c.quantity
	}
	if b.chance.perMille(paidTwice) {
		b.next = confirmAgain
		return
	}
	b.another()
}

// another makes the next wish, if there is one.
func (b *buyer) another() {
	if b.wishes == 0 {
		b.next = leave
		return
	}
	b.wishes--
	b.want()
}

// compare holds an answer against what was asked (I4, I9).
func (b *buyer) compare(r *engine.Reservation) error {
	state := [...]engine.State{reserve: engine.Held, reserveAgain: engine.Held, confirm: engine.Confirmed,
		confirmAgain: engine.Confirmed, release: engine.Released}[b.next]
	again := b.next == reserveAgain || b.next == confirmAgain
	tickets := 0
	for _, c := range b.lines {
		tickets += c.quantity
	}
	if r.ID != b.id || r.State != state || r.Repeated != again || r.Tickets != tickets || len(r.Lines) != len(b.lines) || r.Account != b.name {
		return fmt.Errorf("I9: %s asked for %d tickets as %s and was answered %d tickets of %s as %s, %s, repeated %t",
			b.name, tickets, b.id, r.Tickets, r.Account, r.ID, r.State, r.Repeated)
	}
	return nil
}
