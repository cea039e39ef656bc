package main

import (
	"time"

	"github.com/prometheus/procfs"
)

// resident returns the resident memory of this process in bytes, and the processor time that it has used.
func resident() (bytes int, used time.Duration, err error) {
	self, err := procfs.Self()
	if err != nil {
		return 0, 0, err
	}
	stat, err := self.Stat()
	return stat.ResidentMemory(), time.Duration(stat.CPUTime() * float64(time.Second)), err
}
