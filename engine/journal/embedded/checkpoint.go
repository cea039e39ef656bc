package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/seathold/seathold/engine/journal"
)

// checkpointsKept is how many complete checkpoints are kept: the newest, and one to fall back to when that is damaged.
const checkpointsKept = 2

// writeBytes is how much of a checkpoint is buffered, and then written and synced. With small pieces the sync of a
// group never waits for much of a checkpoint to reach the disk: during a checkpoint of 180 MB on ext4, the slowest of
// some hundred groups took 43 ms with one sync at the end and 21 ms with one every 2 MiB.
const writeBytes = 256 << 10

// checkpoint is a checkpoint being written, in a temporary file that Commit renames. It is a journal.Checkpoint.
type checkpoint struct {
	journal *Journal
	start   uint64

	mu     sync.Mutex // against Journal.Close
	ended  error      // why nothing more can be written; nil while the file is open
	out    file
	buffer []byte
	offset int64  // of buffer in the file
	sum    uint32 // of the last chunk, or of the header
	chunks uint32
	bytes  uint64
}

var (
	errCommitted = errors.New("the checkpoint is committed")
	errAborted   = errors.New("the checkpoint was aborted")
)

// Checkpoint begins a checkpoint of all records up to start, which must be durable and not before the newest
// checkpoint's start. Only one can be written at a time. A failure of the checkpoint does not fail the journal: groups
// can still be appended. A checkpoint never takes the last room on the disk, which is kept for groups: it fails with
// journal.ErrFull, here or in Write or Commit, its file is removed, and a later one may succeed.
func (j *Journal) Checkpoint(ctx context.Context, start uint64) (journal.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, err
	}
	if j.checkpoint != nil {
		return nil, errCheckpoints
	}
	if start > j.last || len(j.intact) > 0 && start < j.intact[len(j.intact)-1].sequence {
		return nil, fmt.Errorf("BUG: a checkpoint at record %d, with the last record %d and %d checkpoints",
			start, j.last, len(j.intact))
	}
	if err := j.hasRoom(j.expectedBytes()); err != nil {
		return nil, fmt.Errorf("checkpoint at record %d: %w", start, storageError(err))
	}
	if j.options.PrepareAfter > 0 {
		j.next.retry()
		j.next.begin(j.dir, j.options.SegmentBytes)
	}
	out, err := j.dir.create(temporaryCheckpoint)
	if err != nil {
		return nil, storageError(err)
	}
	header, sum := fileHeader{magic: checkpointMagic, id: j.dir.id, sequence: start}.encode()
	j.checkpoint = &checkpoint{journal: j, start: start, out: out, sum: sum, buffer: header}
	return j.checkpoint, nil
}

// expectedBytes returns the size of the newest checkpoint, which the next one is likely to have too. The caller holds
// mu.
func (j *Journal) expectedBytes() int64 {
	if len(j.intact) == 0 {
		return 0
	}
	return j.intact[len(j.intact)-1].bytes
}

// Write adds a run of records of at most 64 MiB. An error drops the checkpoint; a new one may succeed.
func (c *checkpoint) Write(chunk []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || len(chunk) == 0 {
		return c.ended
	}
	if len(chunk) > maxRunBytes {
		return fmt.Errorf("BUG: a chunk of %d bytes; the limit is %d", len(chunk), maxRunBytes)
	}
	var header [chunkHeaderBytes]byte
	c.sum = putChunkHeader(header[:], chunk, c.sum)
	c.buffer = append(append(c.buffer, header[:]...), chunk...)
	c.chunks++
	c.bytes += uint64(len(chunk))
	if len(c.buffer) < writeBytes {
		return nil
	}
	if err := c.flush(); err != nil {
		return c.drop(c.named(err))
	}
	return nil
}

// flush writes and syncs the buffer.
func (c *checkpoint) flush() error {
	c.journal.mu.Lock()
	err := c.journal.hasRoom(int64(len(c.buffer)))
	c.journal.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := c.out.writeAt(c.buffer, c.offset); err != nil {
		return err
	}
	c.offset += int64(len(c.buffer))
	c.buffer = c.buffer[:0]
	return c.out.sync()
}

// named adds which checkpoint failed.
func (c *checkpoint) named(err error) error {
	return fmt.Errorf("checkpoint at record %d: %w", c.start, storageError(err))
}

// drop ends an uncommitted checkpoint for the given reason, which it returns. Errors of the removal are ignored:
// nothing reads the file, and the next checkpoint overwrites it or the next Recover removes it. The caller holds mu.
func (c *checkpoint) drop(reason error) error {
	c.ended = reason
	_ = c.out.close()
	_ = c.journal.dir.remove(temporaryCheckpoint)
	c.journal.checkpointEnded()
	return reason
}

// Commit makes the checkpoint the newest. After an error the next Recover may or may not find the checkpoint. When its
// name could not be made durable, every later name is in doubt as well, and Append fails from then on.
func (c *checkpoint) Commit(end uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if err := c.journal.mayCommit(c.start, end); err != nil {
		return err
	}
	c.buffer = append(c.buffer, footer{chunks: c.chunks, bytes: c.bytes, start: c.start, end: end}.encode(c.sum)...)
	if err := c.flush(); err != nil {
		return c.drop(c.named(err))
	}
	c.ended = errCommitted
	defer c.journal.checkpointEnded()
	if err := c.out.close(); err != nil {
		return c.named(err)
	}
	return c.journal.commit(numbered{checkpointName(c.start), c.start, c.offset})
}

// Abort drops what was written.
func (c *checkpoint) Abort() { c.end(errAborted) }

func (c *checkpoint) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		_ = c.drop(reason) // the result is reason
	}
}

// checkpointEnded allows the next checkpoint to begin.
func (j *Journal) checkpointEnded() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.checkpoint = nil
}

func (j *Journal) mayCommit(start, end uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	if end < start || end > j.last {
		return fmt.Errorf("BUG: a checkpoint of records %d to %d, with the last record %d", start, end, j.last)
	}
	return nil
}

// commit renames the complete temporary file and then removes the files that no checkpoint needs.
func (j *Journal) commit(c numbered) error {
	if err := j.dir.publish(temporaryCheckpoint, c.name); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.fail(err)
	}
	j.adopt(c)
	if err := j.removeObsolete(); err != nil {
		return fmt.Errorf("checkpoint at record %d is complete, but an obsolete file cannot be removed: %w", c.sequence, err)
	}
	return nil
}

// removeObsolete removes the files that nothing needs.
func (j *Journal) removeObsolete() error {
	for len(j.obsolete) > 0 {
		if err := j.dir.remove(j.obsolete[0].name); err != nil {
			return err
		}
		j.obsolete = j.obsolete[1:]
	}
	return nil
}

// adopt adds the new checkpoint. It makes the damaged checkpoints obsolete, too.
func (j *Journal) adopt(c numbered) {
	j.mu.Lock()
	defer j.mu.Unlock()
	sameName := func(f numbered) bool { return f.name == c.name }
	j.obsolete = append(j.obsolete, slices.DeleteFunc(j.damaged, sameName)...)
	j.damaged = nil
	j.intact = append(slices.DeleteFunc(j.intact, sameName), c)
	j.retire()
}

// retire moves to j.obsolete all but two of the intact checkpoints, and the segments that end before the older of the
// two starts. The newest segment is always kept, and with it the sequence of the last record. The caller holds mu.
func (j *Journal) retire() {
	if more := len(j.intact) - checkpointsKept; more > 0 {
		j.obsolete = append(j.obsolete, j.intact[:more]...)
		j.intact = slices.Clone(j.intact[more:])
	}
	if len(j.intact) < checkpointsKept {
		return
	}
	for len(j.segments) > 1 && j.segments[1].sequence <= j.intact[0].sequence+1 {
		j.obsolete = append(j.obsolete, j.segments[0])
		j.segments = j.segments[1:]
	}
}
