//go:build seathold_yield

package inventory

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// awaited is a state that a caller saw, with the sequence that must be durable first.
type awaited struct {
	Decided // of a use of a row
	seq     uint64
	own     bool // the caller's outcome led to it: the sequence must be exactly its own
}

func (e *explorer) id(name string) (id ID) {
	if same := e.reservations[name].id; same != "" {
		name = same
	}
	copy(id[:], name)
	return id
}

// The references that the calls give, so that answers show which one was kept.
const paid, paidLate, broughtBack = "paid", "late", "back"

// do carries out an operation as the engine does, and returns its answer. Those that only look for faults have none.
func (e *explorer) do(op do) string {
	switch op.kind {
	case "drain":
		e.drain()
	case "stock":
		e.stock()
	case "census":
		e.count()
	case "checkpoint":
		e.checkpoint()
	case "sweep":
		e.sweep.Expire(op.now, exploredRows)
	case "reclaim":
		e.reclaim(op.now)
		return "reclaimed"
	case "restock", "abandon":
		return e.restock(op)
	case "recap":
		return e.changeCap()
	case "places":
		return e.setPlaces(op)
	default:
		if e.recap != 0 && op.kind == "reserve" {
			return e.reserveByBook(op)
		}
		return e.callByBook(op)
	}
	return ""
}

// call is an operation that announces itself.
func (e *explorer) call(op do) string {
	defer e.v.Begin(e.spread()).End()
	if e.hasLate() {
		op.book = e.book.Load()
	}
	switch op.kind {
	case "reserve", "replace":
		return e.reserve(op, nil)
	case "extend", "reduce", "return":
		return e.change(op)
	case "ledger":
		return e.ledger(op)
	case "grow":
		e.moves.Begin()
		return ""
	case "move":
		for range 5 { // there are four stripes
			e.v.byID.MoveOn()
		}
		return ""
	}
	row := e.v.Find(e.id(op.name))
	if row == 0 {
		return "none"
	}
	switch op.kind {
	case "confirm":
		return e.end(e.v.Confirm(row, op.now, paid, nil), Confirmed)
	case "release":
		return e.end(e.v.Release(row, op.now, nil), Released)
	case "again":
		if res := e.v.Confirm(row, op.now, paidLate, nil); res.Verdict != WasExpired {
			return e.end(res, Confirmed)
		}
		return e.change(op)
	case "expire":
		e.v.Expire(row, op.now)
		return "looked"
	case "read":
		var s Snapshot
		for w := (Wait{}); !e.v.Read(row, &s); {
			if row = e.v.Find(e.id(op.name)); row == 0 {
				return "none"
			}
			w, _ = e.pause(w)
		}
		return e.saw(Decided{row, s.State}, &s)
	}
	panic("there is no operation " + op.kind)
}

// end is the answer to a confirmation or release that leads to the state.
func (e *explorer) end(res Result, to State) string {
	states := [...]State{Done: to, AlreadyDone: to, WasConfirmed: Confirmed, WasReleased: Released,
		WasReturned: Returned, WasExpired: Expired, Full: free}
	found := Decided{res.Row, states[res.Verdict]}
	if found.State == free {
		return "none"
	}
	var s Snapshot
	e.v.ReadAs(found, &s)
	e.await(found, res.Seq, res.Verdict == Done)
	switch res.Verdict {
	case Done:
		return "done " + content(&s)
	case AlreadyDone:
		return "already " + content(&s)
	}
	return content(&s)
}

// saw notes what the caller has to await before the snapshot may be visible, and returns its content.
func (e *explorer) saw(found Decided, s *Snapshot) string {
	e.await(found, s.Seq, false)
	return content(s)
}

// await notes what the caller has to await before it may show a state.
func (e *explorer) await(found Decided, seq uint64, own bool) {
	e.awaited = append(e.awaited, awaited{Decided{e.use(found.Row), found.State}, seq, own})
}

// content is everything that a caller sees of a reservation.
func content(s *Snapshot) string {
	b := append(make([]byte, 0, 80), bytes.TrimRight(s.ID[:], "\x00")...)
	b = append(append(b, ' '), s.State.String()...)
	for _, l := range s.Lines {
		b = strconv.AppendUint(append(b, ' '), uint64(l.Pool), 10)
		b = strconv.AppendUint(append(b, ':'), uint64(l.Quantity), 10)
	}
	b = strconv.AppendInt(append(b, " until "...), s.ExpiresMs, 10)
	b = strconv.AppendInt(append(b, " at "...), s.AtMs, 10)
	if s.State == Confirmed || s.State == Returned {
		b = strconv.AppendInt(append(b, " sold "...), s.ConfirmedMs, 10)
		b = append(append(b, ' '), s.Reference...)
	}
	b = strconv.AppendUint(append(b, " flags "...), uint64(s.Flags), 10)
	b = strconv.AppendUint(append(b, " in "...), uint64(s.Phase), 10)
	return string(append(append(b, " of "...), s.Account...))
}

// reserve asks for a wish, in the place of another one where op names it. Nil stands for the limits of the Config.
func (e *explorer) reserve(op do, by *Limits) string {
	w := e.reservations[op.name]
	var waited Wait
	q := Request{ID: e.id(op.name), Account: w.account, Created: op.now, Expires: w.expires, Lines: w.lines, Wait: &waited,
		Limits: by, Phase: w.phase}
	for {
		if row := e.v.Find(q.ID); row != 0 {
			var s Snapshot
			switch {
			case !e.v.Read(row, &s):
				waited, _ = e.pause(waited)
			case s.State == Held && s.ExpiresMs <= op.now:
				e.v.Expire(row, op.now)
			default:
				return "known " + e.saw(Decided{row, s.State}, &s)
			}
			continue
		}
		var res Result
		if e.gains(op.book, w.phase, w.lines) {
			return changing
		}
		if op.kind == "reserve" {
			res = e.v.Reserve(&q)
		} else {
			old, refusal := e.replaced(op, &waited)
			if refusal != "" {
				if e.v.Find(q.ID) != 0 {
					continue // this very request, sent twice, may have released it
				}
				return refusal
			}
			q.Flags = FlagReplaces
			res = e.v.Replace(&q, old)
		}
		switch res.Verdict {
		case Done:
			e.await(Decided{res.Row, Held}, res.Seq, true)
			return "done"
		case Known:
		case Moved:
			waited, _ = e.pause(waited)
		default:
			return refusal(res)
		}
	}
}

// replaced finds the reservation in whose place the wish is to be; or it is refused.
func (e *explorer) replaced(op do, w *Wait) (old Decided, refusal string) {
	row := e.v.Find(e.id(op.with))
	if row == 0 {
		return old, "none"
	}
	old, verdict := e.v.Decide(row, op.now, w)
	if verdict != Done {
		return old, "none"
	}
	var s Snapshot
	e.v.ReadAs(old, &s)
	switch seen := e.saw(old, &s); {
	case s.Account != e.reservations[op.name].account:
		return old, "none"
	case old.State != Held:
		return old, seen
	}
	return old, ""
}

func refusal(res Result) string {
	switch res.Verdict {
	case SoldOut:
		return fmt.Sprintf("sold out %d: %d of %d", res.Pool, res.Requested, res.Available)
	case SessionLimitExceeded:
		return fmt.Sprintf("limit %d: %d beside %d %d", res.Session, res.Requested, res.Held, res.Confirmed)
	case AccountCapExceeded:
		return fmt.Sprintf("cap: %d beside %d %d", res.Requested, res.Held, res.Confirmed)
	}
	return fmt.Sprintf("verdict %d", res.Verdict)
}

// change changes a reservation: it is judged as it was found, and found again where another call was first.
func (e *explorer) change(op do) string {
	row := e.v.Find(e.id(op.name))
	if row == 0 {
		return "none"
	}
	for w := (Wait{}); ; {
		found, verdict := e.v.Decide(row, op.now, &w)
		if verdict != Done {
			return "none"
		}
		var s Snapshot
		e.v.ReadAs(found, &s)
		seen := e.saw(found, &s)
		var res Result
		switch e.judgeChange(op, found.State, &s) {
		case "attempt":
			if e.gains(op.book, s.Phase, s.Lines) {
				return changing
			}
			res = e.attempt(op, found, &s, &w)
		case "already":
			return "already " + seen
		case "state":
			return seen
		default:
			return "malformed"
		}
		switch res.Verdict {
		case Done:
			e.v.ReadNew(res.Row, &s)
			e.await(Decided{res.Row, s.State}, res.Seq, true)
			return "done " + content(&s)
		case Moved, Known:
			w, _ = e.pause(w)
			row = found.Row
		default:
			return refusal(res)
		}
	}
}

// judgeChange judges a change by what the reservation is. The sequential rules use it too.
func (e *explorer) judgeChange(op do, state State, s *Snapshot) string {
	to := e.reservations[op.with]
	switch {
	case op.kind == "return" && state == Returned, op.kind == "again" && state == Confirmed && s.Reference == paidLate,
		op.kind == "extend" && state == Held && to.expires == s.ExpiresMs:
		return "already"
	case op.kind == "return" && state == Confirmed, op.kind == "again" && state == Expired:
		return "attempt"
	case op.kind == "extend" && state == Held:
		if to.expires <= op.now {
			return "malformed"
		}
		return "attempt"
	case op.kind != "reduce" || state != Held && state != Confirmed:
		return "state"
	}
	for _, l := range to.lines {
		if !slices.ContainsFunc(s.Lines, func(has Line) bool { return has.Pool == l.Pool && has.Quantity >= l.Quantity }) {
			return "malformed"
		}
	}
	if ticketsOf(to.lines) == ticketsOf(s.Lines) {
		return "already"
	}
	return "attempt"
}

func ticketsOf(lines []Line) (tickets int) {
	for _, l := range lines {
		tickets += int(l.Quantity)
	}
	return tickets
}

func (e *explorer) attempt(op do, found Decided, s *Snapshot, w *Wait) Result {
	to := e.reservations[op.with]
	switch op.kind {
	case "extend":
		return e.v.Extend(found, op.now, to.expires)
	case "reduce":
		return e.v.Reduce(found, op.now, to.lines)
	case "return":
		return e.v.Return(found, op.now, broughtBack, e.withhold)
	}
	return e.v.ConfirmAgain(&Request{ID: s.ID, Account: s.Account, Lines: s.Lines, Phase: s.Phase, Flags: s.Flags,
		Created: s.CreatedMs, Expires: s.ExpiresMs, Wait: w}, found, op.now, paidLate)
}

func (e *explorer) ledger(op do) string {
	row := e.v.FindAccount(op.name)
	if row == 0 {
		return "[]"
	}
	_, before := e.v.placed.Peek()
	rows, ok := e.v.Ledger(row, nil, nil)
	e.must(ok, "no ledger")
	shown := shownLedger{account: op.name, before: uint64(before), placed: e.v.Placed()}
	var all []string
	var s Snapshot
	for _, l := range rows {
		e.v.ReadAs(l, &s)
		all = append(all, e.saw(l, &s))
		shown.rows = append(shown.rows, Decided{e.use(l.Row), l.State})
	}
	e.ledgers = append(e.ledgers, shown)
	slices.Sort(all)
	return fmt.Sprint(all)
}

// stock reads every pool.
func (e *explorer) stock() {
	for i := range e.pools {
		s := e.v.Stock(i)
		e.must(s.Held+s.Sold+s.Withheld <= int(e.wanted[i]), "I1: a reader finds %+v of pool %d", s, i)
		e.must(min(s.Available, s.Held, s.Sold, s.Withheld) >= 0 && e.mayHave(i, s.Available+s.Held+s.Sold+s.Withheld),
			"I1: a reader finds %+v of the %d units of pool %d", s, e.pools[i], i)
	}
}

// count is a census. It returns how many pools did not change meanwhile.
func (e *explorer) count() (exact int) {
	e.forgetTouched()
	exact, difference, _ := e.census.Pools(func() bool { e.rest(); return true })
	e.must(difference == 0, "I1: the census finds a difference of %d units", difference)
	excess, _ := e.census.Ledgers(func() bool { return true }, func(uint32) { e.forgetTouched() })
	e.must(excess == 0, "I2: the census finds an excess of %d tickets", excess)
	return exact
}
