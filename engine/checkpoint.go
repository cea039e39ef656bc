package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
)

// CheckpointReport describes a finished checkpoint.
type CheckpointReport struct {
	Start        uint64 // it replaces all records up to this one
	Reservations int
	Bytes        int64
	Took         time.Duration
	At           time.Time // wall time at its end
	Err          error     // why it failed; older checkpoints are still valid
}

// checkpointCounts are the numbers of checkpoints since the start.
type checkpointCounts struct {
	running          atomic.Bool
	complete, failed atomic.Uint64
	last             atomic.Pointer[CheckpointReport] // the last complete one
}

func (c *checkpointCounts) note(r *CheckpointReport) {
	if r.Err != nil {
		c.failed.Add(1)
		return
	}
	c.complete.Add(1)
	c.last.Store(r)
}

// Checkpoint writes a checkpoint while the sale runs, and returns when it is durable. Calls are not stopped for it.
//
// It notes the journal's last durable record, writes the reservations as far as their outcomes are logged, and is
// complete when the journal is durable up to the last outcome that it may contain. Replay starts at the noted record.
// Records are absolute, so those that the checkpoint already contains change nothing.
func (e *Engine) Checkpoint(ctx context.Context) (CheckpointReport, error) {
	t := e.term.Load()
	if t == nil || t.writer == nil {
		return CheckpointReport{}, errors.New("this engine writes no journal")
	}
	e.checkpointLock.Lock()
	defer e.checkpointLock.Unlock()
	e.checkpoints.running.Store(true)
	defer e.checkpoints.running.Store(false)
	ctx, cancel := t.during(ctx) // a store that does not respond must hold up neither Close nor Rescue
	defer cancel()
	began := time.Now()
	report := CheckpointReport{Start: t.writer.Durable()}
	if report.Err = e.writeCheckpoint(ctx, t, &report); report.Err == nil {
		e.checkpointedAt.Store(report.Start)
	} else if err := t.failure(); err != nil {
		report.Err = err
	}
	report.Took, report.At = time.Since(began), time.Now()
	e.checkpoints.note(&report)
	return report, report.Err
}

func (e *Engine) writeCheckpoint(ctx context.Context, t *term, report *CheckpointReport) error {
	c, err := e.o.Journal.Checkpoint(ctx, report.Start)
	if err != nil {
		return err
	}
	defer c.Abort()
	s := outcomes.State{Last: report.Start, InForce: t.drain.Drained}
	pause := func(took time.Duration) error { return e.yieldAfter(ctx, took) }
	report.Reservations, report.Bytes, err = e.memory.Write(c, &s, pause)
	if err != nil {
		return err
	}
	// The last drained outcome would be too early an end: while a drain is in progress, its outcomes are already logged
	// and not yet counted as drained.
	end := e.inventory.Placed()
	if err := t.writer.Wait(ctx, end); err != nil {
		return err
	}
	return c.Commit(end)
}

// yieldAfter leaves processors, disk and journal to the callers for fourteen times as long as a piece of background
// work took. The time that a journal.Pacer has waited for groups is not work.
func (e *Engine) yieldAfter(ctx context.Context, took time.Duration) error {
	select {
	case <-time.After(14 * took):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stop:
		return context.Canceled
	}
}

// checkpointPause is how long after a failure the next checkpoint is tried: the disk may be full, and will be for a
// while.
const checkpointPause = 10 * time.Second

const defaultCheckpointAfter = 1_000_000 // records

// checkpointDue writes a checkpoint if enough records have followed the last one.
func (e *Engine) checkpointDue() {
	due := uint64(e.o.CheckpointAfter)
	if due == 0 {
		due = uint64(max(defaultCheckpointAfter, 2*e.inventory.Fills()[inventory.Reservations-1].Used))
	}
	writer := e.term.Load().writer
	if writer.Err() != nil || writer.Durable()-e.checkpointedAt.Load() < due || time.Now().Before(e.checkpointRetry) {
		return
	}
	_, err := e.Checkpoint(context.Background())
	if err != nil && writer.Failure() == nil && !errors.Is(err, context.Canceled) {
		e.checkpointRetry = time.Now().Add(checkpointPause)
		e.o.Log.Error("a checkpoint failed, and is tried again later", "error", err, "in", checkpointPause)
	}
}
