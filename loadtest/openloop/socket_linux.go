package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lateBind leaves the choice of the local port to connect: 28,000 ports for each pair of addresses, instead of one port
// for one connection of any address.
func lateBind(_, _ string, c syscall.RawConn) error {
	return setOption(c, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

func setOption(c syscall.RawConn, level, option, value int) error {
	var set error
	failed := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(failed, os.NewSyscallError("setsockopt", set))
}
