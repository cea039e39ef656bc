//go:build !unix

package rehearsal

// peakMemory returns 0: this system does not report the largest resident memory of a process.
func peakMemory() int64 { return 0 }
