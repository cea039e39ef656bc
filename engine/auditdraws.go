package engine

import (
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// auditedDraw is the naive state of a draw.
type auditedDraw struct {
	index   map[string]uint32 // of the account's entry
	entries []auditedEntry    // in the order in which they came
	size    int               // of the frozen entries; -1 before
	root    draw.Digest
	drawn   bool
}

type auditedEntry struct {
	account string
	group   uint8 // as the engine counts them: 0 for none
	rank    uint32
	slot    int32 // as the engine counts them: 0 for none
}

// drawRecord follows a draw: entries only until they are frozen, the draw only after, each once.
func (a *auditor) drawRecord(r *record) error {
	f := &r.entry
	if err := a.translation.entry(f); err != nil {
		return err
	}
	d, id := &a.draws[f.draw], a.sale.Draws[f.draw].ID
	switch r.kind {
	case entryRecord, rankedRecord:
		_, twice := d.index[f.account]
		if a.strict && (twice || d.size >= 0) {
			a.problem("I9: draw %s: account %s enters again, or after the close", id, f.account)
		}
		if !twice {
			d.index[f.account] = uint32(len(d.entries))
			d.entries = append(d.entries, auditedEntry{account: f.account, group: uint8(f.group), rank: f.rank, slot: int32(f.slot)})
		}
	case frozenRecord:
		return a.frozen(d, f)
	case drawnRecord:
		return a.drawn(d, f)
	}
	return nil
}

// frozen holds what was published against the entries, and the terms against the sale's.
func (a *auditor) frozen(d *auditedDraw, f *entryFields) error {
	id := a.sale.Draws[f.draw].ID
	if a.strict && d.size >= 0 {
		a.problem("I3: draw %s is frozen twice", id)
	}
	terms := DrawTerms(a.sale, f.draw)
	if f.terms != termsDigest(&terms) {
		a.problem("draw %s: its entries were frozen under other terms than the sale's", id)
	}
	d.size, d.root = f.size, f.root
	return nil
}

// drawn holds the draw again.
func (a *auditor) drawn(d *auditedDraw, f *entryFields) error {
	id := a.sale.Draws[f.draw].ID
	switch {
	case d.drawn && a.strict:
		a.problem("I3: draw %s is run twice", id)
	case d.size < 0:
		a.problem("I6: draw %s is run before it is frozen", id)
	}
	if d.drawn || d.size < 0 {
		return nil
	}
	d.drawn = true
	entries, err := a.freezeAgain(d)
	if err != nil {
		return fmt.Errorf("draw %s: %w", id, err)
	}
	a.checkRoot(id, d, entries)
	result, err := draw.Run(entries, DrawTerms(a.sale, f.draw), f.beacon)
	if err != nil {
		a.problem("draw %s: %v", id, err)
		return nil
	}
	for i := range d.entries {
		e, rank, slot := &d.entries[i], result.Rank[i], int32(slotCode(result.Slot[i]))
		if e.rank != 0 && (e.rank != rank || e.slot != slot) {
			a.problem("draw %s: a checkpoint has account %s at rank %d, slot %d; it drew %d, %d", id, e.account, e.rank, e.slot, rank, slot)
		}
		e.rank, e.slot = rank, slot
	}
	return nil
}

func (a *auditor) freezeAgain(d *auditedDraw) (*draw.Entries, error) {
	groups := make([]string, len(a.sale.Groups))
	for i := range groups {
		groups[i] = a.sale.Groups[i].ID
	}
	var name []byte
	return draw.Freeze(len(d.entries), func(i int) []byte { name = append(name[:0], d.entries[i].account...); return name },
		func(i int) uint8 { return d.entries[i].group }, groups)
}

func (a *auditor) checkRoot(id string, d *auditedDraw, entries *draw.Entries) {
	if entries.Root() != d.root || entries.Len() != d.size {
		a.problem("draw %s: %d entries have the root %s; published were %d and %s", id, entries.Len(), entries.Root(), d.size, d.root)
	}
}

// checkDraws counts the entries, and grows the trees of the draws that have not been run.
func (a *auditor) checkDraws() error {
	for i := range a.draws {
		d := &a.draws[i]
		a.audit.Entries = append(a.audit.Entries, len(d.entries))
		if d.size < 0 || d.drawn {
			continue
		}
		entries, err := a.freezeAgain(d)
		if err != nil {
			return fmt.Errorf("draw %s: %w", a.sale.Draws[i].ID, err)
		}
		a.checkRoot(a.sale.Draws[i].ID, d, entries)
	}
	return nil
}

// checkAccess holds a reservation against its account's access slot.
func (a *auditor) checkAccess(r *record) {
	p := &a.sale.Phases[r.request.Phase]
	if p.Access != catalog.Slots {
		return
	}
	d := &a.draws[p.Draw]
	at, entered := d.index[r.request.Account]
	if !entered || !d.drawn || d.entries[at].slot == 0 {
		a.problem("access: reservation %s of account %s in phase %s, in which it has no slot", ID(r.request.ID), r.request.Account, p.ID)
		return
	}
	made := instant(r.request.Created)
	if opens, closes := p.Slot(int(d.entries[at].slot) - 1); made.Before(opens) || !made.Before(closes) {
		a.problem("access: reservation %s of account %s in phase %s is of %s; its slot is from %s to %s", ID(r.request.ID), r.request.Account, p.ID,
			stamp(made), stamp(opens), stamp(closes))
	}
}
