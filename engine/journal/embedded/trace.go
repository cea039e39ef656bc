package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seathold/seathold/engine/journal"
)

// A trace is a small file beside a journal's directory, on the disk of its parent. It shows that there was a journal
// when the directory is missing or empty: a disk that is not mounted, a directory that was removed. Without it the next
// start would silently begin a new sale, and sell again what is sold.
//
// The trace is written once the journal is complete, before any group, and whenever the journal is opened and the trace
// is missing or of another journal. So no crash leaves a trace without a journal, and a journal that was copied or
// restored to this place leaves one too. Where the parent is read-only there is none, which Options.Warn reports.

// traceName returns the path of the trace of the journal at an absolute path; "" for a root directory, which has
// nothing beside it.
func traceName(path string) string {
	parent := filepath.Dir(path)
	if parent == path {
		return ""
	}
	return filepath.Join(parent, "."+filepath.Base(path)+"."+markerName)
}

// encodeTrace returns the content of a journal's trace. Only its presence and whether it is this content matter.
func encodeTrace(path string, id uint64) []byte {
	return fmt.Appendf(nil, "%016x\n"+
		"The directory %s holds a journal of Seathold. While this file is here, no new journal\n"+
		"is begun in that directory unless Seathold is started with --new.\n", id, filepath.Base(path))
}

const maxTrace = 4 << 10 // bytes that are read of a trace

// readTrace returns the content of the trace, and false if there is none.
func readTrace(path string, fs fileSystem) (content []byte, found bool, err error) {
	name := traceName(path)
	if name == "" {
		return nil, false, nil
	}
	content, err = (&directory{path: filepath.Dir(path), fs: fs}).readFile(filepath.Base(name), maxTrace, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	return content, err == nil, err
}

// neverBegun returns nil if no journal was ever begun at the path, and otherwise an error that wraps journal.ErrGone.
func neverBegun(path string, fs fileSystem) error {
	_, found, err := readTrace(path, fs)
	if err != nil {
		return fmt.Errorf("whether a journal was here before is unknown: %w", err)
	}
	if found {
		return fmt.Errorf("%w: nothing is there, and %s shows that a journal was begun there; mount its disk or restore it",
			journal.ErrGone, traceName(path))
	}
	return nil
}

// leaveTrace writes the trace unless it is there.
func (d *directory) leaveTrace() error {
	content, _, err := readTrace(d.path, d.fs)
	want := encodeTrace(d.path, d.id)
	name := traceName(d.path)
	if err != nil || name == "" || string(content) == string(want) {
		return err
	}
	f, err := d.fs.createDurable(name + temporarySuffix)
	if err != nil {
		return err
	}
	_, err = f.writeAt(want, 0)
	if err = errors.Join(err, f.close()); err != nil {
		return err
	}
	if err := d.fs.rename(name+temporarySuffix, name); err != nil {
		return err
	}
	return d.fs.syncDir(filepath.Dir(name))
}
