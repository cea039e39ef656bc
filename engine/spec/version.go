package spec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
)

// apply puts another definition into force, from one operation to the next. What was taken stays, whatever the new
// limits, phases and sessions are. A definition that has fewer tickets than are taken changes nothing, and neither does
// one that has fewer places of a phase, or sets them where tickets are taken and there was no bound before.
func (m *Model) apply(op Operation) Answer {
	sale := m.rules.Sale
	next := continued(sale, op.Sale)
	if len(m.objections(next)) > 0 {
		return refuse("change_refused")
	}
	if sameSale(sale, next) {
		return Answer{Repeated: true}
	}
	m.allowed = m.allowances()
	rules := *m.rules
	rules.Sale = next
	m.rules = &rules
	return Answer{}
}

// Objections returns why Apply refuses a sale now; nothing if it does not.
func (m *Model) Objections(now *catalog.Sale) []string {
	return m.objections(continued(m.rules.Sale, now))
}

// objections judges a sale that has the numbers of the one in force.
func (m *Model) objections(next *catalog.Sale) []string {
	var all []string
	was := m.rules.Sale
	if was.Name != next.Name {
		all = append(all, "the sale has another name")
	}
	for i, p := range was.Pools {
		taken := m.takenOf(i)
		if after := next.Pools[i]; after.Capacity-after.Withheld < taken {
			all = append(all, fmt.Sprintf("session %s, category %s: %d are taken", was.Sessions[p.Session].ID, p.Category,
				taken))
		}
	}
	for i, s := range was.Sessions {
		if next.Sessions[i].Programme == s.Programme {
			continue
		}
		ofIt := func(l Line) bool { return l.Session == s.ID }
		if held, sold := m.count(maps.Keys(m.reservations), ofIt); held+sold > 0 {
			all = append(all, fmt.Sprintf("session %s: another programme with %d tickets", s.ID, held+sold))
		}
	}
	for i, s := range was.Sessions {
		if next.Sessions[i].OnSale && m.soldAgain(next, i) {
			all = append(all, fmt.Sprintf("session %s: derived places have tickets of removed categories", s.ID))
		}
	}
	return append(all, m.objectionsToPlaces(next)...)
}

// soldAgain reports whether a session has derived places, which fill its venue, and tickets of removed categories.
func (m *Model) soldAgain(next *catalog.Sale, session int) bool {
	derived, taken := false, false
	for _, i := range next.Sessions[session].Pools {
		if p := next.Pools[i]; !p.Removed {
			derived = derived || p.Derived
		} else if i < len(m.rules.Sale.Pools) {
			s := m.ofPool(i)
			taken = taken || s.Held+s.Sold > 0
		}
	}
	return derived && taken
}

// takenOf returns how many tickets of a pool a definition cannot withhold: held, sold, and withheld after a return.
func (m *Model) takenOf(pool int) int {
	s := m.ofPool(pool)
	return s.Held + s.Sold + s.Withheld - m.rules.Sale.Pools[pool].Withheld
}

// allowances returns what an account may have at most from a change on: what it may take now, or what it could take
// before a cap or limit was lowered.
func (m *Model) allowances() map[string]int {
	allowed := maps.Clone(m.allowed)
	for _, p := range m.rules.Sale.Programmes {
		allowed["programme "+p.ID] = max(allowed["programme "+p.ID], p.AccountCap)
	}
	for _, s := range m.rules.Sale.Sessions {
		allowed["session "+s.ID] = max(allowed["session "+s.ID], s.Limit)
	}
	return allowed
}

// continued returns what the sale now says, with everything at the place in which the sale was has it. What is new
// comes last. What was has alone stays, and is removed.
func continued(was, now *catalog.Sale) *catalog.Sale {
	next := *now
	next.Programmes, next.Sessions, next.Phases = nil, nil, nil
	next.Draws, next.Groups = nil, nil
	for _, p := range was.Programmes {
		p.Removed = true
		next.Programmes = append(next.Programmes, p)
	}
	for _, p := range now.Programmes {
		p.Removed = false
		place(&next.Programmes, p, func(q catalog.Programme) bool { return q.ID == p.ID })
	}
	for _, g := range was.Groups {
		g.Removed = true
		next.Groups = append(next.Groups, g)
	}
	for _, g := range now.Groups {
		place(&next.Groups, g, func(h catalog.Group) bool { return h.ID == g.ID })
	}
	for _, s := range was.Sessions {
		s.Removed, s.OnSale, s.Reason = true, false, "removed"
		next.Sessions = append(next.Sessions, s)
	}
	for _, s := range now.Sessions {
		s.Programme = placeOf(next.Programmes, now.Programmes[s.Programme].ID, programmeID)
		place(&next.Sessions, s, func(q catalog.Session) bool { return q.ID == s.ID })
	}
	next.Pools = continuedPools(was, now, next.Sessions)
	for _, p := range was.Phases {
		p.Removed = true
		next.Phases = append(next.Phases, p)
	}
	for _, p := range now.Phases {
		place(&next.Phases, p, func(q catalog.Phase) bool { return q.ID == p.ID })
	}
	for _, d := range was.Draws {
		d.Removed = true
		next.Draws = append(next.Draws, d)
	}
	for _, d := range now.Draws {
		d.Phase = placeOf(next.Phases, now.Phases[d.Phase].ID, phaseID)
		place(&next.Draws, d, func(e catalog.Draw) bool { return e.ID == d.ID })
	}
	sells := make([][]bool, len(next.Phases))
	for i := range sells {
		sells[i] = make([]bool, len(next.Sessions))
	}
	for _, p := range now.Phases {
		at := placeOf(next.Phases, p.ID, phaseID)
		phase := &next.Phases[at]
		phase.Programme = placeOf(next.Programmes, now.Programmes[p.Programme].ID, programmeID)
		if p.Draw >= 0 {
			phase.Draw = placeOf(next.Draws, now.Draws[p.Draw].ID, func(d catalog.Draw) string { return d.ID })
		}
		if p.Slots.Group >= 0 && p.Access == catalog.Slots {
			phase.Slots.Group = placeOf(next.Groups, now.Groups[p.Slots.Group].ID, groupID)
		}
		if p.Access == catalog.Members {
			phase.Group = placeOf(next.Groups, now.Groups[p.Group].ID, groupID)
		}
		for i, s := range now.Sessions {
			sells[at][placeOf(next.Sessions, s.ID, sessionID)] = p.Sells(i)
		}
	}
	next.Quotas = continuedPlaces(was, now, &next)
	sale, err := catalog.Assemble(next, sells)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sale.Files = now.Files
	return sale
}

// continuedPools returns the pools. A session that is not on sale now keeps the stock that it has: to take it off sale
// moves no ticket.
func continuedPools(was, now *catalog.Sale, sessions []catalog.Session) []catalog.Pool {
	all := slices.Clone(was.Pools)
	for _, s := range now.Sessions {
		at := placeOf(sessions, s.ID, sessionID)
		if len(s.Pools) == 0 {
			continue // its pools stay as they are
		}
		for i := range all {
			all[i].Removed = all[i].Removed || all[i].Session == at
		}
		for _, i := range s.Pools {
			p := now.Pools[i]
			p.Session = at
			same := func(q catalog.Pool) bool { return q.Session == at && q.Category == p.Category }
			if before := slices.IndexFunc(all, same); before >= 0 && !s.OnSale {
				p.Capacity, p.Withheld, p.Derived = all[before].Capacity, all[before].Withheld, all[before].Derived
			}
			place(&all, p, same)
		}
	}
	return all
}

// place puts a part in the place of the same one, or last.
func place[T any](all *[]T, part T, same func(T) bool) {
	if i := slices.IndexFunc(*all, same); i >= 0 {
		(*all)[i] = part
		return
	}
	*all = append(*all, part)
}

func placeOf[T any](all []T, id string, idOf func(T) string) int {
	return slices.IndexFunc(all, func(part T) bool { return idOf(part) == id })
}

func programmeID(p catalog.Programme) string { return p.ID }
func sessionID(s catalog.Session) string     { return s.ID }
func phaseID(p catalog.Phase) string         { return p.ID }
func groupID(g catalog.Group) string         { return g.ID }

// sameSale reports whether two sales say the same.
func sameSale(a, b *catalog.Sale) bool {
	return a == b || a.Name == b.Name && a.Title == b.Title && a.Currency == b.Currency &&
		reflect.DeepEqual(a.Programmes, b.Programmes) && reflect.DeepEqual(a.Sessions, b.Sessions) &&
		reflect.DeepEqual(a.Pools, b.Pools) && reflect.DeepEqual(a.Phases, b.Phases) &&
		reflect.DeepEqual(a.Draws, b.Draws) && reflect.DeepEqual(a.Groups, b.Groups) &&
		slices.Equal(a.Quotas, b.Quotas)
}
