package audit

// What phases sell of a session at most, over all categories. The auditor has a row for each phase and session for
// which a definition ever had places.

// placesKey is a phase and a session, by row.
type placesKey struct{ phase, session int }

// auditedPlaces counts from when the places were first set.
type auditedPlaces struct {
	units int // 2^31-1 once they are removed
	taken int // also of returned tickets that are not on sale again
}

// definePlaces gives the places what the rules in force say of them. What was taken before is counted for those that
// were not known.
func (a *auditor) definePlaces() {
	sale := a.rules.sale
	if a.rules.names {
		return // the phases may have been other ones then
	}
	var fresh []placesKey
	for i := range sale.Quotas {
		q := &sale.Quotas[i]
		phase := sale.Phases[q.Phase].ID
		key := placesKey{rowOf(a.phaseRows, &a.phases, phase, phase), a.sessionRows[sale.Sessions[q.Session].ID]}
		if a.places[key] == nil {
			a.places[key] = &auditedPlaces{}
			fresh = append(fresh, key)
		}
		a.places[key].units = q.Units()
	}
	if len(fresh) == 0 {
		return
	}
	a.recount()
	for _, key := range fresh {
		if p := a.places[key]; p.taken > 0 && a.strict {
			a.problem("I1: phase %s, session %s: its places are set while %d tickets are held or sold", a.phases[key.phase],
				a.sessions[key.session].id, p.taken)
		}
	}
}

// countPlaces adds tickets of a session to what a phase has taken of it, if it has places.
func (a *auditor) countPlaces(key placesKey, tickets int) {
	if p := a.places[key]; p != nil {
		p.taken += tickets
	}
}

// checkPlaces checks I1 for a phase and a session.
func (a *auditor) checkPlaces(key placesKey) {
	if p := a.places[key]; p != nil && (p.taken > p.units || p.taken < 0) {
		a.problem("I1: phase %s, session %s: %d of %d places taken", a.phases[key.phase], a.sessions[key.session].id, p.taken,
			p.units)
	}
}

// checkAllPlaces checks I1 for all phases.
func (a *auditor) checkAllPlaces() {
	for i := range a.rules.sale.Quotas {
		q := &a.rules.sale.Quotas[i]
		a.checkPlaces(placesKey{a.phaseRows[a.rules.sale.Phases[q.Phase].ID],
			a.sessionRows[a.rules.sale.Sessions[q.Session].ID]})
	}
}
