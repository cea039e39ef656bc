// Package statefile writes the files in which a command records how far it has come, so that they survive a crash.
package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

// ErrLocked is returned for a file that another process has locked.
var ErrLocked = errors.New("in use by another process")

// Lock locks a file against other processes, without waiting, until unlock is called or the process ends.
func Lock(path string) (unlock func() error, err error) {
	if runtime.GOOS == "windows" {
		path += ".lock" // a lock there would keep this process, too, from writing the file through another handle
	}
	lock := flock.New(path)
	taken, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !taken {
		return nil, fmt.Errorf("%s is %w", path, ErrLocked)
	}
	return lock.Close, nil
}

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
