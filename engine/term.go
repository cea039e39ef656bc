package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
)

// term is the time during which this engine leads: it accepts calls and writes the journal.
//
// Its beginning. One goroutine prepares the term and then publishes it: the one that opens the engine, or on a standby
// the one that follows. claim fences every older leader, stores the present sale's definition and the secrets of its
// draws if the journal lacks them, and only then starts the writer; begin publishes. Nothing is placed before that, so
// the definition precedes every record whose numbers it explains, and the secret every entry of the draw. A caller
// never sees a term that cannot acknowledge: what may fail on the way has failed before the term is published, and
// then there is no term, no writer, and nothing to end.
//
// Its end. A term ends when its writer fails, which is final and happens at most once: a newer leader has fenced it,
// or the journal has failed. watch owns that end. From the writer's failure on, admit refuses new calls, waiting
// callers are refused, and sweeps, checkpoints, freezes and checks stop, each by the writer's error. If the writer
// works until Close, Close owns the end.
//
// An ended term stays published. Outcomes that were placed in it and did not become durable are in memory, and the
// failed writer is what keeps them from being shown (I5, I8).
type term struct {
	e      *Engine
	writer *journal.Writer // nil without a journal
	drain  *outcomes.Drain // the writer's source; nil without a journal
	start  Start
}

// claim makes this engine the writer of the journal that was replayed. Where several servers share the journal, it
// claims the next epoch, which fences every older leader (I8). It returns journal.ErrNotSilent, and the replay may be
// continued, if another server has written to the journal meanwhile. A sale that does not fit the journal is refused
// before the claim, so it deposes nobody.
func (e *Engine) claim(ctx context.Context, p *outcomes.Replay, found journal.Recovered) (*term, error) {
	if err := p.Finish(); err != nil {
		return nil, err
	}
	e.o.Clock.NotBefore(p.Latest()) // an older leader has acknowledged outcomes of that instant
	first, start, err := e.startDefinition(p.Defined())
	if err != nil {
		return nil, err
	}
	if shared := e.o.shared(); shared != nil {
		if err := shared.Claim(ctx, e.o.Address); err != nil {
			return nil, err
		}
		e.standsBy(errTakingOver, "")
	}
	t := &term{e: e, start: start}
	opening := journal.Group{First: found.Last + 1}
	if first != nil {
		since := record.Stamp{AtMs: e.nowMs(), Seq: opening.First}
		opening.Records, opening.Count = first.Append(nil, since.AtMs), 1
		if err := e.memory.Follow(e.memory.Shown().Apply(*first, since)); err != nil {
			return nil, err
		}
	}
	last, err := e.storeOpening(ctx, opening)
	if err != nil {
		return nil, err
	}
	if start.Replaced() {
		e.logChanges(start.Version, outcomes.Lines(start.Changes))
	}
	e.inventory.Resume(last)
	e.checkpointedAt.Store(found.Checkpoint.Start)
	t.drain = e.memory.NewDrain()
	t.writer = journal.NewWriter(e.o.Journal, journal.Feed{Fill: t.drain.Fill, Durable: t.drain.Durable}, last,
		e.o.JournalTimeout)
	return t, nil
}

// storeOpening appends a term's first records: the present sale's definition, which the caller has put into the group,
// and the secrets of its draws, as far as the journal lacks them. It returns the last sequence. It waits for the
// journal as long as ctx allows: giving up a claim for a journal that hangs would only have another server wait for
// it.
func (e *Engine) storeOpening(ctx context.Context, opening journal.Group) (last uint64, err error) {
	secrets, err := e.ballots.Announcements()
	if err != nil {
		return 0, err
	}
	first := record.Stamp{AtMs: e.nowMs(), Seq: opening.Last() + 1}
	for _, f := range secrets {
		opening.Records = f.Append(opening.Records, record.KindAnnounced, first.AtMs)
		opening.Count++
	}
	last = opening.Last()
	if opening.Count == 0 {
		return last, nil
	}
	slow := time.AfterFunc(e.o.JournalTimeout, func() {
		e.o.Log.Warn("the journal does not respond; this server leads once it has stored the sale definition")
	})
	defer slow.Stop()
	if err := e.o.Journal.Append(ctx, opening); err != nil {
		return 0, fmt.Errorf("storing the sale definition in the journal: %w", err)
	}
	return last, e.ballots.Announced(secrets, first)
}

// begin publishes the term, so that calls are accepted, and starts the work that only a leader does.
func (t *term) begin() {
	e := t.e
	e.judgeBy(e.memory.Judging())
	e.counts.countBase(e.inventory, e.memory.Reclaimer)
	e.term.Store(t)
	if t.writer != nil {
		e.background.Go(t.watch)
	}
	e.background.Go(e.reclaimLoop)
	if e.o.CheckEvery > 0 {
		e.background.Go(e.checkLoop)
	}
	if e.o.SweepEvery > 0 {
		e.background.Go(e.sweepLoop)
		e.every(time.Second, e.freezeDue)
	}
	if t.writer != nil && e.o.CheckpointAfter >= 0 {
		e.every(time.Second, e.checkpointDue)
	}
}

// watch owns the end of a term whose writer fails before Close.
func (t *term) watch() {
	e := t.e
	select {
	case <-e.stop:
		return
	case <-t.writer.Failed():
	}
	err := t.failure()
	e.o.Log.Error("the journal has failed; nothing is acknowledged any more", "error", err)
	if errors.Is(err, journal.ErrFenced) {
		close(e.deposed)
	}
}

// during returns a context that ends with ctx, and at the latest with the term or when the engine stops.
func (t *term) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-t.e.stop:
		case <-t.writer.Failed():
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, cancel
}

// close makes durable what is placed, answers the callers that wait for it, and steps down.
func (t *term) close(ctx context.Context) error {
	if err := t.writer.Close(ctx); err != nil {
		return err
	}
	if shared := t.e.o.shared(); shared != nil {
		return shared.StepDown(ctx)
	}
	return nil
}

// failure returns why the term has ended, or nil. A journal that does not respond, or acknowledges nothing for a
// while, ends no term: its writer goes on.
func (t *term) failure() error {
	if t.writer == nil {
		return nil
	}
	return t.writer.Failure()
}

// err returns why nothing becomes durable now.
func (t *term) err() error {
	if t.writer == nil {
		return nil
	}
	return t.writer.Err()
}

// backlog returns how many outcomes wait for the journal.
func (t *term) backlog() int {
	if t.writer == nil {
		return 0
	}
	durable := t.writer.Durable() // read first: what is placed is never less
	return int(t.e.inventory.Placed() - durable)
}

// admit is the first step of every call that decides something. It refuses a call whose outcome this engine could not
// make durable, and returns ctx's error to a caller that has gone: nothing is decided for it.
func (e *Engine) admit(ctx context.Context, r *Reservation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch t := e.term.Load(); {
	case t == nil:
		return r.refuse(Refusal{Code: NotLeader, Leader: e.Leader()})
	case !e.accepts(t):
		return e.refuseUnready(t, r)
	}
	return nil
}

// accepts reports whether the journal takes another outcome: it responds, and the backlog has room (I10).
func (e *Engine) accepts(t *term) bool { return t.err() == nil && t.backlog() <= e.o.Backlog }

// refuseUnready refuses a call that the journal does not take. A fenced leader refers the caller to other servers.
func (e *Engine) refuseUnready(t *term, r *Reservation) error {
	if errors.Is(t.err(), journal.ErrFenced) {
		return r.refuse(Refusal{Code: NotLeader})
	}
	return r.refuse(Refusal{Code: JournalUnavailable})
}

// awaitDurable waits until the outcome may be shown (I5).
func (e *Engine) awaitDurable(ctx context.Context, seq uint64, r *Reservation) error {
	if e.visible(seq) {
		return nil
	}
	r.waitedFrom = e.counts.instant()
	err := e.term.Load().writer.Wait(ctx, seq)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return r.refuse(Refusal{Code: JournalUnavailable})
}

// visible reports whether the outcome may be shown (I5). What a standby has replayed is durable.
func (e *Engine) visible(seq uint64) bool {
	t := e.term.Load()
	return t == nil || t.writer == nil || e.o.Durability == Async || t.writer.Durable() >= seq
}
