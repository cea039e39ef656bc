package audit

import (
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

// checkSalesEnd checks that tickets of a session were taken before the end of its sales. Definitions that were written
// before there were ends have none.
func (a *auditor) checkSalesEnd(id uuid.UUID, s *catalog.Session, taken time.Time) {
	if !s.SalesEndAt.IsZero() && !taken.Before(s.SalesEndAt) {
		a.problem("phase: reservation %s takes session %s at %s; sales of it ended at %s", id, s.ID, stamp(taken),
			stamp(s.SalesEndAt))
	}
}

// checkPhase checks that a reservation was taken while its phase was open, of sessions that the phase sells, and with
// as many sessions as a pack must have, and as many tickets for each if they must be equal.
func (a *auditor) checkPhase(r *record.Record) {
	if a.rules.names {
		return // the phase may have been another one then
	}
	sale, id := a.rules.sale, uuid.UUID(r.Request.ID)
	p := &sale.Phases[r.Request.Phase]
	taken := time.UnixMilli(r.AtMs)
	if taken.Before(p.OpensAt) || !taken.Before(p.ClosesAt) {
		a.problem("phase: reservation %s in phase %s was taken at %s; the phase is open from %s to %s", id, p.ID,
			stamp(taken), stamp(p.OpensAt), stamp(p.ClosesAt))
	}
	sessions := map[int]int{}
	for _, l := range r.Request.Lines {
		session := sale.Pools[l.Pool].Session
		if sessions[session] += int(l.Quantity); !p.Sells(session) {
			a.problem("phase: reservation %s takes session %s, which phase %s does not sell", id, sale.Sessions[session].ID,
				p.ID)
		}
		if pool := &sale.Pools[l.Pool]; pool.Removed {
			a.problem("phase: reservation %s takes session %s, category %s, which was removed", id, sale.Sessions[session].ID,
				pool.Category)
		}
		a.checkSalesEnd(id, &sale.Sessions[session], taken)
	}
	if p.Kind == catalog.Pack && len(sessions) != p.PackSessions {
		a.problem("phase: reservation %s in phase %s is of %d sessions; a pack has %d", id, p.ID, len(sessions),
			p.PackSessions)
	}
	if p.PackEqual && !equal(sessions) {
		a.problem("phase: reservation %s in phase %s does not have equally many tickets for each session", id, p.ID)
	}
}
