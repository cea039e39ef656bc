package record

import (
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// withFacts returns a sale that was assembled of its content, with the facts that another one has of the same parts.
// Of what that one lacks only the content is known: a session is then on sale if a phase sells it.
func withFacts(rules, given *catalog.Sale) *catalog.Sale {
	s := *rules
	s.Title, s.Currency = given.Title, given.Currency
	s.Programmes, s.Sessions, s.Pools = slices.Clone(s.Programmes), slices.Clone(s.Sessions), slices.Clone(s.Pools)
	s.Groups, s.Draws, s.Phases = slices.Clone(s.Groups), slices.Clone(s.Draws), slices.Clone(s.Phases)
	for i, at := range indices(programmeIDs(rules), programmeIDs(given)) {
		if at >= 0 {
			s.Programmes[i].Title = given.Programmes[at].Title
		}
	}
	sessions := indices(sessionIDs(rules), sessionIDs(given))
	for i, at := range sessions {
		x := &s.Sessions[i]
		if at >= 0 {
			borrowSession(x, &given.Sessions[at])
			continue
		}
		x.Zone = time.UTC
		x.OnSale = slices.ContainsFunc(s.Phases, func(p catalog.Phase) bool { return p.Sells(i) })
	}
	for i, at := range indices(poolNames(rules), poolNames(given)) {
		p := &s.Pools[i]
		p.PriceCents = catalog.NoPrice
		if at >= 0 {
			p.PriceCents, p.Derived = given.Pools[at].PriceCents, given.Pools[at].Derived
		}
	}
	for i, at := range indices(GroupNames(rules), GroupNames(given)) {
		if at >= 0 {
			s.Groups[i].Title = given.Groups[at].Title
		}
	}
	for i, at := range indices(drawIDs(rules), drawIDs(given)) {
		if at >= 0 {
			from := &given.Draws[at]
			s.Draws[i].Title, s.Draws[i].Beacon.Chain = from.Title, from.Beacon.Chain
			s.Draws[i].Beacon.Signature = from.Beacon.Signature
		}
	}
	for i, at := range indices(phaseIDs(rules), phaseIDs(given)) {
		if at >= 0 {
			s.Phases[i].Title = given.Phases[at].Title
		}
	}
	return &s
}

// borrowSession copies all that the content of a definition does not have.
func borrowSession(x, from *catalog.Session) {
	kept := *x
	*x = *from
	x.ID, x.Programme, x.Limit, x.SalesEndAt, x.Pools = kept.ID, kept.Programme, kept.Limit, kept.SalesEndAt, kept.Pools
}
