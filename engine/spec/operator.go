package spec

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/seathold/seathold/engine/catalog"
)

// pause stops new holds of a phase, of a session or of the whole sale, or lets them go on.
func (m *Model) pause(op Operation) Answer {
	key := "sale"
	switch {
	case op.Phase != "":
		if _, ok := m.rules.Sale.PhaseByID(op.Phase); !ok {
			return Answer{Refusal: Refusal{Code: "unknown_phase", Phase: op.Phase}}
		}
		key = "phase " + op.Phase
	case op.Session != "":
		if _, ok := m.rules.Sale.SessionByID(op.Session); !ok {
			return Answer{Refusal: Refusal{Code: "session_not_found", Session: op.Session}}
		}
		key = "session " + op.Session
	}
	m.paused = maps.Clone(m.paused)
	delete(m.paused, key)
	if op.Paused {
		m.paused[key] = true
	}
	return Answer{}
}

// Paused returns what is paused, sorted: "sale", "phase packs", "session SWIM". A removed phase is not among it, since
// nobody can resume it.
func (m *Model) Paused() (all []string) {
	for key := range m.paused {
		id, isPhase := strings.CutPrefix(key, "phase ")
		if _, there := m.rules.Sale.PhaseByID(id); there || !isPhase {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

// stopped refuses a request while the sale, its phase or the session of a line is paused, unless it is refused for
// longer than that.
func (m *Model) stopped(op Operation, phase *catalog.Phase) Refusal {
	if m.gone(op) {
		return Refusal{}
	}
	if m.paused["sale"] || m.paused["phase "+phase.ID] {
		return Refusal{Code: "paused", Phase: phase.ID}
	}
	for _, l := range m.knownLines(op) {
		if m.paused["session "+l.Session] {
			return Refusal{Code: "paused", Session: l.Session}
		}
	}
	return Refusal{}
}

// gone reports whether a session of the request is sold in no phase any more.
func (m *Model) gone(op Operation) bool {
	if _, listed := m.listed(op); listed {
		return true
	}
	return slices.ContainsFunc(m.knownLines(op), func(l Line) bool {
		session, _ := m.rules.Sale.SessionByID(l.Session)
		return !m.rules.Sale.Sessions[session].OnSale || m.ended(l, op.At).Code != ""
	})
}

// setStock sets the stock of one pool, in the words of Stock: places that are withheld after a return are among the
// withheld. Fewer than those are withheld as if some of the returned tickets were on sale again. The stock never falls
// below what is held and sold.
func (m *Model) setStock(op Operation) Answer {
	sale := m.rules.Sale
	session, ok := sale.SessionByID(op.Session)
	if !ok || sale.Sessions[session].Removed {
		return Answer{Refusal: Refusal{Code: "session_not_found", Session: op.Session}}
	}
	pool, ok := sale.PoolOf(session, op.Category)
	if !ok {
		return Answer{Refusal: Refusal{Code: "unknown_category", Session: op.Session, Category: op.Category}}
	}
	p, is := sale.Pools[pool], m.ofPool(pool)
	returned := is.Withheld - p.Withheld + m.freed[pool] // that are withheld, freed or not
	p.Withheld = is.Withheld
	if op.Capacity != nil {
		p.Capacity = *op.Capacity
	}
	if op.Withheld != nil {
		p.Withheld = *op.Withheld
	}
	contradicts := op.Capacity != nil && op.Withheld != nil && p.Withheld > p.Capacity
	if p.Capacity < 0 || p.Capacity > math.MaxInt32 || p.Withheld < 0 || p.Withheld > math.MaxInt32 || contradicts {
		return refuse("malformed_request")
	}
	if taken := is.Held + is.Sold; p.Capacity-p.Withheld < taken {
		return Answer{Refusal: Refusal{Code: "stock_taken", Session: op.Session, Category: op.Category, Taken: taken}}
	}
	if p.Capacity == is.Capacity && p.Withheld == is.Withheld {
		return Answer{Stock: []Stock{is}}
	}
	if op.Withheld == nil {
		p.Withheld = sale.Pools[pool].Withheld
	} else {
		m.freed = maps.Clone(m.freed)
		if delete(m.freed, pool); returned > p.Withheld {
			m.freed[pool] = returned - p.Withheld
		}
		p.Withheld = max(0, p.Withheld-returned)
	}
	next, rules := *sale, *m.rules
	next.Pools = slices.Clone(sale.Pools)
	next.Pools[pool] = p
	rules.Sale = &next
	m.rules = &rules
	return Answer{Stock: []Stock{m.ofPool(pool)}}
}
