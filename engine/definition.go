package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// definition names the phases and pools that the numbers in records mean. It makes a journal readable without the sale's
// files, and lets a sale grow: sessions, categories and phases may be added, and places too, between two starts.
type definition struct {
	sale   string
	phases []string
	draws  []string
	groups []string
	pools  []poolName
}

type poolName struct{ session, category string }

func definitionOf(s *catalog.Sale) definition {
	d := definition{sale: s.Name}
	for i := range s.Phases {
		d.phases = append(d.phases, s.Phases[i].ID)
	}
	for i := range s.Draws {
		d.draws = append(d.draws, s.Draws[i].ID)
	}
	for i := range s.Groups {
		d.groups = append(d.groups, s.Groups[i].ID)
	}
	for i := range s.Pools {
		d.pools = append(d.pools, poolName{session: s.Sessions[s.Pools[i].Session].ID, category: s.Pools[i].Category})
	}
	return d
}

func (d *definition) append(run []byte) []byte {
	start := len(run)
	run = append(run, 0, byte(definitionRecord), definitionVersion)
	text := func(s string) {
		run = binary.AppendUvarint(run, uint64(len(s)))
		run = append(run, s...)
	}
	text(d.sale)
	for _, list := range [][]string{d.phases, d.draws, d.groups} {
		run = binary.AppendUvarint(run, uint64(len(list)))
		for _, name := range list {
			text(name)
		}
	}
	run = binary.AppendUvarint(run, uint64(len(d.pools)))
	for _, p := range d.pools {
		text(p.session)
		text(p.category)
	}
	return sealRecord(run, start)
}

const maxName = 255 // bytes of a name in a definition

func (f *fields) definition() definition {
	if f.byte() != definitionVersion {
		f.bad = true
	}
	d := definition{sale: string(f.text(maxName))}
	for _, list := range []*[]string{&d.phases, &d.draws, &d.groups} {
		for range f.number(uint64(len(f.rest))) {
			*list = append(*list, string(f.text(maxName)))
		}
	}
	for range f.number(uint64(len(f.rest))) {
		d.pools = append(d.pools, poolName{session: string(f.text(maxName)), category: string(f.text(maxName))})
		if f.bad {
			break
		}
	}
	return d
}

// translation turns the numbers of a journal's definition into those of the present sale. -1 stands for what is no longer
// part of the sale.
type translation struct {
	phases []int
	draws  []int
	groups []int
	pools  []int
	from   definition
}

// translate compares a journal's definition with the present sale.
func translate(from definition, sale *catalog.Sale) (*translation, error) {
	if from.sale != sale.Name {
		return nil, fmt.Errorf("the journal belongs to the sale %q, not to %q", from.sale, sale.Name)
	}
	t := &translation{from: from, phases: indices(from.phases, sale.PhaseByID), draws: indices(from.draws, sale.DrawByID),
		groups: indices(from.groups, sale.GroupByID)}
	for _, p := range from.pools {
		pool := -1
		if session, ok := sale.SessionByID(p.session); ok {
			if i, ok := sale.PoolOf(session, p.category); ok {
				pool = i
			}
		}
		t.pools = append(t.pools, pool)
	}
	return t, nil
}

// indices looks names up; -1 for those that are not there.
func indices(names []string, lookUp func(string) (int, bool)) []int {
	var found []int
	for _, name := range names {
		i, ok := lookUp(name)
		if !ok {
			i = -1
		}
		found = append(found, i)
	}
	return found
}

// apply rewrites a request of the journal in terms of the present sale.
func (t *translation) apply(q *inventory.Request) error {
	if int(q.Phase) >= len(t.phases) {
		return fmt.Errorf("%w: phase %d of %d", errRecord, q.Phase, len(t.phases))
	}
	if t.phases[q.Phase] < 0 {
		return fmt.Errorf("the sale no longer has the phase %q, which the journal's reservations name", t.from.phases[q.Phase])
	}
	q.Phase = uint16(t.phases[q.Phase])
	for i, l := range q.Lines {
		if int(l.Pool) >= len(t.pools) {
			return fmt.Errorf("%w: pool %d of %d", errRecord, l.Pool, len(t.pools))
		}
		if t.pools[l.Pool] < 0 {
			p := t.from.pools[l.Pool]
			return fmt.Errorf("the sale no longer has session %s, category %s, of which tickets are taken", p.session, p.category)
		}
		q.Lines[i].Pool = uint32(t.pools[l.Pool])
	}
	return nil
}

// same reports whether the journal's numbers mean the same today.
func (t *translation) same(sale *catalog.Sale) bool {
	return unchanged(t.phases, len(sale.Phases)) && unchanged(t.draws, len(sale.Draws)) &&
		unchanged(t.groups, len(sale.Groups)) && unchanged(t.pools, len(sale.Pools))
}

func unchanged(to []int, n int) bool {
	for i, now := range to {
		if now != i {
			return false
		}
	}
	return len(to) == n
}

// entry rewrites an entry of the journal in terms of the present sale.
func (t *translation) entry(f *entryFields) error {
	if f.draw >= len(t.draws) || f.group > len(t.groups) {
		return fmt.Errorf("%w: draw %d of %d, group %d of %d", errRecord, f.draw, len(t.draws), f.group, len(t.groups))
	}
	if t.draws[f.draw] < 0 {
		return fmt.Errorf("the sale no longer has the draw %q, for which the journal has entries", t.from.draws[f.draw])
	}
	if f.group > 0 && t.groups[f.group-1] < 0 {
		return fmt.Errorf("the sale no longer has the priority group %q, which entries of the journal name", t.from.groups[f.group-1])
	}
	f.draw = t.draws[f.draw]
	if f.group > 0 {
		f.group = t.groups[f.group-1] + 1
	}
	return nil
}
