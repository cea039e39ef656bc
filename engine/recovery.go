package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
)

// Recovery describes what the journal contained at the start.
type Recovery struct {
	journal.Recovered
	Reservations int // known ones; one that has changed counts once
	Accounts     int
	Latest       time.Time // the latest instant on the sale clock in the journal; zero for none
	Took         time.Duration
	Sale         Start
}

// Recovery returns what the journal contained at the start; the zero value without a journal and on a standby.
func (e *Engine) Recovery() Recovery { return e.recovery }

// recover replays the journal and begins the term.
func (e *Engine) recover(ctx context.Context) error {
	began := time.Now()
	p := e.memory.NewReplay(e.o.Sale)
	t, found, err := e.recoverAlone(ctx, p)
	if err != nil {
		return err
	}
	latest := time.Time{}
	if p.Latest() > 0 {
		latest = instant(p.Latest())
	}
	took := time.Since(began)
	t.begin()
	e.recovery = Recovery{Recovered: found, Reservations: e.counts.atFirst,
		Accounts: e.inventory.Fills()[inventory.Accounts-1].Used,
		Latest:   latest, Took: took, Sale: t.start}
	return nil
}

// recoverAlone replays the journal and claims it for an engine that is not a standby. It deposes no leader that is
// alive. A leader that has not stepped down may be this server before a crash, so it waits for the silence after which
// a standby would take over. The error wraps journal.ErrNotSilent, and names the leader, if that is alive.
func (e *Engine) recoverAlone(ctx context.Context, p *outcomes.Replay) (*term, journal.Recovered, error) {
	found, err := e.o.Journal.Recover(p.Into(ctx))
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
func (e *Engine) awaitSilence(ctx context.Context, p *outcomes.Replay, signs *int) (journal.Recovered, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return e.followUntilSilent(ctx, cancel, p, func(leader string) error {
		if *signs++; *signs > 1 {
			return fmt.Errorf("%w: it is at %q", journal.ErrNotSilent, leader)
		}
		return nil
	})
}
