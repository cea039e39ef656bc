package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seathold/seathold/engine/journal"
)

// heldLock is the lock of a journal's directory. The system releases it when the process ends, however it ends.
type heldLock struct {
	// present returns nil while the locked directory is still at its path, and an error that wraps journal.ErrGone once
	// the path is missing or leads to something else.
	present func() error
	unlock  func() error
}

// tryLock locks an open file or directory without waiting, exclusively or shared. It returns journal.ErrLocked when
// another process holds the lock, and errors.ErrUnsupported where the system cannot lock what was opened.
type tryLock func(f *os.File, shared bool) error

// lockDir locks the directory itself. A file in it would not do: an operator may remove the file, and the next process
// would create and lock another one beside the first.
//
// Windows and NFS cannot lock a directory. There the file LOCK is locked instead. Windows refuses to remove a file that
// is open. On NFS the writer notices that the file was removed or replaced, as it notices that of the directory.
func lockDir(dir string, shared bool) (heldLock, error) { return lockDirBy(flock, dir, shared) }

func lockDirBy(try tryLock, dir string, shared bool) (heldLock, error) {
	l := &lockedFiles{try: try, shared: shared}
	err := l.take(dir, os.O_RDONLY)
	file := filepath.Join(dir, lockName)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		err = l.take(file, os.O_RDWR|os.O_CREATE)
	case err == nil && shared:
		// NFS can lock a directory shared but not exclusively, so a writer there holds the file.
		if err = l.take(file, os.O_RDONLY); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return heldLock{}, errors.Join(err, l.unlock())
	}
	return heldLock{present: l.present, unlock: l.unlock}, nil
}

// lockedFiles are the open directory and, where that cannot be locked, the file LOCK.
type lockedFiles struct {
	try    tryLock
	shared bool
	files  []lockedFile
}

type lockedFile struct {
	*os.File
	opened os.FileInfo
}

func (l *lockedFiles) take(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	opened, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.files = append(l.files, lockedFile{f, opened})
	return l.try(f, l.shared)
}

func (l *lockedFiles) present() error {
	for _, f := range l.files {
		now, err := os.Stat(f.Name())
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: %s was removed or renamed", journal.ErrGone, f.Name())
		}
		if err != nil {
			return err
		}
		if !os.SameFile(f.opened, now) {
			return fmt.Errorf("%w: %s was replaced by another", journal.ErrGone, f.Name())
		}
	}
	return nil
}

func (l *lockedFiles) unlock() error {
	var err error
	for _, f := range l.files {
		err = errors.Join(err, f.Close())
	}
	l.files = nil
	return err
}
