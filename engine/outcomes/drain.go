package outcomes

import (
	"sync/atomic"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// Drain encodes placed outcomes as records for the journal, and keeps the durable stock. Only the goroutine of the
// journal's writer calls Fill and Durable. Any number may call Stock and Version.
type Drain struct {
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

// NoteOf packs an outcome that is not about a reservation: a record of a draw. The subject is the account's row. What
// has the draw in its upper half, the kind in its lower one.
func NoteOf(kind record.Kind, draw int, accountRow uint32, atMs int64) inventory.Note {
	return inventory.Note{Subject: accountRow, What: uint16(draw)<<8 | uint16(kind), AtMs: atMs}
}

// NewDrain returns the drain of a memory in which every outcome is durable.
func (m *Memory) NewDrain() *Drain {
	d := &Drain{inventory: m.Inventory, ballots: m.Ballots, durable: make([]atomic.Uint64, len(m.Sale.Pools))}
	d.visit = d.append
	for i := range d.durable {
		s := d.inventory.Stock(i)
		d.durable[i].Store(uint64(s.Held)<<32 | uint64(s.Sold))
	}
	return d
}

// Fill drains all placed outcomes into a run of records.
func (d *Drain) Fill(run []byte) ([]byte, int) {
	d.run, d.count = run, 0
	d.inventory.Drain(d.visit)
	return d.run, d.count
}

// append appends the record of one outcome.
func (d *Drain) append(placed inventory.Outcome) {
	d.count++
	if placed.Kind == inventory.Noted {
		d.appendNote(d.inventory.NoteAt(placed.Index))
		return
	}
	if !d.inventory.ReadLogged(placed.Index, &d.snapshot) {
		panic("BUG: a placed outcome has no reservation")
	}
	s := &d.snapshot
	if placed.Kind == inventory.Took {
		d.run = record.AppendTaken(d.run, s)
	} else {
		d.run = record.AppendEnd(d.run, s)
	}
	for _, l := range s.Lines {
		d.changes = append(d.changes, change{pool: l.Pool, add: stockChange(s.State, uint64(l.Quantity))})
	}
}

func (d *Drain) appendNote(n inventory.Note) {
	d.run = d.ballots[n.What>>8].Append(d.run, record.Kind(n.What&0xff), n.Subject, n.AtMs)
}

// stockChange returns what a reservation that entered this state adds to the durable word of a pool.
func stockChange(to inventory.State, quantity uint64) uint64 {
	const held, sold = 1 << 32, 1
	switch to {
	case inventory.Held:
		return quantity * held
	case inventory.Confirmed:
		return quantity*sold - quantity*held
	}
	return -quantity * held
}

// Durable is called when the group is durable. From here on its outcomes are visible.
func (d *Drain) Durable(journal.Group) {
	for _, c := range d.changes {
		d.durable[c.pool].Add(c.add)
	}
	if len(d.changes) > 0 {
		d.version.Add(1)
	}
	d.changes = d.changes[:0]
	for _, b := range d.ballots {
		b.MadeDurable()
	}
}

// Stock returns how many tickets of a pool are held and sold by durable outcomes.
func (d *Drain) Stock(pool int) (held, sold int) {
	w := d.durable[pool].Load()
	return int(w >> 32), int(uint32(w))
}

// Version returns a number that changes after the durable stock has changed.
func (d *Drain) Version() uint64 { return d.version.Load() }
