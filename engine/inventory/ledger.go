package inventory

import (
	"math"

	"github.com/seathold/seathold/engine/inventory/internal/listing"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// A ledger is the list of an account's reservations, newest first. Totals are computed by walking it, not stored, so
// there is nothing to drift.
//
// Reservations enter at the head only, by the compare-and-swap that also confirms the caps: what a walk counted can
// only have fallen since, unless the head changed (I2). Later walks pass over dead reservations and unlink them: they
// first freeze the link of the dead one, then move the link before it, if that is not frozen. A frozen link never
// changes, so a reservation that was passed over is never linked in again. Nothing is ever inserted in the middle, so
// moving a link past a dead reservation cannot lose a live one. In a long ledger a walk may end early, at a summary
// (see there).

// sums is what one walk of a ledger finds for one request. It is on the caller's stack; those of thousands of callers
// do not fit a cache, so it takes no more room than the request needs.
type sums struct {
	wait   *Wait   // of the call
	limits *Limits // of the request
	old    Decided // the row that the request is to follow; see change.go

	held, confirmed int // tickets in the programme that are certain to count
	doubtful        int // tickets that count now and may cease to
	bySession       []sessionSum
	marks           uint64 // fingerprint of the certain reservations and of their states
	live            uint32 // the newest reservation that is not dead

	walked  int      // reservations that are not dead, without those of the summary
	summary *summary // that the walk came to; nil for none
}

// sessionSum adds up one session of the request.
type sessionSum struct {
	session                   uint32
	requested                 int32
	held, confirmed, doubtful int32
}

// limitsOf returns the limits of a request.
func (v *Inventory) limitsOf(q *Request) *Limits {
	if q.Limits == nil {
		return &v.limits
	}
	return q.Limits
}

// requested sums a request's lines by session (I4), in the room given, which is zero. It returns the number of tickets.
func (v *Inventory) requested(lines []Line, room []sessionSum) (bySession []sessionSum, tickets int) {
	sessions := 0
	for _, l := range lines {
		session := v.listing.SessionOf(l.Pool)
		at := 0
		for at < sessions && room[at].session != session {
			at++
		}
		if at == sessions {
			room[at].session = session
			sessions++
		}
		room[at].requested += int32(l.Quantity)
		tickets += int(l.Quantity)
	}
	return room[:sessions], tickets
}

// walk adds up the ledger from the head on. Where it comes to a summary it takes the bound from there, or counts the
// summary's rows if the sums are to be exact.
func (v *Inventory) walk(head uint32, programme uint8, s *sums, exact bool) {
	s.held, s.confirmed, s.doubtful, s.marks, s.live, s.walked, s.summary = 0, 0, 0, 0, 0, 0, nil
	for i := range s.bySession {
		b := &s.bySession[i]
		b.held, b.confirmed, b.doubtful = 0, 0, 0
	}
	before, row := v.pass(nil, head, 0, v.long.look, programme, s)
	if row != 0 {
		v.walkFurther(before, row, programme, s, exact)
	}
}

// walkFurther walks the rest of a long ledger. It is not inlined, so that short ones pay nothing for it.
//
//go:noinline
func (v *Inventory) walkFurther(before *reservation, row uint32, programme uint8, s *sums, exact bool) {
	found, end := v.summaryOf(before.account), uint32(0)
	if found != nil {
		end = found.rows[0]
	}
	if _, row = v.pass(before, row, end, math.MaxInt, programme, s); row == 0 {
		return // there is no summary, or the walk did not come to it: it was passed before, or is unlinked
	}
	s.summary = found
	if exact {
		v.countRows(found, programme, s)
	} else {
		s.addBound(found, programme)
	}
}

// pass adds up the rows of a ledger from one on, up to the end or to the row after so many that are not dead, and
// returns where it is. It also unlinks dead reservations from the middle of the list.
func (v *Inventory) pass(before *reservation, row, end uint32, most int, programme uint8, s *sums) (
	*reservation, uint32) {
	left, live := most, s.live
	for row != end && row != 0 && left > 0 {
		r := v.reservations.At(row)
		next := r.next.Load() &^ linkFrozen
		state := State(r.state.Load())
		if state.Dead() {
			row = unlink(before, r, row)
			continue
		}
		if live == 0 {
			live = row
		}
		left--
		before = r
		if r.programme == programme {
			v.count(r, row, int32(r.tickets), state, s)
		} else if r.programme == severalProgrammes {
			v.count(r, row, v.ticketsIn(r, programme), state, s)
		}
		row = next
	}
	s.live = live
	s.walked += most - left
	return before, row
}

// count adds one reservation that is not dead, with its tickets in the programme, to the sums. The fingerprint needs no
// order: a reservation in the same state contributes the same number to each walk.
func (v *Inventory) count(r *reservation, row uint32, tickets int32, state State, s *sums) {
	held, confirmed, doubtful := int32(0), int32(0), int32(0)
	switch {
	case state.Undecided():
		doubtful = 1
	case state == Confirmed:
		confirmed = 1
		s.marks += uint64(row) * 0xd1b54a32d192ed03
	default:
		held = 1 // so is one that is being confirmed: no reader has seen it confirmed yet
		s.marks += uint64(row) * 0x9e3779b97f4a7c15
	}
	s.held += int(held * tickets)
	s.confirmed += int(confirmed * tickets)
	s.doubtful += int(doubtful * tickets)
	if len(s.bySession) == 0 {
		return
	}
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		session := v.listing.SessionOf(l.Pool)
		for j := range s.bySession {
			if b := &s.bySession[j]; b.session == session {
				b.held += held * int32(l.Quantity)
				b.confirmed += confirmed * int32(l.Quantity)
				b.doubtful += doubtful * int32(l.Quantity)
				break
			}
		}
	}
}

// severalProgrammes is the programme of a reservation of sessions that were in one programme when it was made, and are
// in several now. Each line counts in the present programme of its session.
const severalProgrammes = listing.Several

// programmeOfAll returns the programme of the lines.
func (v *Inventory) programmeOfAll(lines []Line) uint8 {
	first := v.programmeOf(lines[0].Pool)
	for _, l := range lines[1:] {
		if v.programmeOf(l.Pool) != first {
			return severalProgrammes
		}
	}
	return first
}

// ticketsIn returns the tickets of a reservation of several programmes in one of them. It is not inlined, since nearly
// all reservations are of one.
//
//go:noinline
func (v *Inventory) ticketsIn(r *reservation, programme uint8) int32 {
	tickets := int32(0)
	for i := range int(r.count) {
		if l := v.lineAt(r, i); v.programmeOf(l.Pool) == programme {
			tickets += int32(l.Quantity)
		}
	}
	return tickets
}

// checkCaps checks the request against the ledger that begins at head. A refusal needs exact sums and a second walk: if
// both find the same certain reservations in the same states, all of them counted at the instant between the walks
// (I7).
func (v *Inventory) checkCaps(s *sums, head uint64, programme uint8, tickets int, res *Result) decision {
	v.walk(uint32(head&headRow), programme, s, false)
	check, excess := checkSums(s, programme, tickets, res), 0
	if check != granted && s.summary != nil {
		bound := s.held + s.confirmed + s.doubtful
		v.walk(uint32(head&headRow), programme, s, true)
		check = checkSums(s, programme, tickets, res)
		excess = bound - (s.held + s.confirmed + s.doubtful)
	}
	if check == granted && v.wantsSummary(s, excess) {
		v.summarize(uint32(head&headRow), s.summary)
	}
	if check != refused || head&headRow == 0 {
		return check
	}
	marks := s.marks
	v.walk(uint32(head&headRow), programme, s, true)
	if s.marks != marks {
		return inDoubt
	}
	return checkSums(s, programme, tickets, res)
}

// checkSums compares the sums with the session limits, then with the account cap, and fills in the facts of a
// refusal. An undecided reservation puts every refusal in doubt, even one that holds without it. Another caller may
// have observed its effect, by units taken or given back, and then its tickets belong in the facts, or no longer do
// (I7).
func checkSums(s *sums, programme uint8, tickets int, res *Result) decision {
	limits := s.limits.Sessions
	for i := range s.bySession {
		b := &s.bySession[i]
		limit := limits[b.session]
		switch {
		case int(b.held)+int(b.confirmed)+int(b.doubtful)+int(b.requested) <= limit:
			continue
		case b.doubtful > 0:
			return inDoubt
		}
		*res = Result{Verdict: SessionLimitExceeded, Session: b.session, Limit: limit,
			Held: int(b.held), Confirmed: int(b.confirmed), Requested: int(b.requested)}
		return refused
	}
	accountCap := s.limits.Caps[programme]
	switch {
	case s.held+s.confirmed+s.doubtful+tickets <= accountCap:
		return granted
	case s.doubtful > 0:
		return inDoubt
	}
	*res = Result{Verdict: AccountCapExceeded, Programme: programme, Limit: accountCap,
		Held: s.held, Confirmed: s.confirmed, Requested: tickets}
	return refused
}

// Ledger appends to rows the account's reservations that count, newest first, as they were together at one instant;
// false when the call, which has waited as w says, found no such instant in time. w may be nil. It waits for a
// reservation between two states: its units may already be taken, or sold again, and a caller that observed the pool
// must see a consistent ledger (I7).
func (v *Inventory) Ledger(accountRow uint32, rows []Decided, w *Wait) ([]Decided, bool) {
	w = begun(w)
	a := v.accounts.Find(accountRow)
	if a == nil {
		return rows, true // it is about to be made
	}
	word, start := &a.Head, len(rows)
	for {
		head := word.Load()
		rows = rows[:start]
		decided := true
		var before *reservation
		for row := uint32(head & headRow); row != 0; {
			r := v.reservations.At(row)
			next := r.next.Load() &^ linkFrozen
			if state := State(r.state.Load()); state.Counts() {
				rows = append(rows, Decided{row, state})
				decided = decided && (state == Held || state == Confirmed)
				before = r
			} else {
				next = unlink(before, r, row) // changes make dead rows without a walk of their own
			}
			row = next
		}
		// States only move forward. If the head is the same and a second look finds no state moved, then all of them were
		// so, and no other reservation counted, at the instant between the looks.
		if decided && word.Load() == head && v.unmoved(rows[start:]) {
			return rows, true
		}
		if !v.backOff(w) {
			return rows[:start], false
		}
	}
}

// linkFrozen is the bit of a link that never changes again.
const linkFrozen = 1 << 31

// unlink leads the list from the live row before a dead one past it, and returns the row after it. Without a row before
// it the dead one stays where it is: a new reservation links to the first live one, and the reclaimer moves the head.
// If the link before it has changed or is frozen, another walk passes over it.
func unlink(before, dead *reservation, row uint32) (next uint32) {
	if before == nil {
		return dead.next.Load() &^ linkFrozen
	}
	next = dead.freeze()
	before.next.CompareAndSwap(row, next)
	return next
}

// unlinkDead leads the ledger of an account past every row that is dead now.
func (v *Inventory) unlinkDead(account uint32) {
	head := &v.accounts.At(account).Head
	for !v.passDead(head) {
	}
}

// passDead is one walk of unlinkDead. It reports false if another caller changed a link first.
func (v *Inventory) passDead(head *table.Word64) bool {
	var before *reservation
	for w := head.Load(); ; w = head.Load() {
		row := uint32(w & headRow)
		if row == 0 {
			return true
		}
		if before = v.reservations.At(row); !State(before.state.Load()).Dead() {
			break
		}
		// The version stays: the word differs, so a caller that walked from it fails to enter. The same word does not come
		// back, since the row would have to enter again.
		head.CompareAndSwap(w, w&^headRow|uint64(before.freeze()))
	}
	for row := before.next.Load() &^ linkFrozen; row != 0; {
		r := v.reservations.At(row)
		if !State(r.state.Load()).Dead() {
			before, row = r, r.next.Load()&^linkFrozen
			continue
		}
		next := r.freeze()
		if !before.next.CompareAndSwap(row, next) {
			return false
		}
		row = next
	}
	return true
}

// freeze makes the link of a dead row the last one that it has, and returns the row that it leads to.
func (r *reservation) freeze() (next uint32) {
	w := r.next.Load()
	for w&linkFrozen == 0 && !r.next.CompareAndSwap(w, w|linkFrozen) {
		w = r.next.Load()
	}
	return w &^ linkFrozen
}

// unmoved reports whether every reservation is still in its state.
func (v *Inventory) unmoved(rows []Decided) bool {
	for _, l := range rows {
		if State(v.reservations.At(l.Row).state.Load()) != l.State {
			return false
		}
	}
	return true
}
