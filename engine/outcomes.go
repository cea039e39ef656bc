package engine

import (
	"sync/atomic"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// outcomes turns what the inventory has placed into records for the journal, and keeps the stock as far as it is durable.
// Its methods are called by the writer's goroutine alone, but for stock.
type outcomes struct {
	inventory  *inventory.Inventory
	ballots    []*ballot
	definition record.Definition
	snapshot   inventory.Snapshot
	run        []byte
	count      int
	changes    []change // of the group that is being made durable
	entries    []int64  // of that group, by draw
	visit      func(inventory.Outcome)

	// durable is each pool's held<<32 | sold, in one word so that a reader always finds them together.
	durable []atomic.Uint64
}

// change is what an outcome does to a pool's durable word.
type change struct {
	pool uint32
	add  uint64
}

// Notes are what the engine places among the outcomes that is not about a reservation.
//
//	63            32 31      16 15   8 7    0
//	+---------------+----------+------+------+
//	|  account row  |    0     | draw | kind |
//	+---------------+----------+------+------+
const (
	noteDefinition = 1
	noteEntry      = 2
	noteFrozen     = 3
	noteDrawn      = 4
)

func noteOf(kind, draw int, accountRow uint32) uint64 {
	return uint64(accountRow)<<32 | uint64(draw)<<8 | uint64(kind)
}

func newOutcomes(v *inventory.Inventory, b []*ballot, d record.Definition) *outcomes {
	o := &outcomes{inventory: v, ballots: b, definition: d, durable: make([]atomic.Uint64, len(d.Pools)),
		entries: make([]int64, len(b))}
	o.visit = o.record
	return o
}

// fill drains all placed outcomes into a run of records.
func (o *outcomes) fill(run []byte) ([]byte, int) {
	o.run, o.count = run, 0
	o.inventory.Drain(o.visit)
	return o.run, o.count
}

// record appends the record of one outcome.
func (o *outcomes) record(placed inventory.Outcome) {
	o.count++
	if placed.Kind == inventory.Noted {
		o.note(o.inventory.NoteValue(placed.Index))
		return
	}
	if !o.inventory.ReadLogged(placed.Index, &o.snapshot) {
		panic("BUG: a placed outcome has no reservation")
	}
	s := &o.snapshot
	if placed.Kind == inventory.Took {
		o.run = record.AppendTaken(o.run, s)
	} else {
		o.run = record.AppendEnd(o.run, s)
	}
	for _, l := range s.Lines {
		o.changes = append(o.changes, change{pool: l.Pool, add: stockChange(s.State, uint64(l.Quantity))})
	}
}

// note appends the record of a note.
func (o *outcomes) note(value uint64) {
	kind, row := int(value&0xff), uint32(value>>32)
	if kind == noteDefinition {
		o.run = o.definition.Append(o.run)
		return
	}
	f := record.Draw{Index: int(value >> 8 & 0xff)}
	b := o.ballots[f.Index]
	switch kind {
	case noteEntry:
		b.register.placed(row)
		o.entries[f.Index]++
		f.Account, f.Group = o.inventory.AccountName(row), b.register.of(row).group
		o.run = f.Append(o.run, record.KindEntry)
	case noteFrozen:
		frozen := b.frozen.Load()
		frozen.record.placed.Store(true)
		f.Size, f.Root, f.Terms = frozen.size, frozen.root, record.TermsDigest(&b.terms)
		o.run = f.Append(o.run, record.KindFrozen)
	case noteDrawn:
		drawn := b.drawn.Load()
		drawn.record.placed.Store(true)
		f.Beacon = drawn.beacon
		o.run = f.Append(o.run, record.KindDrawn)
	default:
		panic("BUG: a note of an unknown kind")
	}
}

// stockChange returns what a reservation that became this adds to the durable word of a pool.
func stockChange(to State, quantity uint64) uint64 {
	const held, sold = 1 << 32, 1
	switch to {
	case Held:
		return quantity * held
	case Confirmed:
		return quantity*sold - quantity*held
	}
	return -quantity * held
}

// made is called when the group is durable: from here on reads show it.
func (o *outcomes) made(journal.Group) {
	for _, c := range o.changes {
		o.durable[c.pool].Add(c.add)
	}
	o.changes = o.changes[:0]
	for i, entered := range o.entries {
		if entered > 0 {
			o.ballots[i].durable.Add(entered)
			o.entries[i] = 0
		}
	}
}

// restore starts the durable stock from what recovery found.
func (o *outcomes) restore() {
	for i := range o.durable {
		s := o.inventory.Stock(i)
		o.durable[i].Store(uint64(s.Held)<<32 | uint64(s.Sold))
	}
}

func (o *outcomes) stock(pool int) (held, sold int) {
	w := o.durable[pool].Load()
	return int(w >> 32), int(uint32(w))
}
