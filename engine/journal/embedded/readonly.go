package embedded

import (
	"github.com/seathold/seathold/engine/journal"
)

// ReadOnly is a journal in a directory, opened for reading, as verify and journal dump do. It changes nothing there. It
// is a journal.Reader, used by one goroutine at a time.
type ReadOnly struct {
	dir    *directory
	closed bool
}

// OpenReadOnly opens the journal in a directory that no process writes; else it returns journal.ErrLocked. Several
// readers may share the directory, and no writer can open it until they are closed.
func OpenReadOnly(path string) (*ReadOnly, error) {
	return openReadOnly(path, disk())
}

func openReadOnly(path string, fs fileSystem) (*ReadOnly, error) {
	d, err := openDirectoryShared(path, fs)
	if err != nil {
		return nil, named(path, err)
	}
	return &ReadOnly{dir: d}, nil
}

// Recover delivers what Journal.Recover would. It reports an unfinished group at the end, but does not cut it off. It
// may be called again.
func (o *ReadOnly) Recover(to journal.Recovery) (journal.Recovered, error) {
	if o.closed {
		return journal.Recovered{}, journal.ErrClosed
	}
	r := recovery{dir: o.dir, to: to}
	if err := r.run(); err != nil {
		return r.sum, named(o.dir.path, err)
	}
	return r.sum, nil
}

// Close releases the directory.
func (o *ReadOnly) Close() error {
	if o.closed {
		return nil
	}
	o.closed = true
	return o.dir.lock.unlock()
}
