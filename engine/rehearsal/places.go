package rehearsal

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/seathold/seathold/engine/catalog"
)

// places is what phases sell of the sessions of which they have a number of places.
type places struct {
	sale *catalog.Sale
	sold []atomic.Int64 // confirmed tickets by quota of the sale, as counted by the buyers
}

func newPlaces(s *catalog.Sale) *places {
	return &places{sale: s, sold: make([]atomic.Int64, len(s.Quotas))}
}

// count counts tickets that a phase has sold.
func (p *places) count(phase int, lines []choice) {
	for _, l := range lines {
		if i, bounded := p.sale.QuotaOf(phase, p.sale.Pools[l.pool].Session); bounded {
			p.sold[i].Add(int64(l.quantity))
		}
	}
}

// left returns how many tickets of a session a phase may still sell, once all holds have ended.
func (p *places) left(phase, session int) int {
	if p == nil {
		return math.MaxInt32
	}
	i, bounded := p.sale.QuotaOf(phase, session)
	if !bounded || p.sale.Quotas[i].Removed {
		return math.MaxInt32
	}
	return max(0, p.sale.Quotas[i].Units()-int(p.sold[i].Load()))
}

// boundedLast reports whether the last phase to sell a session has a number of places of it. What is left then was
// rightly refused.
func (r *rehearsal) boundedLast(session int) bool {
	var last *stage
	for _, s := range r.stages {
		if s.phase.Sells(session) && (last == nil || s.phase.ClosesAt.After(last.phase.ClosesAt)) {
			last = s
		}
	}
	return last != nil && r.places.left(last.index, session) < math.MaxInt32
}

// auditPlaces checks I1 for the phases that have a number of places of a session: they have sold no more of it, and as
// many as the buyers counted. found is the accounts' tickets by quota.
func auditPlaces(a *findings, p *places, found []int64) {
	for i := range p.sale.Quotas {
		q := &p.sale.Quotas[i]
		phase, session := p.sale.Phases[q.Phase].ID, p.sale.Sessions[q.Session].ID
		if found[i] > int64(q.Units()) {
			a.problem("I1: phase %s has sold %d tickets of session %s, it has %d places", phase, found[i], session, q.Units())
		}
		if counted := p.sold[i].Load(); found[i] != counted {
			a.problem("I4: phase %s, session %s: the accounts have %d tickets, the buyers counted %d", phase, session, found[i],
				counted)
		}
	}
}

// scaledPlaces returns the quotas of a sale at a fraction of its size.
func scaledPlaces(s *catalog.Sale, scale float64) []catalog.Quota {
	small := slices.Clone(s.Quotas)
	for i := range small {
		small[i].Places = fraction(small[i].Places, scale)
	}
	return small
}
