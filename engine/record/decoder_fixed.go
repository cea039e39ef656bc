package record

import (
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// FixedDecoder decodes a journal's records in the numbers of one sale. It is there until replay follows the
// definitions of its journal.
type FixedDecoder struct {
	sale   *catalog.Sale
	is     Definition        // of the present sale
	now    *fixedTranslation // nil before the first definition
	since  Stamp             // of the last definition
	record Record
}

// NewFixedDecoder returns a decoder for a journal of this sale.
func NewFixedDecoder(s *catalog.Sale) *FixedDecoder {
	return &FixedDecoder{sale: s, is: DefinitionOf(s)}
}

// Decode decodes one record. A definition applies to the records after it. The result is valid until the next call. seq
// is the sequence of a record of the journal, and 0 for one of a checkpoint.
//
// The error is ErrInvalid for bytes that are not a record, or that come before any definition. Otherwise it states what
// the present sale lacks: the journal is of another sale, or names a phase, pool, draw or group that was removed. A
// draw that was announced or postponed, and removed before anybody entered, is no error: its index is then negative.
func (d *FixedDecoder) Decode(seq uint64, b []byte) (*Record, error) {
	r := &d.record
	if err := r.Decode(b); err != nil {
		return nil, err
	}
	var err error
	switch {
	case r.Kind == KindDefinition:
		d.define(seq, r)
		d.now, err = translateFixed(r.Definition, d.sale)
	case d.now == nil:
		err = fmt.Errorf("%w: it comes before any definition", ErrInvalid)
	case r.Kind.Complete():
		err = d.now.request(&r.Request)
	case r.Kind.ofDraw():
		err = d.now.draw(r.Kind, &r.Draw)
	}
	return r, err
}

// define notes since when the definition is in force.
func (d *FixedDecoder) define(seq uint64, r *Record) {
	if d.now != nil && d.now.from.Same(&r.Definition) {
		return
	}
	if d.since = r.Stamp; seq > 0 {
		d.since.Seq = seq
	}
}

// Current reports whether the present sale is what the journal's last definition says.
func (d *FixedDecoder) Current() bool { return d.now != nil && d.now.from.Same(&d.is) }

// InForce returns the journal's last definition, and the instant and sequence since which it is in force; nil if there
// is none.
func (d *FixedDecoder) InForce() (*Definition, Stamp) {
	if d.now == nil {
		return nil, Stamp{}
	}
	return &d.now.from, d.since
}

// fixedTranslation maps the numbers of a journal's definition to those of the present sale; -1 for what was removed.
type fixedTranslation struct {
	phases []int
	draws  []int
	groups []int
	pools  []int
	from   Definition
}

func translateFixed(from Definition, sale *catalog.Sale) (*fixedTranslation, error) {
	if from.Sale != sale.Name {
		return nil, fmt.Errorf("the journal belongs to the sale %q, not to %q", from.Sale, sale.Name)
	}
	t := &fixedTranslation{from: from, phases: found(from.Phases, sale.PhaseByID), draws: found(from.Draws, sale.DrawByID),
		groups: found(from.Groups, sale.GroupByID)}
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

func (t *fixedTranslation) request(q *inventory.Request) error {
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

func (t *fixedTranslation) draw(kind Kind, d *Draw) error {
	if d.Index >= len(t.draws) || d.Group > len(t.groups) {
		return fmt.Errorf("%w: draw %d of %d, group %d of %d", ErrInvalid, d.Index, len(t.draws), d.Group, len(t.groups))
	}
	switch {
	case t.draws[d.Index] >= 0:
	case kind == KindAnnounced || kind == KindPostponed:
		d.Index = -1
		return nil
	default:
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

func found(names []string, lookUp func(string) (int, bool)) []int {
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
