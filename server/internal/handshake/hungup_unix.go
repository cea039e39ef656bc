//go:build unix

package handshake

import (
	"errors"
	"net"
	"syscall"
)

// hungUp reports whether the client has closed the connection. It does not wait.
func hungUp(c net.Conn) bool {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return true // closed on this side
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		retry := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
		gone = n == 0 && err == nil || err != nil && !retry
	})
	return gone || err != nil
}
