package rules

import (
	"fmt"

	"github.com/seathold/seathold/engine/inventory"
)

// Gains reports whether b is a book between two others, of which only the later one bounds how many tickets the phase
// sells of a session of the lines. Then no call may make a row of the inventory that has them, not even one that
// follows another row: see inventory/quotas.go.
func (b *Book) Gains(phase int, lines []inventory.Line) bool {
	if b.next == nil || !b.next.Sale.HasQuotas(phase) {
		return false
	}
	for _, l := range lines {
		session := b.next.Sale.Pools[l.Pool].Session
		if quota, bounded := b.next.Sale.QuotaOf(phase, session); bounded && quota >= len(b.Sale.Quotas) {
			return true
		}
	}
	return false
}

// RefusePlaces returns the refusal of a request for so many tickets of the session of a quota, of which the phase has
// so many left. It names the category of the request's first line of the session.
func (b *Book) RefusePlaces(quota int, lines []inventory.Line, requested, available int) Refusal {
	q := &b.Sale.Quotas[quota]
	refusal := Refusal{Code: SoldOut, Phase: b.Sale.Phases[q.Phase].ID, Session: b.Sale.Sessions[q.Session].ID,
		Limit: q.Places, Requested: requested, Available: available}
	for _, l := range lines {
		if p := &b.Sale.Pools[l.Pool]; p.Session == q.Session {
			refusal.Category = p.Category
			break
		}
	}
	return refusal
}

// soldOut is the detail of SoldOut: a pool has too few tickets, or the phase has.
func soldOut(r *Refusal) string {
	if r.Phase != "" {
		return fmt.Sprintf("phase %s has %d of its %d places of session %s left; %d were requested", r.Phase, r.Available,
			r.Limit, r.Session, r.Requested)
	}
	return fmt.Sprintf("session %s, category %s has %d tickets left; %d were requested", r.Session, r.Category,
		r.Available, r.Requested)
}
