package outcomes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// Replay rebuilds a memory from a checkpoint and the groups after it. One goroutine at a time calls its methods.
type Replay struct {
	m       *Memory
	decoder *record.Decoder
	end     uint64 // last record that the checkpoint may contain
	seq     uint64 // last record applied
	counted bool   // the stock is counted
	latest  int64  // instant (ms) of the journal
	missing []missing
	applied uint64 // records
	// inJournal is whether the present record is one of the journal, and not of a checkpoint.
	inJournal bool
	over      int // rows that ended since the reclaimer's last pass began
	// stock has the pools whose stock was changed and is not in force yet, until the stock is counted. Each InForce has
	// pools of its own, so one a record would copy them for minutes.
	stock   map[int]StockChange
	moved   uint64           // what they add to the content in force
	earlier []record.Content // what was in force before each change of stock so far
	since   record.Stamp     // of the last pause or pool
}

// roomEvery is after how many records the reclaimer makes steps, and how many at most.
const roomEvery = 64

// makeRoom frees what is forgotten as fast as records need it. A pass goes over all rows, so it begins only if a
// sixteenth of them has ended since the last one: a replay of what is held or sold makes none.
func (p *Replay) makeRoom() {
	if p.applied++; p.applied%roomEvery != 0 || !p.m.Reclaimer.Busy() && !p.endedEnough() {
		return
	}
	passes := p.m.Reclaimer.Passes()
	for n := 0; n < roomEvery && p.m.Reclaim(p.now(), p.seq, false); n++ {
	}
	if p.m.Reclaimer.Passes() != passes {
		p.over = 0
	}
}

// endedEnough reports whether a pass may be worth its work. Where the table is filling up, less is enough.
func (p *Replay) endedEnough() bool {
	part := 16
	if p.m.Pressed() {
		part = 64
	}
	return p.over > 0 && p.over*part >= p.m.Inventory.Fills()[inventory.Reservations-1].Used
}

// noteOver counts the records after which a row can be freed, at once or when it is forgotten.
func (p *Replay) noteOver(r *record.Record) {
	switch r.Kind {
	case record.KindReservation, record.KindConfirmed, record.KindReleased, record.KindExpired:
		if r.State == inventory.Held || r.State == inventory.Confirmed {
			return
		}
	case record.KindReplaced, record.KindExtended, record.KindReduced, record.KindTakenAgain, record.KindReturned,
		record.KindChanged:
	default:
		return
	}
	p.over++
}

// missing is a reservation that was confirmed before the checkpoint's end and is not in the checkpoint. That is no
// fault if the record of a change follows: see ended.
type missing struct {
	id    inventory.ID
	fault error
}

// NewReplay returns a replay into an empty memory, of a journal of this sale. What is in force follows the journal's
// definitions, and so do the numbers of everything. The sale has what older journals do not say, see record.Decoder.
func (m *Memory) NewReplay(sale *catalog.Sale) *Replay {
	return &Replay{m: m, decoder: record.NewDecoder(sale)}
}

// Into returns the callbacks by which a backend delivers to this replay. They return ctx's error once it has ended.
func (p *Replay) Into(ctx context.Context) journal.Recovery {
	to := record.Replay(func(c journal.CheckpointInfo) error {
		p.end, p.seq = c.End, c.Start
		return ctx.Err()
	}, p.apply)
	chunk, group := to.Chunk, to.Group
	to.Chunk = func(run []byte) error { return errors.Join(chunk(run), ctx.Err()) }
	to.Group = func(g journal.Group) error { return errors.Join(group(g), ctx.Err()) }
	return to
}

// countStock counts the stock, once: when the replay is over, or on a standby when it is past the checkpoint's end.
// Only from there on is the state consistent. The stock is that of the last definition, which may have fewer places
// than an earlier one, so what the reservations took meanwhile is no fault.
func (p *Replay) countStock() error {
	if p.counted {
		return nil
	}
	p.settleStock()
	if err := p.m.Inventory.CountStock(); err != nil {
		return p.named(err)
	}
	p.counted = true
	p.m.Reclaimer.FreeAll(p.m.terms(p.now(), p.seq)) // nobody reads yet
	return p.m.Inventory.DropSpare()
}

// now returns the instant (ms) on the sale clock: that of the journal if it is later.
func (p *Replay) now() int64 { return max(p.m.Now(), p.latest) }

// Finish ends the replay, or on a standby the part of it that is past the leader's records so far.
func (p *Replay) Finish() error {
	if len(p.missing) > 0 {
		return p.missing[0].fault
	}
	return p.countStock()
}

// PastCheckpoint reports whether every record that the checkpoint may contain is applied. Only then is the memory
// consistent.
func (p *Replay) PastCheckpoint() bool { return p.seq >= p.end }

// Latest returns the latest instant on the sale clock in the journal so far, in ms since 1970; 0 for none.
func (p *Replay) Latest() int64 { return p.latest }

// Defined reports whether the journal has a definition so far. It is then in force.
func (p *Replay) Defined() bool { return p.decoder.Sale() != nil }

// State returns the point that the replay has reached; nil if the memory is not consistent there.
func (p *Replay) State() *State {
	if !p.counted || p.seq == 0 {
		return nil
	}
	return &State{Last: p.seq, InForce: p.m.Shown}
}

// DefinitionError is the fault of a sale whose journal is another one's, or an old one that names what the sale lacks.
type DefinitionError struct{ error }

// named adds the sale's names to the error of an oversold pool.
func (p *Replay) named(err error) error {
	if over := (*inventory.OversoldError)(nil); errors.As(err, &over) {
		if b, is := p.m.BoundOf(p.m.Shown().Sale, over.Pool); is {
			return &DefinitionError{fmt.Errorf("phase %s has %d places of session %s, but the journal has %d taken in it",
				b.Phase, over.Units, b.Session, over.Taken)}
		}
		pool := &p.m.Shown().Sale.Pools[over.Pool]
		return &DefinitionError{fmt.Errorf("session %s, category %s has %d seats on sale, but the journal has %d taken",
			p.m.Shown().Sale.Sessions[pool.Session].ID, pool.Category, over.Units, over.Taken)}
	}
	return err
}

func (p *Replay) apply(seq uint64, b []byte) error {
	if p.inJournal = seq > 0; p.inJournal {
		p.seq = seq
	}
	r, err := p.decoder.Decode(seq, b)
	if err != nil {
		if !errors.Is(err, record.ErrInvalid) {
			err = &DefinitionError{err}
		}
		return err
	}
	if seq > 0 {
		r.Seq = seq
	}
	p.latest = max(p.latest, r.AtMs)
	p.makeRoom()
	p.noteOver(r)
	// Looking for room takes a pass over all rows, so only a record that needs some does. Many do not: a table may be
	// full of what is held, or of accounts, when a million confirmations follow.
	if err = p.restore(r); errors.Is(err, inventory.ErrNoRoom) {
		p.m.Reclaimer.FreeAll(p.m.terms(p.now(), p.seq))
		err = p.restore(r)
	}
	return err
}

// restore restores the outcome of a record.
func (p *Replay) restore(r *record.Record) error {
	switch r.Kind {
	case record.KindClock:
	case record.KindDefinition, record.KindVersion:
		return p.named(p.defined(r))
	case record.KindPaused, record.KindStock, record.KindEarlier:
		return p.named(p.changedInForce(r))
	case record.KindTaken, record.KindReservation:
		return p.taken(r)
	case record.KindConfirmed, record.KindReleased, record.KindExpired:
		return p.ended(restored(r))
	case record.KindReplaced:
		return p.replaced(r)
	case record.KindExtended, record.KindReduced, record.KindTakenAgain, record.KindReturned, record.KindChanged:
		return p.changed(r)
	case record.KindJoined, record.KindLeft:
		if !p.m.Members.Restore(r.Kind, r.Member) {
			return p.m.Inventory.NoRoom(inventory.Accounts)
		}
	default:
		return p.drawRecord(r)
	}
	return nil
}

// defined puts a definition into force. One of a checkpoint begins the rows of what is in force anew: pauses follow
// it, those that have ended meanwhile do not.
func (p *Replay) defined(r *record.Record) error {
	if r.Stale {
		return nil
	}
	in, since := p.decoder.InForce()
	d := *in
	if d.Rules == nil { // version 1 has no more than names
		d = record.DefinitionOf(p.decoder.Sale())
	}
	f := NewInForce(d, since)
	if p.inJournal {
		p.settleStock()
		f = p.m.Shown().Apply(d, since)
	}
	p.stock = nil // the definition states all
	return p.m.Follow(f)
}

// changedInForce applies a pause, the stock of a pool, or what was in force before.
func (p *Replay) changedInForce(r *record.Record) error {
	if r.Stale {
		return nil
	}
	if r.Kind == record.KindEarlier {
		f := *p.m.Shown()
		f.Earlier = r.Earlier
		p.m.judging.Store(&f)
		p.m.shown.Store(&f)
		return nil
	}
	p.since = r.Stamp
	switch {
	case r.Kind == record.KindPaused:
		return p.m.followChange(Change{Pause: &r.Pause}, r.Stamp)
	case p.counted:
		return p.m.followChange(Change{Stock: &r.Stock}, r.Stamp)
	}
	p.noteStock(r)
	return nil
}

// noteStock is InForce.SetStock for stock that is settled later. The rows of a checkpoint are of one instant: what lies
// between them was never in force.
func (p *Replay) noteStock(r *record.Record) {
	f := p.m.Shown()
	if p.stock == nil {
		p.stock, p.moved, p.earlier = map[int]StockChange{}, 0, slices.Clone(f.Earlier.Stock)
	}
	if p.inJournal {
		now := f.content()
		now.Sum += p.moved
		p.earlier = record.Push(p.earlier, now)
	}
	pool := &f.Sale.Pools[r.Stock.Pool]
	capacity, withheld := pool.Capacity, pool.Withheld
	if was, again := p.stock[r.Stock.Pool]; again {
		capacity, withheld = was.Capacity, was.Withheld
	}
	p.moved += moves(f.Sale, r.Stock.Pool, capacity, withheld, r.Stock)
	p.stock[r.Stock.Pool] = StockChange{Stock: r.Stock, Since: r.Stamp}
}

// settleStock puts the stock of changed pools into force. Nobody reads yet.
func (p *Replay) settleStock() {
	if len(p.stock) == 0 {
		return
	}
	f := p.m.Shown().setStocks(p.stock, p.since)
	f.Earlier.Stock = p.earlier
	for pool := range p.stock {
		if err := p.m.restoreUnits(f, pool); err != nil {
			panic("BUG: the stock is not counted yet, and lacks tickets: " + err.Error())
		}
	}
	p.m.judging.Store(f)
	p.m.shown.Store(f)
	p.stock = nil
}

func restored(r *record.Record) inventory.Restored {
	return inventory.Restored{Request: &r.Request, State: r.State, AtMs: r.AtMs, Reference: r.Reference, Seq: r.Seq,
		Origin: r.Origin(), ConfirmedMs: r.ConfirmedMs, Replaces: r.Replaces,
		Checkpointed: r.Kind == record.KindReservation}
}

// taken restores a new reservation, or the row of a checkpoint.
func (p *Replay) taken(r *record.Record) error {
	p.latest = max(p.latest, r.Request.Created)
	return p.named(p.m.Inventory.RestoreTaken(restored(r)))
}

// ended restores the end of a reservation. A checkpoint leaves out what ended long ago, and replay starts before the
// checkpoint's end: up to there the reservation of a record may be missing. A confirmed one is never forgotten. The
// checkpoint may still lack its row, since it leaves out a changed one whose next row was made after the checkpoint
// had begun; then the record of that change follows. Later every reservation that ends must have been taken.
func (p *Replay) ended(o inventory.Restored) error {
	if o.State == inventory.Expired && o.AtMs == 0 { // version 1
		if row := p.m.Inventory.Find(o.Request.ID); row != 0 {
			p.latest = max(p.latest, p.m.Inventory.Expires(row))
		}
	}
	err := p.m.Inventory.RestoreEnded(o)
	if !errors.Is(err, inventory.ErrNeverTaken) || p.seq > p.end {
		return err
	}
	if o.State == inventory.Confirmed {
		p.missing = append(p.missing, missing{o.Request.ID, fmt.Errorf("record %d: %w", p.seq, err)})
	}
	return nil
}

// replaced restores a new reservation and the end of the one whose place it took. Up to the checkpoint's end that one
// may not be known.
func (p *Replay) replaced(r *record.Record) error {
	p.latest = max(p.latest, r.Request.Created)
	if p.seq <= p.end && p.m.Inventory.Find(r.Replaces) == 0 {
		return p.named(p.m.Inventory.RestoreTaken(restored(r)))
	}
	return p.named(p.m.Inventory.RestoreReplaced(restored(r)))
}

// changed restores a reservation as a change left it, or the row of a checkpoint for a changed one. Up to the
// checkpoint's end a reservation that is not known may have been changed. Later only one that was forgotten may come
// back, taken again by a leader that still knew it.
func (p *Replay) changed(r *record.Record) error {
	id := r.Request.ID
	p.missing = slices.DeleteFunc(p.missing, func(m missing) bool { return m.id == id })
	if p.seq > p.end && r.Kind != record.KindTakenAgain && p.m.Inventory.Find(id) == 0 {
		return fmt.Errorf("reservation %x is %s but %w", id, r.Kind, inventory.ErrNeverTaken)
	}
	return p.named(p.m.Inventory.RestoreChanged(restored(r)))
}

func (p *Replay) drawRecord(r *record.Record) error {
	f := &r.Draw
	if f.Index < 0 {
		return nil // announced, and removed before anybody entered
	}
	b, d := p.m.Ballots.Of(f.Index), &p.m.Shown().Sale.Draws[f.Index]
	switch r.Kind {
	case record.KindEntry, record.KindRanked:
		row, ok := p.m.Inventory.Keep(f.Account)
		if !ok {
			return p.m.Inventory.NoRoom(inventory.Accounts)
		}
		b.RestoreEntry(row, f)
		p.latest = max(p.latest, d.RegistrationOpens.UnixMilli()) // for an entry whose instant is not known
		return nil
	case record.KindWithdrawn:
		b.RestoreWithdrawn(p.m.Inventory.FindAccount(f.Account))
		return nil
	case record.KindFrozen:
		p.latest = max(p.latest, d.RegistrationCloses.UnixMilli())
	}
	return b.Restore(r.Kind, f, r.Stamp)
}
