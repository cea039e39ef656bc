package audit

import (
	"bytes"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// The changes of reservations. A record of one has the whole reservation as the change leaves it, so each is judged
// against what the reservation was before, and up to a checkpoint's end it is taken as it is.

// change applies an extension, a reduction, a return, or a confirmation that takes an expired reservation again.
func (a *auditor) change(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	before := a.reservations[id]
	if before != nil && before.has(r.Seq) {
		return
	}
	now := a.reservationOf(r)
	if !a.strict {
		a.set(id, now)
		return
	}
	switch {
	case before == nil && r.Kind == record.KindTakenAgain && now.expires <= a.latest: // the checkpoint left it out
	case before == nil:
		a.problem("I6: reservation %s is %s but was never taken", id, verb(r.Kind))
		return
	case !a.changeable(id, before, r):
		return
	default:
		a.checkContent(id, before, now, r)
	}
	a.set(id, now)
	if r.Kind == record.KindTakenAgain {
		a.checkTaken(now, r)
	}
}

// verb is what a change of the kind does to a reservation.
func verb(kind record.Kind) string { return strings.ReplaceAll(kind.String(), "_", " ") }

// startsFrom reports whether a change of the kind can be made to a reservation in the state.
func startsFrom(kind record.Kind, state inventory.State) bool {
	switch kind {
	case record.KindReduced:
		return state == inventory.Held || state == inventory.Confirmed
	case record.KindReturned:
		return state == inventory.Confirmed
	case record.KindTakenAgain:
		return state == inventory.Expired
	}
	return state == inventory.Held // extended or replaced
}

// changeable checks that the reservation is in a state from which it can be changed so.
func (a *auditor) changeable(id uuid.UUID, before *reservation, r *record.Record) bool {
	switch {
	case !startsFrom(r.Kind, before.state):
		a.problem("I3: reservation %s is %s and then %s", id, before.state, verb(r.Kind))
	case before.state == inventory.Held && r.AtMs >= before.expires:
		a.problem("I3: reservation %s is %s at %s; its time is over at %s", id, verb(r.Kind), precise(r.AtMs),
			precise(before.expires))
	default:
		return true
	}
	return false
}

// checkContent checks the reservation that a change has left: the change altered only what its kind alters, and that
// correctly.
func (a *auditor) checkContent(id uuid.UUID, before, now *reservation, r *record.Record) {
	want := *before
	switch r.Kind {
	case record.KindExtended:
		want.flags |= inventory.FlagExtended
		if want.expires = now.expires; now.expires <= r.AtMs {
			a.problem("change: reservation %s is extended at %s to %s, which is not after that", id, precise(r.AtMs),
				precise(now.expires))
		}
	case record.KindReduced:
		want.flags |= inventory.FlagReduced
		want.lines = now.lines
		a.checkReduced(id, before, now, r)
	case record.KindTakenAgain:
		want.state, want.confirmed, want.reference = inventory.Confirmed, now.confirmed, now.reference
		if want.flags&record.FlagPhaseGiven == 0 {
			want.phase = now.phase
		}
	case record.KindReturned:
		want.state, want.reference = inventory.Returned, now.reference
		want.flags |= now.flags & inventory.FlagWithheld
		a.checkWithheld(id, now, r)
	}
	if field := want.differs(now); field != "" {
		a.problem("change: reservation %s is %s, and has another %s then", id, verb(r.Kind), field)
	}
}

// differs names the first field in which another reservation differs; "" for none.
func (r *reservation) differs(from *reservation) string {
	for _, field := range []struct {
		name string
		same bool
	}{
		{"account", r.account == from.account},
		{"state", r.state == from.state},
		{"phase", r.phase == from.phase},
		{"set of flags", r.flags == from.flags},
		{"creation", r.created == from.created},
		{"end", r.expires == from.expires},
		{"confirmation", r.confirmed == from.confirmed},
		{"reference", r.reference == from.reference},
		{"predecessor", r.replaces == from.replaces || from.replaces == uuid.Nil}, // that one may be forgotten
		{"content", slices.Equal(r.lines, from.lines)},
	} {
		if !field.same {
			return field.name
		}
	}
	return ""
}

// checkReduced checks that a reduced reservation keeps at most what it had of each pool, and less in all. A pack keeps
// its sessions, and equal quantities of them.
func (a *auditor) checkReduced(id uuid.UUID, before, now *reservation, r *record.Record) {
	had := map[uint32]int{}
	for _, l := range before.lines {
		had[l.Pool] += int(l.Quantity)
	}
	for _, l := range now.lines {
		if had[l.Pool] -= int(l.Quantity); had[l.Pool] < 0 {
			p := &a.pools[l.Pool]
			a.problem("change: reservation %s is reduced, and then has %d more of session %s, category %s", id, -had[l.Pool],
				a.sessions[p.session].id, p.category)
		}
	}
	if now.tickets == before.tickets {
		a.problem("change: reservation %s is reduced, but keeps all", id)
	}
	if a.rules.names || a.rules.sale.Phases[r.Request.Phase].Kind != catalog.Pack {
		return
	}
	was, is := a.bySession(before), a.bySession(now)
	if len(was) != len(is) || equal(was) && !equal(is) {
		a.problem("change: reservation %s is a pack of %d sessions, and is reduced to %d, or not equally", id, len(was),
			len(is))
	}
}

// bySession returns the reservation's tickets by row of the session.
func (a *auditor) bySession(r *reservation) map[int]int {
	of := map[int]int{}
	for _, l := range r.lines {
		of[a.pools[l.Pool].session] += int(l.Quantity)
	}
	return of
}

// equal reports whether there are equally many tickets of each session.
func equal(tickets map[int]int) bool {
	first := 0
	for _, n := range tickets {
		if first != 0 && n != first {
			return false
		}
		first = n
	}
	return true
}

// checkWithheld checks that the places of a returned reservation are on sale again or withheld, by the rule of its
// programme. Sessions may have moved to another programme since, so that one reservation has tickets of two. Then
// either rule may have been applied.
func (a *auditor) checkWithheld(id uuid.UUID, now *reservation, r *record.Record) {
	if a.rules.names {
		return
	}
	sale := a.rules.sale
	follows := func(l inventory.Line) bool {
		return sale.Programmes[sale.Sessions[sale.Pools[l.Pool].Session].Programme].WithholdReturned == now.withheld()
	}
	if !slices.ContainsFunc(r.Request.Lines, follows) {
		a.problem("change: reservation %s is returned with withheld=%t; its programme has the other rule", id, now.withheld())
	}
}

// replace applies a replacement: a new reservation, and the end of the held one whose place it takes. Each of the two
// has its own sequence, so up to a checkpoint's end one may be up to date and the other not.
func (a *auditor) replace(r *record.Record) {
	id, oldID := uuid.UUID(r.Request.ID), uuid.UUID(r.Replaces)
	before, old := a.reservations[id], a.reservations[oldID]
	now := a.reservationOf(r)
	if a.strict {
		switch {
		case before != nil && before.has(r.Seq):
		case before != nil && !before.mayBeForgotten(r):
			a.problem("I9: reservation %s is taken twice", id)
			return
		case old == nil:
			a.problem("I6: reservation %s is replaced but was never taken", oldID)
			return
		case !old.has(r.Seq) && !a.changeable(oldID, old, r):
			return
		case old.account != now.account:
			a.problem("change: reservation %s of account %s is replaced by %s of account %s", oldID, a.accounts[old.account],
				id, a.accounts[now.account])
			return
		}
	}
	if old != nil && !old.has(r.Seq) {
		a.setEnded(old, r)
	}
	if before != nil && before.has(r.Seq) {
		return
	}
	a.set(id, now)
	if a.strict {
		a.checkTaken(now, r)
	}
}

// checkReplaced checks that a checkpoint has no half of a replacement: what was replaced does not count beside what
// took its place. A later reservation may have the id of what was replaced and forgotten.
func (a *auditor) checkReplaced() {
	var halves []uuid.UUID
	for id, r := range a.reservations {
		if old := a.reservations[r.replaces]; old != nil && old.counts() && old.created <= r.created {
			halves = append(halves, id)
		}
	}
	slices.SortFunc(halves, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range halves {
		old := a.reservations[id].replaces
		a.problem("I6: reservation %s is %s beside %s, which took its place", old, a.reservations[old].state, id)
	}
}
