package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// A standby replays what the leader makes durable, a moment later, and serves reads from that. When the leader is
// silent for too long, the standby claims the next epoch, which fences the leader (I8), and leads. Its reservations,
// ledgers and stock are those of every acknowledged outcome (I5). A fenced leader acknowledges nothing more. Its memory
// may contain outcomes that never became durable, so it cannot follow; the server opens a new engine in its place.

// errFollowing is why a standby accepts no calls.
var errFollowing = errors.New("this server is a standby; another one leads")

// Leads reports whether this engine accepts calls.
func (e *Engine) Leads() bool { return e.term.Load() != nil }

// Leader returns the address of the server that leads, if known; "" if this engine leads.
func (e *Engine) Leader() string {
	if address := e.leader.Load(); address != nil && !e.Leads() {
		return *address
	}
	return ""
}

// Epoch returns this leader's term number; 0 if the journal is not shared, and on a standby.
func (e *Engine) Epoch() uint64 {
	if s := e.o.shared(); s != nil && e.Leads() {
		return s.Epoch()
	}
	return 0
}

// Deposed returns a channel that is closed when another leader has fenced this engine, or when this standby can no
// longer follow; Ready then returns why. Close the engine and open a new one as a standby. The channel stays open when
// the leader's journal fails for another reason.
func (e *Engine) Deposed() <-chan struct{} { return e.deposed }

// follow replays what the leader makes durable until this engine leads or is closed.
func (e *Engine) follow() {
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
	found, err := e.o.shared().Follow(ctx, p.into(ctx), e.o.TakeoverAfter, func(leader string) { e.caughtUp(p, leader) })
	if err == nil {
		err = e.takeOver(ctx, p, found)
	}
	if err != nil && ctx.Err() == nil {
		e.fault.Store(&err)
		e.o.Log.Error("the standby no longer follows", "error", err)
		close(e.deposed)
	}
}

// caughtUp notes that the leader is alive and that all it had made durable is replayed here. The stock is counted as
// soon as the replay is past its checkpoint.
func (e *Engine) caughtUp(p *replay, leader string) {
	e.caughtUpAt.Store(int64(time.Since(e.counts.began)))
	if p.seq >= p.end {
		if err := p.countStock(); err != nil {
			e.o.Log.Error("the standby's stock does not add up", "error", err)
		}
	}
	if known := e.leader.Load(); known == nil || *known != leader {
		e.leader.Store(&leader)
	}
}

// takeOver makes a standby the leader.
func (e *Engine) takeOver(ctx context.Context, p *replay, found journal.Recovered) error {
	t, err := e.claim(ctx, p, found)
	if err != nil {
		return err
	}
	// The sale clock must not go back to before an instant that the old leader has acknowledged.
	if lag := p.latest - e.clock().UnixMilli(); lag > 0 {
		e.advanced.Store(lag)
	}
	if err := t.begin(ctx); err != nil {
		return err
	}
	e.start()
	e.o.Log.Info("this server leads", "epoch", e.Epoch(), "reservations", e.inventory.Rows()-1)
	return nil
}
