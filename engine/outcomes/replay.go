package outcomes

import (
	"context"
	"errors"
	"fmt"

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
	past    past
}

// NewReplay returns a replay into an empty memory.
func (m *Memory) NewReplay() *Replay {
	return &Replay{m: m, decoder: record.NewDecoder(m.Sale),
		past: past{began: m.Now(), held: map[inventory.ID]inventory.Restored{}}}
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
// Only from there on is the state consistent. The stock is the present sale's, which may have fewer places than an
// earlier one, so what the reservations took meanwhile is no fault.
func (p *Replay) countStock() error {
	if p.counted {
		return nil
	}
	if err := p.m.Inventory.CountStock(); err != nil {
		return p.named(err)
	}
	p.counted = true
	return nil
}

// Finish ends the replay, or on a standby the part of it that is past the leader's records so far.
func (p *Replay) Finish() error {
	if err := p.restorePast(); err != nil {
		return err
	}
	return p.countStock()
}

// PastCheckpoint reports whether every record that the checkpoint may contain is applied. Only then is the memory
// consistent.
func (p *Replay) PastCheckpoint() bool { return p.seq >= p.end }

// Latest returns the latest instant on the sale clock in the journal so far, in ms since 1970; 0 for none.
func (p *Replay) Latest() int64 { return p.latest }

// InForce returns the journal's last definition; nil for none.
func (p *Replay) InForce() *record.Definition {
	d, _ := p.decoder.InForce()
	return d
}

// State returns the point that the replay has reached; nil if the memory is not consistent there.
func (p *Replay) State() *State {
	if !p.counted || p.seq == 0 || p.restorePast() != nil {
		return nil
	}
	s := State{Last: p.seq}
	s.Definition, s.Since, _ = p.Definition(record.Stamp{AtMs: max(p.m.Now(), p.latest), Seq: p.seq})
	return &s
}

// Definition returns the present sale's definition, and since when it is in force. known is false if it is not the
// journal's last; it is then in force from the given record on.
func (p *Replay) Definition(from record.Stamp) (d record.Definition, since record.Stamp, known bool) {
	d = record.DefinitionOf(p.m.Sale)
	was, since := p.decoder.InForce()
	if was != nil && was.Lowers(p.m.Sale) {
		d.Above = p.m.Above()
	}
	if !p.decoder.Current() {
		return d, from, false
	}
	d.Above = was.Above
	return d, since, true
}

// DefinitionError is the fault of a sale definition that lacks what the journal has.
type DefinitionError struct{ error }

// named adds the sale's names to the error of an oversold pool.
func (p *Replay) named(err error) error {
	if over := (*inventory.OversoldError)(nil); errors.As(err, &over) {
		pool := &p.m.Sale.Pools[over.Pool]
		return &DefinitionError{fmt.Errorf("session %s, category %s has %d seats on sale, but the journal has %d taken",
			p.m.Sale.Sessions[pool.Session].ID, pool.Category, over.Units, over.Taken)}
	}
	return err
}

func (p *Replay) apply(seq uint64, b []byte) error {
	if seq > 0 {
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
	switch r.Kind {
	case record.KindDefinition, record.KindClock:
	case record.KindTaken, record.KindReservation:
		p.latest = max(p.latest, r.Request.Created)
		if p.passes(r) {
			return nil
		}
		return p.named(p.m.Inventory.RestoreTaken(restored(r)))
	case record.KindConfirmed, record.KindReleased, record.KindExpired:
		return p.ended(r)
	default:
		return p.drawRecord(r)
	}
	return nil
}

func restored(r *record.Record) inventory.Restored {
	return inventory.Restored{Request: &r.Request, State: r.State, AtMs: r.AtMs, Reference: r.Reference, Seq: r.Seq}
}

// ended restores the end of a reservation. A checkpoint leaves out what ended long ago, and replay starts before the
// checkpoint's end: up to there the released or expired reservation of a record may be missing. A confirmed one is
// never left out, and later every reservation that ends must have been taken.
func (p *Replay) ended(r *record.Record) error {
	if forgotten, err := p.ends(r); forgotten || err != nil {
		return err
	}
	if r.State == inventory.Expired && r.AtMs == 0 { // version 1
		if row := p.m.Inventory.Find(r.Request.ID); row != 0 {
			p.latest = max(p.latest, p.m.Inventory.Expires(row))
		}
	}
	err := p.m.Inventory.RestoreEnded(restored(r))
	if errors.Is(err, inventory.ErrNeverTaken) && p.seq <= p.end && r.State != inventory.Confirmed {
		return nil
	}
	return err
}

func (p *Replay) drawRecord(r *record.Record) error {
	f := &r.Draw
	if f.Index < 0 {
		return nil // announced, and removed before anybody entered
	}
	b, d := p.m.Ballots[f.Index], &p.m.Sale.Draws[f.Index]
	switch r.Kind {
	case record.KindEntry, record.KindRanked:
		row, ok := p.m.Inventory.EnsureAccount(f.Account)
		if !ok {
			return fmt.Errorf("no room for more than %d accounts", p.m.Inventory.Fills()[inventory.Accounts-1].Limit)
		}
		b.RestoreEntry(row, f)
		p.latest = max(p.latest, d.RegistrationOpens.UnixMilli()) // for an entry whose instant is not known
		return nil
	case record.KindFrozen:
		p.latest = max(p.latest, d.RegistrationCloses.UnixMilli())
	}
	return b.Restore(r.Kind, f, r.Stamp)
}
