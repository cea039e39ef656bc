package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Recovery tells what was found in the journal at the start.
type Recovery struct {
	journal.Recovered
	Reservations int
	Accounts     int
	Latest       time.Time // the latest instant on the sale clock that the journal mentions; zero for none
	Took         time.Duration
}

// Recovery returns what was found in the journal at the start.
func (e *Engine) Recovery() Recovery { return e.recovery }

// replay rebuilds the inventory from a checkpoint and the groups behind it.
type replay struct {
	e           *Engine
	translation *translation
	end         uint64 // last record of which the checkpoint may hold an effect
	seq         uint64 // last record applied
	settled     bool
	latest      int64
	record      record
}

func (e *Engine) recover(ctx context.Context) error {
	began := time.Now()
	p := &replay{e: e}
	found, err := e.o.Journal.Recover(p.into(ctx))
	if err != nil {
		return err
	}
	last := found.Last
	if shared := e.o.shared(); shared != nil {
		if last, err = shared.Claim(ctx, e.o.Address, p.into(ctx)); err != nil {
			return err
		}
	}
	if err := p.settle(); err != nil {
		return err
	}
	latest := time.Time{}
	if p.latest > 0 {
		latest = instant(p.latest)
	}
	e.recovery = Recovery{Recovered: found, Reservations: int(e.inventory.Rows()) - 1, Accounts: int(e.inventory.Accounts()) - 1,
		Latest: latest, Took: time.Since(began)}
	e.clock = e.o.Clock(latest)
	return e.lead(ctx, p, found.Checkpoint.Start, last)
}

// into is where a backend delivers to this replay.
func (p *replay) into(ctx context.Context) journal.Recovery {
	return journal.Recovery{
		Begin: func(c journal.CheckpointInfo) error {
			p.end, p.seq = c.End, c.Start
			return ctx.Err()
		},
		Chunk: func(run []byte) error { return errors.Join(eachRecord(run, p.apply), ctx.Err()) },
		Group: func(g journal.Group) error { return errors.Join(p.group(g), ctx.Err()) },
	}
}

// lead makes this engine the one that takes calls, with the journal replayed up to last.
func (e *Engine) lead(ctx context.Context, p *replay, checkpointStart, last uint64) error {
	e.inventory.Resume(last)
	t := &term{outcomes: newOutcomes(e.inventory, e.ballots, definitionOf(e.sale))}
	t.outcomes.restore()
	e.checkpointedAt.Store(checkpointStart)
	t.writer = journal.NewWriter(e.o.Journal, journal.Feed{Fill: t.outcomes.fill, Durable: t.outcomes.made}, last, e.o.Patience)
	e.term.Store(t)
	e.background.Add(1)
	go e.watch(t)
	if p.translation == nil || !p.translation.same(e.sale) {
		return e.noteDefinition(ctx, t)
	}
	return nil
}

// noteDefinition makes the present sale's names the ones that the records from here on mean.
func (e *Engine) noteDefinition(ctx context.Context, t *term) error {
	seq, ok := e.inventory.Note(noteDefinition)
	if !ok {
		return errors.New("no room for a note in the journal")
	}
	if err := t.writer.Wait(ctx, seq); err != nil {
		return errors.Join(err, t.writer.Close(ctx))
	}
	return nil
}

func (p *replay) group(g journal.Group) error {
	p.seq = g.First - 1
	return eachRecord(g.Records, func(b []byte) error {
		if p.seq >= p.end {
			if err := p.settle(); err != nil {
				return err
			}
		}
		p.seq++
		if err := p.apply(b); err != nil {
			return fmt.Errorf("record %d: %w", p.seq, err)
		}
		return nil
	})
}

// settle counts the stock once the state must be a consistent one.
func (p *replay) settle() error {
	if p.settled {
		return nil
	}
	p.settled = true
	return p.named(p.e.inventory.CountStock())
}

// named says of a pool that is oversold how the sale calls it.
func (p *replay) named(err error) error {
	if over := (*inventory.OversoldError)(nil); errors.As(err, &over) {
		pool := &p.e.sale.Pools[over.Pool]
		return fmt.Errorf("session %s, category %s has %d places on sale, but the journal has %d taken",
			p.e.sale.Sessions[pool.Session].ID, pool.Category, over.Units, over.Taken)
	}
	return err
}

func (p *replay) apply(b []byte) error {
	r := &p.record
	if err := r.decode(b); err != nil {
		return err
	}
	if r.kind == definitionRecord {
		var err error
		p.translation, err = translate(r.definition, p.e.sale)
		return err
	}
	if p.translation == nil {
		return fmt.Errorf("%w: it comes before any definition", errRecord)
	}
	switch r.kind {
	case takenRecord, reservationRecord:
		return p.taken(r)
	case entryRecord, rankedRecord, frozenRecord, drawnRecord:
		return p.drawRecord(r)
	case confirmedRecord:
		return p.ended(Confirmed, r)
	case releasedRecord:
		return p.ended(Released, r)
	default:
		return p.ended(Expired, r)
	}
}

func (p *replay) drawRecord(r *record) error {
	f := &r.entry
	if err := p.translation.entry(f); err != nil {
		return err
	}
	b := p.e.ballots[f.draw]
	switch r.kind {
	case entryRecord, rankedRecord:
		row, ok := p.e.inventory.EnsureAccount(f.account)
		if !ok {
			return fmt.Errorf("no room for more than %d accounts", p.e.o.MaxAccounts)
		}
		b.restoreEntry(row, f)
		p.latest = max(p.latest, p.e.sale.Draws[f.draw].RegistrationOpens.UnixMilli())
	case frozenRecord:
		p.latest = max(p.latest, p.e.sale.Draws[f.draw].RegistrationCloses.UnixMilli())
		return b.restoreFrozen(f)
	case drawnRecord:
		return p.e.restoreDrawn(b, f)
	}
	return nil
}

func (p *replay) taken(r *record) error {
	if err := p.translation.apply(&r.request); err != nil {
		return err
	}
	if _, err := p.e.inventory.RestoreTaken(&r.request); err != nil {
		return p.named(err)
	}
	p.latest = max(p.latest, r.request.Created)
	if r.kind == reservationRecord && r.state != Held {
		return p.ended(r.state, r)
	}
	return nil
}

func (p *replay) ended(to State, r *record) error {
	p.latest = max(p.latest, r.confirmedMs)
	row := p.e.inventory.Find(r.request.ID)
	if row == 0 && !p.settled {
		return nil // its checkpoint has forgotten it already
	}
	if to == Expired && row != 0 {
		p.latest = max(p.latest, p.e.inventory.Expires(row))
	}
	return p.e.inventory.RestoreEnded(r.request.ID, to, r.confirmedMs, r.reference)
}
