package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// A standby applies what the leader makes durable, a moment after it, and answers reads from that. When the leader falls
// silent it claims the next epoch, which fences the leader (I8), and leads: its reservations, ledgers and stock are the
// ones that every acknowledged outcome made (I5). A leader that finds itself fenced acknowledges nothing more; its memory
// may hold outcomes that never became durable, so it does not follow: the server opens a new engine in its place.

// errFollowing says why a standby takes no calls.
var errFollowing = errors.New("this server is a standby; another one leads")

// Leads reports whether this engine takes calls.
func (e *Engine) Leads() bool { return e.term.Load() != nil }

// Leader returns the address of the server that leads, as far as it is known; "" for this one.
func (e *Engine) Leader() string {
	if address := e.leader.Load(); address != nil && !e.Leads() {
		return *address
	}
	return ""
}

// Epoch returns this leader's term number; 0 where the journal is not shared, and on a standby.
func (e *Engine) Epoch() uint64 {
	if s := e.o.shared(); s != nil && e.Leads() {
		return s.Epoch()
	}
	return 0
}

// Deposed is closed when this engine can neither lead nor follow any more because of another leader; Ready then tells
// more. Close it and open a new one as a standby.
func (e *Engine) Deposed() <-chan struct{} { return e.deposed }

func (e *Engine) notLeader() Refusal { return Refusal{Code: NotLeader, Leader: e.Leader()} }

func (e *Engine) following() error {
	if fault := e.fault.Load(); fault != nil {
		return *fault
	}
	return errFollowing
}

// watch waits for the end of the term.
func (e *Engine) watch(t *term) {
	defer e.background.Done()
	select {
	case <-e.stop:
		return
	case <-t.writer.Failed():
	}
	err := t.writer.Err()
	e.o.Log.Error("the journal has failed; nothing is acknowledged any more", "error", err)
	if errors.Is(err, journal.ErrFenced) {
		close(e.deposed)
	}
}

// follow applies what the leader makes durable until this engine leads itself or is closed.
func (e *Engine) follow() {
	defer e.background.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-e.stop:
		case <-ctx.Done():
		}
	}()
	p := newReplay(e)
	found, err := e.o.shared().Follow(ctx, p.into(ctx), e.o.TakeoverAfter, func(leader string) { e.heard(p, leader) })
	if err == nil {
		err = e.takeOver(ctx, p, found)
	}
	if err != nil && ctx.Err() == nil {
		e.fault.Store(&err)
		e.o.Log.Error("the standby no longer follows", "error", err)
		close(e.deposed)
	}
}

// heard notes who leads. A standby that has come past its checkpoint can tell the stock from then on.
func (e *Engine) heard(p *replay, leader string) {
	e.heardAt.Store(int64(time.Since(e.counts.began)))
	if p.seq >= p.end {
		if err := p.settle(); err != nil {
			e.o.Log.Error("the standby's stock does not add up", "error", err)
		}
	}
	if known := e.leader.Load(); known == nil || *known != leader {
		e.leader.Store(&leader)
	}
}

// takeOver makes a standby the leader.
func (e *Engine) takeOver(ctx context.Context, p *replay, found journal.Recovered) error {
	last, err := e.o.shared().Claim(ctx, e.o.Address, p.into(ctx))
	if err != nil {
		return err
	}
	if err := p.settle(); err != nil {
		return err
	}
	// The sale clock does not go back behind what the old leader has told.
	if behind := p.latest - e.clock().UnixMilli(); behind > 0 {
		e.ahead.Store(behind)
	}
	if err := e.lead(ctx, p, found.Checkpoint.Start, last); err != nil {
		return err
	}
	e.start()
	e.o.Log.Info("this server leads", "epoch", e.Epoch(), "reservations", e.inventory.Rows()-1)
	return nil
}
