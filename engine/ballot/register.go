package ballot

import "github.com/seathold/seathold/engine/internal/pages"

// register has the entries of one draw: a word for each account of the inventory, by its row. A call changes only its
// own account's word; reads need no synchronization.
//
//	63        62       61    54 53          52     32 31        0
//	+---------+--------+-------+-----------+---------+-----------+
//	| entered | placed | group | withdrawn |  slot   |   rank    |   group 0 and slot 0: none; rank 0: not drawn yet
//	+---------+--------+-------+-----------+---------+-----------+
//
// An entry that is entered and not yet placed belongs to a call that has set the word and is about to place its record
// in the journal. The call may still fail. Such an entry is not visible to any reader, and no checkpoint contains it.
//
// An entry that is withdrawn keeps its word until the writer has drained the record of that: the writer still needs the
// group for the record of the entry. Readers find the entry until then, since the withdrawal is not yet acknowledged.
// The account cannot enter again before.
type register struct{ words pages.Words }

// entryState is one account's word, unpacked.
type entryState struct {
	entered   bool
	placed    bool // in the journal
	withdrawn bool // the record of its withdrawal is placed, or about to be
	group     int  // 0 for none, or 1 + the index of the group
	slot      int  // 0 for none, or 1 + the number of the slot
	rank      uint32
}

const (
	enteredBit   = 1 << 63
	placedBit    = 1 << 62
	withdrawnBit = 1 << 53
)

func (p entryState) pack() uint64 {
	w := uint64(p.group)<<54 | uint64(p.slot)<<32 | uint64(p.rank)
	if p.entered {
		w |= enteredBit
	}
	if p.placed {
		w |= placedBit
	}
	if p.withdrawn {
		w |= withdrawnBit
	}
	return w
}

func unpackEntry(w uint64) entryState {
	return entryState{entered: w&enteredBit != 0, placed: w&placedBit != 0, group: int(w >> 54 & 0xff),
		withdrawn: w&withdrawnBit != 0, slot: int(w >> 32 & (1<<21 - 1)), rank: uint32(w)}
}

func newRegister(accounts int) *register {
	return &register{words: pages.New(accounts)}
}

// of returns the entry of the account in this row.
func (r *register) of(row uint32) entryState { return unpackEntry(r.words.Of(row)) }

// enter makes an entry; false if the account has one. The compare-and-swap decides which call makes it, and its group.
func (r *register) enter(row uint32, group int) bool {
	return r.words.At(row).CompareAndSwap(0, entryState{entered: true, group: group}.pack())
}

// markPlaced marks the entry as placed. Both the call that entered and the writer that drains the record do so: a
// checkpoint must contain every entry before its start, even while the call is stalled.
func (r *register) markPlaced(row uint32) { r.words.At(row).Or(placedBit) }

// remove removes an entry that could not be placed, or whose withdrawal was drained.
func (r *register) remove(row uint32) { r.words.At(row).Store(0) }

// withdraw marks the entry as withdrawn, keep takes the mark back. Only the writer changes the word meanwhile.
func (r *register) withdraw(row uint32) { r.words.At(row).Or(withdrawnBit) }
func (r *register) keep(row uint32)     { r.words.At(row).And(^uint64(withdrawnBit)) }

// drew stores the result of an account. No other goroutine changes the word then: the entries are frozen and placed.
func (r *register) drew(row uint32, rank uint32, slot int) {
	w := r.words.At(row)
	p := unpackEntry(w.Load())
	p.rank, p.slot = rank, slot
	w.Store(p.pack())
}

// each calls visit for every account before end whose entry is placed, by row.
func (r *register) each(end uint32, visit func(row uint32, p entryState)) {
	for row := uint32(1); row < end; row++ {
		if p := r.of(row); p.placed {
			visit(row, p)
		}
	}
}
