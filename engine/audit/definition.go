package audit

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// What a journal's definitions say. Each of them numbers its pools, sessions and programmes anew. The auditor has rows
// of its own for them, by name, which never change.

// rules are the definition in force.
type rules struct {
	sale    *catalog.Sale
	decoder *record.FixedDecoder // in the sale's numbers
	names   bool                 // version 1: the sale is the one that the caller named
	pools   []int                // rows, by the sale's pools
	above   [2]map[int]int       // what accounts had beyond caps and limits when it came into force, by row
}

// The two tables of rules.above, and of auditor.tickets.
const (
	byProgramme = iota
	bySession
)

type auditedPool struct {
	session  int
	category string
	units    int // capacity less withheld; 0 once the sale does not have the pool any more
	taken    int // also of returned tickets that are not on sale again
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
var ErrNoSale = errors.New("the journal has a definition of version 1, which does not say how many places there " +
	"were; name the sale that it belongs to")

// define puts a definition in force. b is its record.
func (a *auditor) define(seq uint64, d *record.Definition, b []byte) error {
	if a.given != nil && a.given.Name != d.Sale {
		return fmt.Errorf("the journal belongs to the sale %q, not to %q", d.Sale, a.given.Name)
	}
	now := &rules{sale: d.Rules, above: [2]map[int]int{{}, {}}}
	if d.Rules == nil {
		if a.given == nil {
			return ErrNoSale
		}
		now.sale, now.names = a.given, true
	}
	now.decoder = record.NewFixedDecoder(now.sale)
	if _, err := now.decoder.Decode(seq, b); err != nil {
		return err
	}
	if a.rules == nil || d.Rules == nil || a.found.Digest != d.Digest {
		a.found.Definitions++
	}
	a.found.Sale, a.found.Digest = d.Sale, d.Digest
	a.rules = now
	moved := a.renumber()
	for _, m := range d.Above.Programmes {
		now.above[byProgramme][a.programmeRows[now.sale.Programmes[m.Of].ID]] = m.Tickets
	}
	for _, m := range d.Above.Sessions {
		now.above[bySession][a.sessionRows[now.sale.Sessions[m.Of].ID]] = m.Tickets
	}
	if moved {
		a.recount()
	}
	if a.strict {
		a.checkPools()
		a.checkAbove()
	}
	return nil
}

// renumber gives the rows what the rules in force say of them, and reports whether a session is in another programme
// than before.
func (a *auditor) renumber() (moved bool) {
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
		moved = moved || row.programme != programme
		row.programme, row.limit = programme, s.Limit
	}
	for i := range a.pools {
		a.pools[i].units = 0
	}
	a.rules.pools = make([]int, len(sale.Pools))
	for i := range sale.Pools {
		p := &sale.Pools[i]
		name := record.Pool{Session: sale.Sessions[p.Session].ID, Category: p.Category}
		row := rowOf(a.poolRows, &a.pools, name, auditedPool{session: sessions[p.Session], category: p.Category})
		a.rules.pools[i], a.pools[row].units = row, p.Capacity-p.Withheld
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

// recount counts all tickets anew, after a session moved to another programme.
func (a *auditor) recount() {
	a.tickets = [2]map[ticketKey]int{{}, {}}
	for row := range a.pools {
		a.pools[row].taken = 0
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
