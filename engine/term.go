package engine

import (
	"context"
	"errors"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// term is the time during which this engine leads: it accepts calls and writes the journal. The goroutine that opens
// the engine, or that follows on a standby, owns its beginning: claim, then begin. Close owns its end. Each happens
// once.
type term struct {
	e          *Engine
	writer     *journal.Writer // nil without a journal
	outcomes   *outcomes       // the writer's source; nil without a journal
	definition bool            // the journal lacks the present sale's definition
}

// claim ends the replay of a journal: it claims the next epoch where several servers share the journal, which fences
// every older leader (I8), and counts the stock. The term has not begun.
func (e *Engine) claim(ctx context.Context, p *replay, found journal.Recovered) (*term, error) {
	last := found.Last
	if shared := e.o.shared(); shared != nil {
		if err := shared.Claim(ctx, e.o.Address); err != nil {
			return nil, err
		}
	}
	if err := p.countStock(); err != nil {
		return nil, err
	}
	e.inventory.Resume(last)
	e.checkpointedAt.Store(found.Checkpoint.Start)
	t := &term{e: e, definition: !p.decoder.Current()}
	t.outcomes = newOutcomes(e.inventory, e.ballots, record.DefinitionOf(e.sale))
	t.outcomes.restore()
	t.writer = journal.NewWriter(e.o.Journal, journal.Feed{Fill: t.outcomes.fill, Durable: t.outcomes.madeDurable}, last,
		e.o.JournalTimeout)
	return t, nil
}

// begin publishes the term, so that calls are accepted and the inventory can wake the writer, and watches it until its
// end. If the journal lacks the present sale's definition, it waits until the definition is durable.
func (t *term) begin(ctx context.Context) error {
	t.e.term.Store(t)
	if t.writer == nil {
		return nil
	}
	t.e.background.Go(t.watch)
	if !t.definition {
		return nil
	}
	seq, ok := t.e.inventory.Note(noteOf(record.KindDefinition, 0, 0))
	if !ok {
		return errors.New("no room for the definition in the journal's queue")
	}
	if err := t.writer.Wait(ctx, seq); err != nil {
		return errors.Join(err, t.writer.Close(ctx))
	}
	return nil
}

// watch waits for a failure of the journal, which ends the term before Close does.
func (t *term) watch() {
	e := t.e
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
		return r.refuse(Refusal{Code: JournalUnavailable})
	}
	return nil
}

// accepts reports whether the journal takes another outcome: it responds, and the backlog has room (I10).
func (e *Engine) accepts(t *term) bool { return t.err() == nil && t.backlog() <= e.o.Backlog }

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
