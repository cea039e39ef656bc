package audit

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

// What changes while a sale runs: versions of its definition, the stock of single pools, and what is paused.

// limits returns the caps of all programmes and the limits of all sessions, by row.
func (a *auditor) limits() (of [2][]int) {
	for i := range a.programmes {
		of[byProgramme] = append(of[byProgramme], a.programmes[i].accountCap)
	}
	for i := range a.sessions {
		of[bySession] = append(of[bySession], a.sessions[i].limit)
	}
	return of
}

// checkVersion checks that a version follows the definition before it, and that it allows accounts exactly as much
// beyond caps and limits as they could have had: up to the earlier cap or limit, or to what was allowed beyond that.
// No account may have more. What accounts had under a definition of version 1 is not known.
func (a *auditor) checkVersion(was *rules, wasLimits [2][]int) {
	if was == nil || was.names {
		return
	}
	if a.rules.version != was.version+1 {
		a.problem("definition: version %d follows version %d", a.rules.version, was.version)
	}
	earlier := a.rules.files[:len(a.rules.files)-1]
	if !slices.Equal(earlier, was.files[max(0, len(was.files)-record.MaxEarlier):]) {
		a.problem("definition: version %d names the files of %d earlier versions; "+
			"they are not those of the versions before it", a.rules.version, len(earlier))
	}
	for of, limits := range a.limits() {
		for row, limit := range limits {
			allowed := 0
			if row < len(wasLimits[of]) {
				if most := max(wasLimits[of][row], was.above[of][row]); limit < most {
					allowed = most
				}
			}
			if said := a.rules.above[of][row]; said != allowed {
				name, _ := a.limit(of, row)
				a.problem("I2: %s, limit %d: the version allows accounts %d tickets beyond it; by the one before it is %d", name,
					limit, said, allowed)
			}
		}
	}
	a.checkAccounts()
}

// checkAccounts checks that no account has more than its limits, or than the definition allows beyond them.
func (a *auditor) checkAccounts() {
	for of := range a.tickets {
		for _, key := range slices.Sorted(maps.Keys(a.tickets[of])) {
			a.checkTickets(of, key, a.rules.above[of][key.row()])
		}
	}
}

// checkMoved checks that nothing is held or sold of sessions that a version has moved to another programme.
func (a *auditor) checkMoved(sessions []int) {
	has := map[int]int{}
	for key, tickets := range a.tickets[bySession] {
		has[key.row()] += tickets
	}
	for _, row := range sessions {
		if has[row] > 0 {
			a.problem("I2: session %s is in another programme than before, and %d tickets of it are held or sold",
				a.sessions[row].id, has[row])
		}
	}
}

// stock gives a pool another stock, which must not be below what is taken (I1).
func (a *auditor) stock(s record.Stock) {
	a.rules.stock[s.Pool] = s
	row := a.rules.pools[s.Pool]
	a.pools[row].places, a.pools[row].freed = s.Capacity-s.Withheld, s.Freed
	if a.strict {
		a.checkPool(row)
	}
}

// defineFreed gives the pools the freed places that a definition says. A version has those that were free before it.
func (a *auditor) defineFreed(d *record.Definition) {
	freed := map[int]int{}
	for pool, tickets := range d.FreedByPool() {
		freed[a.rules.pools[pool]] = tickets
	}
	for row := range a.pools {
		p := &a.pools[row]
		if a.strict && freed[row] != p.freed {
			a.problem("definition: session %s, category %s: %d places of returned tickets are freed; before it %d were",
				a.sessions[p.session].id, p.category, freed[row], p.freed)
		}
		p.freed = freed[row]
	}
}

// sale returns what is in force: the definition, with the stock of the pools that were changed since.
func (a *auditor) sale() *catalog.Sale {
	sale := *a.rules.sale
	sale.Pools = slices.Clone(sale.Pools)
	for i, s := range a.rules.stock {
		sale.Pools[i].Capacity, sale.Pools[i].Withheld = s.Capacity, s.Withheld
	}
	return &sale
}

// differs reports whether a sale says something else than what is in force. A definition of kind 1 does not have what
// only people read.
func (a *auditor) differs(given *catalog.Sale) bool {
	if a.rules.names {
		return false
	}
	is := a.sale()
	then, err := catalog.Continue(is, given)
	switch {
	case err != nil:
		return true
	case a.rules.version == 0:
		was, now := record.DefinitionOf(is), record.DefinitionOf(then)
		return was.Digest != now.Digest
	}
	return record.DigestOf(is) != record.DigestOf(then)
}

// paused is what takes no new holds, by name.
type paused struct {
	sale     bool
	phases   map[string]bool
	sessions map[string]bool
}

// pause pauses something, or ends its pause.
func (a *auditor) pause(p record.Pause) {
	switch p.Of {
	case record.WholeSale:
		a.paused.sale = p.Paused
	case record.OnePhase:
		mark(&a.paused.phases, a.rules.sale.Phases[p.Index].ID, p.Paused)
	case record.OneSession:
		mark(&a.paused.sessions, a.rules.sale.Sessions[p.Index].ID, p.Paused)
	}
}

func mark(in *map[string]bool, name string, is bool) {
	if *in == nil {
		*in = map[string]bool{}
	}
	(*in)[name] = is
}

// checkPaused checks that nothing is newly held or taken again of what is paused. What was placed before the pause is
// before its record in the journal.
func (a *auditor) checkPaused(r *record.Record) {
	sale, id := a.rules.sale, uuid.UUID(r.Request.ID)
	if a.paused.sale {
		a.problem("paused: reservation %s was taken while the sale was paused", id)
	}
	if phase := sale.Phases[r.Request.Phase].ID; a.paused.phases[phase] {
		a.problem("paused: reservation %s was taken in phase %s, which was paused", id, phase)
	}
	said := map[string]bool{}
	for _, l := range r.Request.Lines {
		session := sale.Sessions[sale.Pools[l.Pool].Session].ID
		if a.paused.sessions[session] && !said[session] {
			a.problem("paused: reservation %s takes session %s, which was paused", id, session)
		}
		said[session] = true
	}
}
