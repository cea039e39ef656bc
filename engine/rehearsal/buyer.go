package rehearsal

import (
	"encoding/binary"
	"fmt"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Shares per mille.
const (
	abandoned    = 60  // of holds
	paidLate     = 15  // of holds
	givenBack    = 20  // of holds
	sentTwice    = 20  // of holds: their request is sent twice
	paidTwice    = 10  // of confirmations
	unlisted     = 250 // of picks: ignore the stock
	twice        = 90  // of buyers: buy once more
	greedy       = 30  // of buyers: buy until they reach their cap
	wrongShape   = 3   // of packs
	aboveLimit   = 5   // of lines: request one ticket more than the session allows
	phaseUnnamed = 250 // of buyers: name no phase
	takeTheRest  = 700 // of buyers who find too few tickets: take those
	withNote     = 125 // of confirmations: have a reference
)

const (
	maxRefusals = 8  // refusals after which a buyer abandons a wish
	tries       = 12 // picks to find a session that is not yet in the wish
)

// next is the next call of a buyer.
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

// buyer is a buyer during a visit, with one request at a time.
type buyer struct {
	visit   visit
	stage   *stage
	lane    *lane
	chance  dice
	name    string
	phase   string // as named in requests
	next    next
	wishes  int // to make after this one
	refused int // refusals of this wish
	attempt uint16
	id      engine.ID
	lines   []choice
	request []engine.Line
}

// enter makes b the buyer of a visit. It reuses the slices of the previous buyer.
func (b *buyer) enter(l *lane, s *stage, v visit) {
	*b = buyer{visit: v, stage: s, lane: l, lines: b.lines[:0], request: b.request[:0],
		chance: newDice(l.r.o.Seed, 3000+uint64(s.index), uint64(v.number)), name: account(v.account), phase: s.phase.ID}
	if b.outside(s.phase) {
		l.tally.Outsiders++
	}
	if s.opened() && b.chance.perMille(phaseUnnamed) {
		b.phase = ""
	}
	switch x := b.chance.below(1000); {
	case x < greedy:
		b.wishes = 12
	case x < greedy+twice:
		b.wishes = 1
	}
	b.wish()
}

// wish makes a wish: sessions and numbers of tickets.
func (b *buyer) wish() {
	b.lines, b.refused = b.lines[:0], 0
	quantity := b.quantity()
	count := b.sessions()
	for range count {
		pool, ok := b.pick(b.chance.perMille(unlisted))
		if !ok {
			break
		}
		if b.stage.phase.Kind == catalog.Single && len(b.lines) > 0 {
			quantity = b.quantity()
		}
		b.choose(pool, quantity)
	}
	if len(b.lines) == 0 {
		pool, _ := b.pick(true) // nothing is available
		b.choose(pool, quantity)
	}
	b.newRequest()
}

// sessions returns how many sessions the buyer wants at once.
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

// quantity returns how many tickets of a session the buyer wants.
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

// pick finds a pool of a session that is not yet in the wish: among all pools, or among the listed ones.
func (b *buyer) pick(all bool) (pool uint32, ok bool) {
	l := &b.stage.listing
	for range tries {
		if all {
			pool = l.any(&b.chance)
		} else if pool, ok = l.listed(&b.chance); !ok {
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

// choose adds a line to the wish, mostly within the session's limit.
func (b *buyer) choose(pool uint32, quantity int) {
	limit := b.lane.r.sale.Sessions[b.lane.r.sale.Pools[pool].Session].Limit
	quantity = min(quantity, limit)
	if b.chance.perMille(aboveLimit) {
		quantity = limit + 1
	}
	b.lines = append(b.lines, choice{pool: pool, quantity: quantity})
	b.lane.tally.wanted[pool] += int64(quantity)
}

// level makes all lines as long as the shortest: the packs of the phase have equally many tickets for each session.
func (b *buyer) level() {
	least := b.lines[0].quantity
	for _, l := range b.lines {
		least = min(least, l.quantity)
	}
	for i := range b.lines {
		b.lines[i].quantity = least
	}
}

// newRequest makes a request of the wish, with an id of its own.
func (b *buyer) newRequest() {
	if b.stage.phase.PackEqual {
		b.level()
	}
	b.attempt++
	b.id = b.newID()
	b.next = reserve
	b.request = b.request[:0]
	for _, c := range b.lines {
		p := &b.lane.r.sale.Pools[c.pool]
		session := &b.lane.r.sale.Sessions[p.Session]
		b.request = append(b.request, engine.Line{Session: session.ID, Category: p.Category, Quantity: c.quantity})
	}
}

// newID returns a UUID of version 8 that is different for every stage, visit and attempt.
func (b *buyer) newID() (id engine.ID) {
	binary.BigEndian.PutUint64(id[:], b.chance.next())
	id[6] = 0x80 | id[6]&0xf
	id[8] = 0x80 | uint8(b.stage.index)
	binary.BigEndian.PutUint32(id[9:], b.visit.number)
	binary.BigEndian.PutUint16(id[13:], b.attempt)
	return id
}

// fill fills in the next operation of the buyer.
func (b *buyer) fill(op *engine.Op) {
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
		panic("BUG: a buyer who has left has no operation")
	}
}

// receive takes the answer and decides on the next operation. The error is for an answer that no rule of the sale
// explains.
func (b *buyer) receive(op *engine.Op) error {
	t := b.lane.tally
	if op.Kind == engine.OpReserve {
		t.Requests++
	}
	if op.Err != nil {
		return b.receiveRefusal(op)
	}
	if err := b.compare(&op.Result); err != nil {
		return err
	}
	switch b.next {
	case reserve:
		t.Held++
		b.decide()
	case reserveAgain:
		t.Repeated++
		b.next = confirm
	case confirm:
		b.bought(&op.Result)
	case confirmAgain:
		b.another()
	case release:
		t.Released++
		b.another()
	}
	return nil
}

// decide decides what the buyer does with the hold.
func (b *buyer) decide() {
	t := b.lane.tally
	switch x := b.chance.below(1000); {
	case x < abandoned:
		t.Expired++
		b.next = leave
	case x < abandoned+paidLate:
		t.Expired++
		b.lane.late = append(b.lane.late, latePayment{visit: b.visit, id: b.id})
		b.next = leave
	case x < abandoned+paidLate+givenBack:
		b.next = release
	case x < abandoned+paidLate+givenBack+sentTwice:
		b.next = reserveAgain
	default:
		b.next = confirm
	}
}

// bought counts the tickets of a confirmed reservation.
func (b *buyer) bought(r *engine.Reservation) {
	t := b.lane.tally
	t.Confirmed++
	for _, c := range b.lines {
		t.sold[c.pool] += int64(c.quantity)
		t.Tickets += c.quantity
	}
	if phase, known := b.lane.r.sale.PhaseByID(r.Phase); known {
		b.lane.r.places.count(phase, b.lines)
	}
	if b.chance.perMille(paidTwice) {
		b.next = confirmAgain
		return
	}
	b.another()
}

// another makes the next wish, if there is another.
func (b *buyer) another() {
	if b.wishes == 0 {
		b.next = leave
		return
	}
	b.wishes--
	b.wish()
}

// compare compares an answer with the request (I4, I9), and its phase with what the buyer may do.
func (b *buyer) compare(r *engine.Reservation) error {
	state := [...]engine.State{reserve: engine.Held, reserveAgain: engine.Held, confirm: engine.Confirmed,
		confirmAgain: engine.Confirmed, release: engine.Released}[b.next]
	again := b.next == reserveAgain || b.next == confirmAgain
	tickets := 0
	for _, c := range b.lines {
		tickets += c.quantity
	}
	if r.ID != b.id || r.State != state || r.Repeated != again || r.Tickets != tickets || len(r.Lines) != len(b.lines) ||
		r.Account != b.name {
		return fmt.Errorf("I9: %s requested %d tickets as %s and got %d tickets of %s as %s, %s, repeated %t",
			b.name, tickets, b.id, r.Tickets, r.Account, r.ID, r.State, r.Repeated)
	}
	return b.checkAccess(r)
}
