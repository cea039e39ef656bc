package inventory

// A ledger is the list of an account's reservations, newest first. Totals are computed by walking it, not stored, so there
// is nothing to drift. Reservations enter at the head only, in one compare-and-swap that also checks the caps: what the
// walk counted can only have fallen since, unless the head changed (I2). Dead reservations are passed over and unlinked by
// later walks; as nothing is ever inserted in the middle and no row is used twice, moving a link past a dead one cannot
// lose a live one.

// sums is what one walk of a ledger found against one request. It lies on the stack of a caller; those of thousands of
// callers do not fit a cache, so it takes no more room than the request needs.
type sums struct {
	settledHeld, settledConfirmed int // tickets in the programme that are sure to count
	doubtful                      int // tickets that count now and may cease to
	bySession                     []sessionSum
	marks                         uint64 // fingerprint of the settled reservations found and of their states
	live                          uint32 // the newest reservation that is not dead
}

// sessionSum adds up one session of the request.
type sessionSum struct {
	session                   uint32
	requested                 int32
	held, confirmed, doubtful int32
}

// requested lists a request's sessions, for which there is room, with what is asked of each (I4: summed first).
func (v *Inventory) requested(lines []Line, room []sessionSum) (bySession []sessionSum, tickets int) {
	bySession = room[:0]
	for _, l := range lines {
		session := v.pools[l.Pool].session
		at := 0
		for at < len(bySession) && bySession[at].session != session {
			at++
		}
		if at == len(bySession) {
			bySession = append(bySession, sessionSum{session: session})
		}
		bySession[at].requested += int32(l.Quantity)
		tickets += int(l.Quantity)
	}
	return bySession, tickets
}

// walk adds up the ledger from the head on. It also takes dead reservations out of the middle of the list.
func (v *Inventory) walk(head uint32, programme uint8, s *sums) {
	s.settledHeld, s.settledConfirmed, s.doubtful, s.marks, s.live = 0, 0, 0, 0, 0
	for i := range s.bySession {
		b := &s.bySession[i]
		b.held, b.confirmed, b.doubtful = 0, 0, 0
	}
	var before *reservation
	for row := head; row != 0; {
		r := v.reservations.at(row)
		next := r.next.Load()
		state := State(r.state.Load())
		if state.dead() {
			if before != nil {
				before.next.CompareAndSwap(row, next)
			}
			row = next
			continue
		}
		if s.live == 0 {
			s.live = row
		}
		if r.programme == programme {
			v.count(r, row, state, s)
		}
		before, row = r, next
	}
}

func (v *Inventory) count(r *reservation, row uint32, state State, s *sums) {
	held, confirmed, doubtful := int32(0), int32(0), int32(0)
	switch {
	case state.undecided():
		doubtful = 1
	case state == Confirmed:
		confirmed = 1
		s.marks += uint64(row) * 0xd1b54a32d192ed03
	default:
		held = 1 // and so is one that is being confirmed: nobody has been told otherwise yet
		s.marks += uint64(row) * 0x9e3779b97f4a7c15
	}
	tickets := int32(r.tickets)
	s.settledHeld += int(held * tickets)
	s.settledConfirmed += int(confirmed * tickets)
	s.doubtful += int(doubtful * tickets)
	if len(s.bySession) == 0 {
		return
	}
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		session := v.pools[l.Pool].session
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

// verdict of the caps over the sums of one walk.
type capCheck uint8

const (
	within   capCheck = iota // whatever becomes of the undecided
	exceeded                 // and nothing that was counted is undecided
	inDoubt                  // the undecided may make the difference, to the answer or to its facts
)

// checkSums holds the sums against the session limits, then the account cap, and fills in the refusal's facts. An undecided
// reservation puts every refusal in doubt: somebody may have seen it take effect, and to him its tickets are there (I7).
func (v *Inventory) checkSums(s *sums, programme uint8, tickets int, res *Result) capCheck {
	for i := range s.bySession {
		b := &s.bySession[i]
		limit := v.sessionLimits[b.session]
		switch {
		case int(b.held)+int(b.confirmed)+int(b.doubtful)+int(b.requested) <= limit:
			continue
		case b.doubtful > 0:
			return inDoubt
		}
		*res = Result{Verdict: SessionLimitExceeded, Session: b.session, Limit: limit,
			Held: int(b.held), Confirmed: int(b.confirmed), Requested: int(b.requested)}
		return exceeded
	}
	accountCap := v.caps[programme]
	switch {
	case s.settledHeld+s.settledConfirmed+s.doubtful+tickets <= accountCap:
		return within
	case s.doubtful > 0:
		return inDoubt
	}
	*res = Result{Verdict: AccountCapExceeded, Programme: programme, Limit: accountCap,
		Held: s.settledHeld, Confirmed: s.settledConfirmed, Requested: tickets}
	return exceeded
}

// Ledger appends to rows the account's reservations that count, newest first, as they were together at one instant; false
// when the ledger would not hold still. One on its way from one state to the next is waited for: its units may already be
// taken, or somebody else's again, and who has seen that must find the ledger in keeping (I7).
func (v *Inventory) Ledger(accountRow uint32, rows []LedgerRow) ([]LedgerRow, bool) {
	word, start := &v.accounts.at(accountRow).head, len(rows)
	for attempt := 0; ; attempt++ {
		head := word.Load()
		rows = rows[:start]
		settled := true
		for row := uint32(head); row != 0; {
			r := v.reservations.at(row)
			if state := State(r.state.Load()); state.counts() {
				rows = append(rows, LedgerRow{Row: row, state: state})
				settled = settled && (state == Held || state == Confirmed)
			}
			row = r.next.Load()
		}
		// States only move forward: if none has moved by a second look, all stood so between the looks.
		if settled && word.Load() == head && v.unmoved(rows[start:]) {
			return rows, true
		}
		if !v.pause(attempt) {
			return rows[:start], false
		}
	}
}

// LedgerRow is a reservation in a ledger.
type LedgerRow struct {
	Row   uint32
	state State
}

// State returns Held or Confirmed: what the reservation was at the instant of the reading.
func (l LedgerRow) State() State { return l.state }

func (v *Inventory) unmoved(rows []LedgerRow) bool {
	for _, l := range rows {
		if State(v.reservations.at(l.Row).state.Load()) != l.state {
			return false
		}
	}
	return true
}
