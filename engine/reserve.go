package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
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
// rules are broken, the first in this order is reported: shape of the request, phase, access, pauses, what is on sale,
// pack shape, limits and caps, stock. A session that is not on sale at all, or whose sales have ended, is refused for
// that even while it is paused.
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
	if err := e.book.Load().CheckShape(q, &r.refusal); err != nil {
		return 0, err
	}
	e.inventory.PrefetchIndex((*inventory.ID)(&q.ID), q.Account)
	return e.judged(r, func(book *rules.Book) (uint64, bool, error) { return e.reserveBy(book, q, r) })
}

// reserveBy is an attempt of reserve.
func (e *Engine) reserveBy(book *rules.Book, q *Request, r *Reservation) (seq uint64, again bool, err error) {
	now := e.nowMs()
	for {
		// A known id decides alone: what became of the first request is the answer to its repeats, whatever the rules are
		// now.
		if row := e.findGiven(q.ID); row != 0 {
			switch seq, decided, err := e.repeat(book, q, row, now, r); {
			case decided && err == nil:
				return seq, false, nil
			case decided:
				return e.refuseBy(book, seq, q.Account, r, err)
			}
			if !e.waits.Again(&r.wait) {
				return 0, false, r.refuse(Refusal{Code: Overloaded})
			}
			continue
		}
		old, err := e.findReplaced(book, q, now, r)
		if err != nil {
			if e.findGiven(q.ID) != 0 {
				continue // the same request, sent twice, may have released it
			}
			return e.refuseBy(book, r.snapshot.Seq, q.Account, r, err)
		}
		lines := book.Resolve(q.Lines, r.lines[:0])
		r.lines = lines.Pools
		phase, err := book.Judge(q, lines, e.facts(now), &r.refusal)
		if err != nil {
			if q.Replaces != (ID{}) {
				seq = r.snapshot.Seq // the refusal shows that what it replaces is there
			}
			return e.refuseBy(book, seq, q.Account, r, err)
		}
		switch res := e.take(book, q, r, phase, now, old); res.Verdict {
		case inventory.Done:
			return res.Seq, false, nil
		case inventory.Known: // another call has just used the id
		case inventory.Moved: // another call has just changed the reservation that this one replaces
			if !e.waits.Again(&r.wait) {
				return 0, false, r.refuse(Refusal{Code: Overloaded})
			}
		default:
			return e.refuseBy(book, res.Seq, q.Account, r, errorOf(book, &res, r.lines, r))
		}
	}
}

// facts returns what the rules need to know at an instant (ms).
func (e *Engine) facts(now int64) rules.Facts {
	return rules.Facts{Now: now, Slot: e.slot, Member: e.member}
}

// findReplaced returns the held reservation that the request replaces, as it was found; the zero value if it replaces
// none. The snapshot has its content after a refusal.
func (e *Engine) findReplaced(book *rules.Book, q *Request, now int64, r *Reservation) (
	old inventory.Decided, err error) {
	if q.Replaces == (ID{}) {
		return old, nil
	}
	r.snapshot.Seq = 0
	verdict := inventory.NotFound
	if row := e.inventory.Find(inventory.ID(q.Replaces)); row != 0 {
		old, verdict = e.inventory.Decide(row, now, &r.wait)
	}
	if verdict != inventory.Done {
		return old, refuseVerdict(verdict, r)
	}
	e.inventory.ReadAs(old, &r.snapshot)
	switch {
	case r.snapshot.Account != q.Account:
		return old, r.refuse(Refusal{Code: ReservationNotFound})
	case old.State != Held:
		_, err = e.refuseState(book, old, now, r)
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

// take reserves the stock, in place of the old reservation if there is one, and fills r if it succeeds.
func (e *Engine) take(book *rules.Book, q *Request, r *Reservation, phase int, now int64,
	old inventory.Decided) inventory.Result {
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
		Flags: flags, Created: now, Expires: now + ttl.Milliseconds(), Wait: &r.wait, Limits: book.Limits()}
	var res inventory.Result
	if old.Row == 0 {
		res = e.inventory.Reserve(&request)
	} else {
		res = e.inventory.Replace(&request, old)
	}
	if res.Verdict != inventory.Done {
		return res
	}
	r.ID, r.Account, r.Phase, r.State = id, q.Account, book.Sale.Phases[phase].ID, Held
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

// errorOf returns the error of the inventory's result for the lines, which is not Done.
func errorOf(book *rules.Book, res *inventory.Result, lines []inventory.Line, r *Reservation) error {
	sale := book.Sale
	switch res.Verdict {
	case inventory.SoldOut:
		if quota := int(res.Pool) - outcomes.MostPools; quota >= 0 {
			return r.refuse(book.RefusePlaces(quota, lines, res.Requested, res.Available))
		}
		p := &sale.Pools[res.Pool]
		return r.refuse(Refusal{Code: SoldOut, Session: sale.Sessions[p.Session].ID, Category: p.Category,
			Requested: res.Requested, Available: res.Available})
	case inventory.SessionLimitExceeded:
		return r.refuse(Refusal{Code: SessionLimitExceeded, Session: sale.Sessions[res.Session].ID, Limit: res.Limit,
			Held: res.Held, Confirmed: res.Confirmed, Requested: res.Requested})
	case inventory.AccountCapExceeded:
		return r.refuse(Refusal{Code: AccountCapExceeded, Programme: sale.Programmes[res.Programme].ID, Limit: res.Limit,
			Held: res.Held, Confirmed: res.Confirmed, Requested: res.Requested})
	case inventory.Overloaded:
		return r.refuse(Refusal{Code: Overloaded})
	case inventory.Full:
		return r.refuse(Refusal{Code: Full, Table: res.Table.String()})
	}
	panic(fmt.Sprintf("BUG: the inventory returned the verdict %d", res.Verdict))
}

// repeat answers a request whose id is in use. decided is false while the reservation with that id is undecided.
func (e *Engine) repeat(book *rules.Book, q *Request, row uint32, now int64, r *Reservation) (
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
	sale := e.named()
	if !same(sale, q, &r.snapshot) {
		return seq, true, r.refuse(Refusal{Code: IDReused})
	}
	if state := r.snapshot.State; state != Held && state != Confirmed {
		_, err := e.refuseState(book, inventory.Decided{Row: row, State: state}, now, r)
		return seq, true, err
	}
	r.fill(sale)
	r.Repeated = true
	return seq, true, nil
}

// same reports whether the request has the content of the reservation in the row; its lines may be in any order (I9).
// They are compared by name, since the sale may not sell them any more. Only the present value of what has changed
// since is known. So the TTL of an extended reservation is not compared, and the request of a reduced one must have
// each of its lines, with at least as many tickets.
func same(sale *catalog.Sale, q *Request, s *inventory.Snapshot) bool {
	if q.Account != s.Account || (q.Replaces != (ID{})) != (s.Flags&inventory.FlagReplaces != 0) {
		return false
	}
	if q.Replaces != (ID{}) && s.Replaces != inventory.ID(q.Replaces) && s.Replaces != (inventory.ID{}) {
		return false
	}
	if (q.Phase != "") != (s.Flags&record.FlagPhaseGiven != 0) || q.Phase != "" && q.Phase != sale.Phases[s.Phase].ID {
		return false
	}
	ttl, extended := s.ExpiresMs-s.CreatedMs, s.Flags&inventory.FlagExtended != 0
	if (q.TTL != 0) != (s.Flags&record.FlagTTLGiven != 0) || q.TTL != 0 && q.TTL.Milliseconds() != ttl && !extended {
		return false
	}
	if s.Flags&inventory.FlagReduced == 0 && len(q.Lines) != len(s.Lines) {
		return false
	}
	found := 0
	for i := range q.Lines {
		l := &q.Lines[i]
		switch had := quantityOf(sale, l, s.Lines); {
		case had > 0 && (l.Quantity == had || l.Quantity > had && s.Flags&inventory.FlagReduced != 0):
			found++
		case had > 0 || !everHad(sale, l):
			return false
		}
	}
	return found == len(s.Lines)
}

// quantityOf returns how many tickets a reservation has of the line's pool.
func quantityOf(sale *catalog.Sale, l *Line, has []inventory.Line) int {
	for _, h := range has {
		if p := &sale.Pools[h.Pool]; p.Category == l.Category && sale.Sessions[p.Session].ID == l.Session {
			return int(h.Quantity)
		}
	}
	return 0
}

// everHad reports whether the sale has the line's pool, or had it. Only repeats for what was reduced ask.
func everHad(sale *catalog.Sale, l *Line) bool {
	session, ok := sale.SessionByID(l.Session)
	return ok && slices.ContainsFunc(sale.Pools, func(p catalog.Pool) bool {
		return p.Session == session && p.Category == l.Category
	})
}
