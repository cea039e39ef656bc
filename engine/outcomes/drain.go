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
	memory    *Memory
	inventory *inventory.Inventory
	ballots   *ballot.Ballots
	snapshot  inventory.Snapshot
	previous  inventory.Snapshot // of the row that a changed one follows
	run       []byte
	count     int
	last      uint64                  // sequence of the last drained outcome
	drained   atomic.Pointer[InForce] // as of that; only the writer's goroutine changes it
	changes   []change                // of the group that is being made durable
	visit     func(inventory.Outcome)

	durable []durableStock // by pool, those of quotas included
	version atomic.Uint64  // counts the groups that changed durable, after the change
}

// durableStock is the stock of one pool by durable outcomes. No outcome changes both words.
type durableStock struct {
	word     atomic.Uint64 // held<<32 | gone: what is not available. Gone tickets are sold, or withheld after a return
	withheld atomic.Uint64 // only grows
}

// change is what an outcome adds to the durable stock of a pool, or what it puts into force.
type change struct {
	pool           uint32
	word, withheld uint64
	inForce        *InForce
}

// NoteOf packs an outcome that is not about a reservation: a record of a draw. The subject is the account's row. What
// has the draw in its upper half, the kind in its lower one.
func NoteOf(kind record.Kind, draw int, accountRow uint32, atMs int64) inventory.Note {
	return inventory.Note{Subject: accountRow, What: uint16(draw)<<8 | uint16(kind), AtMs: atMs}
}

// NewDrain returns the drain of a memory in which every outcome is durable.
func (m *Memory) NewDrain() *Drain {
	d := &Drain{memory: m, inventory: m.Inventory, ballots: m.Ballots, last: m.Inventory.Placed(),
		durable: make([]durableStock, m.Inventory.QuotaPool(MostQuotas))} // a definition may add pools
	d.visit = d.append
	d.drained.Store(m.Judging())
	for _, u := range m.Units(m.Judging()) {
		i := u.Pool
		s := d.inventory.Stock(int(i))
		d.durable[i].word.Store(uint64(s.Held)<<32 | uint64(s.Sold+s.Withheld))
		d.durable[i].withheld.Store(uint64(s.Withheld))
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
	d.last++
	if placed.Kind == inventory.Noted {
		d.appendNote(d.inventory.NoteAt(placed.Index))
		return
	}
	if !d.inventory.ReadLogged(placed.Index, &d.snapshot) {
		panic("BUG: a placed outcome has no reservation")
	}
	now, was := &d.snapshot, &d.previous
	first := len(d.changes)
	d.addStock(first, now, now.State, 1)
	switch {
	case placed.Kind == inventory.Ended:
		d.run = record.AppendEnd(d.run, now)
		d.addStock(first, now, inventory.Held, -1)
	case d.inventory.ReadPrevious(placed.Index, was):
		d.run = record.AppendChange(d.run, now)
		d.addStock(first, was, was.State, -1)
	default:
		d.run = record.AppendTaken(d.run, now)
	}
}

// addStock adds what a reservation counts in a state, times sign, to the changes from first on: those of one outcome.
func (d *Drain) addStock(first int, s *inventory.Snapshot, state inventory.State, sign int64) {
	var word, withheld int64 // of one ticket
	switch {
	case state == inventory.Held:
		word = 1 << 32
	case state == inventory.Confirmed:
		word = 1
	case state == inventory.Returned && s.Flags&inventory.FlagWithheld != 0:
		word, withheld = 1, 1
	}
	sale := d.drained.Load().Sale // its quotas are those of which the row has taken: see inventory/quotas.go
	bounded := sale.HasQuotas(int(s.Phase))
	for _, l := range s.Lines {
		d.changeOf(first, l.Pool).add(l.Quantity, sign*word, sign*withheld)
		if !bounded {
			continue
		}
		if quota, is := sale.QuotaOf(int(s.Phase), sale.Pools[l.Pool].Session); is {
			d.changeOf(first, d.inventory.QuotaPool(quota)).add(l.Quantity, sign*word, sign*withheld)
		}
	}
}

// add adds so many tickets, each with what it counts.
func (c *change) add(tickets uint32, word, withheld int64) {
	c.word += uint64(word * int64(tickets))
	c.withheld += uint64(withheld * int64(tickets))
}

// changeOf returns the change of a pool. An outcome has one for each of its pools, so that no reader sees what a
// reservation gave back without what it kept.
func (d *Drain) changeOf(first int, pool uint32) *change {
	for i := first; i < len(d.changes); i++ {
		if d.changes[i].pool == pool && d.changes[i].inForce == nil {
			return &d.changes[i]
		}
	}
	d.changes = append(d.changes, change{pool: pool})
	return &d.changes[len(d.changes)-1]
}

func (d *Drain) appendNote(n inventory.Note) {
	if record.Kind(n.What & 0xff).OfMember() {
		d.run = d.memory.Members.Append(d.run, n)
		return
	}
	switch record.Kind(n.What) {
	case record.KindVersion, record.KindPaused, record.KindStock:
		change := d.memory.pending.take(n.Subject)
		d.run = change.append(d.run, n.AtMs)
		d.putInForce(change.On(d.drained.Load(), record.Stamp{AtMs: n.AtMs, Seq: d.last}))
		return
	}
	d.run = d.ballots.Of(int(n.What>>8)).Append(d.run, record.Kind(n.What&0xff), n.Subject, n.AtMs)
}

// putInForce notes what is in force after a record of the group. It is shown in its place among the changes of the
// stock: a reader that reads the same Shown before and after it reads a pool has both as they were at one instant.
func (d *Drain) putInForce(f *InForce) {
	d.drained.Store(f)
	d.changes = append(d.changes, change{inForce: f})
}

// Drained returns what is in force after the outcome that was drained last. Any number of goroutines call it.
func (d *Drain) Drained() *InForce { return d.drained.Load() }

// Durable is called when the group is durable. From here on its outcomes are visible.
func (d *Drain) Durable(journal.Group) {
	for _, c := range d.changes {
		if c.inForce != nil {
			if !d.memory.ShowsAtOnce {
				d.memory.shown.Store(c.inForce)
			}
			continue
		}
		p := &d.durable[c.pool]
		p.word.Add(c.word)
		if c.withheld != 0 {
			p.withheld.Add(c.withheld)
		}
	}
	if len(d.changes) > 0 {
		d.version.Add(1)
	}
	clear(d.changes) // they refer to definitions
	d.changes = d.changes[:0]
	for _, b := range d.ballots.All() {
		b.MadeDurable()
	}
	d.memory.Members.MadeDurable()
}

// Stock returns how many tickets of a pool, or of a quota's, are held, sold, and withheld after a return, by durable
// outcomes: those of one instant, since what is withheld only grows.
func (d *Drain) Stock(pool int) (held, sold, withheld int) {
	p := &d.durable[pool]
	for {
		before, word := p.withheld.Load(), p.word.Load()
		if p.withheld.Load() == before {
			return int(word >> 32), int(uint32(word)) - int(before), int(before)
		}
	}
}

// Version returns a number that changes after the durable stock has changed.
func (d *Drain) Version() uint64 { return d.version.Load() }
