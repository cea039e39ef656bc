package rules

import (
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Resolved are the lines of a request as pools of the sale, up to the first one that the sale does not have. A removed
// pool is one of them, since a reservation may have it; nothing new is sold of it.
type Resolved struct {
	Pools []inventory.Line // in the order of the request, each pool once

	sale     *catalog.Sale
	sessions int  // different ones
	unknown  Code // why the next line of the request has no pool; empty if all lines have one
	next     Line // that line, without its quantity
	listed   int  // the session of that line if it is listed without any category; -1 for none
}

// Resolve looks up lines. It appends the pools to dst, which is empty.
func (b *Book) Resolve(lines []Line, dst []inventory.Line) Resolved {
	found := Resolved{sale: b.Sale, Pools: dst, listed: -1}
	for i := range lines {
		l := &lines[i]
		session, pool, fault := b.poolOf(l)
		if fault != "" {
			found.unknown, found.next = fault, Line{Session: l.Session, Category: l.Category}
			if fault == NotOnSale {
				found.listed = session
			}
			return found
		}
		if !found.has(session) {
			found.sessions++
		}
		found.Pools = append(found.Pools, inventory.Line{Pool: uint32(pool), Quantity: uint32(l.Quantity)})
	}
	return found
}

// poolOf looks up a line's session and pool. fault is the code of the refusal of a line without one.
func (b *Book) poolOf(l *Line) (session, pool int, fault Code) {
	session, ok := b.Sale.SessionByID(l.Session)
	if !ok {
		return 0, 0, UnknownSession
	}
	pools := b.Sale.Sessions[session].Pools
	if len(pools) == 0 {
		return session, 0, NotOnSale
	}
	for _, pool := range pools {
		if b.Sale.Pools[pool].Category == l.Category {
			return session, pool, ""
		}
	}
	return session, 0, UnknownCategory
}

// onlySold returns the lines of a request as another version of the sale judges them: up to the first one whose pool
// is removed from that.
func (l Resolved) onlySold(sale *catalog.Sale) Resolved {
	l.sale = sale
	for i, line := range l.Pools {
		if p := &sale.Pools[line.Pool]; p.Removed {
			l.unknown, l.next = UnknownCategory, Line{Session: sale.Sessions[p.Session].ID, Category: p.Category}
			l.Pools, l.listed = l.Pools[:i], -1
			l.sessions = shapeOf(sale, l.Pools).sessions
			break
		}
	}
	return l
}

// refuseNext refuses the line at which the resolved ones end.
func (b *Book) refuseNext(lines Resolved, into *Refusal) error {
	return b.refuseUnknown(&lines.next, lines.unknown, into)
}

// refuseUnknown refuses a line for the fault that poolOf found.
func (b *Book) refuseUnknown(l *Line, fault Code, into *Refusal) error {
	refusal := Refusal{Code: fault, Session: l.Session}
	if fault == UnknownCategory {
		refusal.Category, refusal.offer = l.Category, offer{sale: b.Sale}
	}
	return into.set(refusal)
}

// Known reports whether the sale has all lines of the request.
func (l Resolved) Known() bool { return l.unknown == "" }

func (l Resolved) has(session int) bool {
	for _, line := range l.Pools {
		if l.sale.Pools[line.Pool].Session == session {
			return true
		}
	}
	return false
}

// soldIn reports whether the phase sells every session of the lines.
func (l Resolved) soldIn(p *catalog.Phase) bool {
	for _, line := range l.Pools {
		if !p.Sells(l.sale.Pools[line.Pool].Session) {
			return false
		}
	}
	return l.listed < 0
}

// of reports whether every session of the lines belongs to the programme.
func (l Resolved) of(programme int) bool {
	for _, line := range l.Pools {
		if l.sale.Sessions[l.sale.Pools[line.Pool].Session].Programme != programme {
			return false
		}
	}
	return l.listed < 0 || l.sale.Sessions[l.listed].Programme == programme
}

// shapedFor reports whether the sessions and quantities of the lines have the shape that the phase requires.
func (l Resolved) shapedFor(p *catalog.Phase) bool {
	return p.Kind == catalog.Single || l.sessions == p.PackSessions && (!p.PackEqual || l.even())
}

// even reports whether the lines have equally many tickets for each of their sessions.
func (l Resolved) even() bool { return shapeOf(l.sale, l.Pools).even }

// Equal reports whether a reservation has the same lines, in any order.
func (l Resolved) Equal(has []inventory.Line) bool {
	if len(l.Pools) != len(has) {
		return false
	}
	for _, line := range l.Pools {
		if quantityOf(has, line.Pool) != int(line.Quantity) {
			return false
		}
	}
	return true
}

// Covers reports whether the request has each line of a reservation, with at least as many tickets.
func (l Resolved) Covers(has []inventory.Line) bool {
	for _, line := range has {
		if quantityOf(l.Pools, line.Pool) < int(line.Quantity) {
			return false
		}
	}
	return true
}

func quantityOf(lines []inventory.Line, pool uint32) int {
	for _, l := range lines {
		if l.Pool == pool {
			return int(l.Quantity)
		}
	}
	return 0
}

// Keep resolves the lines that a reservation of a phase is to keep of those that it has, and appends them to dst, which
// is empty. It refuses more than the reservation has, and another shape of a pack. A book between two others accepts
// what both accept, and refuses all else with Changing.
func (b *Book) Keep(keep []Line, phase int, has, dst []inventory.Line, into *Refusal) (kept Resolved, err error) {
	if b.next != nil && b.lacks(phase, has) {
		return kept, into.set(Refusal{Code: Changing})
	}
	kept, err = b.keep(keep, phase, has, dst, into)
	if b.next == nil {
		return kept, err
	}
	if err == nil {
		_, err = b.next.keep(keep, phase, has, dst, into) // the same lines: pools keep their numbers
	}
	if err != nil {
		err = into.set(Refusal{Code: Changing})
	}
	return kept, err
}

func (b *Book) keep(keep []Line, phase int, has, dst []inventory.Line, into *Refusal) (kept Resolved, err error) {
	for i := range keep {
		l := &keep[i]
		_, pool, fault := b.poolOf(l)
		if fault == NotOnSale { // a session without pools has no category either
			fault = UnknownCategory
		}
		if fault != "" {
			return kept, b.refuseUnknown(l, fault, into)
		}
		if had := quantityOf(has, uint32(pool)); l.Quantity > had {
			return kept, into.set(Refusal{Code: NotAReduction, Session: l.Session, Category: l.Category, Held: had,
				Requested: l.Quantity})
		}
		dst = append(dst, inventory.Line{Pool: uint32(pool), Quantity: uint32(l.Quantity)})
	}
	if p := &b.Sale.Phases[phase]; p.Kind == catalog.Pack {
		had, keeps := shapeOf(b.Sale, has), shapeOf(b.Sale, dst)
		if keeps.sessions != had.sessions || had.even && !keeps.even {
			return kept, into.set(Refusal{Code: PackShape, Phase: p.ID, Limit: had.sessions, Requested: keeps.sessions})
		}
	}
	return Resolved{sale: b.Sale, Pools: dst, listed: -1}, nil
}

// packShape is the number of sessions of a pack, and whether it has equally many tickets of each.
type packShape struct {
	sessions int
	even     bool
}

func shapeOf(sale *catalog.Sale, lines []inventory.Line) packShape {
	found, first := packShape{even: true}, uint32(0)
	for i, l := range lines {
		session, tickets, earlier := sale.Pools[l.Pool].Session, uint32(0), false
		for j, other := range lines {
			if sale.Pools[other.Pool].Session == session {
				tickets += other.Quantity
				earlier = earlier || j < i
			}
		}
		if i == 0 {
			first = tickets
		}
		if !earlier {
			found.sessions++
		}
		found.even = found.even && tickets == first
	}
	return found
}
