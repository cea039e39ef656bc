package engine

import (
	"sync/atomic"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// outcomes encodes placed outcomes as records for the journal, and keeps the durable stock. Only the writer's goroutine
// calls its methods, except stock.
type outcomes struct {
	inventory *inventory.Inventory
	ballots   []*ballot.Ballot
	snapshot  inventory.Snapshot
	run       []byte
	count     int
	changes   []change // of the group that is being made durable
	visit     func(inventory.Outcome)

	// durable is each pool's held<<32 | sold, in one word so that a reader gets values that belong together.
	durable []atomic.Uint64
	version atomic.Uint64 // counts the groups that changed durable, after the change
}

// change is an outcome's addition to a pool's durable word.
type change struct {
	pool uint32
	add  uint64
}

// noteOf packs an outcome that is not about a reservation: a record of a draw. The subject is the account's row. What
// has the draw in its upper half, the kind in its lower one.
func noteOf(kind record.Kind, draw int, accountRow uint32, atMs int64) inventory.Note {
	return inventory.Note{Subject: accountRow, What: uint16(draw)<<8 | uint16(kind), AtMs: atMs}
}

func newOutcomes(v *inventory.Inventory, b []*ballot.Ballot, pools int) *outcomes {
	o := &outcomes{inventory: v, ballots: b, durable: make([]atomic.Uint64, pools)}
	o.visit = o.append
	return o
}

// fill drains all placed outcomes into a run of records.
func (o *outcomes) fill(run []byte) ([]byte, int) {
	o.run, o.count = run, 0
	o.inventory.Drain(o.visit)
	return o.run, o.count
}

// append appends the record of one outcome.
func (o *outcomes) append(placed inventory.Outcome) {
	o.count++
	if placed.Kind == inventory.Noted {
		o.appendNote(o.inventory.NoteAt(placed.Index))
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

func (o *outcomes) appendNote(n inventory.Note) {
	o.run = o.ballots[n.What>>8].Append(o.run, record.Kind(n.What&0xff), n.Subject, n.AtMs)
}

// stockChange returns what a reservation that entered this state adds to the durable word of a pool.
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

// madeDurable is called when the group is durable. From here on its outcomes are visible.
func (o *outcomes) madeDurable(journal.Group) {
	for _, c := range o.changes {
		o.durable[c.pool].Add(c.add)
	}
	if len(o.changes) > 0 {
		o.version.Add(1)
	}
	o.changes = o.changes[:0]
	for _, b := range o.ballots {
		b.MadeDurable()
	}
}

// restore sets the durable stock to what recovery found.
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
