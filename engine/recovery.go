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

// Recovery describes what the journal contained at the start.
type Recovery struct {
	journal.Recovered
	Reservations int
	Accounts     int
	Latest       time.Time // the latest instant on the sale clock in the journal; zero for none
	Took         time.Duration
}

// Recovery returns what the journal contained at the start; the zero value without a journal and on a standby.
func (e *Engine) Recovery() Recovery { return e.recovery }

// recover replays the journal and begins the term.
func (e *Engine) recover(ctx context.Context) error {
	began := time.Now()
	p := newReplay(e)
	t, found, err := e.recoverAlone(ctx, p)
	if err != nil {
		return err
	}
	latest := time.Time{}
	if p.latest > 0 {
		latest = instant(p.latest)
	}
	e.recovery = Recovery{Recovered: found, Reservations: int(e.inventory.Rows()) - 1,
		Accounts: int(e.inventory.Accounts()) - 1,
		Latest:   latest, Took: time.Since(began)}
	t.begin()
	return nil
}

// recoverAlone replays the journal and claims it for an engine that is not a standby. It deposes no leader that is
// alive. A leader that has not stepped down may be this server before a crash, so it waits for the silence after which
// a standby would take over. The error wraps journal.ErrNotSilent, and names the leader, if that is alive.
func (e *Engine) recoverAlone(ctx context.Context, p *replay) (*term, journal.Recovered, error) {
	found, err := e.o.Journal.Recover(p.into(ctx))
	if err != nil {
		return nil, found, err
	}
	signs, led := 0, found.Led
	for {
		if led {
			e.o.Log.Info("the last leader has not stepped down; waiting for its silence", "leader", found.Leader,
				"silence", e.o.TakeoverAfter)
			if found, err = e.awaitSilence(ctx, p, &signs); err != nil {
				return nil, found, err
			}
		}
		t, err := e.claim(ctx, p, found)
		if !errors.Is(err, journal.ErrNotSilent) {
			return t, found, err
		}
		led = true
	}
}

// awaitSilence waits until the leader of a shared journal is silent. It counts the leader's signs of life, and fails at
// the second. The first may be the last group of a server that crashed, which arrived late.
func (e *Engine) awaitSilence(ctx context.Context, p *replay, signs *int) (journal.Recovered, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return e.followUntilSilent(ctx, cancel, p, func(leader string) error {
		if *signs++; *signs > 1 {
			return fmt.Errorf("%w: it is at %q", journal.ErrNotSilent, leader)
		}
		return nil
	})
}

// replay rebuilds the inventory from a checkpoint and the groups after it.
type replay struct {
	e       *Engine
	decoder *record.Decoder
	end     uint64 // last record that the checkpoint may contain
	seq     uint64 // last record applied
	counted bool   // the stock is counted
	latest  int64
	past    past
}

func newReplay(e *Engine) *replay {
	return &replay{e: e, decoder: record.NewDecoder(e.sale),
		past: past{began: e.nowMs(), held: map[inventory.ID]inventory.Restored{}}}
}

// into returns the callbacks by which a backend delivers to this replay.
func (p *replay) into(ctx context.Context) journal.Recovery {
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
func (p *replay) countStock() error {
	if p.counted {
		return nil
	}
	if err := p.e.inventory.CountStock(); err != nil {
		return p.named(err)
	}
	p.counted = true
	return nil
}

// finish ends the replay, or on a standby the part of it that is past the leader's records so far.
func (p *replay) finish() error {
	if err := p.restorePast(); err != nil {
		return err
	}
	return p.countStock()
}

// definition returns the present sale's definition, and since when it is in force. known is false if it is not the
// journal's last; it is then in force from the given record on.
func (p *replay) definition(from record.Stamp) (d record.Definition, since record.Stamp, known bool) {
	d = record.DefinitionOf(p.e.sale)
	was, since := p.decoder.InForce()
	if was != nil && was.Lowers(p.e.sale) {
		d.Above = p.e.allowAbove()
	}
	if !p.decoder.Current() {
		return d, from, false
	}
	d.Above = was.Above
	return d, since, true
}

// definitionError is the fault of a sale definition that lacks what the journal has.
type definitionError struct{ error }

// named adds the sale's names to the error of an oversold pool.
func (p *replay) named(err error) error {
	if over := (*inventory.OversoldError)(nil); errors.As(err, &over) {
		pool := &p.e.sale.Pools[over.Pool]
		return &definitionError{fmt.Errorf("session %s, category %s has %d seats on sale, but the journal has %d taken",
			p.e.sale.Sessions[pool.Session].ID, pool.Category, over.Units, over.Taken)}
	}
	return err
}

func (p *replay) apply(seq uint64, b []byte) error {
	if seq > 0 {
		p.seq = seq
	}
	r, err := p.decoder.Decode(seq, b)
	if err != nil {
		if !errors.Is(err, record.ErrInvalid) {
			err = &definitionError{err}
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
		return p.named(p.e.inventory.RestoreTaken(restored(r)))
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
func (p *replay) ended(r *record.Record) error {
	if forgotten, err := p.ends(r); forgotten || err != nil {
		return err
	}
	if r.State == Expired && r.AtMs == 0 { // version 1
		if row := p.e.inventory.Find(r.Request.ID); row != 0 {
			p.latest = max(p.latest, p.e.inventory.Expires(row))
		}
	}
	err := p.e.inventory.RestoreEnded(restored(r))
	if errors.Is(err, inventory.ErrNeverTaken) && p.seq <= p.end && r.State != Confirmed {
		return nil
	}
	return err
}

func (p *replay) drawRecord(r *record.Record) error {
	f := &r.Draw
	if f.Index < 0 {
		return nil // announced, and removed before anybody entered
	}
	b, d := p.e.ballots[f.Index], &p.e.sale.Draws[f.Index]
	switch r.Kind {
	case record.KindEntry, record.KindRanked:
		row, ok := p.e.inventory.EnsureAccount(f.Account)
		if !ok {
			return fmt.Errorf("no room for more than %d accounts", p.e.o.MaxAccounts)
		}
		b.RestoreEntry(row, f)
		p.latest = max(p.latest, d.RegistrationOpens.UnixMilli()) // for an entry whose instant is not known
		return nil
	case record.KindFrozen:
		p.latest = max(p.latest, d.RegistrationCloses.UnixMilli())
	}
	return b.Restore(r.Kind, f, r.Stamp)
}
