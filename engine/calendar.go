package engine

import "github.com/seathold/seathold/engine/catalog"

// calendar has the window of each phase.
type calendar struct {
	phases []window
}

type window struct{ opens, closes int64 } // ms

func newCalendar(s *catalog.Sale) calendar {
	c := calendar{}
	for i := range s.Phases {
		c.phases = append(c.phases, window{opens: s.Phases[i].OpensAt.UnixMilli(), closes: s.Phases[i].ClosesAt.UnixMilli()})
	}
	return c
}

func (w window) open(now int64) bool { return now >= w.opens && now < w.closes }

// PhaseOpen reports whether a phase of the sale, by its index in Sale().Phases, is open now on the sale clock.
func (e *Engine) PhaseOpen(phase int) bool { return e.calendar.phases[phase].open(e.nowMs()) }

// choosePhase returns the phase of a request: the one that it names, or else the only open one that matches.
//
// Among the open phases it prefers those of the sessions' programme, then those that sell all the sessions, then those
// whose kind matches the number of sessions. A preference that no phase meets is dropped, so that the refusal that
// follows names what is missing. If several phases remain, the request must name one. If none is open, the refusal
// names the next one to open.
func (e *Engine) choosePhase(q *Request, lines resolvedLines, unknown error, now int64, r *Reservation) (int, error) {
	if q.Phase != "" {
		i, ok := e.sale.PhaseByID(q.Phase)
		if !ok {
			return 0, r.refuse(Refusal{Code: UnknownPhase, Phase: q.Phase})
		}
		if !e.calendar.phases[i].open(now) {
			return 0, e.notOpen(i, r)
		}
		return i, nil
	}
	var choices [4]choice // by the number of preferences that are met
	for i := range e.sale.Phases {
		if !e.calendar.phases[i].open(now) {
			continue
		}
		p := &e.sale.Phases[i]
		choices[0].add(i)
		if !lines.of(p.Programme) {
			continue
		}
		choices[1].add(i)
		if !lines.soldIn(p) {
			continue
		}
		choices[2].add(i)
		if p.Kind == catalog.Single || lines.sessions == p.PackSessions {
			choices[3].add(i)
		}
	}
	met := 3
	for met > 0 && choices[met].count == 0 {
		met--
	}
	switch c := choices[met]; {
	case c.count == 0:
		return 0, e.notOpen(e.nextPhase(lines, now), r)
	case c.count == 1 || met < 2: // met < 2: no phase sells these sessions, and checkRules will refuse them
		return c.first, nil
	case unknown != nil: // the unknown session could decide between the phases
		return 0, unknown
	}
	return 0, r.refuse(Refusal{Code: PhaseRequired})
}

// choice counts candidates and stores the first.
type choice struct{ count, first int }

func (c *choice) add(phase int) {
	if c.count == 0 {
		c.first = phase
	}
	c.count++
}

// nextPhase returns the phase that a refusal names if none is open: of those that sell the sessions, or of all if none
// does, the next to open, or else the last to have closed.
func (e *Engine) nextPhase(lines resolvedLines, now int64) int {
	best, bestSells := 0, false
	for i := range e.sale.Phases {
		sells := lines.soldIn(&e.sale.Phases[i])
		if i == 0 || sells && !bestSells || sells == bestSells && e.nearer(i, best, now) {
			best, bestSells = i, sells
		}
	}
	return best
}

func (e *Engine) nearer(a, b int, now int64) bool {
	wa, wb := e.calendar.phases[a], e.calendar.phases[b]
	if upcoming := wa.opens > now; upcoming != (wb.opens > now) {
		return upcoming
	} else if upcoming {
		return wa.opens < wb.opens
	}
	return wa.closes > wb.closes
}

func (e *Engine) notOpen(phase int, r *Reservation) error {
	p := &e.sale.Phases[phase]
	return r.refuse(Refusal{Code: PhaseNotOpen, Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt})
}

// checkAccess decides whether the account may buy in the phase now.
func (e *Engine) checkAccess(account string, phase int, now int64, r *Reservation) error {
	p := &e.sale.Phases[phase]
	if p.Access == catalog.Open {
		return nil
	}
	slot, ok := e.access(e.inventory.FindAccount(account), phase)
	switch {
	case !ok:
		return r.refuse(Refusal{Code: NoAccessSlot, Phase: p.ID})
	case now < slot.OpensAt.UnixMilli():
		return r.refuse(Refusal{Code: SlotNotOpen, Phase: p.ID, OpensAt: slot.OpensAt})
	case now >= slot.ClosesAt.UnixMilli():
		return r.refuse(Refusal{Code: SlotEnded, Phase: p.ID, ClosesAt: slot.ClosesAt})
	}
	return nil
}
