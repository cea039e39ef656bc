package embedded

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seathold/seathold/engine/journal"
)

// Names within the directory. Temporary names are fixed, so that a crash leaves at most one file of each.
const (
	markerName       = "seathold-journal"
	markerCopyName   = "seathold-journal-copy"
	endName          = "end"
	lockName         = "LOCK"
	segmentPrefix    = "segment-"
	checkpointPrefix = "checkpoint-"
	quarantinePrefix = "quarantine-"
	temporarySuffix  = ".tmp"

	temporaryMarker     = markerName + temporarySuffix // of both markers
	temporaryEnd        = endName + temporarySuffix
	temporarySegment    = "segment" + temporarySuffix
	temporaryCheckpoint = "checkpoint" + temporarySuffix
	temporaryPrepared   = "prepared" + temporarySuffix

	// lostAndFound is in every new ext4 file system, and one may be mounted for the journal alone.
	lostAndFound = "lost+found"
)

// Fault is a place where something that was stored is missing or unreadable.
type Fault struct {
	File   string // its name within the journal's directory
	Offset int64  // in bytes
	Reason string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s at offset %d: %s", f.File, f.Offset, f.Reason) }

func faultAt(file string, offset int64, reason string, args ...any) *Fault {
	return &Fault{file, offset, fmt.Sprintf(reason, args...)}
}

// damaged returns an error that says where durable records are missing or unreadable.
func damaged(file string, offset int64, reason string, args ...any) error {
	return fmt.Errorf("%w: %w", journal.ErrDamaged, faultAt(file, offset, reason, args...))
}

// directory is the locked directory of a journal.
type directory struct {
	path    string // absolute
	fs      fileSystem
	id      uint64
	version int // of the marker
	salt    uint32
	lock    heldLock
	faults  []*Fault // of the markers
	notes   []string // what an operator should read about them
	patches []patch  // bits that Repair puts back
	noCopy  bool     // the marker has no copy: a crash came between the two
}

// named adds to an error which journal it is about, and to one about damage what to do.
func named(path string, err error) error {
	if errors.Is(err, journal.ErrDamaged) {
		return fmt.Errorf("journal directory %s: %w; `seathold journal repair --dry-run --data %s` prints what can be done",
			path, err, path)
	}
	return fmt.Errorf("journal directory %s: %w", path, storageError(err))
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

// openDirectory locks a directory exclusively, and makes it a journal where it is missing or empty and never was one,
// or where afresh allows another one.
func openDirectory(path string, afresh bool, fs fileSystem) (*directory, error) {
	path, err := absolute(path, fs)
	if err != nil {
		return nil, err
	}
	_, err = fs.list(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if !afresh {
			err = neverBegun(path, fs) // before the directory is made
		}
		if afresh || err == nil {
			err = fs.makeDir(path)
		}
	case err != nil:
		err = cmp.Or(fs.makeDir(path), err) // which says that it is a file
	}
	if err != nil {
		return nil, err
	}
	return lockDirectory(path, fs, false, func(d *directory) error {
		if !afresh {
			if err := neverBegun(path, fs); err != nil {
				return err
			}
		}
		return d.initialise()
	})
}

// absolute returns the clean and absolute form of a journal's path: the parent of "journal/" is not "journal", and the
// path must mean the same directory for as long as the journal is open.
func absolute(path string, fs fileSystem) (string, error) {
	if path == "" {
		return "", fmt.Errorf("no directory is named: %w", os.ErrNotExist)
	}
	return fs.absolute(path)
}

// openDirectoryShared locks a directory shared with other readers, and changes nothing else in it.
func openDirectoryShared(path string, fs fileSystem) (*directory, error) {
	path, err := absolute(path, fs)
	if err != nil {
		return nil, err
	}
	return lockDirectory(path, fs, true, func(*directory) error {
		return fmt.Errorf("%w: it has no file %s", journal.ErrForeign, markerName)
	})
}

// lockDirectory locks a directory and reads its marker. It calls unmarked where there is none.
func lockDirectory(path string, fs fileSystem, shared bool, unmarked func(*directory) error) (*directory, error) {
	lock, err := fs.lock(path, shared)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, fs: fs, lock: lock}
	marked, err := d.readMarker()
	if err == nil && !marked {
		err = unmarked(d)
	}
	if err != nil {
		return nil, errors.Join(err, lock.unlock())
	}
	return d, nil
}

// initialise makes an empty journal.
func (d *directory) initialise() error { return d.begin(1, func() error { return nil }) }

// begin makes a journal whose first record will be first, and calls fill before it is one. It writes the marker last: a
// directory without a marker is foreign or holds no record yet, and a directory with a marker but without a segment has
// lost the segment.
func (d *directory) begin(first uint64, fill func() error) error {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !leftByInitialise(e) {
			return fmt.Errorf("%w: it holds %s but no file %s", journal.ErrForeign, e.name, markerName)
		}
	}
	if err := d.syncParents(); err != nil {
		return err
	}
	var id [8]byte
	rand.Read(id[:])
	d.id = binary.LittleEndian.Uint64(id[:])
	d.salt = saltOf(d.id)
	chain, err := d.createSegment(first, 0, false)
	if err != nil {
		return err
	}
	if err := fill(); err != nil {
		return err
	}
	begin := end{sequence: first - 1, segment: first, offset: headerBytes, chain: chain}
	if err := d.writeEnd(begin); err != nil {
		return err
	}
	return d.writeMarkers()
}

// writeMarkers writes the marker and then its copy.
func (d *directory) writeMarkers() error {
	if err := d.writeMarker(markerName); err != nil {
		return err
	}
	d.version = formatVersion
	return d.writeMarker(markerCopyName)
}

func (d *directory) writeMarker(name string) error {
	return d.install(d.fs.createDurable, temporaryMarker, name, encodeMarker(d.id))
}

// syncParents makes the directory's own name durable, and where the path is a symbolic link, that of the link too.
func (d *directory) syncParents() error {
	resolved, err := d.fs.resolve(d.path)
	if err != nil {
		return err
	}
	parent, target := filepath.Dir(d.path), filepath.Dir(resolved)
	if err := d.fs.syncDir(target); err != nil || parent == target {
		return err
	}
	return d.fs.syncDir(parent)
}

// leftByInitialise reports whether the entry may be left from an initialise that crashed.
func leftByInitialise(e entry) bool {
	switch e.name {
	case lockName, temporaryMarker, temporarySegment, temporaryEnd, endName, lostAndFound:
		return true
	case segmentName(1):
		return e.bytes == headerBytes
	}
	return false
}

// createSegment makes the segment whose first record is first and whose first frame follows the sum chain. It uses the
// prepared file where that is ready. It returns the sum of the segment's header. The header and the name are durable
// before any frame is written.
func (d *directory) createSegment(first uint64, chain uint32, prepared bool) (sum uint32, err error) {
	header, sum := fileHeader{magic: segmentMagic, id: d.id, sequence: first, chain: chain}.encode()
	if prepared {
		return sum, d.install(d.fs.openDurable, temporaryPrepared, segmentName(first), header)
	}
	return sum, d.install(d.fs.createDurable, temporarySegment, segmentName(first), header)
}

// install opens the temporary file, writes content at its beginning and gives it its name, so that the name is never
// seen without the content. Both are durable when it returns.
func (d *directory) install(open func(path string) (file, error), temporary, name string, content []byte) error {
	if err := d.lock.present(); err != nil {
		return err
	}
	f, err := open(d.join(temporary))
	if err != nil {
		return err
	}
	_, err = f.writeAt(content, 0)
	if err := errors.Join(err, f.close()); err != nil {
		return err
	}
	return d.publish(temporary, name)
}

// publish gives a complete, synced and closed file its name, durably. After an error either name may be found.
func (d *directory) publish(temporary, name string) error {
	if err := d.lock.present(); err != nil {
		return err
	}
	if err := d.fs.rename(d.join(temporary), d.join(name)); err != nil {
		return err
	}
	return d.fs.syncDir(d.path)
}

// remove removes a file of this journal: none of another directory that has taken the path.
func (d *directory) remove(name string) error {
	if err := d.lock.present(); err != nil {
		return err
	}
	return d.fs.remove(d.join(name))
}

// create makes an empty temporary file.
func (d *directory) create(temporary string) (file, error) {
	if err := d.lock.present(); err != nil {
		return file{}, err
	}
	return d.fs.create(d.join(temporary))
}

// readFile reads the first size bytes of a file, into buffer where that is large enough.
func (d *directory) readFile(name string, size int64, buffer []byte) ([]byte, error) {
	f, err := d.fs.openRead(d.join(name))
	if err != nil {
		return nil, err
	}
	if int64(cap(buffer)) < size {
		buffer = make([]byte, size)
	}
	n, err := f.readAt(buffer[:size], 0)
	if int64(n) == size || errors.Is(err, io.EOF) {
		err = nil
	}
	for _, p := range d.patches {
		p.apply(name, buffer[:n])
	}
	return buffer[:n], errors.Join(err, f.close())
}

// numbered is a segment or a checkpoint: a file whose name ends in a sequence.
type numbered struct {
	name     string
	sequence uint64 // segment: its first record; checkpoint: its start
	bytes    int64
}

// files lists the segments and the checkpoints in ascending order of their sequences.
func (d *directory) files() (segments, checkpoints []numbered, err error) {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if sequence, ok := sequenceIn(e.name, segmentPrefix); ok {
			segments = append(segments, numbered{e.name, sequence, e.bytes})
		}
		if sequence, ok := sequenceIn(e.name, checkpointPrefix); ok {
			checkpoints = append(checkpoints, numbered{e.name, sequence, e.bytes})
		}
	}
	bySequence := func(a, b numbered) int { return cmp.Compare(a.sequence, b.sequence) }
	slices.SortFunc(segments, bySequence)
	slices.SortFunc(checkpoints, bySequence)
	return segments, checkpoints, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%s%020d", segmentPrefix, first) }

func checkpointName(start uint64) string { return fmt.Sprintf("%s%020d", checkpointPrefix, start) }

// sequenceIn reads the twenty digits after the prefix. Their order as text is that of the numbers.
func sequenceIn(name, prefix string) (sequence uint64, ok bool) {
	digits, found := strings.CutPrefix(name, prefix)
	if !found || len(digits) != 20 {
		return 0, false
	}
	sequence, err := strconv.ParseUint(digits, 10, 64)
	return sequence, err == nil
}

// removeTemporary removes the unfinished files that a crash left.
func (d *directory) removeTemporary() error {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.name {
		case temporaryMarker, temporaryEnd, temporarySegment, temporaryCheckpoint, temporaryPrepared:
			if err := d.remove(e.name); err != nil {
				return err
			}
		}
	}
	return nil
}
