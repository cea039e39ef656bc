package catalog

import (
	"fmt"
	"slices"
)

// Assemble makes a sale of the parts that outcomes are judged by, as a journal keeps them: ids, limits, stock, phases
// and draws. What only people read, such as titles and venues, may be empty. sells has, by phase and session, what
// Phase.Sells returns. Assemble takes over the slices of s.
//
// The result has no Files, also if s is a loaded sale with other facts: the files do not say what it says. A program
// that changes a sale always assembles it again.
//
// Pools may come in any order; Assemble sets Session.Pools. Parts may be Removed: they have numbers and ids as all
// others. Neither a removed phase nor a removed session may have marks in sells.
//
// The error names a part that does not fit the others: an index without an element, an id that is empty, too long or
// used twice, a category that a session has twice, withheld tickets beyond the capacity, two quotas of one phase and
// session.
func Assemble(s Sale, sells [][]bool) (*Sale, error) {
	a := assembly{sale: &s}
	names(&a, "programme", s.Programmes, func(p *Programme) (string, bool) { return p.ID, p.Removed })
	s.sessions = names(&a, "session", s.Sessions, func(x *Session) (string, bool) { return x.ID, false })
	s.phases = names(&a, "phase", s.Phases, func(p *Phase) (string, bool) { return p.ID, p.Removed })
	s.draws = names(&a, "draw", s.Draws, func(d *Draw) (string, bool) { return d.ID, d.Removed })
	s.groups = names(&a, "group", s.Groups, func(g *Group) (string, bool) { return g.ID, g.Removed })
	s.unstated, s.Files = nil, nil
	for i := range s.Sessions {
		a.refer("session", s.Sessions[i].ID, "programme", s.Sessions[i].Programme, len(s.Programmes))
	}
	for i := range s.Draws {
		a.refer("draw", s.Draws[i].ID, "phase", s.Draws[i].Phase, len(s.Phases))
	}
	a.pools()
	a.phases(sells)
	a.quotas()
	if a.fault != nil {
		return nil, a.fault
	}
	return &s, nil
}

// assembly keeps the first fault.
type assembly struct {
	sale  *Sale
	fault error
}

func (a *assembly) faultf(format string, args ...any) {
	if a.fault == nil {
		a.fault = fmt.Errorf(format, args...)
	}
}

// names checks the ids, and returns the positions of those that look-ups find. id returns an id and whether they skip
// it.
func names[T any](a *assembly, what string, parts []T, id func(*T) (name string, hidden bool)) map[string]int {
	used, positions := make(map[string]bool, len(parts)), make(map[string]int, len(parts))
	for i := range parts {
		name, hidden := id(&parts[i])
		if used[name] || name == "" || len(name) > maxIDBytes {
			a.faultf("%s %d has the id %.40q, which is empty, too long or used twice", what, i, name)
		}
		used[name] = true
		if !hidden {
			positions[name] = i
		}
	}
	return positions
}

func (a *assembly) refer(what, id, to string, index, count int) {
	if index < 0 || index >= count {
		a.faultf("%s %s names %s %d of %d", what, id, to, index, count)
	}
}

// pools gives every session its pools. The slices are new ones: those of the parts may belong to another sale.
func (a *assembly) pools() {
	for i := range a.sale.Sessions {
		a.sale.Sessions[i].Pools = nil
	}
	for i := range a.sale.Pools {
		p := &a.sale.Pools[i]
		if p.Session < 0 || p.Session >= len(a.sale.Sessions) {
			a.faultf("pool %d is of session %d of %d", i, p.Session, len(a.sale.Sessions))
			continue
		}
		s := &a.sale.Sessions[p.Session]
		twice := slices.ContainsFunc(s.Pools, func(other int) bool { return a.sale.Pools[other].Category == p.Category })
		if twice || p.Withheld < 0 || p.Withheld > p.Capacity {
			a.faultf("session %s, category %.40s: it is listed twice, or %d of %d tickets are withheld", s.ID, p.Category,
				p.Withheld, p.Capacity)
		}
		s.Pools = append(s.Pools, i)
	}
}

func (a *assembly) phases(sells [][]bool) {
	for i := range a.sale.Phases {
		p := &a.sale.Phases[i]
		a.refer("phase", p.ID, "programme", p.Programme, len(a.sale.Programmes))
		if len(sells) != len(a.sale.Phases) || len(sells[i]) != len(a.sale.Sessions) {
			a.faultf("phase %s: what it sells has not one mark a session", p.ID)
			return
		}
		p.sells = slices.Clone(sells[i])
		a.sold(p)
		a.access(p)
	}
}

func (a *assembly) access(p *Phase) {
	switch p.Access {
	case Members:
		a.refer("phase", p.ID, "group", p.Group, len(a.sale.Groups))
		return
	case Slots:
		a.refer("phase", p.ID, "draw", p.Draw, len(a.sale.Draws))
		if g := p.Slots.Group; g != -1 {
			a.refer("phase", p.ID, "group", g, len(a.sale.Groups))
		}
		if p.Slots.Step <= 0 || p.Slots.Length <= 0 || p.SlotCount() > maxSlots {
			a.faultf("phase %s: slots of %v every %v", p.ID, p.Slots.Length, p.Slots.Step)
		}
	}
	p.Group = -1
}

// sold refuses a mark of what is never sold.
func (a *assembly) sold(p *Phase) {
	for i, sold := range p.sells {
		if s := &a.sale.Sessions[i]; sold && (p.Removed || s.Removed) {
			a.faultf("phase %s sells session %s, and one of the two is removed", p.ID, s.ID)
		}
	}
}

// quotas checks the quotas, and makes them known to QuotaOf.
func (a *assembly) quotas() {
	s := a.sale
	if len(s.Quotas) > maxQuotas {
		a.faultf("%d quotas; at most %d are allowed", len(s.Quotas), maxQuotas)
	}
	for i := range s.Quotas {
		q := &s.Quotas[i]
		if q.Phase < 0 || q.Phase >= len(s.Phases) || q.Session < 0 || q.Session >= len(s.Sessions) {
			a.faultf("quota %d is of phase %d of %d, session %d of %d", i, q.Phase, len(s.Phases), q.Session,
				len(s.Sessions))
			return
		}
		phase, session := &s.Phases[q.Phase], &s.Sessions[q.Session]
		if q.Places < 1 || q.Places > maxPlaces {
			a.faultf("phase %s has %d places of session %s; it must have 1 to %d", phase.ID, q.Places, session.ID, maxPlaces)
		}
		if !q.Removed && (phase.Removed || session.Removed) {
			a.faultf("phase %s has places of session %s, and one of the two is removed", phase.ID, session.ID)
		}
	}
	if first, again := s.indexQuotas(); again >= 0 {
		a.faultf("quotas %d and %d are of the same phase and session", first, again)
	}
}
