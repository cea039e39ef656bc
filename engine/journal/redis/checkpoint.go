package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/seathold/seathold/engine/journal"
)

// checkpointsKept is how many complete checkpoints stay: the newest, and one to fall back to when it is damaged.
const checkpointsKept = 2

// Checkpoint is one being written: pieces under keys of its own, which mean nothing until Commit has written the manifest.
// It is a journal.Checkpoint.
type Checkpoint struct {
	journal *Journal
	ctx     context.Context
	leader  string // what the leader's key must hold

	mu       sync.Mutex // against Close
	ended    error
	manifest manifest
}

var (
	errCommitted = errors.New("the checkpoint is committed")
	errAborted   = errors.New("the checkpoint was aborted")
)

// Checkpoint begins a checkpoint of all records up to start, which must be durable and not before the newest checkpoint's
// start. One is written at a time. An error while it is written does not touch the journal: groups can still be appended.
// ctx bounds all calls of the checkpoint, which repeat what a repetition can mend until it ends.
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
	if err := c.leading(beginScript, []string{j.link.checkpoints}, c.manifest.id); err != nil {
		c.end(err)
		return nil, err
	}
	return c, nil
}

func (j *Journal) newCheckpoint(ctx context.Context, start uint64) (*Checkpoint, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.checkpoint != nil {
		return nil, errCheckpoints
	}
	base, ok := j.places.notBehind(start)
	if start > j.last || !ok || len(j.intact) > 0 && start < j.intact[len(j.intact)-1].start {
		return nil, fmt.Errorf("BUG: a checkpoint at record %d, with the last record %d and %d checkpoints", start, j.last, len(j.intact))
	}
	j.serial++
	name := id{j.epoch, j.serial}.String()
	j.checkpoint = &Checkpoint{journal: j, ctx: ctx, leader: j.claim.at.String() + " " + j.claim.leader,
		manifest: manifest{id: name, start: start, base: base, sum: xxhash.Sum64String(name)}}
	return j.checkpoint, nil
}

// Write adds a run of records of at most 64 MiB. After an error the checkpoint is dropped; a new one may succeed.
func (c *Checkpoint) Write(chunk []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || len(chunk) == 0 {
		return c.ended
	}
	if len(chunk) > maxRunBytes {
		return fmt.Errorf("BUG: a chunk of %d bytes; at most %d are possible", len(chunk), maxRunBytes)
	}
	for len(chunk) > 0 {
		n := min(len(chunk), pieceBytes)
		piece, sum := putPiece(chunk[:n], n < len(chunk), c.manifest.sum)
		key := c.journal.link.pieceKey(c.manifest.id, c.manifest.pieces)
		if err := c.leading(pieceScript, []string{key}, piece); err != nil {
			return c.drop(err)
		}
		c.manifest.sum = sum
		c.manifest.pieces++
		c.manifest.bytes += int64(n)
		chunk = chunk[n:]
	}
	return nil
}

// Commit makes the checkpoint the newest. When it returns an error, the checkpoint may or may not be found by the next
// Recover.
func (c *Checkpoint) Commit(end uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	older, err := c.journal.mayCommit(c.manifest.start, end)
	if err != nil {
		return err
	}
	c.manifest.end = end
	keys := append([]string{c.journal.link.checkpoints}, c.pieceKeys()...)
	args := []any{c.manifest.id, c.manifest.text()}
	for _, m := range older {
		args = append(args, m.id)
	}
	if err := c.leading(commitScript, keys, args...); err != nil {
		return c.drop(err)
	}
	c.ended = errCommitted
	c.journal.adopt(append(older, c.manifest))
	if err := c.tidy(older); err != nil {
		return fmt.Errorf("checkpoint %s is complete, but older things stay: %w", c.manifest.id, err)
	}
	return nil
}

// mayCommit returns the complete checkpoints that stay beside the new one.
func (j *Journal) mayCommit(start, end uint64) ([]manifest, error) {
	if err := j.usable(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if end < start || end > j.last {
		return nil, fmt.Errorf("BUG: a checkpoint of records %d to %d, with the last record %d", start, end, j.last)
	}
	older := j.intact[max(0, len(j.intact)-(checkpointsKept-1)):]
	return older[:len(older):len(older)], nil
}

// adopt enters the complete checkpoints and lets the next one begin.
func (j *Journal) adopt(intact []manifest) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.intact, j.checkpoint = intact, nil
	j.places.forget(intact[0].base)
}

func (c *Checkpoint) pieceKeys() []string {
	keys := make([]string, c.manifest.pieces)
	for i := range keys {
		keys[i] = c.journal.link.pieceKey(c.manifest.id, i)
	}
	return keys
}

// tidy removes what no checkpoint needs any more: pieces of dropped and unfinished checkpoints, and entries before the
// base of the older one.
func (c *Checkpoint) tidy(older []manifest) error {
	l := c.journal.link
	all, err := l.listed(c.ctx, 0)
	if err != nil {
		return err
	}
	for id, text := range all {
		if text != "writing" && text != "dropped" {
			continue
		}
		if err := c.remove(c.ctx, id); err != nil {
			return err
		}
	}
	if len(older) == 0 {
		return nil
	}
	for {
		trimmed, err := l.script(c.ctx, 0, trimScript, []string{l.leader, l.stream}, c.leader, older[0].base.at.id.String())
		if err != nil {
			return err
		}
		if trimmed == int64(0) {
			return nil
		}
	}
}

// piecesRemoved is how many pieces are removed at once.
const piecesRemoved = 64

// remove removes the pieces of a checkpoint, the last ones first, and then forgets it. Pieces are written from the first
// one on; whatever stops a removal, those that are left are again the first ones, and can be counted.
func (c *Checkpoint) remove(ctx context.Context, id string) error {
	l := c.journal.link
	count := 0
	for found := int64(piecesRemoved); found == piecesRemoved; count += int(found) {
		args := []any{"exists"}
		for i := range piecesRemoved {
			args = append(args, l.pieceKey(id, count+i))
		}
		reply, err := l.read(ctx, 0, args...)
		if err != nil {
			return err
		}
		found, _ = reply.(int64)
	}
	for count > 0 {
		from := (count - 1) / piecesRemoved * piecesRemoved
		keys := []string{l.checkpoints}
		for i := from; i < count; i++ {
			keys = append(keys, l.pieceKey(id, i))
		}
		if err := c.leadingIn(ctx, dropScript, keys, id); err != nil {
			return err
		}
		count = from
	}
	return c.leadingIn(ctx, dropScript, []string{l.checkpoints}, id)
}

// errGone is how a checkpoint fails when Redis came back with less while it was written.
var errGone = errors.New("a part of the checkpoint, or who leads, is gone from Redis; the next checkpoint may succeed")

// leading runs one of the checkpoint's scripts, which do nothing unless this leader is still the leader.
func (c *Checkpoint) leading(s *script, keys []string, args ...any) error {
	return c.leadingIn(c.ctx, s, keys, args...)
}

func (c *Checkpoint) leadingIn(ctx context.Context, s *script, keys []string, args ...any) error {
	l := c.journal.link
	reply, err := l.script(ctx, 0, s, append([]string{l.leader}, keys...), append([]any{c.leader}, args...)...)
	if err != nil || reply == int64(1) {
		return err
	}
	if reply == int64(2) {
		return errGone
	}
	now, err := l.read(ctx, 0, "get", l.leader)
	if err != nil {
		return err
	}
	text, _ := now.(string)
	claim, address, err := parseLeader(text)
	if err != nil {
		return err
	}
	if claim.id.less(c.journal.claim.at.id) {
		return errGone
	}
	return fmt.Errorf("%w: epoch %d, at %q", journal.ErrFenced, claim.id.epoch, address)
}

// drop ends an uncommitted checkpoint for the given reason, which it returns. Callers hold mu.
func (c *Checkpoint) drop(reason error) error {
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

// end ends an uncommitted checkpoint without a word to Redis.
func (c *Checkpoint) end(reason error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return false
	}
	_ = c.drop(reason) // it returns the reason for callers that pass it on
	return true
}

// abortPatience bounds the removal of what an aborted checkpoint has written.
const abortPatience = 2 * time.Second

// Abort drops what was written. What cannot be removed now is removed behind the next Commit, and nothing ever reads it, so
// errors of the removal are of no consequence.
func (c *Checkpoint) Abort() {
	if c.end(errAborted) {
		ctx, cancel := context.WithTimeout(c.journal.link.ctx, abortPatience)
		defer cancel()
		_ = c.remove(ctx, c.manifest.id)
	}
}
