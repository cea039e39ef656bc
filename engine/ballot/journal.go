package ballot

import (
	"fmt"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// Append appends a record that was placed to a run of records, and marks its outcome as placed. Only the journal's
// writer calls it.
func (b *Ballot) Append(run []byte, kind record.Kind, subject uint32, atMs int64) []byte {
	f := record.Draw{Index: b.index}
	switch kind {
	case record.KindEntry:
		b.register.markPlaced(subject)
		b.appended++
		f.Account, f.Group = b.host.Inventory.AccountName(subject), b.register.of(subject).group
	case record.KindWithdrawn:
		f.Account = b.host.Inventory.AccountName(subject)
		b.register.remove(subject)
		b.appended--
	case record.KindAnnounced:
		announced := b.announced.Load()
		announced.record.placed.Store(true)
		f.Secret = announced.secret
	case record.KindPostponed:
		p := b.postponements()[subject]
		p.record.placed.Store(true)
		f.Round, f.MachineMs = p.Round, p.At.Machine.UnixMilli()
	case record.KindFrozen:
		frozen := b.frozen.Load()
		frozen.record.placed.Store(true)
		f.Size, f.Root, f.Terms, f.MachineMs = frozen.size, frozen.root, frozen.terms, frozen.machineMs
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
	if b.appended != 0 {
		b.durable.Add(b.appended)
		b.appended = 0
	}
}

// Write passes the ballot's records to a checkpoint, in the order in which the journal has them. If the draw is
// postponed, frozen or run meanwhile, that record follows in the journal: what was decided is read first.
func (b *Ballot) Write(add func(kind record.Kind, s record.Stamp, f *record.Draw) error) error {
	drawn, frozen := b.drawn.Load(), b.frozen.Load()
	isDrawn := drawn != nil && drawn.record.placed.Load()
	isFrozen := frozen != nil && frozen.record.placed.Load()
	postponed := b.postponements()
	var err error
	if a := b.announced.Load(); a != nil && a.record.placed.Load() {
		err = add(record.KindAnnounced, a.record.stamp(), &record.Draw{Index: b.index, Secret: a.secret})
	}
	b.register.each(b.host.Inventory.Accounts(), func(row uint32, p entryState) {
		if err != nil || isFrozen && p.withdrawn { // otherwise the record of its withdrawal follows in the journal
			return
		}
		f, kind := record.Draw{Index: b.index, Group: p.group, Account: b.host.Inventory.AccountName(row)}, record.KindEntry
		if isDrawn {
			kind, f.Rank, f.Slot = record.KindRanked, p.rank, p.slot
		}
		err = add(kind, record.Stamp{}, &f) // an entry's word has no room for its stamp
	})
	for i := 0; i < len(postponed) && err == nil; i++ {
		if p := postponed[i]; p.record.placed.Load() {
			err = add(record.KindPostponed, p.record.stamp(),
				&record.Draw{Index: b.index, Round: p.Round, MachineMs: p.At.Machine.UnixMilli()})
		}
	}
	if err == nil && isFrozen {
		err = add(record.KindFrozen, frozen.record.stamp(), &record.Draw{Index: b.index, Size: frozen.size,
			Root: frozen.root, Terms: frozen.terms, MachineMs: frozen.machineMs})
	}
	if err == nil && isDrawn {
		err = add(record.KindDrawn, drawn.record.stamp(), &record.Draw{Index: b.index, Beacon: drawn.beacon})
	}
	return err
}

// RestoreEntry restores an entry, and its rank if the record has one. Restoring it twice changes nothing. Entries that
// are frozen are final: if a checkpoint has them, older records of the journal that follow it change nothing.
func (b *Ballot) RestoreEntry(accountRow uint32, f *record.Draw) {
	if b.frozen.Load() != nil {
		return
	}
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

// RestoreWithdrawn removes an entry, if there is one. The row is 0 for an unknown account.
func (b *Ballot) RestoreWithdrawn(accountRow uint32) {
	if b.frozen.Load() == nil && b.entryOf(accountRow).placed {
		b.register.remove(accountRow)
		b.count.Add(-1)
		b.durable.Add(-1)
	}
}

// Restore restores what a record of the draw decided, but for entries. Restoring it twice changes nothing.
func (b *Ballot) Restore(kind record.Kind, f *record.Draw, s record.Stamp) error {
	switch kind {
	case record.KindAnnounced:
		return b.restoreAnnounced(f, s)
	case record.KindPostponed:
		return b.restorePostponed(f, s)
	case record.KindFrozen:
		return b.restoreFrozen(f, s)
	}
	return b.restoreDrawn(f, s)
}

// restoreFrozen restores the freeze. It fails if the sale now has other terms than those published with the root.
func (b *Ballot) restoreFrozen(f *record.Draw, s record.Stamp) error {
	terms := record.TermsDigest(b.terms())
	if f.MachineMs != 0 {
		if b.announced.Load() == nil {
			return fmt.Errorf("%w: draw %s is frozen before it has a secret", record.ErrInvalid, b.draw().ID)
		}
		terms, _ = b.sealedTerms().Digest() // invalid terms are other terms too
	}
	if f.Terms != terms {
		return fmt.Errorf("draw %s: its entries were frozen under other terms; restore the closing time, publish_within, "+
			"beacon, phase and slots that the sale definition had then", b.draw().ID)
	}
	if b.frozen.Load() == nil {
		frozen := &frozenEntries{size: f.Size, root: f.Root, terms: f.Terms, machineMs: f.MachineMs}
		frozen.record.restore(s)
		b.frozen.Store(frozen)
	}
	return nil
}

// restoreDrawn restores the result of the draw: from the ranks of a checkpoint if it has them, otherwise by running the
// draw again.
func (b *Ballot) restoreDrawn(f *record.Draw, s record.Stamp) error {
	if b.drawn.Load() != nil {
		return nil
	}
	frozen := b.frozen.Load()
	if frozen == nil {
		return fmt.Errorf("%w: draw %s is drawn before it is frozen", record.ErrInvalid, b.draw().ID)
	}
	seed := draw.SeedOf(frozen.root, f.Beacon.Randomness)
	if b.ranked < frozen.size {
		var err error
		if seed, err = b.rank(f.Beacon); err != nil {
			return fmt.Errorf("draw %s: %w", b.draw().ID, err)
		}
	}
	drawn := &drawnEntries{beacon: f.Beacon, seed: seed}
	drawn.record.restore(s)
	b.drawn.Store(drawn)
	return nil
}
