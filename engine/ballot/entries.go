package ballot

import (
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Entry is an account's registration for a draw and its result.
type Entry struct {
	Draw     string
	Account  string
	Group    string // priority group, empty for none
	Repeated bool   // Enter changed nothing: the account had entered before

	// Set once the draw was run. Handle and Salt are zero if the entries are not sealed.
	Rank  uint32      // 1 is the first
	Slot  *AccessSlot // nil if no slot was left for this rank
	Root  draw.Digest // of all entries
	Seed  draw.Digest
	Proof draw.Proof // that this entry is one of them

	Handle draw.Digest // stands for the account: draw.HandleOf(Salt, Account)
	Salt   draw.Digest // only the account should receive it
}

// AccessSlot is the window in which a drawn account may buy in a phase.
type AccessSlot struct {
	Phase    string
	OpensAt  time.Time
	ClosesAt time.Time
	Priority bool // the slot is reserved for a priority group
}

// Enter registers an account with a group, 0 for none or 1 + the group's index. If the account has an entry, that entry
// is returned unchanged, with Repeated set. The entry is visible once the outcome with the returned sequence is
// durable. Errors are ErrClosed, ErrNoGroup, ErrOverloaded, ErrAccountsFull and ErrNotesFull.
func (b *Ballot) Enter(account string, group int) (entry Entry, seq uint64, err error) {
	entry = Entry{Draw: b.draw().ID, Account: account}
	for wait := (inventory.Wait{}); ; {
		p, now := b.entryOf(b.find(account)), b.host.Now()
		switch {
		case p.placed && !p.withdrawn:
			entry.Group, entry.Repeated = b.groupName(p.group), true
			// The entry's own sequence is not kept. Everything placed so far includes it.
			return entry, b.host.Inventory.Placed(), nil
		case p.entered:
			// Another call of this account is about to place the entry or to fail, or its withdrawal is not yet drained. This
			// call depends on it (I7).
			again := false
			if wait, again = b.host.Pause(wait); !again {
				return Entry{}, 0, ErrOverloaded
			}
			continue
		}
		// The lock is taken for new entries, so repeats and late calls never wait for the freeze. It is also taken while
		// the record of the rules has no place yet, since whoever is refused waits for that record (I5).
		if rules := b.rules.Load(); rules.record.known.Load() && (b.frozen.Load() != nil || !rules.registers(now)) {
			return Entry{}, 0, ErrClosed
		}
		b.freezeLock.RLock()
		seq, verdict := b.enterNew(account, group, now)
		b.freezeLock.RUnlock()
		switch verdict {
		case enteredNow:
			entry.Group = b.groupName(group)
			return entry, seq, nil
		case enterNoSecret:
			if err := b.announce(); err != nil {
				return Entry{}, 0, err
			}
		case enterClosed:
			return Entry{}, 0, ErrClosed
		case enterNoGroup:
			return Entry{}, 0, ErrNoGroup
		case enterNoAccount:
			return Entry{}, 0, ErrAccountsFull
		case enterNoNote:
			return Entry{}, 0, ErrNotesFull
		}
	}
}

type enterVerdict int

const (
	enteredNow    enterVerdict = iota
	enteredBefore              // by another call
	enterClosed
	enterNoGroup   // a definition has just removed it
	enterNoAccount // the table is full
	enterNoNote    // likewise
	enterNoSecret  // a definition has just added the draw
)

// enterNew makes an entry. The caller holds freezeLock.
func (b *Ballot) enterNew(account string, group int, now time.Time) (seq uint64, verdict enterVerdict) {
	switch rules := b.rules.Load(); {
	case b.frozen.Load() != nil || !rules.registers(now):
		return 0, enterClosed // the definition may have changed meanwhile
	case group > 0 && rules.sale.Groups[group-1].Removed:
		return 0, enterNoGroup
	case b.announced.Load() == nil:
		return 0, enterNoSecret
	}
	row, ok := b.keep(account)
	if !ok {
		return 0, enterNoAccount
	}
	// Decides which call makes the entry, and with which group.
	if !b.register.enter(row, group) {
		return 0, enteredBefore
	}
	seq, ok = b.host.Place(record.KindEntry, b.index, row, now)
	if !ok {
		b.register.remove(row)
		return 0, enterNoNote
	}
	b.register.markPlaced(row)
	b.count.Add(1)
	return seq, enteredNow
}

// Withdraw takes an account's entry back. The entries must not be frozen: until then nobody knows their digest. The
// account may enter again. The outcome is durable once that with the returned sequence is; this holds for ErrNoEntry
// and ErrClosed too. The other error is ErrNotesFull.
//
// It waits until no entry is being made: a call that makes one changes its word once more after its record is placed.
func (b *Ballot) Withdraw(account string) (seq uint64, err error) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	row := b.find(account)
	switch p, f := b.entryOf(row), b.frozen.Load(); {
	case f != nil:
		return f.record.seq.Load(), ErrClosed
	case !p.placed || p.withdrawn:
		return b.host.Inventory.Placed(), ErrNoEntry
	}
	b.withdrew.Store(true)
	b.register.withdraw(row) // before its record is placed, since the writer reads it
	seq, ok := b.host.Place(record.KindWithdrawn, b.index, row, b.host.Now())
	if !ok {
		b.register.keep(row)
		return 0, ErrNotesFull
	}
	if !b.host.Journalled {
		b.register.remove(row) // there is no writer
	}
	b.count.Add(-1)
	return seq, nil
}

// Withdrew reports whether an entry may have been withdrawn: then that an account has none is an outcome.
func (b *Ballot) Withdrew() bool { return b.withdrew.Load() }

// find returns the row of an account that is kept; 0 if there is none.
func (b *Ballot) find(account string) uint32 {
	defer b.host.Inventory.Begin(b.spread.Add(1)).End()
	if row := b.host.Inventory.FindAccount(account); b.host.Inventory.IsKept(row) {
		return row
	}
	return 0
}

// keep returns the row of an account, and makes sure that it stays.
func (b *Ballot) keep(account string) (row uint32, ok bool) {
	defer b.host.Inventory.Begin(b.spread.Add(1)).End()
	return b.host.Inventory.Keep(account)
}

// entryOf returns an account's entry; the zero value for an unknown account.
func (b *Ballot) entryOf(accountRow uint32) entryState {
	if accountRow == 0 {
		return entryState{}
	}
	return b.register.of(accountRow)
}

func (b *Ballot) groupName(code int) string {
	if code == 0 {
		return ""
	}
	return b.sale().Groups[code-1].ID
}

// Entry returns an account's entry and its result. Errors are ErrNoEntry, and ErrNotRun for an entry that was placed;
// that it exists is visible once everything placed so far is durable.
func (b *Ballot) Entry(account string) (Entry, error) {
	row := b.find(account)
	if !b.entryOf(row).placed {
		return Entry{}, ErrNoEntry
	}
	status := b.Status()
	if status.State != Drawn {
		return Entry{}, ErrNotRun
	}
	entries, err := b.sortedAgain()
	if err != nil {
		return Entry{}, err
	}
	p := b.register.of(row) // read after the draw, so with its rank
	entry := Entry{Draw: b.draw().ID, Account: account, Group: b.groupName(p.group), Rank: p.rank, Root: status.Root,
		Seed: status.Seed}
	name := []byte(account)
	if b.frozen.Load().sealed() {
		entry.Salt = b.announced.Load().secret.Salt(account)
		entry.Handle = draw.HandleOf(entry.Salt, account)
		name = entry.Handle[:]
	}
	position, ok := entries.Find(name)
	if !ok {
		panic("BUG: an entry of a frozen draw is not among its entries")
	}
	entry.Proof = entries.Proof(position)
	if slot, ok := b.slotOf(p); ok {
		entry.Slot = &slot
	}
	return entry, nil
}

func (b *Ballot) slotOf(p entryState) (AccessSlot, bool) {
	if p.slot == 0 {
		return AccessSlot{}, false
	}
	phase := &b.sale().Phases[b.draw().Phase]
	opens, closes := phase.Slot(p.slot - 1)
	return AccessSlot{Phase: phase.ID, OpensAt: opens, ClosesAt: closes,
		Priority: p.slot <= phase.PrioritySlotCount()}, true
}

// AccessSlot returns the slot of an account, by its row; false if it has none, or if the result is not yet visible.
func (b *Ballot) AccessSlot(accountRow uint32) (AccessSlot, bool) {
	if accountRow == 0 || !b.isVisiblyDrawn() {
		return AccessSlot{}, false
	}
	return b.slotOf(b.register.of(accountRow))
}

func (b *Ballot) isVisiblyDrawn() bool {
	d := b.drawn.Load()
	return d != nil && b.visible(&d.record)
}

// Winners returns a count for each access slot, by phase, and the function that adds an account's slots to the counts.
// A phase without access slots, or whose draw has no visible result, has nil. visit is nil if all phases have nil.
func (b *Ballots) Winners(sale *catalog.Sale) (winners [][]int, visit func(accountRow uint32)) {
	all := b.All()
	winners = make([][]int, len(sale.Phases))
	for i := range sale.Phases {
		p := &sale.Phases[i]
		if p.Access != catalog.Slots || !all[p.Draw].isVisiblyDrawn() {
			continue
		}
		winners[i] = make([]int, p.SlotCount())
		visit = func(row uint32) {
			for i, slots := range winners {
				if slots == nil {
					continue
				}
				if p := all[sale.Phases[i].Draw].register.of(row); p.slot > 0 {
					slots[p.slot-1]++
				}
			}
		}
	}
	return winners, visit
}
