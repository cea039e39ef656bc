//go:build unix

package server

import "syscall"

// readArrived reads what has arrived on a connection. It never waits, since Go's sockets are non-blocking.
func readArrived(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }
