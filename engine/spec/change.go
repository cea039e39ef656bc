package spec

import (
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// extend moves the end of a hold, earlier or later. The end is in the future, and at most MaxHold after the hold was
// made.
func (m *Model) extend(op Operation) Answer {
	r := m.current(op.ID, op.At)
	if r == nil {
		return refuse("reservation_not_found")
	}
	end, latest := Instant(op.ExpiresAt), r.CreatedAt.Add(m.rules.MaxHold)
	switch {
	case r.State != "held":
		return m.refuseState(r, op.At)
	case end.Equal(r.ExpiresAt):
		return Answer{Reservation: r.Reservation, Repeated: true}
	case !end.After(op.At):
		return refuse("malformed_request")
	case end.After(latest):
		return Answer{Refusal: Refusal{Code: "hold_limit_exceeded", MaxExpiresAt: latest}}
	}
	next := *r
	next.ExpiresAt, next.extended = end, true
	m.put(&next)
	return Answer{Reservation: next.Reservation}
}

// reduce makes a reservation, held or confirmed, keep the lines of the operation. What it gives up is on sale again.
func (m *Model) reduce(op Operation) Answer {
	if r := shapeOfLines(op.Lines); r.Code != "" {
		return Answer{Refusal: r}
	}
	r := m.current(op.ID, op.At)
	if r == nil {
		return refuse("reservation_not_found")
	}
	if r.State != "held" && r.State != "confirmed" {
		return m.refuseState(r, op.At)
	}
	for _, l := range op.Lines {
		if refused := m.kept(r, l); refused.Code != "" {
			return Answer{Refusal: refused}
		}
	}
	if sameLines(r.Lines, op.Lines) {
		return Answer{Reservation: r.Reservation, Repeated: true}
	}
	if refused := m.packKept(r, op.Lines); refused.Code != "" {
		return Answer{Refusal: refused}
	}
	next := *r
	next.Lines, next.reduced = slices.Clone(op.Lines), true
	m.put(&next)
	return Answer{Reservation: next.Reservation}
}

// kept refuses a line that the reservation cannot keep, because it does not have as many tickets of it.
func (m *Model) kept(r *reservation, l Line) Refusal {
	if _, ok := m.rules.Sale.SessionByID(l.Session); !ok {
		return Refusal{Code: "unknown_session", Session: l.Session}
	}
	if !m.everDefined(l) { // a reservation keeps what was removed after it
		return Refusal{Code: "unknown_category", Session: l.Session, Category: l.Category}
	}
	if has := quantityOf(r.Lines, l.Session, l.Category); l.Quantity > has {
		return Refusal{Code: "not_a_reduction", Session: l.Session, Category: l.Category, Held: has, Requested: l.Quantity}
	}
	return Refusal{}
}

// packKept refuses a reduction that breaks a pack: a pack keeps all its sessions, and equal quantities of them if they
// were equal.
func (m *Model) packKept(r *reservation, kept []Line) Refusal {
	i := placeOf(m.rules.Sale.Phases, r.Phase, phaseID) // also one that was removed
	if m.rules.Sale.Phases[i].Kind != catalog.Pack {
		return Refusal{}
	}
	had, has := sessionsOf(r.Lines), sessionsOf(kept)
	if len(had) != len(has) || evenly(r.Lines) && !evenly(kept) {
		return Refusal{Code: "pack_shape", Phase: r.Phase, Limit: len(had), Requested: len(has)}
	}
	return Refusal{}
}

// evenly reports whether the lines have equally many tickets for each of their sessions.
func evenly(lines []Line) bool {
	of := func(session string) int { return ticketsOf(lines, func(l Line) bool { return l.Session == session }) }
	return !slices.ContainsFunc(lines, func(l Line) bool { return of(l.Session) != of(lines[0].Session) })
}

// quantityOf returns the quantity of the line with the session and category; 0 if there is none.
func quantityOf(lines []Line, session, category string) int {
	return ticketsOf(lines, func(l Line) bool { return l.Session == session && l.Category == category })
}

// judgeAgain applies the rules of a new reservation to the present lines of an expired one. It may get another phase,
// if its own does not sell them now and its request did not name it.
func (m *Model) judgeAgain(r *reservation, at time.Time) (*catalog.Phase, []Refusal) {
	op := Operation{At: at, Account: r.Account, Phase: r.Phase, Lines: r.Lines}
	phase, refused := m.judge(op)
	if r.phaseGiven != "" || len(refused) == 0 {
		return phase, refused
	}
	switch refused[0].Code {
	case "paused", // for a while
		"sales_ended",                                                // in every phase
		"session_limit_exceeded", "account_cap_exceeded", "sold_out": // the phase would sell them
		return phase, refused
	}
	op.Phase = ""
	return m.judge(op)
}

// takeAgain takes the lines of an expired reservation once more and sells them.
func (m *Model) takeAgain(op Operation, r *reservation) Answer {
	phase, refused := m.judgeAgain(r, op.At)
	if len(refused) > 0 {
		return Answer{Refusal: refused[0], short: refused}
	}
	next := *r
	next.State, next.Phase, next.ConfirmedAt, next.Reference = "confirmed", phase.ID, op.At, op.Reference
	m.put(&next)
	return Answer{Reservation: next.Reservation}
}
