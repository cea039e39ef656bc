//go:build !linux

package embedded

import "os"

// durably adds no flag: Go has no O_DSYNC for FreeBSD and Windows, and on macOS O_DSYNC does not reach the disk.
const durably = 0

// durable returns the file with a writeAt that also syncs. On macOS os.File.Sync calls F_FULLFSYNC, which empties the
// disk's own cache; on Windows it calls FlushFileBuffers.
func durable(f file) file {
	write := f.writeAt
	f.writeAt = func(b []byte, offset int64) (int, error) {
		n, err := write(b, offset)
		if err == nil {
			err = f.sync()
		}
		return n, err
	}
	return f
}

// dropCache is a no-op where the system takes no such advice.
func dropCache(*os.File) {}
