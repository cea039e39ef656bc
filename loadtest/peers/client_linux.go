package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// run sends requests on new connections for at least d, awaits all outstanding answers and counts.
func (c Client) run(d time.Duration, talk dialogue) (Result, error) {
	r := clientRun{client: c, talk: talk}
	defer r.close()
	if err := r.dial(); err != nil {
		return Result{}, err
	}
	began, spent := time.Now(), ownTime()
	r.until = began.Add(d)
	for i := range r.connections {
		for range c.Depth {
			r.enqueue(i)
		}
		if err := r.send(i); err != nil {
			return Result{}, err
		}
	}
	for r.inFlight > 0 {
		if err := r.step(); err != nil {
			return Result{}, err
		}
	}
	return Result{Operations: r.operations, Took: time.Since(began), Spent: ownTime() - spent}, nil
}

// ownTime returns the processor time of this process.
func ownTime() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		panic("BUG: getrusage of this process: " + err.Error())
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// clientRun is a run in progress.
type clientRun struct {
	client      Client
	talk        dialogue
	until       time.Time
	epoll       int
	connections []connection
	events      [256]unix.EpollEvent

	inFlight   int // requests without an answer
	operations int
}

type connection struct {
	fd      int
	in, out []byte
	full    bool // the kernel has no room for all of out, and epoll reports when there is
}

func (r *clientRun) dial() error {
	addr, err := net.ResolveTCPAddr("tcp4", r.client.Address)
	if err != nil {
		return err
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	to := unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	for i := range r.client.Connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		r.connections = append(r.connections, connection{fd: fd, in: make([]byte, 0, 4096)})
		if err := errors.Join(unix.Connect(fd, &to), unix.SetNonblock(fd, true),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
			return fmt.Errorf("connection %d to %s: %w", i, r.client.Address, err)
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

func (r *clientRun) close() {
	for i := range r.connections {
		_ = unix.Close(r.connections[i].fd) // every answer was received, or the run has failed
	}
	if r.epoll > 0 {
		_ = unix.Close(r.epoll)
	}
}

// enqueue appends the next request of a connection to its output.
func (r *clientRun) enqueue(i int) {
	c := &r.connections[i]
	c.out = r.talk.request(i, c.out)
	r.inFlight++
}

// step awaits ready connections, receives their answers and sends their next requests.
func (r *clientRun) step() error {
	n, err := unix.EpollWait(r.epoll, r.events[:], 10_000)
	switch {
	case errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("epoll_wait", err)
	case n == 0:
		return errors.New("no answer for ten seconds")
	}
	more := time.Now().Before(r.until)
	for _, event := range r.events[:n] {
		i := int(event.Fd)
		if event.Events&^uint32(unix.EPOLLOUT) != 0 {
			if err := r.receive(i, more); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		if err := r.send(i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

// receive reads answers, and enqueues a request for each if more are to be sent.
func (r *clientRun) receive(i int, more bool) error {
	c := &r.connections[i]
	if cap(c.in)-len(c.in) < 4096 {
		c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errors.New("the server closed it")
	}
	c.in = c.in[:len(c.in)+n]
	rest := c.in
	for len(rest) > 0 {
		length, operations, err := r.talk.answer(i, rest)
		if err != nil {
			return err
		}
		if length == 0 {
			break
		}
		rest = rest[length:]
		r.operations += operations
		r.inFlight--
		if more {
			r.enqueue(i)
		}
	}
	if len(rest) > maxAnswer {
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	c.in = append(c.in[:0], rest...)
	return nil
}

// send writes as much of the output as the kernel accepts.
func (r *clientRun) send(i int) error {
	c := &r.connections[i]
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if errors.Is(err, syscall.EAGAIN) {
			return r.watchRoom(i, true)
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		c.out = append(c.out[:0], c.out[n:]...)
	}
	return r.watchRoom(i, false)
}

// watchRoom sets whether epoll reports that a connection has room to write.
func (r *clientRun) watchRoom(i int, watch bool) error {
	c := &r.connections[i]
	if c.full == watch {
		return nil
	}
	c.full = watch
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if watch {
		event.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.epoll, unix.EPOLL_CTL_MOD, c.fd, &event))
}
