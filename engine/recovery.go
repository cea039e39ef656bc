package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
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
	e       *Engine
	decoder *record.Decoder
	end     uint64 // last record of which the checkpoint may hold an effect
	seq     uint64 // last record applied
	settled bool
	latest  int64
}

func newReplay(e *Engine) *replay { return &replay{e: e, decoder: record.NewDecoder(e.sale)} }

func (e *Engine) recover(ctx context.Context) error {
	began := time.Now()
	p := newReplay(e)
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
		Chunk: func(run []byte) error { return errors.Join(record.Each(run, p.apply), ctx.Err()) },
		Group: func(g journal.Group) error { return errors.Join(p.group(g), ctx.Err()) },
	}
}

// lead makes this engine the one that takes calls, with the journal replayed up to last.
func (e *Engine) lead(ctx context.Context, p *replay, checkpointStart, last uint64) error {
	e.inventory.Resume(last)
	t := &term{outcomes: newOutcomes(e.inventory, e.ballots, record.DefinitionOf(e.sale))}
	t.outcomes.restore()
	e.checkpointedAt.Store(checkpointStart)
	t.writer = journal.NewWriter(e.o.Journal, journal.Feed{Fill: t.outcomes.fill, Durable: t.outcomes.made}, last, e.o.Patience)
	e.term.Store(t)
	e.background.Add(1)
	go e.watch(t)
	if !p.decoder.Current() {
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
	return record.Each(g.Records, func(b []byte) error {
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
	r, err := p.decoder.Decode(b)
	if err != nil {
		return err
	}
	switch r.Kind {
	case record.KindDefinition:
	case record.KindTaken, record.KindReservation:
		return p.taken(r)
	case record.KindConfirmed, record.KindReleased, record.KindExpired:
		return p.ended(r)
	default:
		return p.drawRecord(r)
	}
	return nil
}

func (p *replay) drawRecord(r *record.Record) error {
	f := &r.Draw
	b := p.e.ballots[f.Index]
	switch r.Kind {
	case record.KindEntry, record.KindRanked:
		row, ok := p.e.inventory.EnsureAccount(f.Account)
		if !ok {
			return fmt.Errorf("no room for more than %d accounts", p.e.o.MaxAccounts)
		}
		b.restoreEntry(row, f)
		p.latest = max(p.latest, p.e.sale.Draws[f.Index].RegistrationOpens.UnixMilli())
	case record.KindFrozen:
		p.latest = max(p.latest, p.e.sale.Draws[f.Index].RegistrationCloses.UnixMilli())
		return b.restoreFrozen(f)
	case record.KindDrawn:
		return p.e.restoreDrawn(b, f)
	}
	return nil
}

func (p *replay) taken(r *record.Record) error {
	if _, err := p.e.inventory.RestoreTaken(&r.Request); err != nil {
		return p.named(err)
	}
	p.latest = max(p.latest, r.Request.Created)
	if r.State != Held {
		return p.ended(r)
	}
	return nil
}

func (p *replay) ended(r *record.Record) error {
	p.latest = max(p.latest, r.ConfirmedMs)
	row := p.e.inventory.Find(r.Request.ID)
	if row == 0 && !p.settled {
		return nil // the checkpoint no longer contains it
	}
	if r.State == Expired && row != 0 {
		p.latest = max(p.latest, p.e.inventory.Expires(row))
	}
	return p.e.inventory.RestoreEnded(r.Request.ID, r.State, r.ConfirmedMs, r.Reference)
}
