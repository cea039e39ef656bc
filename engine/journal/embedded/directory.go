package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seathold/seathold/engine/journal"
)

// Names within the directory. Temporary names are fixed, so that a crash leaves at most one file of each.
const (
	markerName       = "seathold-journal"
	lockName         = "LOCK"
	segmentPrefix    = "segment-"
	checkpointPrefix = "checkpoint-"
	temporarySuffix  = ".tmp"

	temporaryMarker     = markerName + temporarySuffix
	temporarySegment    = "segment" + temporarySuffix
	temporaryCheckpoint = "checkpoint" + temporarySuffix
	temporaryPrepared   = "prepared" + temporarySuffix

	// lostAndFound is what a freshly made ext4 file system holds; it may be mounted for the journal alone.
	lostAndFound = "lost+found"
)

// Damage says where durable records are missing or unreadable. It wraps journal.ErrDamaged.
type Damage struct {
	File   string // within the journal's directory
	Offset int64  // in bytes
	Reason string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%v: %s at offset %d: %s", journal.ErrDamaged, d.File, d.Offset, d.Reason)
}

// Unwrap returns journal.ErrDamaged.
func (d *Damage) Unwrap() error { return journal.ErrDamaged }

// directory is a journal's directory that is locked and known to be one.
type directory struct {
	path   string
	fs     fileSystem
	id     uint64
	salt   uint32
	unlock func() error
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

// openDirectory locks a directory and makes it a journal where it is missing or empty.
func openDirectory(path string, fs fileSystem) (*directory, error) {
	if err := fs.makeDir(path); err != nil {
		return nil, err
	}
	unlock, err := fs.lock(path, false)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, fs: fs, unlock: unlock}
	known, err := d.readMarker()
	if err == nil && !known {
		err = d.initialise()
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return d, nil
}

// openDirectoryShared locks a directory against writers only and changes nothing in it.
func openDirectoryShared(path string, fs fileSystem) (*directory, error) {
	if _, err := fs.list(path); err != nil {
		return nil, err
	}
	unlock, err := fs.lock(path, true)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, fs: fs, unlock: unlock}
	known, err := d.readMarker()
	if err == nil && !known {
		err = fmt.Errorf("%w: it has no file %s", journal.ErrForeign, markerName)
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return d, nil
}

// readMarker reads the journal's id from the marker, if there is one.
func (d *directory) readMarker() (known bool, err error) {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == markerName })
	if i < 0 {
		return false, nil
	}
	content, err := d.readFile(markerName, min(entries[i].bytes, 256), nil)
	if err != nil {
		return false, err
	}
	if d.id, err = decodeMarker(content); err != nil {
		return false, err
	}
	d.salt = saltOf(d.id)
	return true, nil
}

// initialise makes an empty journal. The marker comes last: a directory without one is either not ours or holds no record
// yet, and one with a marker and no segment has lost it.
func (d *directory) initialise() error {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !leftByInitialise(e) {
			return fmt.Errorf("%w: it holds %s but no file %s", journal.ErrForeign, e.name, markerName)
		}
	}
	if err := d.fs.syncDir(filepath.Dir(d.path)); err != nil {
		return err
	}
	var id [8]byte
	rand.Read(id[:])
	d.id = binary.LittleEndian.Uint64(id[:])
	d.salt = saltOf(d.id)
	if _, err := d.createSegment(1, 0); err != nil {
		return err
	}
	return d.createWhole(temporaryMarker, markerName, encodeMarker(d.id))
}

// leftByInitialise tells whether a crash of initialise can have left the entry.
func leftByInitialise(e entry) bool {
	switch e.name {
	case lockName, temporaryMarker, temporarySegment, lostAndFound:
		return true
	case segmentName(1):
		return e.bytes == headerBytes
	}
	return false
}

// createWhole makes a file that appears with all of its content, durably.
func (d *directory) createWhole(temporary, name string, content []byte) error {
	f, err := d.fs.createDurable(d.join(temporary))
	if err != nil {
		return err
	}
	_, err = f.writeAt(content, 0)
	if err := errors.Join(err, f.close()); err != nil {
		return err
	}
	return d.publish(temporary, name)
}

// publish gives a complete and synced file its name, durably. An error leaves it unknown which name will be found.
func (d *directory) publish(temporary, name string) error {
	if err := d.fs.rename(d.join(temporary), d.join(name)); err != nil {
		return err
	}
	return d.fs.syncDir(d.path)
}

// createSegment makes the segment that begins with the record first, behind the frame with the sum chain, and returns the
// sum of its header. It is durable, name and all, before any frame is written.
func (d *directory) createSegment(first uint64, chain uint32) (sum uint32, err error) {
	header, sum := d.segmentHeader(first, chain)
	return sum, d.createWhole(temporarySegment, segmentName(first), header)
}

func (d *directory) segmentHeader(first uint64, chain uint32) (header []byte, sum uint32) {
	return fileHeader{magic: segmentMagic, id: d.id, sequence: first, chain: chain}.encode()
}

// beginSegment is createSegment, in the prepared file where there is one, and opens it for writing.
func (d *directory) beginSegment(prepared file, first uint64, chain uint32) (f file, sum uint32, err error) {
	if prepared.close == nil {
		if sum, err = d.createSegment(first, chain); err == nil {
			f, err = d.fs.openDurable(d.join(segmentName(first)))
		}
		return f, sum, err
	}
	header, sum := d.segmentHeader(first, chain)
	if _, err = prepared.writeAt(header, 0); err == nil {
		err = d.publish(temporaryPrepared, segmentName(first))
	}
	if err != nil {
		return file{}, 0, errors.Join(err, prepared.close())
	}
	return prepared, sum, nil
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
	return buffer[:n], errors.Join(err, f.close())
}

// numbered is a segment or a checkpoint: a file whose name ends in a sequence.
type numbered struct {
	name     string
	sequence uint64 // segment: its first record; checkpoint: its start
	bytes    int64
}

// files lists the segments and the checkpoints in the order of their sequences.
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
	bySequence := func(a, b numbered) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(segments, bySequence)
	slices.SortFunc(checkpoints, bySequence)
	return segments, checkpoints, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%s%020d", segmentPrefix, first) }

func checkpointName(start uint64) string { return fmt.Sprintf("%s%020d", checkpointPrefix, start) }

// sequenceIn reads the twenty digits behind the prefix; their order as text is that of the numbers.
func sequenceIn(name, prefix string) (sequence uint64, ok bool) {
	digits, found := strings.CutPrefix(name, prefix)
	if !found || len(digits) != 20 {
		return 0, false
	}
	sequence, err := strconv.ParseUint(digits, 10, 64)
	return sequence, err == nil
}

// removeTemporary drops what a crash left unfinished.
func (d *directory) removeTemporary() error {
	entries, err := d.fs.list(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.name {
		case temporaryMarker, temporarySegment, temporaryCheckpoint, temporaryPrepared:
			if err := d.fs.remove(d.join(e.name)); err != nil {
				return err
			}
		}
	}
	return nil
}
