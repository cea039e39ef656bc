package record

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Definition names the phases, draws, groups and pools that the numbers in records mean. With it a journal is readable
// without the sale's files, and a sale can grow: sessions, categories, phases and seats may be added between two
// starts.
type Definition struct {
	Sale   string
	Phases []string
	Draws  []string
	Groups []string
	Pools  []Pool
}

// Pool names a pool.
type Pool struct{ Session, Category string }

const definitionVersion = 1

// DefinitionOf returns the definition of a sale. Its numbers are the indices in the sale's slices.
func DefinitionOf(s *catalog.Sale) Definition {
	d := Definition{Sale: s.Name, Groups: GroupNames(s)}
	for i := range s.Phases {
		d.Phases = append(d.Phases, s.Phases[i].ID)
	}
	for i := range s.Draws {
		d.Draws = append(d.Draws, s.Draws[i].ID)
	}
	for i := range s.Pools {
		d.Pools = append(d.Pools, Pool{Session: s.Sessions[s.Pools[i].Session].ID, Category: s.Pools[i].Category})
	}
	return d
}

// Append appends the definition's record to a run of records.
func (d *Definition) Append(run []byte) []byte {
	start := len(run)
	run = appendText(append(begin(run, KindDefinition), definitionVersion), d.Sale)
	for _, list := range [][]string{d.Phases, d.Draws, d.Groups} {
		run = binary.AppendUvarint(run, uint64(len(list)))
		for _, name := range list {
			run = appendText(run, name)
		}
	}
	run = binary.AppendUvarint(run, uint64(len(d.Pools)))
	for _, p := range d.Pools {
		run = appendText(appendText(run, p.Session), p.Category)
	}
	return seal(run, start)
}

const maxName = 255 // bytes of a name in a definition

func (f *fields) definition() Definition {
	if f.byte() != definitionVersion {
		f.bad = true
	}
	d := Definition{Sale: string(f.text(maxName))}
	for _, list := range []*[]string{&d.Phases, &d.Draws, &d.Groups} {
		for range f.number(uint64(len(f.rest))) {
			*list = append(*list, string(f.text(maxName)))
		}
	}
	for range f.number(uint64(len(f.rest))) {
		d.Pools = append(d.Pools, Pool{Session: string(f.text(maxName)), Category: string(f.text(maxName))})
		if f.bad {
			break
		}
	}
	return d
}

// Decoder decodes a journal's records in the numbers of the present sale.
type Decoder struct {
	sale   *catalog.Sale
	now    *translation // nil before the first definition
	record Record
}

// NewDecoder returns a decoder for a journal of this sale.
func NewDecoder(s *catalog.Sale) *Decoder { return &Decoder{sale: s} }

// Decode decodes one record. A definition applies to the records after it. The result is valid until the next call.
//
// The error is ErrInvalid for bytes that are not a record, or that come before any definition. Otherwise it states what
// the present sale lacks: the journal is of another sale, or names a phase, pool, draw or group that was removed.
func (d *Decoder) Decode(b []byte) (*Record, error) {
	r := &d.record
	if err := r.Decode(b); err != nil {
		return nil, err
	}
	var err error
	switch {
	case r.Kind == KindDefinition:
		d.now, err = translate(r.Definition, d.sale)
	case d.now == nil:
		err = fmt.Errorf("%w: it comes before any definition", ErrInvalid)
	case r.Kind == KindTaken || r.Kind == KindReservation:
		err = d.now.request(&r.Request)
	case r.Kind >= KindEntry:
		err = d.now.draw(&r.Draw)
	}
	return r, err
}

// Current reports whether the journal's last definition is the present sale's, number by number.
func (d *Decoder) Current() bool {
	if d.now == nil {
		return false
	}
	was, is := &d.now.from, DefinitionOf(d.sale)
	return slices.Equal(was.Phases, is.Phases) && slices.Equal(was.Draws, is.Draws) &&
		slices.Equal(was.Groups, is.Groups) && slices.Equal(was.Pools, is.Pools)
}

// translation maps the numbers of a journal's definition to those of the present sale; -1 for what was removed.
type translation struct {
	phases []int
	draws  []int
	groups []int
	pools  []int
	from   Definition
}

func translate(from Definition, sale *catalog.Sale) (*translation, error) {
	if from.Sale != sale.Name {
		return nil, fmt.Errorf("the journal belongs to the sale %q, not to %q", from.Sale, sale.Name)
	}
	t := &translation{from: from, phases: indices(from.Phases, sale.PhaseByID), draws: indices(from.Draws, sale.DrawByID),
		groups: indices(from.Groups, sale.GroupByID)}
	for _, p := range from.Pools {
		pool := -1
		if session, ok := sale.SessionByID(p.Session); ok {
			if i, ok := sale.PoolOf(session, p.Category); ok {
				pool = i
			}
		}
		t.pools = append(t.pools, pool)
	}
	return t, nil
}

// indices looks names up; -1 for those that are missing.
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

func (t *translation) request(q *inventory.Request) error {
	if int(q.Phase) >= len(t.phases) {
		return fmt.Errorf("%w: phase %d of %d", ErrInvalid, q.Phase, len(t.phases))
	}
	if t.phases[q.Phase] < 0 {
		return fmt.Errorf("the sale no longer has the phase %q, which reservations of the journal name",
			t.from.Phases[q.Phase])
	}
	q.Phase = uint16(t.phases[q.Phase])
	for i, l := range q.Lines {
		if int(l.Pool) >= len(t.pools) {
			return fmt.Errorf("%w: pool %d of %d", ErrInvalid, l.Pool, len(t.pools))
		}
		if t.pools[l.Pool] < 0 {
			p := t.from.Pools[l.Pool]
			return fmt.Errorf("the sale no longer has session %s, category %s, of which tickets are taken", p.Session,
				p.Category)
		}
		q.Lines[i].Pool = uint32(t.pools[l.Pool])
	}
	return nil
}

func (t *translation) draw(d *Draw) error {
	if d.Index >= len(t.draws) || d.Group > len(t.groups) {
		return fmt.Errorf("%w: draw %d of %d, group %d of %d", ErrInvalid, d.Index, len(t.draws), d.Group, len(t.groups))
	}
	if t.draws[d.Index] < 0 {
		return fmt.Errorf("the sale no longer has the draw %q, for which the journal has entries", t.from.Draws[d.Index])
	}
	d.Index = t.draws[d.Index]
	if d.Group > 0 {
		now := t.groups[d.Group-1]
		if now < 0 {
			return fmt.Errorf("the sale no longer has the priority group %q, which entries of the journal name",
				t.from.Groups[d.Group-1])
		}
		d.Group = now + 1
	}
	return nil
}
