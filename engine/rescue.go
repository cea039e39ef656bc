package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
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
// so that no sequence is used twice. Reads continue meanwhile.
func (e *Engine) Rescue(ctx context.Context,
	begin func(last uint64) (journal.Checkpoint, error)) (report CheckpointReport, err error) {
	t := e.term.Load()
	if t == nil || t.writer == nil {
		return report, ErrJournalWorks
	}
	select {
	case <-t.writer.Failed(): // nothing is drained any more, so the state does not change
	default:
		return report, ErrJournalWorks
	}
	e.checkpointLock.Lock()
	defer e.checkpointLock.Unlock()
	began := time.Now()
	report.Start = e.inventory.Placed()
	to, err := begin(report.Start)
	if err != nil {
		return report, err
	}
	defer to.Abort()
	if err := e.writeState(ctx, t, to, &report); err != nil {
		return report, err
	}
	report.Took, report.At = time.Since(began), time.Now()
	return report, to.Commit(report.Start)
}
