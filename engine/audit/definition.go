package audit

import (
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// What a journal's definitions say. The auditor has rows of its own for their pools, sessions and programmes, by name,
// which never change.

// rules are the definition in force.
type rules struct {
	sale    *catalog.Sale // in the numbers of the decoder
	names   bool          // version 1: the sale is the one that the caller named
	version int           // 0 for a definition of kind 1
	digest  draw.Digest
	files   []draw.Digest        // of the earlier versions and of this one; nil for a definition of kind 1
	pools   []int                // rows, by the sale's pools
	above   [2]map[int]int       // what accounts may have beyond caps and limits, by row
	stock   map[int]record.Stock // what single pools have instead, by the sale's pools
}

// The two tables of rules.above, and of auditor.tickets.
const (
	byProgramme = iota
	bySession
)

type auditedPool struct {
	session  int
	category string
	places   int // capacity less withheld, also of a removed pool
	freed    int // places of returned tickets that were withheld and are on sale again
	taken    int // also of returned tickets that were withheld
	withheld int // such tickets
}

type auditedSession struct {
	id        string
	programme int
	limit     int
}

type auditedProgramme struct {
	id         string
	accountCap int
}

// rowOf returns the row of a name; it appends a new one to the table.
func rowOf[K comparable, T any](rows map[K]int, table *[]T, name K, fresh T) int {
	row, known := rows[name]
	if !known {
		row = len(*table)
		rows[name] = row
		*table = append(*table, fresh)
	}
	return row
}

// ErrNoSale is returned for a journal that must be judged by a sale that the caller names.
var ErrNoSale = record.ErrNoSale

// define puts a definition in force.
func (a *auditor) define(seq uint64, d *record.Definition) {
	now := &rules{sale: a.decoder.Sale(), names: d.Rules == nil, version: d.Version, digest: d.Digest,
		above: [2]map[int]int{{}, {}}, stock: map[int]record.Stock{}}
	if now.version > 0 {
		now.digest = record.DigestOf(now.sale)
		now.files = append(slices.Clone(d.Earlier), d.FilesDigest)
	}
	was, wasLimits := a.rules, a.limits()
	if was == nil || now.names || was.digest != now.digest || was.version != now.version {
		a.found.Definitions++
	}
	a.found.Sale, a.rules = d.Sale, now
	if seq == 0 {
		a.paused = paused{} // the rows of what is paused follow
	}
	moved := a.renumber()
	a.defineFreed(d)
	for _, m := range d.Above.Programmes {
		now.above[byProgramme][a.programmeRows[now.sale.Programmes[m.Of].ID]] = m.Tickets
	}
	for _, m := range d.Above.Sessions {
		now.above[bySession][a.sessionRows[now.sale.Sessions[m.Of].ID]] = m.Tickets
	}
	if len(moved) > 0 {
		if a.strict && now.version > 0 {
			a.checkMoved(moved)
		}
		a.recount()
	}
	a.definePlaces()
	if !a.strict {
		return
	}
	a.checkPools()
	a.checkAllPlaces()
	if now.version > 0 {
		a.checkVersion(was, wasLimits)
	} else {
		a.checkAbove()
	}
}

// renumber gives the rows what the rules in force say of them, and returns the rows of the sessions that are in
// another programme than before.
func (a *auditor) renumber() (moved []int) {
	sale := a.rules.sale
	programmes := make([]int, len(sale.Programmes))
	for i := range sale.Programmes {
		p := &sale.Programmes[i]
		programmes[i] = rowOf(a.programmeRows, &a.programmes, p.ID, auditedProgramme{id: p.ID})
		a.programmes[programmes[i]].accountCap = p.AccountCap
	}
	sessions := make([]int, len(sale.Sessions))
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		programme := programmes[s.Programme]
		sessions[i] = rowOf(a.sessionRows, &a.sessions, s.ID, auditedSession{id: s.ID, programme: programme})
		row := &a.sessions[sessions[i]]
		if row.programme != programme {
			moved = append(moved, sessions[i])
		}
		row.programme, row.limit = programme, s.Limit
	}
	a.rules.pools = make([]int, len(sale.Pools))
	for i := range sale.Pools {
		p := &sale.Pools[i]
		name := record.Pool{Session: sale.Sessions[p.Session].ID, Category: p.Category}
		row := rowOf(a.poolRows, &a.pools, name, auditedPool{session: sessions[p.Session], category: p.Category})
		a.rules.pools[i], a.pools[row].places = row, p.Capacity-p.Withheld
	}
	for i := range sale.Draws {
		id := sale.Draws[i].ID
		if a.draws[id] == nil {
			a.draws[id] = &auditedDraw{index: map[string]uint32{}, size: -1}
		}
	}
	return moved
}

// rowsOf returns the lines with the rows of their pools.
func (a *auditor) rowsOf(lines []inventory.Line) []inventory.Line {
	rows := make([]inventory.Line, len(lines))
	for i, l := range lines {
		rows[i] = inventory.Line{Pool: uint32(a.rules.pools[l.Pool]), Quantity: l.Quantity}
	}
	return rows
}

// recount counts all tickets anew, after a session moved to another programme or a phase got places.
func (a *auditor) recount() {
	a.tickets = [2]map[ticketKey]int{{}, {}}
	for row := range a.pools {
		a.pools[row].taken, a.pools[row].withheld = 0, 0
	}
	for _, p := range a.places {
		p.taken = 0
	}
	for _, r := range a.reservations {
		a.count(r, 1)
	}
}

// checkAbove compares what a definition says that accounts have beyond its caps and limits with what they have. Too
// high a number would excuse what is taken later.
func (a *auditor) checkAbove() {
	if a.rules.names {
		return
	}
	for of := range a.tickets {
		most := map[int]int{}
		for key, has := range a.tickets[of] {
			if _, limit := a.limit(of, key.row()); has > limit {
				most[key.row()] = max(most[key.row()], has)
			}
		}
		said := a.rules.above[of]
		for row := range max(len(a.programmes), len(a.sessions)) {
			if most[row] != said[row] {
				name, limit := a.limit(of, row)
				a.problem("I2: %s, limit %d: by the definition one account has %d tickets, but the most are %d", name, limit,
					said[row], most[row])
			}
		}
	}
}

// limit returns the name of a programme or session, and what an account may have of it.
func (a *auditor) limit(of, row int) (name string, limit int) {
	if of == byProgramme {
		return "programme " + a.programmes[row].id, a.programmes[row].accountCap
	}
	return "session " + a.sessions[row].id, a.sessions[row].limit
}
