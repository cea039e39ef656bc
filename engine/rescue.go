package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
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
	last, since, ok := e.rescuable()
	if !ok {
		return report, ErrJournalWorks
	}
	e.checkpointLock.Lock()
	defer e.checkpointLock.Unlock()
	began := time.Now()
	report.Start = last
	to, err := begin(last)
	if err != nil {
		return report, err
	}
	defer to.Abort()
	definition := record.DefinitionOf(e.sale)
	if err := e.writeState(ctx, to, &definition, since, &report); err != nil {
		return report, err
	}
	report.Took, report.At = time.Since(began), time.Now()
	return report, to.Commit(last)
}

// rescuable returns the last record of a state that no journal has, and since when the sale definition is in force. It
// returns false if there is no such state.
func (e *Engine) rescuable() (last uint64, since record.Stamp, ok bool) {
	t := e.term.Load()
	if t == nil {
		idle := e.idle.Load()
		return idle.last, idle.since, idle.last > 0 && errors.Is(idle.why, journal.ErrGone)
	}
	if t.failure() == nil || errors.Is(t.failure(), journal.ErrFenced) {
		return 0, since, false
	}
	return e.inventory.Placed(), t.since, true // nothing is drained any more, so the state does not change
}
