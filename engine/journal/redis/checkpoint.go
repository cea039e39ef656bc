package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// checkpointsKept is how many complete checkpoints are kept: the newest, and one to fall back to if it is damaged.
const checkpointsKept = 2

// checkpoint is a checkpoint that is being written: pieces under separate keys, which have no meaning until Commit has
// written the manifest. It is a journal.Checkpoint.
type checkpoint struct {
	journal *Journal
	ctx     context.Context
	leader  string // what the leader key must hold

	mu       sync.Mutex // against Close
	ended    error
	manifest manifest // of what is stored
	buffer   []byte   // whole runs that are not stored yet
}

var (
	errCommitted = errors.New("the checkpoint is committed")
	errAborted   = errors.New("the checkpoint was aborted")
)

// Checkpoint begins a checkpoint of all records up to start, which must be durable and not before the newest
// checkpoint's start. One is written at a time. An error of a checkpoint does not affect the journal: groups can still
// be appended. ctx bounds all calls of the checkpoint, which are retried until it ends.
func (j *Journal) Checkpoint(ctx context.Context, start uint64) (journal.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := j.usable(); err != nil {
		return nil, err
	}
	c, err := j.newCheckpoint(ctx, start)
	if err != nil {
		return nil, err
	}
	if err := c.removeLeftovers(ctx); err != nil { // first, because memory may be short
		c.end(err)
		return nil, err
	}
	if err := c.run(ctx, beginScript, []string{j.link.checkpoints}, c.manifest.id); err != nil {
		c.end(err)
		return nil, err
	}
	return c, nil
}

func (j *Journal) newCheckpoint(ctx context.Context, start uint64) (*checkpoint, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.checkpoint != nil {
		return nil, errCheckpoints
	}
	base, ok := j.boundaries.atOrBefore(start)
	if start > j.last || !ok || len(j.intact) > 0 && start < j.intact[len(j.intact)-1].start {
		return nil, fmt.Errorf("BUG: a checkpoint at record %d, with last record %d and %d checkpoints", start, j.last,
			len(j.intact))
	}
	j.serial++
	name := id{j.epoch, j.serial}.String()
	j.checkpoint = &checkpoint{journal: j, ctx: ctx, leader: j.claim.leaderValue(),
		manifest: manifest{id: name, start: start, base: base, sum: xxhash.Sum64String(name)}}
	return j.checkpoint, nil
}

// Write adds a run of records of at most 64 MiB. It returns at once until there are enough for a piece, and then when
// that is stored, without a noticeable delay of groups. After an error the checkpoint is dropped; a new one may
// succeed.
func (c *checkpoint) Write(chunk []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || len(chunk) == 0 {
		return c.ended
	}
	if len(chunk) > maxRunBytes {
		return fmt.Errorf("BUG: a chunk of %d bytes; the limit is %d", len(chunk), maxRunBytes)
	}
	size := c.journal.pace.size()
	if len(c.buffer)+len(chunk) > size {
		if err := c.flush(size); err != nil {
			return err
		}
	}
	if c.buffer = append(c.buffer, chunk...); len(c.buffer) < size {
		return nil
	}
	return c.flush(size)
}

// PacesItself implements journal.Pacer.
func (c *checkpoint) PacesItself() bool { return true }

// flush stores the buffer in pieces of about so many bytes. The caller holds mu.
func (c *checkpoint) flush(size int) error {
	rest := c.buffer
	parts := max((len(rest)+size/2)/size, (len(rest)+pieceBytes-1)/pieceBytes, 1)
	for n := (len(rest) + parts - 1) / parts; len(rest) > 0; {
		n = min(n, len(rest))
		bytes, sum := encodePiece(rest[:n], n < len(rest), c.manifest.sum)
		if err := c.store(c.newPiece(bytes)); err != nil {
			return c.drop(err)
		}
		c.manifest.sum = sum
		c.manifest.pieces++
		c.manifest.bytes += int64(n)
		rest = rest[n:]
	}
	c.buffer = c.buffer[:0]
	return nil
}

// Commit makes the checkpoint the newest. After an error the next Recover may or may not find it.
func (c *checkpoint) Commit(end uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if err := c.journal.mayCommit(c.manifest.start, end); err != nil {
		return err
	}
	if err := c.flush(pieceBytes); err != nil {
		return err
	}
	older, err := c.journal.complete(c.ctx)
	if err != nil {
		return c.drop(err)
	}
	older = older[max(0, len(older)-(checkpointsKept-1)):]
	c.manifest.end = end
	keys := []string{c.journal.link.checkpoints}
	for i := range c.manifest.pieces {
		keys = append(keys, c.journal.link.pieceKey(c.manifest.id, i))
	}
	args := []any{c.manifest.id, c.manifest.text()}
	for _, m := range older {
		args = append(args, m.id, m.text())
	}
	if err := c.run(c.ctx, commitScript, keys, args...); err != nil {
		return c.drop(err)
	}
	c.ended = errCommitted
	c.journal.committed(append(older, c.manifest))
	err = c.removeLeftovers(c.ctx)
	if err == nil && len(older) > 0 {
		err = c.trim(c.ctx, older[0])
	}
	if err != nil {
		return fmt.Errorf("checkpoint %s is complete, but obsolete data was not removed: %w", c.manifest.id, err)
	}
	return nil
}

// mayCommit returns why a checkpoint cannot be committed, or nil.
func (j *Journal) mayCommit(start, end uint64) error {
	if err := j.usable(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if end < start || end > j.last {
		return fmt.Errorf("BUG: a checkpoint of records %d to %d, with last record %d", start, end, j.last)
	}
	return nil
}

// committed records which checkpoints are complete and allows the next one to begin.
func (j *Journal) committed(intact []manifest) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.intact, j.checkpoint = intact, nil
	j.boundaries.dropBefore(intact[0].base)
}

// errIncomplete ends a checkpoint when Redis restarted with less while it was written.
var errIncomplete = errors.New("a part of the checkpoint or the leader key is missing; the next checkpoint may succeed")

// restoreWithin is how long a checkpoint waits for a leader key that was removed or replaced. The goroutine that
// appends makes it again within restoreEvery, or half a second without groups.
const restoreWithin = 3 * restoreEvery

// run runs one of the checkpoint scripts, which do nothing unless the leader key holds this leader's claim.
func (c *checkpoint) run(ctx context.Context, s *redis.Script, keys []string, args ...any) error {
	l := c.journal.link
	keys, args = append([]string{l.leader}, keys...), append([]any{c.leader}, args...)
	poll := time.NewTicker(minPause)
	defer poll.Stop()
	for began := time.Now(); time.Since(began) < restoreWithin; {
		reply, err := l.script(ctx, 0, s, keys, args...)
		if err != nil || reply == int64(1) {
			return err
		}
		if reply == int64(2) {
			break
		}
		// Whether there is another leader is decided by the stream, not by the leader key.
		if err := c.journal.deposed(ctx); err != nil {
			return err
		}
		c.journal.restore.Store(true)
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return journal.ErrClosed
		}
	}
	return errIncomplete
}

// deposed returns journal.ErrFenced if the stream ends in a later epoch, or why this leader has failed, or nil. The
// claim of another leader in the same epoch, after Redis has lost this leader's, is left to the goroutine that appends.
func (j *Journal) deposed(ctx context.Context) error {
	if err := j.usable(); err != nil {
		return err
	}
	end, err := j.link.streamEnd(ctx, 0)
	if err == nil && end.newest.epoch > j.claim.at.id.epoch {
		err = fmt.Errorf("%w: epoch %d, by %q", journal.ErrFenced, end.newest.epoch, end.leader)
	}
	return err
}

// drop ends an uncommitted checkpoint for the given reason, which it returns. The caller holds mu.
func (c *checkpoint) drop(reason error) error {
	if errors.Is(reason, journal.ErrClosed) {
		reason = journal.ErrClosed
	} else {
		reason = fmt.Errorf("checkpoint %s: %w", c.manifest.id, reason)
	}
	c.ended = reason
	j := c.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.checkpoint == c {
		j.checkpoint = nil
	}
	return reason
}

// end ends an uncommitted checkpoint without a call to Redis. It returns false if it had ended before.
func (c *checkpoint) end(reason error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return false
	}
	_ = c.drop(reason) // drop returns the reason for callers that pass it on
	return true
}

// abortTimeout bounds the removal of an aborted checkpoint.
const abortTimeout = 2 * time.Second

// Abort drops what was written. What it cannot remove now is never read and is removed after the next Commit, so errors
// of the removal are ignored.
func (c *checkpoint) Abort() {
	if c.end(errAborted) {
		ctx, cancel := context.WithTimeout(c.journal.link.ctx, abortTimeout)
		defer cancel()
		_ = c.remove(ctx, c.manifest.id)
	}
}
