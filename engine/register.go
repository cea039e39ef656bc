package engine

import (
	"sync/atomic"

	"github.com/seathold/seathold/engine/draw"
)

// register is who has entered one draw and what each drew: a word for each account of the inventory, by its row, in chunks
// that never move. Writers change only their own account's word; reads need no care.
//
//	63        62       61          54 53          32 31          0
//	+---------+--------+-------------+--------------+-------------+
//	| entered | placed |    group    |     slot     |    rank     |   group 0 and slot 0 are none; rank 0 is before the draw
//	+---------+--------+-------------+--------------+-------------+
//
// An entry that is entered and not yet placed belongs to a call that has won the word and is about to give its record a
// place in the journal. That may still fail, so nobody is told of such an entry, and no checkpoint holds it.
type register struct {
	chunks []atomic.Pointer[[registerChunk]atomic.Uint64]
}

const registerChunk = 1 << 14

// place is what one account's word says.
type place struct {
	entered bool
	placed  bool // the entry's record has its place in the journal
	group   int  // 0 for none, or 1 + the index of the group
	slot    int  // 0 for none, or 1 + the number of the slot
	rank    uint32
}

const (
	enteredBit = 1 << 63
	placedBit  = 1 << 62
)

func (p place) pack() uint64 {
	w := uint64(p.group)<<54 | uint64(p.slot)<<32 | uint64(p.rank)
	if p.entered {
		w |= enteredBit
	}
	if p.placed {
		w |= placedBit
	}
	return w
}

func unpackPlace(w uint64) place {
	return place{entered: w&enteredBit != 0, placed: w&placedBit != 0, group: int(w >> 54 & 0xff), slot: int(w >> 32 & (1<<22 - 1)),
		rank: uint32(w)}
}

func newRegister(accounts int) *register {
	return &register{chunks: make([]atomic.Pointer[[registerChunk]atomic.Uint64], accounts/registerChunk+1)}
}

// of returns what the account in the row has.
func (r *register) of(row uint32) place {
	chunk := r.chunks[row/registerChunk].Load()
	if chunk == nil {
		return place{}
	}
	return unpackPlace(chunk[row%registerChunk].Load())
}

// word returns the account's word, making its chunk where there is none.
func (r *register) word(row uint32) *atomic.Uint64 {
	at := &r.chunks[row/registerChunk]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new([registerChunk]atomic.Uint64))
	}
	return &at.Load()[row%registerChunk]
}

// enter enters the account; false when it had entered before. The first one decides the group.
func (r *register) enter(row uint32, group int) bool {
	return r.word(row).CompareAndSwap(0, place{entered: true, group: group}.pack())
}

// placed notes that the entry's record has its place. The call that entered says so, and so does the writer that drains
// the record: a checkpoint must have every entry behind which it begins, even while the call is stalled.
func (r *register) placed(row uint32) { r.word(row).Or(placedBit) }

// withdraw takes back an entry that could not be placed.
func (r *register) withdraw(row uint32) { r.word(row).Store(0) }

// drew notes what the account drew. Nobody else changes the word then: the entries are frozen and placed.
func (r *register) drew(row uint32, rank uint32, slot int) {
	w := r.word(row)
	p := unpackPlace(w.Load())
	p.rank, p.slot = rank, slot
	w.Store(p.pack())
}

// each calls visit for every account whose entry has its place, by row.
func (r *register) each(end uint32, visit func(row uint32, p place)) {
	for row := uint32(1); row < end; row++ {
		if p := r.of(row); p.placed {
			visit(row, p)
		}
	}
}

// slotCode turns draw's slot number, -1 for none, into the word's.
func slotCode(slot int32) int { return int(slot) + 1 }

// freezeEntries sorts and hashes all entries.
func (e *Engine) freezeEntries(r *register) (*sortedEntries, error) {
	var rows []uint32
	r.each(e.inventory.Accounts(), func(row uint32, _ place) { rows = append(rows, row) })
	groups := make([]string, len(e.sale.Groups))
	for i := range groups {
		groups[i] = e.sale.Groups[i].ID
	}
	entries, err := draw.Freeze(len(rows),
		func(i int) []byte { return []byte(e.inventory.AccountName(rows[i])) },
		func(i int) uint8 { return uint8(r.of(rows[i]).group) }, groups)
	if err != nil {
		return nil, err
	}
	return &sortedEntries{Entries: entries, rows: rows}, nil
}
