package engine

import (
	"context"

	"github.com/seathold/seathold/engine/draw"
)

// Entry is an account's registration for a draw, and what it drew.
type Entry struct {
	Draw     string
	Account  string
	Group    string // priority group, empty for none
	Repeated bool   // Enter changed nothing: the account had entered before

	// From here on as of the draw.
	Rank  uint32      // 1 is the first
	Slot  *AccessSlot // nil when the places ran out before this rank
	Root  draw.Digest // of all entries
	Seed  draw.Digest
	Proof draw.Proof // that this entry is among them
}

// Enter registers an account for a draw, with its priority group or "". An account has one entry: entering again changes
// nothing, not the group either. Errors are *Refusal with DrawNotFound, RegistrationClosed, MalformedRequest, Overloaded
// or JournalUnavailable, or ctx's.
func (e *Engine) Enter(ctx context.Context, id, account, group string) (Entry, error) {
	var r Reservation
	began := e.counts.begin(&r)
	entry, err := e.enterDurably(ctx, id, account, group, &r)
	r.Repeated = entry.Repeated
	return entry, e.counts.end(callEnter, began, &r, err)
}

func (e *Engine) enterDurably(ctx context.Context, id, account, group string, r *Reservation) (Entry, error) {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return Entry{}, err
	}
	if !ValidAccount(account) {
		return Entry{}, r.refuse(Refusal{Code: MalformedRequest, Where: accountRule})
	}
	code := 0
	if group != "" {
		g, ok := e.sale.GroupByID(group)
		if !ok {
			return Entry{}, r.refuse(Refusal{Code: MalformedRequest, Where: "priority_group: the sale has no group " + quoted(group)})
		}
		code = g + 1
	}
	if err := e.admit(r); err != nil {
		return Entry{}, err
	}
	entry, err := e.enter(i, b, account, code)
	if err != nil {
		return Entry{}, err
	}
	if err := e.settle(ctx, entry.seq, r); err != nil {
		return Entry{}, err
	}
	return Entry{Draw: id, Account: account, Group: e.groupName(entry.group), Repeated: entry.repeated}, nil
}

func (e *Engine) groupName(code int) string {
	if code == 0 {
		return ""
	}
	return e.sale.Groups[code-1].ID
}

// entering is what a call to enter came to.
type entering struct {
	group    int
	repeated bool
	seq      uint64 // the outcome that must be durable before anybody hears of it
}

// enter makes the entry, or finds the one that is there. The gate is taken for a new entry only, so a repeat and a
// latecomer never wait for a freeze.
func (e *Engine) enter(i int, b *ballot, account string, group int) (entering, error) {
	d := &e.sale.Draws[i]
	closed := &Refusal{Code: RegistrationClosed, OpensAt: d.RegistrationOpens, ClosesAt: d.RegistrationCloses}
	for attempt := 0; ; attempt++ {
		p := b.entryOf(e.inventory.FindAccount(account))
		switch now := e.Now(); {
		case p.placed:
			// Which outcome made the entry is not kept; everything placed until now includes it.
			return entering{group: p.group, repeated: true, seq: e.inventory.Placed()}, nil
		case p.entered:
			// Another call of this account is about to place it, or to fail (I7): that decides what this one is.
			if !pause(attempt) {
				return entering{}, &Refusal{Code: Overloaded}
			}
			continue
		case now.Before(d.RegistrationOpens) || !now.Before(d.RegistrationCloses) || b.frozen.Load() != nil:
			return entering{}, closed
		}
		b.gate.RLock()
		if b.frozen.Load() != nil {
			b.gate.RUnlock()
			return entering{}, closed
		}
		seq, verdict := e.enterNew(i, b, account, group)
		b.gate.RUnlock()
		switch verdict {
		case enteredNow:
			return entering{group: group, seq: seq}, nil
		case enterFull:
			return entering{}, &Refusal{Code: Overloaded}
		}
	}
}

// entryOf returns what an account has in this draw; nothing for an account that is not known.
func (b *ballot) entryOf(accountRow uint32) place {
	if accountRow == 0 {
		return place{}
	}
	return b.register.of(accountRow)
}

type enterVerdict int

const (
	enteredNow    enterVerdict = iota
	enteredBefore              // another call was first
	enterFull
)

// enterNew makes an entry. The caller holds the gate.
func (e *Engine) enterNew(i int, b *ballot, account string, group int) (seq uint64, verdict enterVerdict) {
	row, ok := e.inventory.EnsureAccount(account)
	if !ok {
		return 0, enterFull
	}
	// Decides whose the entry is, and its group.
	if !b.register.enter(row, group) {
		return 0, enteredBefore
	}
	seq, ok = e.inventory.Note(noteOf(noteEntry, i, row))
	if !ok {
		b.register.withdraw(row)
		return 0, enterFull
	}
	b.register.placed(row)
	b.count.Add(1)
	return seq, enteredNow
}

// Entry reads an account's entry for a draw that has been run: its rank, its slot, and the proof that it was among the
// entries. Errors are *Refusal with DrawNotFound, EntryNotFound or DrawNotRun.
func (e *Engine) Entry(ctx context.Context, id, account string) (Entry, error) {
	var r Reservation
	began := e.counts.begin(&r)
	entry, err := e.readEntry(ctx, id, account)
	return entry, e.counts.end(callEntry, began, &r, err)
}

func (e *Engine) readEntry(ctx context.Context, id, account string) (Entry, error) {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return Entry{}, err
	}
	row := e.inventory.FindAccount(account)
	if !b.entryOf(row).placed {
		return Entry{}, &Refusal{Code: EntryNotFound}
	}
	status := e.drawStatus(i, b)
	if status.State != DrawDrawn {
		// That there is an entry is an outcome (I5).
		if err := e.await(ctx, e.inventory.Placed()); err != nil {
			return Entry{}, err
		}
		return Entry{}, &Refusal{Code: DrawNotRun}
	}
	entries, err := e.frozenOf(b)
	if err != nil {
		return Entry{}, err
	}
	position, ok := entries.Find([]byte(account))
	if !ok {
		panic("BUG: an entry of a frozen draw is not among its entries")
	}
	p := b.register.of(row) // read behind the draw, so with its rank
	entry := Entry{Draw: id, Account: account, Group: e.groupName(p.group), Rank: p.rank, Root: status.Root, Seed: status.Seed,
		Proof: entries.Proof(position)}
	if slot, ok := e.slotOf(i, p); ok {
		entry.Slot = &slot
	}
	return entry, nil
}

// slotOf returns the access slot that an account drew.
func (e *Engine) slotOf(i int, p place) (AccessSlot, bool) {
	if p.slot == 0 {
		return AccessSlot{}, false
	}
	phase := &e.sale.Phases[e.sale.Draws[i].Phase]
	opens, closes := phase.Slot(p.slot - 1)
	return AccessSlot{Phase: phase.ID, OpensAt: opens, ClosesAt: closes, Priority: p.slot <= phase.PrioritySlotCount()}, true
}

// access returns the account's slot for a phase that goes by slots.
func (e *Engine) access(accountRow uint32, phase int) (AccessSlot, bool) {
	i := e.sale.Phases[phase].Draw
	b := e.ballots[i]
	if accountRow == 0 {
		return AccessSlot{}, false
	}
	if d := b.drawn.Load(); d == nil || !e.told(&d.record) {
		return AccessSlot{}, false
	}
	return e.slotOf(i, b.register.of(accountRow))
}
