package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
)

// ErrJournalWorks is why Rescue refuses: what the journal holds needs no rescue.
var ErrJournalWorks = errors.New("the journal works: it has everything that was acknowledged")

// Rescue writes the sale's state out of memory, for when the journal has failed for good and its storage is gone. It
// refuses with ErrJournalWorks before that; a journal that only does not respond may still recover. begin returns where
// the state after record last is written; Rescue commits or aborts that.
//
// The state is that of every record that was handed to the journal: all acknowledged outcomes (I5), and those of the
// last group, whose callers got no answer. Later outcomes, which were refused with JournalUnavailable, are left out. So
// the state is that after a prefix of the records, and legal (I6). A journal that continues from it begins after last,
// so that no sequence is used twice. Reads continue meanwhile. A standby whose journal is gone (journal.ErrGone) can be
// rescued too: it has what it had replayed.
func (e *Engine) Rescue(ctx context.Context,
	begin func(last uint64) (journal.Checkpoint, error)) (report CheckpointReport, err error) {
	s := e.rescuable()
	if s == nil {
		return report, ErrJournalWorks
	}
	e.checkpointLock.Lock()
	defer e.checkpointLock.Unlock()
	began := time.Now()
	report.Start = s.Last
	to, err := begin(s.Last)
	if err != nil {
		return report, err
	}
	defer to.Abort()
	// It does not pause: nothing is sold meanwhile, and this is the only copy.
	pause := func(time.Duration) error { return ctx.Err() }
	report.Reservations, report.Bytes, err = e.memory.Write(to, s, pause)
	if err != nil {
		return report, err
	}
	report.Took, report.At = time.Since(began), time.Now()
	return report, to.Commit(s.Last)
}

// Rescuable reports whether Rescue has a state to write that no journal has.
func (e *Engine) Rescuable() bool { return e.rescuable() != nil }

// rescuable returns the state that no journal has; nil if there is none.
func (e *Engine) rescuable() *outcomes.State {
	t := e.term.Load()
	if t == nil {
		return e.idle.Load().copy
	}
	if e.Failed() == nil {
		return nil
	}
	// Nothing is drained any more, so the state does not change.
	return &outcomes.State{Last: e.inventory.Placed(), InForce: t.drain.Drained}
}
