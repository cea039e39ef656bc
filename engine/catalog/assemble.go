package catalog

import (
	"fmt"
	"slices"
)

// Assemble makes a sale of the parts that outcomes are judged by, as a journal keeps them: ids, limits, stock, phases
// and draws. What only people read, such as titles and venues, may be empty. sells has, by phase and session, what
// Phase.Sells returns. Assemble takes over the slices of s.
//
// The error names a part that does not fit the others: an index without an element, an id that is empty, too long or
// used twice, a pool that does not follow those of its session, withheld tickets beyond the capacity.
func Assemble(s Sale, sells [][]bool) (*Sale, error) {
	a := assembly{sale: &s}
	names(&a, "programme", s.Programmes, func(p *Programme) string { return p.ID })
	s.sessions = names(&a, "session", s.Sessions, func(x *Session) string { return x.ID })
	s.phases = names(&a, "phase", s.Phases, func(p *Phase) string { return p.ID })
	s.draws = names(&a, "draw", s.Draws, func(d *Draw) string { return d.ID })
	s.groups = names(&a, "group", s.Groups, func(g *Group) string { return g.ID })
	for i := range s.Sessions {
		a.refer("session", s.Sessions[i].ID, "programme", s.Sessions[i].Programme, len(s.Programmes))
	}
	for i := range s.Draws {
		a.refer("draw", s.Draws[i].ID, "phase", s.Draws[i].Phase, len(s.Phases))
	}
	a.pools()
	a.phases(sells)
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

// names returns the positions of the ids.
func names[T any](a *assembly, what string, parts []T, id func(*T) string) map[string]int {
	positions := make(map[string]int, len(parts))
	for i := range parts {
		name := id(&parts[i])
		if _, twice := positions[name]; twice || name == "" || len(name) > maxIDBytes {
			a.faultf("%s %d has the id %.40q, which is empty, too long or used twice", what, i, name)
		}
		positions[name] = i
	}
	return positions
}

func (a *assembly) refer(what, id, to string, index, count int) {
	if index < 0 || index >= count {
		a.faultf("%s %s names %s %d of %d", what, id, to, index, count)
	}
}

// pools gives every session its pools, which come in the order of the sessions.
func (a *assembly) pools() {
	next := 0
	for i := range a.sale.Sessions {
		s := &a.sale.Sessions[i]
		s.FirstPool, s.PoolCount = next, 0
		for next < len(a.sale.Pools) && a.sale.Pools[next].Session == i {
			p := &a.sale.Pools[next]
			_, twice := a.sale.PoolOf(i, p.Category)
			if twice || p.Withheld < 0 || p.Withheld > p.Capacity {
				a.faultf("session %s, category %.40s: it is listed twice, or %d of %d tickets are withheld", s.ID, p.Category,
					p.Withheld, p.Capacity)
			}
			s.PoolCount++
			next++
		}
	}
	if next < len(a.sale.Pools) {
		a.faultf("pool %d is of session %d of %d, and does not come with the session's others", next,
			a.sale.Pools[next].Session, len(a.sale.Sessions))
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
		if p.Access != Slots {
			continue
		}
		a.refer("phase", p.ID, "draw", p.Draw, len(a.sale.Draws))
		if g := p.Slots.Group; g != -1 {
			a.refer("phase", p.ID, "group", g, len(a.sale.Groups))
		}
		if p.Slots.Step <= 0 || p.Slots.Length <= 0 || p.SlotCount() > maxSlots {
			a.faultf("phase %s: slots of %v every %v", p.ID, p.Slots.Length, p.Slots.Step)
		}
	}
}
