package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"github.com/seathold/seathold/engine/journal"
)

// Options tune a journal. The zero value means the defaults.
type Options struct {
	// SegmentBytes is the size that a segment does not grow beyond, unless one group alone does; 64 MiB unless set. Disk
	// space behind a checkpoint is freed by whole segments.
	SegmentBytes int64

	// PrepareAfter is how many bytes a segment has when the next one is prepared: filled with zeros, which makes a group in
	// it durable in about half the time. That takes SegmentBytes of disk space ahead of need. 1 MiB unless set; negative:
	// never. Where less than four times SegmentBytes is free, none is prepared.
	PrepareAfter int64

	// Warn is told of what failed without harm, such as a segment that could not be prepared. It must not call the journal.
	Warn func(error)
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.PrepareAfter == 0 {
		o.PrepareAfter = 1 << 20
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	return o
}

// keptFrameBytes bounds the buffer that stays allocated between groups.
const keptFrameBytes = 4 << 20

// Errors of calls that come at a wrong time. They are faults of the caller; the journal is not touched.
var (
	errNotRecovered = errors.New("Recover must be called, once, before anything else")
	errCheckpoints  = errors.New("a checkpoint is being written already")
)

// Journal is a journal in a directory, opened for writing. It is a journal.Backend.
type Journal struct {
	dir     *directory
	options Options

	mu         sync.Mutex // held during an Append, so that Close waits for it; never during the writing of a checkpoint
	recovered  bool
	closed     bool
	failed     error // the first failed write; returned for ever after
	last       uint64
	chain      uint32 // the sum of the last frame
	newest     file   // the segment that is appended to
	end        int64  // where its last frame ends, in bytes
	filled     int64  // where the zeros behind that end; at most end where there are none
	next       preparation
	frame      []byte // reused from group to group
	syncs      uint64
	segments   []numbered
	intact     []numbered // complete checkpoints, the oldest first
	damaged    []numbered // checkpoints passed over by Recover; the next Commit removes them
	checkpoint *Checkpoint

	obsolete []numbered // files to remove; only the checkpoint that commits touches it
}

// Stats is what a journal holds and has done.
type Stats struct {
	Segments int    // files
	Bytes    int64  // in segments
	Syncs    uint64 // groups made durable since Open
}

// Open opens the journal in a directory, which it makes when it is missing; its parent must exist. No second program can
// open it until Close or the end of this one: it gets journal.ErrLocked. A directory with other things in it is refused
// with journal.ErrForeign. Recover must be called next.
func Open(path string, options Options) (*Journal, error) {
	return open(path, options, disk())
}

func open(path string, options Options, fs fileSystem) (*Journal, error) {
	d, err := openDirectory(path, fs)
	if err != nil {
		return nil, fmt.Errorf("journal directory %s: %w", path, storageError(err))
	}
	return &Journal{dir: d, options: options.withDefaults()}, nil
}

// Recover delivers all that is durable, cuts an unfinished group from the end and makes ready for Append. When it fails
// the files are as they were, and the journal can only be closed. See journal.Backend.
func (j *Journal) Recover(to journal.Recovery) (journal.Recovered, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return journal.Recovered{}, journal.ErrClosed
	}
	if j.recovered || j.failed != nil {
		return journal.Recovered{}, errors.Join(errNotRecovered, j.failed)
	}
	r := recovery{dir: j.dir, to: to}
	err := r.run()
	if err == nil {
		err = j.resume(&r)
	}
	if err != nil {
		j.failed = fmt.Errorf("journal directory %s: %w", j.dir.path, storageError(err))
		return r.sum, j.failed
	}
	j.recovered = true
	return r.sum, nil
}

// resume makes what was read durable and the newest segment ready for the next group.
//
// Reading a file does not show that it is on disk: a process that was killed, or whose sync failed, leaves data and names
// in memory of the kernel, and a sync that fails once may report success later without having written. So the names are
// synced and the last group, the only one that may be in doubt, is written once more, in place, with the bytes it has.
func (j *Journal) resume(r *recovery) error {
	if err := j.dir.removeTemporary(); err != nil {
		return err
	}
	if err := j.dir.fs.syncDir(j.dir.path); err != nil {
		return err
	}
	f, err := j.dir.fs.openDurable(j.dir.join(r.tail.segment.name))
	if err != nil {
		return err
	}
	if r.sum.TornBytes > 0 {
		err = errors.Join(f.truncate(r.tail.bytes), f.sync())
	}
	if err == nil && r.tail.lastFrame != nil {
		_, err = f.writeAt(r.tail.lastFrame, r.tail.bytes-int64(len(r.tail.lastFrame)))
	}
	if err != nil {
		return errors.Join(err, f.close())
	}
	j.newest, j.end, j.chain, j.last = f, r.tail.bytes, r.tail.chain, r.sum.Last
	if r.sum.TornBytes == 0 {
		j.filled = r.tail.segment.bytes
	}
	j.segments, j.intact, j.damaged = r.segments, r.checkpoints[:r.intact:r.intact], r.checkpoints[r.intact:]
	j.segments[len(j.segments)-1].bytes = r.tail.bytes
	return nil
}

// Append makes a group durable with one write that returns when the disk has it. A refused group, one that does not follow
// or is out of bounds, changes nothing. Any other error is final: every later Append returns it again, and whether the
// group is there is known to the next Open only. It wraps journal.ErrFull when there is no room.
func (j *Journal) Append(ctx context.Context, g journal.Group) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.First != j.last+1 {
		return fmt.Errorf("BUG: a group from record %d behind record %d", g.First, j.last)
	}
	if g.Count < 1 || g.Count > math.MaxUint32 || len(g.Records) < g.Count || len(g.Records) > maxRunBytes {
		return fmt.Errorf("BUG: a group of %d records in %d bytes; at most %d bytes are possible", g.Count, len(g.Records), maxRunBytes)
	}
	size := int64(headerBytes + len(g.Records))
	if j.ends(size) {
		if err := j.roll(); err != nil {
			return j.fail(err)
		}
	}
	sum := j.encodeFrame(g)
	if _, err := j.newest.writeAt(j.frame, j.end); err != nil {
		return j.fail(err)
	}
	j.end += size
	j.chain = sum
	j.last = g.Last()
	j.syncs++
	j.segments[len(j.segments)-1].bytes = j.end
	if cap(j.frame) > keptFrameBytes {
		j.frame = nil
	}
	if j.options.PrepareAfter > 0 && j.end > j.options.PrepareAfter {
		j.next.begin(j.dir, j.options.SegmentBytes)
	}
	return nil
}

// ends tells whether the newest segment is at its end before a frame of the size: it has no room for it, or it would have
// to grow and a prepared one is ready.
func (j *Journal) ends(size int64) bool {
	if err := j.next.look(); err != nil {
		j.options.Warn(fmt.Errorf("journal directory %s: the next segment could not be prepared: %w", j.dir.path, storageError(err)))
	}
	if j.end == headerBytes {
		return false
	}
	return j.end+size > j.options.SegmentBytes || j.end+size > j.filled && j.next.ready.close != nil
}

// encodeFrame puts the group's frame into the buffer and returns its sum.
func (j *Journal) encodeFrame(g journal.Group) uint32 {
	size := headerBytes + len(g.Records)
	if cap(j.frame) < size {
		j.frame = make([]byte, size, size+size/2)
	}
	j.frame = j.frame[:size]
	copy(j.frame[headerBytes:], g.Records)
	return frameHeader{
		length:  uint32(len(g.Records)),
		first:   g.First,
		count:   uint32(g.Count),
		chain:   j.chain,
		records: crc32.Checksum(g.Records, castagnoli),
	}.put(j.frame, j.dir.salt)
}

// roll begins the next segment. All groups of the one before are durable already.
func (j *Journal) roll() error {
	first := j.last + 1
	prepared, filled := j.next.take(), int64(0)
	if prepared.close != nil {
		filled = j.options.SegmentBytes
	}
	f, sum, err := j.dir.beginSegment(prepared, first, j.chain)
	if err != nil {
		return err
	}
	full := j.newest
	j.newest, j.end, j.filled, j.chain = f, headerBytes, filled, sum
	j.segments = append(j.segments, numbered{segmentName(first), first, headerBytes})
	full.unneeded()
	return full.close()
}

// usable returns why nothing can be written, if so. Callers hold mu.
func (j *Journal) usable() error {
	if j.closed {
		return journal.ErrClosed
	}
	if j.failed != nil {
		return j.failed
	}
	if !j.recovered {
		return errNotRecovered
	}
	return nil
}

// fail ends all writing for good. Callers hold mu.
func (j *Journal) fail(err error) error {
	if j.failed == nil {
		j.failed = fmt.Errorf("journal directory %s takes no more records: %w", j.dir.path, storageError(err))
	}
	return j.failed
}

// Stats may be called at any time; it waits for an Append under way.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{Segments: len(j.segments), Syncs: j.syncs}
	for _, f := range j.segments {
		s.Bytes += f.bytes
	}
	return s
}

// Close ends an unfinished checkpoint and releases the directory. It waits for an Append under way; after it all calls
// return journal.ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	unfinished := j.checkpoint
	j.mu.Unlock()
	if unfinished != nil {
		unfinished.end(journal.ErrClosed)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.next.end(j.dir)
	if j.newest.close != nil {
		err = errors.Join(err, j.newest.close())
	}
	return errors.Join(err, j.dir.unlock())
}
