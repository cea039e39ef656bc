package embedded

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/seathold/seathold/engine/journal"
)

// Errors for a full disk, and for content that the disk cannot read.
var (
	noRoom = []error{syscall.ENOSPC, syscall.EDQUOT, windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL,
		windows.ERROR_DISK_QUOTA_EXCEEDED}
	unreadable = []error{syscall.EIO, windows.ERROR_CRC, windows.ERROR_SECTOR_NOT_FOUND, windows.ERROR_READ_FAULT,
		windows.ERROR_IO_DEVICE}
)

// rename changes a file's name by write-through: MoveFileEx returns once the move is on the disk. See syncDir.
func rename(from, to string) error {
	source, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	target, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	err = windows.MoveFileEx(source, target, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// syncDir is a no-op: Windows has no call that syncs a directory. Names rest on rename's write-through and on the log
// of NTFS, which keeps changes of names in their order.
func syncDir(string) error { return nil }

// flock is a tryLock. Its lock belongs to the open file: a second one in the same process is refused too.
func flock(f *os.File, shared bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.ErrUnsupported
	}
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return journal.ErrLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

// links returns 1: Windows does not remove the name of a file that is open.
func links(*os.File) (uint64, error) { return 1, nil }

func diskSpace(dir string) (free, size int64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var f, s uint64
	if err := windows.GetDiskFreeSpaceEx(path, &f, &s, nil); err != nil {
		return 0, 0, &os.PathError{Op: "GetDiskFreeSpaceEx", Path: dir, Err: err}
	}
	return int64(f), int64(s), nil
}
