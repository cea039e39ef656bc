package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
)

// A standby replays what the leader makes durable, a moment later, and serves reads from that. When the leader is
// silent for too long, the standby claims the next epoch, which fences the leader (I8), and leads. Its reservations,
// ledgers and stock are those of every acknowledged outcome (I5). If the leader turns out to be alive, or another
// standby was faster, it follows again. A fenced leader acknowledges nothing more. Its memory may contain outcomes that
// never became durable, so it cannot follow; the server opens a new engine in its place.

// Why an engine without a term accepts no calls.
var (
	errFollowing  = errors.New("this server is a standby; another one leads")
	errTakingOver = errors.New("this server is taking over; the journal has not stored its sale definition yet")
)

// idleness describes an engine without a term.
type idleness struct {
	why    error
	leader string          // address of the server that leads, if known
	fault  bool            // the engine has stopped following
	copy   *outcomes.State // of a journal that is gone; nil if it is not gone, or if there is no consistent copy
}

// standsBy notes why an engine without a term accepts no calls, and who leads.
func (e *Engine) standsBy(why error, leader string) {
	e.idle.Store(&idleness{why: why, leader: leader})
}

// Leads reports whether this engine leads: it has begun its term, and its journal has not failed. Ready reports whether
// it accepts calls now.
func (e *Engine) Leads() bool {
	t := e.term.Load()
	return t != nil && t.failure() == nil
}

// MayLag reports whether another server may have acknowledged what this engine does not know: it is a standby, or its
// term in a journal that several servers share has ended. The reads of a leader whose journal has failed and is not
// shared show all that was acknowledged.
func (e *Engine) MayLag() bool {
	t := e.term.Load()
	return t == nil || t.failure() != nil && e.o.shared() != nil
}

// CanRead reports whether reads show the sale. On a standby they do once it has replayed all that the leader had made
// durable, until it can no longer follow. Otherwise reads are refused with NotLeader, and Stock is meaningless.
func (e *Engine) CanRead() bool {
	return e.term.Load() != nil || e.caughtUpAt.Load() != 0 && !e.idle.Load().fault
}

// admitRead refuses a read that could not show the sale.
func (e *Engine) admitRead() error {
	if e.CanRead() {
		return nil
	}
	return &Refusal{Code: NotLeader, Leader: e.Leader()}
}

// Leader returns the address of the server that leads, if known; "" if this engine leads.
func (e *Engine) Leader() string {
	if e.term.Load() != nil {
		return "" // a fenced leader does not know its successor
	}
	return e.idle.Load().leader
}

// Epoch returns this leader's term number; 0 if the journal is not shared, and on a standby.
func (e *Engine) Epoch() uint64 {
	if s := e.o.shared(); s != nil && e.Leads() {
		return s.Epoch()
	}
	return 0
}

// Deposed returns a channel that is closed when another leader has fenced this engine, or when this standby can no
// longer follow; Ready then returns why. Close the engine and open a new one as a standby. A standby whose sale
// definition does not fit the journal stops following, too, and never leads; it fits when the leader has been started
// with the same definition. The channel stays open when the leader's journal fails for another reason.
func (e *Engine) Deposed() <-chan struct{} { return e.deposed }

// follow replays what the leader makes durable until this engine leads, cannot follow, or is closed.
func (e *Engine) follow() {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case <-e.stop:
			cancel(journal.ErrClosed)
		case <-ctx.Done():
		}
	}()
	p := e.memory.NewReplay(e.o.Sale)
	alive := func(leader string) error { return e.caughtUp(p, leader) }
	found, err := e.followUntilSilent(ctx, cancel, p, alive)
	for err == nil {
		if err = e.takeOver(ctx, p, found); !errors.Is(err, journal.ErrNotSilent) {
			break
		}
		found, err = e.followUntilSilent(ctx, cancel, p, alive)
	}
	if err != nil && !errors.Is(context.Cause(ctx), journal.ErrClosed) {
		e.stopFollowing(err, found.Leader, p)
	}
}

// followUntilSilent follows the leader until it is silent for too long, or until alive, which is called for each of its
// signs of life, returns an error. cancel is ctx's.
func (e *Engine) followUntilSilent(ctx context.Context, cancel context.CancelCauseFunc, p *outcomes.Replay,
	alive func(leader string) error) (journal.Recovered, error) {
	found, err := e.o.shared().Follow(ctx, p.Into(ctx), e.o.TakeoverAfter, func(leader string) {
		if err := alive(leader); err != nil {
			cancel(err)
		}
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return found, err
}

// caughtUp notes that the leader is alive and that all it had made durable is replayed here. The stock is counted as
// soon as the replay is past its checkpoint.
func (e *Engine) caughtUp(p *outcomes.Replay, leader string) error {
	if p.PastCheckpoint() {
		if err := p.Finish(); err != nil {
			return err
		}
	}
	if known := e.idle.Load(); known.leader != leader {
		e.standsBy(errFollowing, leader)
	}
	e.caughtUpAt.Store(max(1, int64(time.Since(e.counts.began))))
	return nil
}

// takeOver makes a standby the leader.
func (e *Engine) takeOver(ctx context.Context, p *outcomes.Replay, found journal.Recovered) error {
	t, err := e.claim(ctx, p, found)
	if err != nil {
		return err
	}
	t.begin()
	e.o.Log.Info("this server leads", "epoch", e.Epoch(), "reservations", e.counts.atFirst)
	return nil
}

// stopFollowing notes why this engine neither leads nor follows.
func (e *Engine) stopFollowing(err error, leader string, p *outcomes.Replay) {
	if differs, ok := errors.AsType[*outcomes.DefinitionError](err); ok {
		err = fmt.Errorf("this standby cannot take over: its sale definition does not fit the journal: %w; "+
			"start it with the leader's definition", differs)
	} else {
		err = fmt.Errorf("this standby no longer follows: %w", err)
	}
	idle := &idleness{why: err, leader: leader, fault: true}
	if errors.Is(err, journal.ErrGone) {
		idle.copy = p.State()
	}
	e.idle.Store(idle)
	close(e.deposed)
}
