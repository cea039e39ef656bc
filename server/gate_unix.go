//go:build unix

package server

import "syscall"

// readArrived reads what has arrived on a connection. It does not wait: Go's sockets do not block.
func readArrived(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }
