package engine

import (
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// CheckpointReport tells about a finished checkpoint.
type CheckpointReport struct {
	Start        uint64 // it stands for all records up to this one
	Reservations int
	Bytes        int64
	Took         time.Duration
	At           time.Time // wall time of its end
	Err          error     // why it failed; the older ones still stand
}

// chunkBytes is how much of a checkpoint is written at once: large enough for the disk, small enough to pause after.
const chunkBytes = 32 << 10

// Checkpoint writes one now, while the sale goes on, and returns when it is durable. Nothing is stopped for it: it notes
// where the journal stands, dumps the reservations as far as their outcomes have been logged, and is complete when the
// journal is durable up to the last outcome it may hold. Replay begins at the noted place; records are absolute, so those
// that the dump already holds change nothing.
func (e *Engine) Checkpoint(ctx context.Context) (CheckpointReport, error) {
	t := e.term.Load()
	if t == nil || t.writer == nil {
		return CheckpointReport{}, errors.New("no journal is written here")
	}
	e.checkpointLock.Lock()
	defer e.checkpointLock.Unlock()
	began := time.Now()
	report := CheckpointReport{Start: t.writer.Durable()}
	report.Err = e.dump(ctx, t.writer, &report)
	report.Took, report.At = time.Since(began), time.Now()
	e.lastCheckpoint.Store(&report)
	e.checkpoints.note(&report)
	e.checkpointedAt.Store(report.Start)
	return report, report.Err
}

// LastCheckpoint returns the report of the last checkpoint since the start; false before the first.
func (e *Engine) LastCheckpoint() (CheckpointReport, bool) {
	if r := e.lastCheckpoint.Load(); r != nil {
		return *r, true
	}
	return CheckpointReport{}, false
}

func (e *Engine) dump(ctx context.Context, writer *journal.Writer, report *CheckpointReport) error {
	c, err := e.o.Journal.Checkpoint(ctx, report.Start)
	if err != nil {
		return err
	}
	defer c.Abort()
	d := dumping{e: e, ctx: ctx, to: c, report: report, began: time.Now()}
	definition := record.DefinitionOf(e.sale)
	d.run = definition.Append(d.run)
	for i, b := range e.ballots {
		if err := b.dump(e, i, func(f *record.Draw, kind record.Kind) error {
			d.run = f.Append(d.run, kind)
			return d.flush(chunkBytes)
		}); err != nil {
			return err
		}
	}
	forget := e.nowMs() - e.o.Forget.Milliseconds()
	var s inventory.Snapshot
	for row := uint32(1); row < e.inventory.Rows(); row++ {
		if !e.inventory.ReadLogged(row, &s) || s.State != Held && s.State != Confirmed && s.ExpiresMs < forget {
			continue
		}
		d.run = record.AppendReservation(d.run, &s)
		report.Reservations++
		if err := d.flush(chunkBytes); err != nil {
			return err
		}
	}
	if err := d.flush(1); err != nil {
		return err
	}
	end := e.inventory.Placed() // Drained would be one group behind what a drain under way has already shown
	if err := writer.Wait(ctx, end); err != nil {
		return err
	}
	return c.Commit(end)
}

// dumping is a checkpoint under way.
type dumping struct {
	e      *Engine
	ctx    context.Context
	to     journal.Checkpoint
	report *CheckpointReport
	run    []byte
	began  time.Time // of the piece that is being made
}

// flush writes what has come together when it is at least so many bytes, and then leaves the processors to others.
func (d *dumping) flush(least int) error {
	if len(d.run) < least {
		return nil
	}
	if err := d.to.Write(d.run); err != nil {
		return err
	}
	d.report.Bytes += int64(len(d.run))
	d.run = d.run[:0]
	err := d.e.breathe(d.ctx, time.Since(d.began))
	d.began = time.Now()
	return err
}

// breathe leaves processors, disk and journal to the callers fourteen times as long as a piece of the checkpoint took.
func (e *Engine) breathe(ctx context.Context, took time.Duration) error {
	select {
	case <-time.After(14 * took):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stop:
		return context.Canceled
	}
}

// checkpointLoop writes a checkpoint whenever enough records have followed the last one.
func (e *Engine) checkpointLoop() {
	e.everySecond(func() {
		due := uint64(max(e.o.CheckpointAfter, 2*int(e.inventory.Rows())))
		writer := e.term.Load().writer
		if writer.Err() != nil || writer.Durable()-e.checkpointedAt.Load() < due {
			return
		}
		if _, err := e.Checkpoint(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
			e.o.Log.Error("checkpoint failed", "error", err)
		}
	})
}

// everySecond is a goroutine of the engine's that does something each second until the engine stops.
func (e *Engine) everySecond(do func()) {
	defer e.background.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		do()
	}
}
