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

// smallWindow gives a connection the smallest receive buffer that there is, and segments as on an Ethernet: with the
// large ones of a loopback device, the kernel would take a whole answer from the server.
func smallWindow(network, address string, c syscall.RawConn) error {
	return errors.Join(lateBind(network, address, c), setOption(c, unix.SOL_SOCKET, unix.SO_RCVBUF, 1),
		setOption(c, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1460))
}

func setOption(c syscall.RawConn, level, option, value int) error {
	var set error
	failed := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(failed, os.NewSyscallError("setsockopt", set))
}
