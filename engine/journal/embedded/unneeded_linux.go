package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// unneeded tells the system that a file's content will not be read soon. A full segment's memory is then free for the next
// to be prepared in; on a virtual machine, whose host may have to find memory first, that is the cheapest there is.
func unneeded(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // advice
}
