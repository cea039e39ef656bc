package record

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
)

// Decoder decodes a journal's records in one set of numbers: those of its first definition, which later definitions
// extend. See catalog.Continue.
type Decoder struct {
	given  *catalog.Sale // by the caller; nil for none
	sale   *catalog.Sale // what the last definition says; nil before the first one
	is     Definition    // likewise
	since  Stamp         // of that definition
	latest uint64        // sequence of the last record that changed what is in force; 0 if it is not known
	now    *translation  // from the numbers of the records that come now
	record Record
}

// NewDecoder returns a decoder for the journal of a sale. The sale that the caller has, or nil, must have the
// journal's name. It has what definitions of KindDefinition lack: the facts that only people read and, in version 1,
// what the names stand for.
func NewDecoder(given *catalog.Sale) *Decoder { return &Decoder{given: given} }

// ErrNoSale is the error of a definition of version 1 where the caller has given no sale.
var ErrNoSale = errors.New("the journal has a definition of version 1, which does not say how many places there " +
	"were; name the sale that it belongs to")

// Decode decodes one record. A definition applies to the records after it. The result is valid until the next call. seq
// is the sequence of a record of the journal, and 0 for one of a checkpoint.
//
// The error is ErrInvalid for bytes that are not a record, or that come before any definition, and ErrNoSale.
// Otherwise the journal is of another sale, or has a definition of version 1 and names what the given sale lacks. A
// draw that was announced or postponed under such a definition, and removed before anybody entered, is no error: its
// index is then negative.
func (d *Decoder) Decode(seq uint64, b []byte) (*Record, error) {
	r := &d.record
	if err := r.Decode(b); err != nil {
		return nil, err
	}
	r.Stale = false
	if r.Kind.OfDefinition() {
		d.place(seq, r)
	}
	var err error
	switch {
	case r.Kind == KindDefinition || r.Kind == KindVersion:
		err = d.define(seq, r)
	case d.now == nil:
		err = fmt.Errorf("%w: it comes before any definition", ErrInvalid)
	case r.Kind == KindPaused:
		err = d.now.pause(&r.Pause)
	case r.Kind == KindStock:
		err = d.now.stock(&r.Stock)
	case r.Kind.Complete():
		err = d.now.request(&r.Request)
	case r.Kind.OfMember():
		err = d.now.member(&r.Member)
	case r.Kind.ofDraw():
		err = d.now.draw(r.Kind, &r.Draw)
	}
	return r, err
}

// place determines whether the checkpoint has what the record changes already, or what came after it.
func (d *Decoder) place(seq uint64, r *Record) {
	if seq > 0 {
		r.Stale = d.sale != nil && seq <= d.latest
		d.latest = max(d.latest, seq)
	} else {
		d.latest = max(d.latest, r.Seq)
	}
}

// define puts a definition in force, unless it is stale. Either way the next records have its numbers.
func (d *Decoder) define(seq uint64, r *Record) error {
	from := r.Definition
	if err := d.checkName(from.Sale); err != nil {
		return err
	}
	if r.Stale {
		d.now = translate(&from, d.sale)
		return nil
	}
	sale, err := d.extend(&from)
	if err != nil {
		return err
	}
	d.now = translate(&from, sale)
	again := d.sale != nil && d.is.Same(&from) && d.is.Version == from.Version
	if d.sale = sale; !again {
		d.since = r.Stamp
		if seq > 0 {
			d.since.Seq = seq
		}
	}
	if from.Rules != nil && from.Rules != sale {
		r.Definition = d.now.definition(&from, sale)
	}
	d.is = r.Definition
	return nil
}

func (d *Decoder) checkName(name string) error {
	is := d.sale
	if d.given != nil {
		is = d.given
	}
	if is != nil && is.Name != name {
		return fmt.Errorf("the journal belongs to the sale %q, not to %q", name, is.Name)
	}
	return nil
}

// extend returns what a definition says, in the numbers of those before it.
func (d *Decoder) extend(from *Definition) (*catalog.Sale, error) {
	says := from.Rules
	switch {
	case says == nil && d.given == nil:
		return nil, ErrNoSale
	case says == nil:
		says = d.given
	case from.Version == 0 && d.given != nil:
		says = withFacts(says, d.given)
	}
	if d.sale == nil || extends(says, d.sale) {
		return says, nil
	}
	return catalog.Continue(d.sale, says)
}

// extends reports whether a sale has everything that the other one has, under the same numbers.
func extends(s, other *catalog.Sale) bool {
	return prefix(programmeIDs(other), programmeIDs(s)) && prefix(sessionIDs(other), sessionIDs(s)) &&
		prefix(poolNames(other), poolNames(s)) && prefix(phaseIDs(other), phaseIDs(s)) &&
		prefix(drawIDs(other), drawIDs(s)) && prefix(GroupNames(other), GroupNames(s)) &&
		prefix(quotaNames(other), quotaNames(s))
}

// Sale returns what the last definition says, in the numbers of all decoded records, without what records of KindStock
// changed since; nil if there is none.
func (d *Decoder) Sale() *catalog.Sale { return d.sale }

// InForce returns the last definition, in the numbers of all decoded records, and the instant and sequence since which
// it is in force; nil if there is none. Its Rules are Sale, or nil in version 1.
func (d *Decoder) InForce() (*Definition, Stamp) {
	if d.sale == nil {
		return nil, Stamp{}
	}
	return &d.is, d.since
}

// Latest returns the sequence of the last record that changed what is in force; 0 if it is not known.
func (d *Decoder) Latest() uint64 { return d.latest }
