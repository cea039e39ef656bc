package ballot

import (
	"fmt"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// Append appends a record that was placed to a run of records, and marks its outcome as placed. Only the journal's
// writer calls it.
func (b *Ballot) Append(run []byte, kind record.Kind, accountRow uint32, atMs int64) []byte {
	f := record.Draw{Index: b.index}
	switch kind {
	case record.KindEntry:
		b.register.markPlaced(accountRow)
		b.appended++
		f.Account, f.Group = b.host.Inventory.AccountName(accountRow), b.register.of(accountRow).group
	case record.KindFrozen:
		frozen := b.frozen.Load()
		frozen.record.placed.Store(true)
		f.Size, f.Root, f.Terms = frozen.size, frozen.root, record.TermsDigest(&b.terms)
	case record.KindDrawn:
		drawn := b.drawn.Load()
		drawn.record.placed.Store(true)
		f.Beacon = drawn.beacon
	default:
		panic("BUG: no draw has a record of the kind " + kind.String())
	}
	return f.Append(run, kind, atMs)
}

// MadeDurable counts the appended entries as durable. Only the journal's writer calls it.
func (b *Ballot) MadeDurable() {
	if b.appended > 0 {
		b.durable.Add(b.appended)
		b.appended = 0
	}
}

// Write passes the ballot's records to a checkpoint. If the draw is frozen or run meanwhile, that record follows in the
// journal: what was frozen and drawn is read first.
func (b *Ballot) Write(add func(kind record.Kind, s record.Stamp, f *record.Draw) error) error {
	drawn, frozen := b.drawn.Load(), b.frozen.Load()
	isDrawn := drawn != nil && drawn.record.placed.Load()
	isFrozen := frozen != nil && frozen.record.placed.Load()
	var err error
	b.register.each(b.host.Inventory.Accounts(), func(row uint32, p entryState) {
		if err != nil {
			return
		}
		f, kind := record.Draw{Index: b.index, Group: p.group, Account: b.host.Inventory.AccountName(row)}, record.KindEntry
		if isDrawn {
			kind, f.Rank, f.Slot = record.KindRanked, p.rank, p.slot
		}
		err = add(kind, record.Stamp{}, &f) // an entry's word has no room for its stamp
	})
	if err == nil && isFrozen {
		terms := record.TermsDigest(&b.terms)
		err = add(record.KindFrozen, frozen.record.stamp(),
			&record.Draw{Index: b.index, Size: frozen.size, Root: frozen.root, Terms: terms})
	}
	if err == nil && isDrawn {
		err = add(record.KindDrawn, drawn.record.stamp(), &record.Draw{Index: b.index, Beacon: drawn.beacon})
	}
	return err
}

// RestoreEntry restores an entry, and its rank if the record has one. Restoring it twice changes nothing.
func (b *Ballot) RestoreEntry(accountRow uint32, f *record.Draw) {
	if b.register.enter(accountRow, f.Group) {
		b.register.markPlaced(accountRow)
		b.count.Add(1)
		b.durable.Add(1)
	}
	if f.Rank > 0 {
		b.register.drew(accountRow, f.Rank, f.Slot)
		b.ranked++
	}
}

// RestoreFrozen restores the freeze. It fails if the sale now has other terms than those published with the root.
func (b *Ballot) RestoreFrozen(f *record.Draw, s record.Stamp) error {
	if f.Terms != record.TermsDigest(&b.terms) {
		return fmt.Errorf("draw %s: its entries were frozen under other terms; restore the closing time, beacon, phase "+
			"and slots that the sale definition had then", b.draw.ID)
	}
	if b.frozen.Load() == nil {
		frozen := &frozenEntries{size: f.Size, root: f.Root}
		frozen.record.restore(s)
		b.frozen.Store(frozen)
	}
	return nil
}

// RestoreDrawn restores the result of the draw: from the ranks of a checkpoint if it has them, otherwise by running the
// draw again.
func (b *Ballot) RestoreDrawn(f *record.Draw, s record.Stamp) error {
	if b.drawn.Load() != nil {
		return nil
	}
	frozen := b.frozen.Load()
	if frozen == nil {
		return fmt.Errorf("%w: draw %s is drawn before it is frozen", record.ErrInvalid, b.draw.ID)
	}
	seed := draw.SeedOf(frozen.root, f.Beacon.Randomness)
	if b.ranked < frozen.size {
		var err error
		if seed, err = b.rank(f.Beacon); err != nil {
			return fmt.Errorf("draw %s: %w", b.draw.ID, err)
		}
	}
	drawn := &drawnEntries{beacon: f.Beacon, seed: seed}
	drawn.record.restore(s)
	b.drawn.Store(drawn)
	return nil
}
