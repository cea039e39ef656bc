package spec

import (
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// choosePhase returns the phase of a request: the one it names, which must be open, or the only open one that fits.
//
// Three conditions narrow the open phases down, in this order: the phase belongs to the programme of the sessions; it
// sells all of them; its kind fits, which is always so for a single phase, and for a pack phase if the request has its
// number of sessions, and the equal quantities that the phase may require. A condition that no remaining phase meets
// ends the narrowing, so that a later rule refuses the request for it. If no remaining phase sells the sessions, the
// first one is returned for that refusal.
func (m *Model) choosePhase(op Operation) (*catalog.Phase, Refusal) {
	sale := m.rules.Sale
	if op.Phase != "" {
		i, ok := sale.PhaseByID(op.Phase)
		if !ok {
			return nil, Refusal{Code: "unknown_phase", Phase: op.Phase}
		}
		if p := &sale.Phases[i]; !isOpen(p, op.At) {
			return nil, notOpen(p)
		}
		return &sale.Phases[i], Refusal{}
	}
	fit := m.phases(func(p *catalog.Phase) bool { return isOpen(p, op.At) })
	if len(fit) == 0 {
		return nil, notOpen(m.nextPhase(op))
	}
	sellsAll := func(p *catalog.Phase) bool { return m.sellsAll(op, p) }
	for _, condition := range []func(p *catalog.Phase) bool{
		func(p *catalog.Phase) bool { return m.ofItsProgramme(op, p) },
		sellsAll,
		func(p *catalog.Phase) bool {
			known := m.knownLines(op)
			return p.Kind == catalog.Single ||
				len(sessionsOf(known)) == p.PackSessions && (!p.PackEqual || evenly(known))
		},
	} {
		narrower := keep(fit, condition)
		if len(narrower) == 0 {
			break
		}
		fit = narrower
	}
	if len(fit) == 1 || !slices.ContainsFunc(fit, sellsAll) {
		return fit[0], Refusal{}
	}
	for _, l := range m.knownLines(op) {
		if r := m.ended(l, op.At); r.Code != "" {
			return nil, r // in every phase
		}
	}
	if known := len(m.knownLines(op)); known < len(op.Lines) {
		return nil, m.known(op.Lines[known]) // an unknown line cannot decide between the phases
	}
	return nil, Refusal{Code: "phase_required"}
}

// nextPhase returns the phase to report when none is open: the next to open, or else the last to have closed. It
// considers the phases that sell the sessions, or all phases if none does.
func (m *Model) nextPhase(op Operation) *catalog.Phase {
	candidates := m.phases(func(p *catalog.Phase) bool { return m.sellsAll(op, p) })
	if len(candidates) == 0 {
		candidates = m.phases(func(*catalog.Phase) bool { return true })
	}
	upcoming := keep(candidates, func(p *catalog.Phase) bool { return p.OpensAt.After(op.At) })
	if len(upcoming) > 0 {
		return slices.MinFunc(upcoming, func(a, b *catalog.Phase) int { return a.OpensAt.Compare(b.OpensAt) })
	}
	return slices.MaxFunc(candidates, func(a, b *catalog.Phase) int { return a.ClosesAt.Compare(b.ClosesAt) })
}

// knownLines returns the lines before the first one of a session or category that is not defined, or no longer.
func (m *Model) knownLines(op Operation) []Line {
	if i := slices.IndexFunc(op.Lines, func(l Line) bool { return m.known(l).Code != "" }); i >= 0 {
		return op.Lines[:i]
	}
	return op.Lines
}

// listed returns the session of the line at which knownLines ends, if it is only listed and has no categories.
func (m *Model) listed(op Operation) (session int, ok bool) {
	known := m.knownLines(op)
	if len(known) == len(op.Lines) || m.known(op.Lines[len(known)]).Code != "not_on_sale" {
		return 0, false
	}
	return m.rules.Sale.SessionByID(op.Lines[len(known)].Session)
}

func (m *Model) ofItsProgramme(op Operation, p *catalog.Phase) bool {
	if slices.ContainsFunc(m.knownLines(op), func(l Line) bool { return m.programme(l) != p.Programme }) {
		return false
	}
	session, ok := m.listed(op)
	return !ok || m.rules.Sale.Sessions[session].Programme == p.Programme
}

func (m *Model) sellsAll(op Operation, p *catalog.Phase) bool {
	for _, l := range m.knownLines(op) {
		if session, _ := m.rules.Sale.SessionByID(l.Session); !p.Sells(session) {
			return false
		}
	}
	_, listed := m.listed(op)
	return !listed
}

func (m *Model) phases(condition func(*catalog.Phase) bool) []*catalog.Phase {
	var all []*catalog.Phase
	for i := range m.rules.Sale.Phases {
		if p := &m.rules.Sale.Phases[i]; !p.Removed {
			all = append(all, p)
		}
	}
	return keep(all, condition)
}

func keep(phases []*catalog.Phase, condition func(*catalog.Phase) bool) []*catalog.Phase {
	var kept []*catalog.Phase
	for _, p := range phases {
		if condition(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func isOpen(p *catalog.Phase, at time.Time) bool {
	return !at.Before(p.OpensAt) && at.Before(p.ClosesAt)
}

func notOpen(p *catalog.Phase) Refusal {
	return Refusal{Code: "phase_not_open", Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt}
}
