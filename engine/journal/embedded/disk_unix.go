//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seathold/seathold/engine/journal"
)

// Errors for a full disk, and for content that the disk cannot read.
var (
	noRoom     = []error{syscall.ENOSPC, syscall.EDQUOT}
	unreadable = []error{syscall.EIO}
)

// rename changes a file's name. The change is durable after syncDir.
func rename(from, to string) error { return os.Rename(from, to) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// flock is a tryLock. Its lock belongs to the open file: a second one in the same process is refused too.
func flock(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return journal.ErrLocked
	case isAny(err, cannotLock):
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("flock", err)
}

// cannotLock are the answers of file systems that cannot lock what was opened. NFS locks exclusively only what is open
// for writing, which a directory never is.
var cannotLock = []error{unix.EBADF, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP}

// links returns how many names an open file has.
func links(f *os.File) (uint64, error) {
	var s unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &s)
	return uint64(s.Nlink), os.NewSyscallError("fstat", err) //nolint:unconvert // the types differ between systems
}

func diskSpace(dir string) (free, size int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := int64(s.Bsize) //nolint:unconvert // the types differ between systems
	return int64(s.Bavail) * block, int64(s.Blocks) * block, nil
}
