//go:build unix

package rehearsal

import (
	"runtime"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// peakMemory returns the largest resident memory of this process so far, in bytes; 0 if the system does not report it.
//
// It is read from /proc where that exists: on Linux, getrusage also counts the program that started this one.
func peakMemory() int64 {
	if self, err := procfs.Self(); err == nil {
		if status, err := self.NewStatus(); err == nil && status.VmHWM > 0 {
			return int64(status.VmHWM)
		}
	}
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	most := used.Maxrss
	if runtime.GOOS != "darwin" {
		most <<= 10 // in KiB there
	}
	return most
}
