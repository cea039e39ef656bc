// Package statefile writes the files in which a command records how far it has come, so that they survive a crash.
package statefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

// ErrLocked is returned for a file that another process has open.
var ErrLocked = errors.New("in use by another process")

// File is a file that this process alone has open.
type File struct {
	*os.File
	lock *flock.Flock
}

// Open opens a file for reading and writing, creates it if there is none, and locks it until it is closed or the
// process ends.
func Open(path string, mode fs.FileMode) (_ *File, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "windows" {
		path += ".lock" // a lock of the file itself would keep this process, too, from writing it
	}
	f := &File{file, flock.New(path)}
	locked, err := f.lock.TryLock()
	if err == nil && !locked {
		err = fmt.Errorf("%s is %w", file.Name(), ErrLocked)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Cut drops what follows the offset. The next write is there.
func (f *File) Cut(offset int64) error {
	err := f.Truncate(offset)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	return err
}

// Close closes and unlocks the file.
func (f *File) Close() error { return errors.Join(f.File.Close(), f.lock.Close()) }

// Replace writes a file. After a crash it has either the old or the new content, whole.
func Replace(path string, content []byte) (err error) {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return SyncDir(path)
}

// SyncDir makes durable that a file is there under its name.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there; NTFS journals their changes
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
