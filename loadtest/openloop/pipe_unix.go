//go:build unix

package main

import (
	"errors"
	"syscall"
)

// writeNow writes what the connection accepts without blocking, and returns how many bytes that was.
func (p *pipe) writeNow(text []byte) (n int, err error) {
	failed := p.raw.Write(func(fd uintptr) bool { n, err = syscall.Write(int(fd), text); return true })
	if errors.Is(err, syscall.EAGAIN) {
		return 0, failed
	}
	return max(n, 0), errors.Join(err, failed)
}
