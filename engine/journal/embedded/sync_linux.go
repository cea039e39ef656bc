package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// durably is the flag that makes a write durable when it returns. With O_DSYNC one call writes and syncs.
const durably = unix.O_DSYNC

// durable returns a file that was opened with durably, whose writes need nothing more.
func durable(f file) file { return f }

// dropCache drops a file's pages from the page cache, so that the next segment can be prepared in that memory. On a
// virtual machine memory that is already there costs least: for more, its host may have to find some first. An error is
// ignored, since the call is only advice.
func dropCache(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
