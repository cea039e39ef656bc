package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// auditedDraw is the state of a draw in its simplest form.
type auditedDraw struct {
	index   map[string]uint32 // of the account's entry
	entries []auditedEntry
	size    int // of the frozen entries; -1 before
	root    draw.Digest
	secret  *draw.Secret // nil before the draw is announced, and in a journal of version 1
	sealed  bool         // the frozen entries are handles
	timing  draw.Timing
	drawn   bool
}

// auditedEntry has its slot as records have it, and its group as auditor.group returns it: 0 for none.
type auditedEntry struct {
	account string
	group   uint8
	rank    uint32
	slot    int32
}

// drawRecord checks that entries come before the freeze, the freeze before the draw, and each of them once.
func (a *auditor) drawRecord(r *record.Record) error {
	f := &r.Draw
	if f.Index < 0 {
		return nil // announced, and removed before anybody entered
	}
	rules := &a.rules.sale.Draws[f.Index]
	d, id := a.draws[rules.ID], rules.ID
	at := time.UnixMilli(r.AtMs)
	known := a.strict && r.AtMs != 0 // records of version 1 have no instant
	switch r.Kind {
	case record.KindAnnounced:
		if d.secret != nil && *d.secret != f.Secret {
			a.problem("I3: draw %s has two secrets", id)
		}
		secret := f.Secret
		d.secret = &secret
	case record.KindPostponed:
		a.postponed(d, f, r.AtMs)
	case record.KindEntry, record.KindRanked:
		_, twice := d.index[f.Account]
		if !a.strict && d.size >= 0 {
			return nil // a checkpoint has the frozen entries
		}
		switch {
		case a.strict && (twice || d.size >= 0):
			a.problem("I9: draw %s: account %s enters again, or after the close", id, f.Account)
		case a.strict && rules.Removed:
			a.problem("draw %s: account %s enters; the draw was removed", id, f.Account)
		case known && (at.Before(rules.RegistrationOpens) || !at.Before(rules.RegistrationCloses)):
			a.problem("draw %s: account %s enters at %s; registration is open from %s to %s", id, f.Account, stamp(at),
				stamp(rules.RegistrationOpens), stamp(rules.RegistrationCloses))
		}
		if !twice {
			d.index[f.Account] = uint32(len(d.entries))
			d.entries = append(d.entries, auditedEntry{account: f.Account, group: a.group(f.Group), rank: f.Rank,
				slot: int32(f.Slot)})
		}
	case record.KindWithdrawn:
		a.withdrawn(d, id, f.Account)
	case record.KindFrozen:
		if known && at.Before(rules.RegistrationCloses) {
			a.problem("draw %s: its entries are frozen at %s; registration closes at %s", id, stamp(at),
				stamp(rules.RegistrationCloses))
		}
		a.frozen(d, f, r.AtMs)
	case record.KindDrawn:
		return a.drawn(d, f)
	}
	return nil
}

// withdrawn removes an entry, which must be there and not frozen.
func (a *auditor) withdrawn(d *auditedDraw, id, account string) {
	at, entered := d.index[account]
	if a.strict && (!entered || d.size >= 0) {
		a.problem("I3: draw %s: account %s withdraws an entry that it does not have, or after the freeze", id, account)
	}
	if !entered || d.size >= 0 {
		return
	}
	last := len(d.entries) - 1
	d.entries[at] = d.entries[last]
	d.index[d.entries[at].account] = at
	d.entries = d.entries[:last]
	delete(d.index, account)
}

// group returns 0 for none, or 1 + the row of a group of the sale.
func (a *auditor) group(code int) uint8 {
	if code == 0 {
		return 0
	}
	name := a.rules.sale.Groups[code-1].ID
	return uint8(rowOf(a.groupRows, &a.groups, name, name)) + 1
}

// postponed checks that the round was postponed before it was due, and with enough time.
func (a *auditor) postponed(d *auditedDraw, f *record.Draw, atMs int64) {
	known := slices.ContainsFunc(d.timing.Postponed, func(p draw.Postponement) bool { return p.Round == f.Round })
	if known && !a.strict {
		return
	}
	terms := record.DrawTerms(a.rules.sale, f.Index)
	if err := d.timing.Postpone(&terms, f.Round, draw.MomentOf(atMs, f.MachineMs)); err != nil {
		a.problem("draw %s: %v", terms.Draw, err)
	}
}

// terms returns the terms of a draw as its entries were frozen: a journal of version 1 sealed none.
func (a *auditor) terms(d *auditedDraw, index int) draw.Terms {
	terms := record.DrawTerms(a.rules.sale, index)
	if !d.sealed {
		terms.PublishWithin = 0
	} else if d.secret != nil {
		terms.Commitment = d.secret.Commitment()
	}
	return terms
}

// frozen compares the published terms with the sale's, and checks that the round was not yet due.
func (a *auditor) frozen(d *auditedDraw, f *record.Draw, atMs int64) {
	id := a.rules.sale.Draws[f.Index].ID
	if a.strict && d.size >= 0 {
		a.problem("I3: draw %s is frozen twice", id)
	}
	d.size, d.root, d.sealed = f.Size, f.Root, f.MachineMs != 0
	terms := a.terms(d, f.Index)
	digest := record.TermsDigest(&terms)
	if d.sealed {
		d.timing.Frozen = draw.MomentOf(atMs, f.MachineMs)
		var err error
		if digest, err = terms.Digest(); err == nil {
			err = d.timing.CheckFrozen(&terms)
		}
		if err != nil {
			a.problem("draw %s: %v", id, err)
			return
		}
	}
	if f.Terms != digest {
		a.problem("draw %s: its entries were frozen under other terms than the sale's", id)
	}
}

// drawn runs the draw again and compares the result with the ranks of a checkpoint.
func (a *auditor) drawn(d *auditedDraw, f *record.Draw) error {
	id := a.rules.sale.Draws[f.Index].ID
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
	entries, err := a.freezeAgain(id, d)
	if err != nil {
		return err
	}
	result, err := draw.Run(entries, a.terms(d, f.Index), d.timing, f.Beacon)
	if err != nil {
		a.problem("draw %s: %v", id, err)
		return nil
	}
	for i := range d.entries {
		e, rank, slot := &d.entries[i], result.Rank[i], result.Slot[i]+1
		if e.rank != 0 && (e.rank != rank || e.slot != slot) {
			a.problem("draw %s: a checkpoint has account %s at rank %d, slot %d; it drew %d, %d", id, e.account, e.rank, e.slot,
				rank, slot)
		}
		e.rank, e.slot = rank, slot
	}
	return nil
}

// freezeAgain sorts and hashes the entries and compares the root with the published one.
func (a *auditor) freezeAgain(id string, d *auditedDraw) (*draw.Entries, error) {
	account := func(into []byte, i int) []byte { return append(into, d.entries[i].account...) }
	group := func(i int) uint8 { return d.entries[i].group }
	var entries *draw.Entries
	var err error
	switch groups := a.groups; {
	case !d.sealed:
		entries, err = draw.FreezeAccounts(len(d.entries), account, group, groups)
	case d.secret == nil:
		err = fmt.Errorf("%w: its sealed entries have no secret", record.ErrInvalid)
	default:
		entries, err = draw.Freeze(d.secret, len(d.entries), account, group, groups)
	}
	if err != nil {
		return nil, fmt.Errorf("draw %s: %w", id, err)
	}
	if entries.Root() != d.root || entries.Len() != d.size {
		a.problem("draw %s: %d entries have the root %s; published were %d and %s", id, entries.Len(), entries.Root(), d.size,
			d.root)
	}
	return entries, nil
}

// checkDraws counts the entries, and checks the root of the draws that are frozen and have not been run.
func (a *auditor) checkDraws() error {
	if a.rules == nil {
		return nil
	}
	for i := range a.rules.sale.Draws {
		id := a.rules.sale.Draws[i].ID
		d := a.draws[id]
		a.found.Entries = append(a.found.Entries, len(d.entries))
		if d.size < 0 || d.drawn {
			continue
		}
		if _, err := a.freezeAgain(id, d); err != nil {
			return err
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
