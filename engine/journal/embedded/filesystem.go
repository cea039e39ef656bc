package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seathold/seathold/engine/journal"
)

// fileSystem is all that the journal asks of a file system. The tests put one in memory in its place that forgets what
// was not synced and fails on demand.
type fileSystem struct {
	// lock takes the directory's lock, for one holder alone or to share among readers; journal.ErrLocked when it is taken.
	lock func(dir string, shared bool) (unlock func() error, err error)
	// makeDir makes the directory unless it is there; its parent must exist.
	makeDir func(dir string) error
	// list returns the directory's entries.
	list func(dir string) ([]entry, error)
	// create makes an empty file, in place of one of that name. What is written to it is durable after sync.
	create func(path string) (file, error)
	// createDurable is create for a file whose writes are durable when they return.
	createDurable func(path string) (file, error)
	// openDurable opens a file for writes that are durable when they return.
	openDurable func(path string) (file, error)
	openRead    func(path string) (file, error)
	rename      func(from, to string) error
	remove      func(path string) error
	// syncDir makes the names in a directory durable.
	syncDir func(dir string) error
	// free returns how many bytes more the directory's disk has room for.
	free func(dir string) (int64, error)
	// aside does work beside the caller. In the tests it is done at once, so that operations have one order.
	aside func(work func())
}

// file is an open file.
type file struct {
	readAt   func(b []byte, offset int64) (int, error)
	writeAt  func(b []byte, offset int64) (int, error)
	sync     func() error
	truncate func(size int64) error
	unneeded func() // says that nothing of it will be read soon
	close    func() error
}

// entry is a file or directory within the journal's directory.
type entry struct {
	name  string
	bytes int64
}

// disk is the real file system.
func disk() fileSystem {
	return fileSystem{
		lock:          lockDir,
		makeDir:       makeDir,
		list:          listDir,
		create:        openWith(os.O_RDWR | os.O_CREATE | os.O_TRUNC),
		createDurable: openWith(os.O_RDWR | os.O_CREATE | os.O_TRUNC | syscall.O_DSYNC),
		openDurable:   openWith(os.O_RDWR | syscall.O_DSYNC),
		openRead:      openWith(os.O_RDONLY),
		rename:        os.Rename,
		remove:        os.Remove,
		syncDir:       syncDir,
		free:          freeBytes,
		aside:         func(work func()) { go work() },
	}
}

func openWith(flags int) func(path string) (file, error) {
	return func(path string) (file, error) {
		f, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return file{}, err
		}
		return file{readAt: f.ReadAt, writeAt: f.WriteAt, sync: f.Sync, truncate: f.Truncate,
			unneeded: func() { unneeded(f) }, close: f.Close}, nil
	}
}

// lockDir locks the file LOCK in dir. The kernel drops the lock with the process, so a killed one leaves none behind.
func lockDir(dir string, shared bool) (unlock func() error, err error) {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = journal.ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: a file of that name is in the way", journal.ErrForeign)
	}
	return nil
}

func listDir(dir string) ([]entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: f.Name(), bytes: info.Size()})
	}
	return entries, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // other systems have other types
}

// storageError adds journal.ErrFull to an error that says there is no room. It is applied where an error leaves the
// package.
func storageError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	return err
}
