package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// Options tune a journal. The zero value means the defaults.
type Options struct {
	// SegmentBytes is the size above which a segment does not grow, unless a single group is larger. The default is
	// 64 MiB, and at most a sixteenth of the disk. Disk space that no checkpoint needs is freed by whole segments.
	SegmentBytes int64

	// PrepareAfter is the size in bytes at which a segment has the next one prepared: filled with zeros, which makes a
	// group in it durable in about half the time. That takes SegmentBytes of disk space ahead of need. The default is
	// 1 MiB, and at most a quarter of a segment; with a negative value no segment is prepared. None is prepared either
	// where less than two times SegmentBytes is free.
	PrepareAfter int64

	// New lets Open begin a journal where one was before and is gone.
	New bool

	// Warn is called with a failure that does no harm, such as a segment that could not be prepared. It must not call the
	// journal.
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

// Errors of calls out of order. They are bugs of the caller and change nothing in the journal.
var (
	errNotRecovered = errors.New("Recover must be called once, before any other call")
	errCheckpoints  = errors.New("another checkpoint is being written")
)

// Journal is a journal in a directory, opened for writing. It is a journal.Backend. Its methods may be called by
// several goroutines.
type Journal struct {
	dir     *directory
	options Options

	mu         sync.Mutex // held during an Append, so that Close waits for it; not while a checkpoint is written
	recovered  bool
	closed     bool
	failed     error // the first failed write, which every later call returns
	last       uint64
	chain      uint32 // the sum of the last frame
	newest     file   // the segment that groups are appended to
	end        int64  // where its last frame ends, in bytes
	filled     int64  // where the zeros after that frame end; at most end where there are none
	next       preparation
	looked     time.Time // when the directory was last seen at its path
	sealed     *endFile  // nil when it cannot be written
	frame      []byte    // reused from group to group
	segments   []numbered
	intact     []numbered // complete checkpoints, the oldest first
	damaged    []numbered // checkpoints that Recover skipped; the next Commit removes them
	checkpoint *checkpoint

	obsolete []numbered // files to remove; used only by Recover and by the checkpoint that commits
}

// Open opens the journal in a directory. It makes the directory when it is missing; the parent must exist. A missing or
// empty directory that had a journal before is refused with journal.ErrGone unless Options.New is set; a file beside
// the directory shows that. Until Close or the end of this process any other Open or OpenReadOnly of the directory
// returns journal.ErrLocked. A directory that holds other things is refused with journal.ErrForeign. The caller must
// call Recover next.
func Open(path string, options Options) (*Journal, error) {
	return open(path, options, disk())
}

func open(path string, options Options, fs fileSystem) (*Journal, error) {
	options = options.withDefaults()
	d, err := openDirectory(path, options.New, fs)
	if err != nil {
		return nil, named(path, err)
	}
	if err := d.leaveTrace(); err != nil {
		options.Warn(fmt.Errorf("journal directory %s: if it is missing one day, a new journal is begun there: %w", path,
			storageError(err)))
	}
	_, size, err := fs.space(d.path)
	if err != nil {
		return nil, errors.Join(named(path, err), d.lock.unlock())
	}
	return &Journal{dir: d, options: options.fit(size)}, nil
}

// Recover delivers all that is durable, cuts an unfinished group off the end and gets ready for Append. On damage, or
// an error of a callback, it changes no file. After any error the journal can only be closed. See journal.Reader.
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
		j.failed = named(j.dir.path, err)
		return r.sum, j.failed
	}
	j.recovered = true
	return r.sum, nil
}

// resume makes what was read durable and prepares the newest segment for the next group.
//
// A file that can be read need not be on disk: when a process is killed, or its sync fails, the kernel may hold data
// and names in memory only. After a failed sync a second one may report success without having written. So resume syncs
// the names, and writes the last group, the only one in doubt, once more in place with the same bytes.
func (j *Journal) resume(r *recovery) error {
	if err := j.dir.removeTemporary(); err != nil {
		return err
	}
	if err := j.dir.fs.syncDir(j.dir.path); err != nil {
		return err
	}
	s := r.newest
	f, err := j.dir.fs.openDurable(j.dir.join(s.name))
	if err != nil {
		return err
	}
	if r.sum.TornBytes > 0 {
		err = errors.Join(f.truncate(int64(s.offset)), f.sync())
	} else {
		j.filled = int64(len(s.data))
	}
	if err == nil && s.last > 0 {
		_, err = f.writeAt(s.data[s.last:s.offset], int64(s.last))
	}
	if err != nil {
		return errors.Join(err, f.close())
	}
	j.newest, j.end, j.chain, j.last = f, int64(s.offset), s.chain, r.sum.Last
	j.segments, j.intact, j.damaged = r.segments, r.checkpoints[:r.intact:r.intact], r.checkpoints[r.intact:]
	j.removeLeftovers()
	at := end{j.last, j.segments[len(j.segments)-1].sequence, j.end, j.chain}
	if j.sealed, err = j.dir.openEnd(at, r.end); err != nil {
		return err
	}
	if j.dir.version < formatVersion {
		return j.dir.writeMarkers()
	}
	if j.dir.noCopy {
		return j.dir.writeMarker(markerCopyName)
	}
	return nil
}

// removeLeftovers removes the files that a crash kept the newest checkpoint from removing. Left there, they would take
// the room that the next checkpoint needs before it can remove them. A failure leaves them to that one.
func (j *Journal) removeLeftovers() {
	j.retire()
	if err := j.removeObsolete(); err != nil {
		j.options.Warn(fmt.Errorf("journal directory %s: a file that nothing needs cannot be removed: %w", j.dir.path, err))
	}
}

// Append makes a group durable by one write, which returns once the disk has it. A group that does not follow the last
// record, is out of bounds, or comes with a done ctx is refused and changes nothing. Any other error is final: every
// later Append returns it, and only the next Open can find out whether the group is there. The error wraps
// journal.ErrFull when there is no room.
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
		return fmt.Errorf("BUG: a group from record %d after record %d", g.First, j.last)
	}
	if g.Count < 1 || g.Count > math.MaxUint32 || len(g.Records) < g.Count || len(g.Records) > maxRunBytes {
		return fmt.Errorf("BUG: a group of %d records in %d bytes; the limit is %d bytes",
			g.Count, len(g.Records), maxRunBytes)
	}
	size := int64(headerBytes + len(g.Records))
	if j.full(size) {
		if err := j.roll(); err != nil {
			return j.fail(err)
		}
	}
	sum := j.encodeFrame(g)
	if _, err := j.newest.writeAt(j.frame, j.end); err != nil {
		return j.fail(err)
	}
	if err := j.look(); err != nil {
		return j.fail(err)
	}
	// The group is durable.
	j.end += size
	j.chain = sum
	j.last = g.Last()
	j.setEnd()
	if cap(j.frame) > keptFrameBytes {
		j.frame = nil
	}
	if j.options.PrepareAfter > 0 && j.end > j.options.PrepareAfter {
		j.next.begin(j.dir, j.options.SegmentBytes)
	}
	return nil
}

// lookEvery is how long groups may be acknowledged before the journal looks again whether its directory is still there.
// That the file has a name is checked after each group, which takes a third of a microsecond.
const lookEvery = 100 * time.Millisecond

// look returns why what was written cannot be found again: the segment has no name any more, or the directory was
// removed or replaced. It is called before a group is acknowledged.
func (j *Journal) look() error {
	linked, err := j.newest.linked()
	if err != nil {
		return err
	}
	if !linked {
		return fmt.Errorf("%w: %s was removed", journal.ErrGone, j.segments[len(j.segments)-1].name)
	}
	now := j.dir.fs.now()
	if now.Sub(j.looked) < lookEvery {
		return nil
	}
	j.looked = now
	return j.dir.lock.present()
}

// Beat looks whether the journal's directory is still there, and makes the journal's end durable. The writer calls it
// while there is nothing to append. An error is as final as one of Append and wraps journal.ErrGone.
func (j *Journal) Beat(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	j.looked = time.Time{}
	if err := j.look(); err != nil {
		return j.fail(err)
	}
	j.sealEnd()
	return nil
}

// full reports whether a frame of the size belongs in a new segment: the newest one has no room for it, or would have
// to grow while a prepared one is ready.
func (j *Journal) full(size int64) bool {
	if err := j.next.poll(); err != nil {
		j.options.Warn(fmt.Errorf(
			"journal directory %s: cannot prepare the next segment, which will grow with its groups: %w",
			j.dir.path, storageError(err)))
	}
	if j.end == headerBytes {
		return false
	}
	return j.end+size > j.options.SegmentBytes || j.end+size > j.filled && j.next.ready
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

// roll begins the next segment. All groups of the previous one are durable.
func (j *Journal) roll() error {
	if err := j.look(); err != nil { // afterwards only the new segment is looked at
		return err
	}
	first := j.last + 1
	prepared, filled := j.next.take(), int64(0)
	if prepared {
		filled = j.options.SegmentBytes
	}
	sum, err := j.dir.createSegment(first, j.chain, prepared)
	if err != nil {
		return err
	}
	f, err := j.dir.fs.openDurable(j.dir.join(segmentName(first)))
	if err != nil {
		return err
	}
	full := j.newest
	j.newest, j.end, j.filled, j.chain = f, headerBytes, filled, sum
	j.segments = append(j.segments, numbered{name: segmentName(first), sequence: first})
	full.dropCache()
	return full.close()
}

// usable returns why nothing can be written now, or nil. The caller holds mu.
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

// fail ends all writing for good. The caller holds mu.
func (j *Journal) fail(err error) error {
	if j.failed == nil {
		j.failed = fmt.Errorf("journal directory %s takes no more records: %w", j.dir.path, storageError(err))
	}
	return j.failed
}

// Close aborts an unfinished checkpoint and releases the directory. It waits for a running Append. Every later call
// returns journal.ErrClosed, but for Close, which is then a no-op.
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
	if j.sealed != nil {
		err = errors.Join(err, j.sealed.seal(), j.sealed.close())
	}
	if j.newest.close != nil {
		err = errors.Join(err, j.newest.close())
	}
	return errors.Join(err, j.dir.lock.unlock())
}
