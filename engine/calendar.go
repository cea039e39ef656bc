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
			return 0, r.refuse(Refusal{Code: UnknownPhase, Phase: q.Phase, offer: e.offerOf(q, lines, now)})
		}
		if !e.calendar.phases[i].open(now) {
			return 0, r.refuse(notOpen(&e.sale.Phases[i], e.offerOf(q, lines, now)))
		}
		return i, nil
	}
	var choices [4]phaseSet // by the number of preferences that are met
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
	for met > 0 && choices[met] == 0 {
		met--
	}
	switch fit := choices[met]; {
	case fit == 0:
		return 0, e.noneOpen(q, lines, now, r)
	case fit.len() == 1 || met < 2: // met < 2: no phase sells these sessions, and checkRules will refuse them
		return fit.first(), nil
	case unknown != nil: // the unknown session could decide between the phases
		return 0, unknown
	default:
		o := e.offerOf(q, lines, now)
		o.fit = fit
		return 0, r.refuse(Refusal{Code: PhaseRequired, offer: o})
	}
}

// noneOpen refuses a request while no phase is open. It names one of those that sell the sessions, or of all if none
// does: the next to open, or else the last to have closed.
func (e *Engine) noneOpen(q *Request, lines resolvedLines, now int64, r *Reservation) error {
	o := e.offerOf(q, lines, now)
	candidates := o.all(func(_ int, p *catalog.Phase) bool { return lines.soldIn(p) })
	if candidates == 0 {
		candidates = o.all(func(int, *catalog.Phase) bool { return true })
	}
	return r.refuse(notOpen(o.nearest(candidates), o))
}

func notOpen(p *catalog.Phase, o offer) Refusal {
	return Refusal{Code: PhaseNotOpen, Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt, offer: o}
}

// checkAccess decides whether the account may buy in the phase now.
func (e *Engine) checkAccess(q *Request, lines resolvedLines, phase int, now int64, r *Reservation) error {
	p := &e.sale.Phases[phase]
	if p.Access == catalog.Open {
		return nil
	}
	refusal := Refusal{Phase: p.ID}
	slot, ok := e.access(e.inventory.FindAccount(q.Account), phase)
	switch {
	case !ok:
		refusal.Code = NoAccessSlot
	case now < slot.OpensAt.UnixMilli():
		refusal.Code, refusal.OpensAt = SlotNotOpen, slot.OpensAt
	case now >= slot.ClosesAt.UnixMilli():
		refusal.Code, refusal.ClosesAt = SlotEnded, slot.ClosesAt
	default:
		return nil
	}
	refusal.offer = e.offerOf(q, lines, now)
	return r.refuse(refusal)
}
