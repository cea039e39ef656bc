package spec

import (
	"fmt"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
)

// The places of a phase: how many tickets it sells of a session, over all categories. What it does not sell stays on
// sale in other phases.

// ofPhase counts the tickets of a session that were taken in a phase: held, sold, and withheld after a return.
func (m *Model) ofPhase(phase, session string) int {
	taken := 0
	for _, r := range m.reservations {
		if r.Phase == phase && (r.State == "held" || r.State == "confirmed" || r.withheld) {
			taken += ticketsOf(r.Lines, func(l Line) bool { return l.Session == session })
		}
	}
	return taken
}

// places returns the places of all phases, in the order in which they were first set.
func (m *Model) places() []Places {
	var all []Places
	for i := range m.rules.Sale.Quotas {
		q := &m.rules.Sale.Quotas[i]
		if q.Removed {
			continue
		}
		phase, session := m.rules.Sale.Phases[q.Phase].ID, m.rules.Sale.Sessions[q.Session].ID
		all = append(all, Places{Phase: phase, Session: session, Places: q.Places,
			Available: q.Places - m.ofPhase(phase, session)})
	}
	return all
}

// shortOfPlaces returns a refusal for each session of which the phase has too few places left, in the order of the
// request.
func (m *Model) shortOfPlaces(op Operation, phase *catalog.Phase) []Refusal {
	var all []Refusal
	left := m.places()
	for _, session := range sessionsOf(op.Lines) {
		i := slices.IndexFunc(left, func(p Places) bool { return p.Phase == phase.ID && p.Session == session })
		if i < 0 {
			continue
		}
		ofIt := func(l Line) bool { return l.Session == session }
		first := op.Lines[slices.IndexFunc(op.Lines, ofIt)]
		if requested := ticketsOf(op.Lines, ofIt); requested > left[i].Available {
			all = append(all, Refusal{Code: "sold_out", Phase: phase.ID, Session: session, Category: first.Category,
				Limit: left[i].Places, Requested: requested, Available: left[i].Available})
		}
	}
	return all
}

// objectionsToPlaces returns why a sale cannot have the places that it sets: they are fewer than are taken, or they are
// set for the first time and something is taken.
func (m *Model) objectionsToPlaces(next *catalog.Sale) (all []string) {
	for i, q := range next.Quotas {
		phase, session := next.Phases[q.Phase].ID, next.Sessions[q.Session].ID
		taken := m.ofPhase(phase, session)
		switch {
		case i >= len(m.rules.Sale.Quotas) && taken > 0:
			all = append(all, fmt.Sprintf("phase %s: places of session %s are set, and %d are taken", phase, session, taken))
		case !q.Removed && q.Places < taken:
			all = append(all, fmt.Sprintf("phase %s: %d places of session %s, and %d are taken", phase, q.Places, session,
				taken))
		}
	}
	return all
}

// continuedPlaces returns the places of phases that the sale next has: those that now sets, and without a bound those
// that only was had.
func continuedPlaces(was, now, next *catalog.Sale) []catalog.Quota {
	all := slices.Clone(was.Quotas)
	for i := range all {
		all[i].Removed = true
	}
	for _, q := range now.Quotas {
		q.Phase = placeOf(next.Phases, now.Phases[q.Phase].ID, phaseID)
		q.Session = placeOf(next.Sessions, now.Sessions[q.Session].ID, sessionID)
		place(&all, q, func(o catalog.Quota) bool { return o.Phase == q.Phase && o.Session == q.Session })
	}
	return all
}

// checkPlaces checks I1 of the places of phases.
func (m *Model) checkPlaces() error {
	for _, p := range m.places() {
		if p.Available < 0 {
			return fmt.Errorf("I1: phase %s has %d of %d places of session %s", p.Phase, p.Available, p.Places, p.Session)
		}
	}
	return nil
}
