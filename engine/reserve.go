package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Reserve holds tickets, all lines or none (I4), and fills r. If a reservation with the same id and the same content
// exists, nothing changes (I9): r.Repeated is set if it is held or confirmed. If it has ended, the call is refused
// with ReservationReleased, ReservationExpired or ReservationReturned, so that no caller takes money for a hold that is
// gone.
//
// With q.Replaces the hold of that id is released in the same step. Limits, caps and stock are judged as if it were
// already gone. If it is not a hold of the account, the call is refused with ReservationNotFound or the code of its
// state. After any refusal it is as it was.
//
// Errors are *Refusal, or ctx's. After a refusal nothing has changed, except where Refusal notes it. If ctx was done
// before the call, nothing is decided. If it ends while the call waits for the journal, the decision is not undone;
// retry with the same id to learn it. A refusal is part of r, and the next call that fills r overwrites it. If several
// rules are broken, the first in this order is reported: shape of the request, phase, access, what is on sale, pack
// shape, limits and caps, stock.
func (e *Engine) Reserve(ctx context.Context, q *Request, r *Reservation) error {
	began := e.counts.begin(r)
	seq, refusal := e.reserve(ctx, q, r)
	return e.counts.end(callReserve, began, r, e.answer(ctx, callReserve, seq, refusal, r))
}

// reserve decides without waiting for the journal. It returns the outcome that must be durable before the decision may
// be shown; 0 for none.
func (e *Engine) reserve(ctx context.Context, q *Request, r *Reservation) (seq uint64, err error) {
	if err := e.admit(ctx, r); err != nil {
		return 0, err
	}
	if err := e.checkShape(q, r); err != nil {
		return 0, err
	}
	e.inventory.PrefetchIndex((*inventory.ID)(&q.ID), q.Account)
	defer e.inventory.Begin(r.spread()).End()
	now := e.nowMs()
	for {
		lines, unknown := e.resolve(q.Lines, r) // each time, since a refusal is in r, and another one takes its place there
		// A known id decides alone: what became of the first request is the answer to its repeats, whatever the rules are
		// now.
		if row := e.findGiven(q.ID); row != 0 {
			if seq, decided, err := e.repeat(q, row, lines, unknown == nil, now, r); decided {
				return seq, err
			}
			if !e.waits.Again(&r.wait) {
				return 0, r.refuse(Refusal{Code: Overloaded})
			}
			continue
		}
		old, err := e.findReplaced(q, now, r)
		if err != nil {
			if e.findGiven(q.ID) != 0 {
				continue // the same request, sent twice, may have released it
			}
			return r.snapshot.Seq, err
		}
		phase, err := e.checkRules(q, lines, unknown, now, r)
		if err != nil {
			return 0, err
		}
		switch res := e.take(q, r, phase, now, old); res.Verdict {
		case inventory.Known: // another call has just used the id
		case inventory.Moved: // another call has just changed the reservation that this one replaces
			if !e.waits.Again(&r.wait) {
				return 0, r.refuse(Refusal{Code: Overloaded})
			}
		default:
			return res.Seq, e.verdict(&res, r)
		}
	}
}

// findReplaced returns the held reservation that the request replaces, as it was found; the zero value if it replaces
// none. The snapshot has its content after a refusal.
func (e *Engine) findReplaced(q *Request, now int64, r *Reservation) (old inventory.Decided, err error) {
	if q.Replaces == (ID{}) {
		return old, nil
	}
	r.snapshot.Seq = 0
	verdict := inventory.NotFound
	if row := e.inventory.Find(inventory.ID(q.Replaces)); row != 0 {
		old, verdict = e.inventory.Decide(row, now, &r.wait)
	}
	if verdict != inventory.Done {
		return old, e.refuseVerdict(verdict, r)
	}
	e.inventory.ReadAs(old, &r.snapshot)
	switch {
	case r.snapshot.Account != q.Account:
		return old, r.refuse(Refusal{Code: ReservationNotFound})
	case old.State != Held:
		_, err = e.refuseState(old, now, r)
	}
	return old, err
}

// findGiven returns the row of the reservation with an id that the client chose; 0 for none.
func (e *Engine) findGiven(id ID) uint32 {
	if id == (ID{}) {
		return 0
	}
	return e.inventory.Find(inventory.ID(id))
}

// checkShape refuses what no sale accepts.
func (e *Engine) checkShape(q *Request, r *Reservation) error {
	malformed := func(where string) error { return r.refuse(Refusal{Code: MalformedRequest, Where: where}) }
	if !ValidAccount(q.Account) {
		return malformed(accountRule)
	}
	if q.TTL < 0 || q.TTL > maxTTL || q.TTL%time.Second != 0 {
		return e.badTTL(r)
	}
	if q.Replaces != (ID{}) && q.Replaces == q.ID {
		return malformed("replaces: another reservation than the one of the request")
	}
	return e.checkLines(q.Lines, r)
}

// checkLines refuses lines that no sale accepts.
func (e *Engine) checkLines(lines []Line, r *Reservation) error {
	if len(lines) == 0 {
		return r.refuse(Refusal{Code: MalformedRequest, Where: "lines: at least one"})
	}
	if len(lines) > MaxLines {
		return r.refuse(Refusal{Code: TooManyLines, Limit: MaxLines, Requested: len(lines)})
	}
	for i := range lines {
		l := &lines[i]
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			return r.refuse(Refusal{Code: InvalidQuantity, Where: e.rules.quantity[i]})
		}
		for j := range lines[:i] {
			if lines[j].Session == l.Session && lines[j].Category == l.Category {
				return r.refuse(Refusal{Code: DuplicateLine, Session: l.Session, Category: l.Category})
			}
		}
	}
	return nil
}

func (e *Engine) badTTL(r *Reservation) error {
	return r.refuse(Refusal{Code: MalformedRequest, Where: e.rules.ttl})
}

// ruleTexts are the texts of refusals of a request's shape. They are made once, so that a refusal allocates nothing.
type ruleTexts struct {
	ttl      string
	quantity [MaxLines]string // by line
}

func newRuleTexts(ttl time.Duration) *ruleTexts {
	t := &ruleTexts{ttl: fmt.Sprintf("ttl_seconds: a whole number from 1 to %d", ttl/time.Second)}
	for i := range t.quantity {
		t.quantity[i] = fmt.Sprintf("lines[%d].quantity", i)
	}
	return t
}

const accountRule = "account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"

// ValidAccount reports whether the text is an account name: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -
func ValidAccount(account string) bool {
	if len(account) < 1 || len(account) > MaxAccount {
		return false
	}
	for i := range len(account) {
		switch c := account[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}

// resolvedLines are the lines of a request as pools of the sale, up to the first unknown one.
type resolvedLines struct {
	sale     *catalog.Sale
	lines    []inventory.Line
	sessions int // different ones
	listed   int // a session of the request that is listed without any category; -1 for none
}

// resolve looks up the lines and stores them in r.lines. unknown is the refusal of the first unknown line. It is kept
// in r and reported after those of the phase and access rules.
func (e *Engine) resolve(lines []Line, r *Reservation) (found resolvedLines, unknown error) {
	found = resolvedLines{sale: e.sale, lines: r.lines[:0], listed: -1}
	for i := range lines {
		l := &lines[i]
		session, ok := e.sale.SessionByID(l.Session)
		if !ok {
			return found, r.refuse(Refusal{Code: UnknownSession, Session: l.Session})
		}
		if e.sale.Sessions[session].PoolCount == 0 {
			found.listed = session
			return found, r.refuse(Refusal{Code: NotOnSale, Session: l.Session})
		}
		pool, ok := e.sale.PoolOf(session, l.Category)
		if !ok {
			return found, r.refuse(Refusal{Code: UnknownCategory, Session: l.Session, Category: l.Category,
				offer: offer{sale: e.sale}})
		}
		if !found.has(session) {
			found.sessions++
		}
		found.lines = append(found.lines, inventory.Line{Pool: uint32(pool), Quantity: uint32(l.Quantity)})
		r.lines = found.lines
	}
	return found, nil
}

func (l resolvedLines) has(session int) bool {
	for _, line := range l.lines {
		if l.sale.Pools[line.Pool].Session == session {
			return true
		}
	}
	return false
}

// soldIn reports whether the phase sells every session of the lines.
func (l resolvedLines) soldIn(p *catalog.Phase) bool {
	for _, line := range l.lines {
		if !p.Sells(l.sale.Pools[line.Pool].Session) {
			return false
		}
	}
	return l.listed < 0
}

// of reports whether every session of the lines belongs to the programme.
func (l resolvedLines) of(programme int) bool {
	for _, line := range l.lines {
		if l.sale.Sessions[l.sale.Pools[line.Pool].Session].Programme != programme {
			return false
		}
	}
	return l.listed < 0 || l.sale.Sessions[l.listed].Programme == programme
}

// checkRules checks the rules between the shape of the request and the caps, in the order that Reserve documents.
func (e *Engine) checkRules(q *Request, lines resolvedLines, unknown error, now int64, r *Reservation) (int, error) {
	if q.TTL > e.o.TTL {
		return 0, e.badTTL(r)
	}
	phase, err := e.choosePhase(q, lines, unknown, now, r)
	if err != nil {
		return 0, err
	}
	if err := e.checkAccess(q, lines, phase, now, r); err != nil {
		return 0, err
	}
	p := &e.sale.Phases[phase]
	for _, l := range lines.lines {
		if session := e.sale.Pools[l.Pool].Session; !p.Sells(session) {
			return 0, r.refuse(Refusal{Code: NotOnSale, Session: e.sale.Sessions[session].ID, Phase: p.ID,
				offer: e.offerOf(q, lines, now)})
		}
	}
	if unknown != nil {
		return 0, unknown
	}
	if p.Kind == catalog.Pack && lines.sessions != p.PackSessions {
		return 0, r.refuse(Refusal{Code: PackShape, Phase: p.ID, Limit: p.PackSessions, Requested: lines.sessions,
			offer: e.offerOf(q, lines, now)})
	}
	return phase, nil
}

// take reserves the stock, in place of the old reservation if there is one, and fills r if it succeeds.
func (e *Engine) take(q *Request, r *Reservation, phase int, now int64, old inventory.Decided) inventory.Result {
	id, ttl, flags := q.ID, q.TTL, uint8(0)
	if id == (ID{}) {
		id = newID(now)
	}
	if q.Phase != "" {
		flags |= record.FlagPhaseGiven
	}
	if ttl != 0 {
		flags |= record.FlagTTLGiven
	} else {
		ttl = e.o.TTL
	}
	if old.Row != 0 {
		flags |= inventory.FlagReplaces
	}
	request := inventory.Request{ID: inventory.ID(id), Account: q.Account, Lines: r.lines, Phase: uint16(phase),
		Flags: flags, Created: now, Expires: now + ttl.Milliseconds(), Wait: &r.wait}
	var res inventory.Result
	if old.Row == 0 {
		res = e.inventory.Reserve(&request)
	} else {
		res = e.inventory.Replace(&request, old)
	}
	if res.Verdict != inventory.Done {
		return res
	}
	r.ID, r.Account, r.Phase, r.State = id, q.Account, e.sale.Phases[phase].ID, Held
	r.Lines = append(r.Lines[:0], q.Lines...)
	r.Tickets = 0
	for i := range q.Lines {
		r.Tickets += q.Lines[i].Quantity
	}
	r.CreatedAt, r.ExpiresAt, r.ConfirmedAt = instant(now), instant(request.Expires), time.Time{}
	r.Reference, r.Repeated = "", false
	return res
}

// newID returns a UUIDv7 (RFC 9562) of the instant (ms). Ids of one moment sort together, which suits a database, and
// the random part cannot be guessed. Unlike package uuid, it takes no lock and allocates nothing.
func newID(now int64) (id ID) {
	rand.Read(id[6:]) // never returns an error; without randomness it ends the program
	for i := range 6 {
		id[i] = byte(now >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// verdict turns the inventory's result into the engine's.
func (e *Engine) verdict(res *inventory.Result, r *Reservation) error {
	switch res.Verdict {
	case inventory.Done:
		return nil
	case inventory.SoldOut:
		p := &e.sale.Pools[res.Pool]
		return r.refuse(Refusal{Code: SoldOut, Session: e.sale.Sessions[p.Session].ID, Category: p.Category,
			Requested: res.Requested, Available: res.Available})
	case inventory.SessionLimitExceeded:
		return r.refuse(Refusal{Code: SessionLimitExceeded, Session: e.sale.Sessions[res.Session].ID, Limit: res.Limit,
			Held: res.Held, Confirmed: res.Confirmed, Requested: res.Requested})
	case inventory.AccountCapExceeded:
		return r.refuse(Refusal{Code: AccountCapExceeded, Programme: e.sale.Programmes[res.Programme].ID, Limit: res.Limit,
			Held: res.Held, Confirmed: res.Confirmed, Requested: res.Requested})
	case inventory.Overloaded:
		return r.refuse(Refusal{Code: Overloaded})
	case inventory.Full:
		return r.refuse(Refusal{Code: Full, Table: res.Table.String()})
	}
	panic(fmt.Sprintf("BUG: the inventory returned the verdict %d", res.Verdict))
}

// repeat answers a request whose id is in use. decided is false while the reservation with that id is undecided.
func (e *Engine) repeat(q *Request, row uint32, lines resolvedLines, known bool, now int64, r *Reservation) (
	seq uint64, decided bool, err error) {
	for {
		if !e.inventory.Read(row, &r.snapshot) {
			return 0, false, nil
		}
		if r.snapshot.State != Held || r.snapshot.ExpiresMs > now {
			break
		}
		// Its time is over. It is ended after it was read: while it was pending, it could not have been ended.
		e.inventory.Expire(row, now)
	}
	seq = r.snapshot.Seq
	if !known || !e.same(q, lines, &r.snapshot) {
		return seq, true, r.refuse(Refusal{Code: IDReused})
	}
	if state := r.snapshot.State; state != Held && state != Confirmed {
		_, err := e.refuseState(inventory.Decided{Row: row, State: state}, now, r)
		return seq, true, err
	}
	e.fill(r)
	r.Repeated = true
	return seq, true, nil
}

// same reports whether the request has the content of the reservation in the row; its lines may be in any order (I9).
// Only the present value of what has changed since is known. So the TTL of an extended reservation is not compared, and
// the request of a reduced one must have each of its lines, with at least as many tickets.
func (e *Engine) same(q *Request, lines resolvedLines, s *inventory.Snapshot) bool {
	if q.Account != s.Account || (q.Replaces != (ID{})) != (s.Flags&inventory.FlagReplaces != 0) {
		return false
	}
	if q.Replaces != (ID{}) && s.Replaces != inventory.ID(q.Replaces) && s.Replaces != (inventory.ID{}) {
		return false
	}
	if (q.Phase != "") != (s.Flags&record.FlagPhaseGiven != 0) || q.Phase != "" && q.Phase != e.sale.Phases[s.Phase].ID {
		return false
	}
	ttl, extended := s.ExpiresMs-s.CreatedMs, s.Flags&inventory.FlagExtended != 0
	if (q.TTL != 0) != (s.Flags&record.FlagTTLGiven != 0) || q.TTL != 0 && q.TTL.Milliseconds() != ttl && !extended {
		return false
	}
	if s.Flags&inventory.FlagReduced == 0 {
		return sameLines(lines.lines, s.Lines)
	}
	for _, l := range s.Lines {
		if quantityOf(lines.lines, l.Pool) < int(l.Quantity) {
			return false
		}
	}
	return true
}

// fill sets the public fields of r from its snapshot.
func (e *Engine) fill(r *Reservation) {
	s := &r.snapshot
	r.ID, r.Account, r.Phase, r.State = ID(s.ID), keptText(r.Account, s.Account), e.sale.Phases[s.Phase].ID, s.State
	r.Lines, r.Tickets = r.Lines[:0], 0
	for _, l := range s.Lines {
		p := &e.sale.Pools[l.Pool]
		r.Lines = append(r.Lines, Line{Session: e.sale.Sessions[p.Session].ID, Category: p.Category,
			Quantity: int(l.Quantity)})
		r.Tickets += int(l.Quantity)
	}
	reference := r.Reference
	r.CreatedAt, r.ExpiresAt, r.ConfirmedAt, r.Reference = instant(s.CreatedMs), instant(s.ExpiresMs), time.Time{}, ""
	if s.State == Confirmed || s.State == Returned {
		r.ConfirmedAt, r.Reference = instant(s.ConfirmedMs), keptText(reference, s.Reference)
	}
	r.Repeated = false
}

// keptText returns a text of a snapshot, which is gone after the call, for good. A caller that makes several calls about
// a reservation has the text already, so that nothing is allocated.
func keptText(had, text string) string {
	if had == text {
		return had
	}
	return strings.Clone(text)
}
