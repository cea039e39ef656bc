//go:build linux

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

// Dialogue is what a client says on its connections, and what it expects to hear.
type Dialogue interface {
	// Ask appends the next request to out.
	Ask(connection int, out []byte) []byte
	// Hear reads the answer at the start of in and returns its length, 0 when it is not all there, and how many operations
	// it answers. An answer that the dialogue does not expect is an error.
	Hear(connection int, in []byte) (length, operations int, err error)
}

// Client is a load generator of few system calls: one thread that reads and writes all connections as the kernel has them
// ready, without a goroutine, a deadline or a buffer too many for each. Beside a server on two cores, what a client takes is
// missing from what it measures.
type Client struct {
	Address     string // host:port
	Connections int
	Depth       int // requests in flight on each connection
}

// Answered is what came of a run.
type Answered struct {
	Operations int
	Took       time.Duration
	Slowest99  time.Duration // a hundredth of the requests took longer, from being made to being heard
	Spent      time.Duration // processor time of the client
}

// maxAnswer is more than any answer has.
const maxAnswer = 1 << 20

// Run asks for at least as long as d, hears what is still to be answered, and counts. It makes connections of its own.
func (c Client) Run(d time.Duration, talk Dialogue) (Answered, error) {
	r := run{client: c, talk: talk, waits: make([]int64, 0, 1<<20)}
	defer r.close()
	if err := r.dial(); err != nil {
		return Answered{}, err
	}
	began, spent := time.Now(), ownTime()
	r.until = began.Add(d)
	for i := range r.lines {
		for range c.Depth {
			r.ask(i)
		}
		if err := r.send(i); err != nil {
			return Answered{}, err
		}
	}
	for r.open > 0 {
		if err := r.step(); err != nil {
			return Answered{}, err
		}
	}
	return Answered{Operations: r.operations, Took: time.Since(began), Slowest99: quantile(r.waits, 0.99),
		Spent: ownTime() - spent}, nil
}

// run is a run under way.
type run struct {
	client Client
	talk   Dialogue
	until  time.Time
	poll   int
	lines  []line
	events [256]unix.EpollEvent

	open       int // requests without answer
	operations int
	waits      []int64 // ns
}

// line is a connection.
type line struct {
	fd      int
	in, out []byte
	asked   []time.Time // of the requests in flight, the oldest first
	stuck   bool        // the kernel has no room for all of out
}

func (r *run) dial() error {
	addr, err := net.ResolveTCPAddr("tcp4", r.client.Address)
	if err != nil {
		return err
	}
	if r.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	to := unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	for i := range r.client.Connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		r.lines = append(r.lines, line{fd: fd, in: make([]byte, 0, 4096)})
		if err := errors.Join(unix.Connect(fd, &to), unix.SetNonblock(fd, true),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
			return fmt.Errorf("connection %d to %s: %w", i, r.client.Address, err)
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

func (r *run) close() {
	for i := range r.lines {
		_ = unix.Close(r.lines[i].fd) // all has been heard, or the run has failed
	}
	if r.poll > 0 {
		_ = unix.Close(r.poll)
	}
}

func (r *run) ask(i int) {
	l := &r.lines[i]
	l.out = r.talk.Ask(i, l.out)
	l.asked = append(l.asked, time.Now())
	r.open++
}

// step waits for connections that have something to say, hears them and goes on asking.
func (r *run) step() error {
	n, err := unix.EpollWait(r.poll, r.events[:], 10_000)
	switch {
	case errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("epoll_wait", err)
	case n == 0:
		return errors.New("no answer for ten seconds")
	}
	goOn := time.Now().Before(r.until)
	for _, event := range r.events[:n] {
		i := int(event.Fd)
		if event.Events&^uint32(unix.EPOLLOUT) != 0 {
			if err := r.hear(i, goOn); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		if err := r.send(i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func (r *run) hear(i int, goOn bool) error {
	l := &r.lines[i]
	if cap(l.in)-len(l.in) < 4096 {
		l.in = append(make([]byte, 0, 2*cap(l.in)), l.in...)
	}
	n, err := unix.Read(l.fd, l.in[len(l.in):cap(l.in)])
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errors.New("the server has closed it")
	}
	l.in = l.in[:len(l.in)+n]
	rest := l.in
	for len(rest) > 0 {
		length, operations, err := r.talk.Hear(i, rest)
		if err != nil {
			return err
		}
		if length == 0 {
			break
		}
		rest = rest[length:]
		r.operations += operations
		r.open--
		r.waits = append(r.waits, int64(time.Since(l.asked[0])))
		l.asked = append(l.asked[:0], l.asked[1:]...)
		if goOn {
			r.ask(i)
		}
	}
	if len(rest) > maxAnswer {
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	l.in = append(l.in[:0], rest...)
	return nil
}

func (r *run) send(i int) error {
	l := &r.lines[i]
	for len(l.out) > 0 {
		n, err := unix.Write(l.fd, l.out)
		if errors.Is(err, syscall.EAGAIN) {
			return r.watch(i, true)
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		l.out = append(l.out[:0], l.out[n:]...)
	}
	if l.stuck {
		return r.watch(i, false)
	}
	return nil
}

// watch sets whether the run wants to know when there is room to write.
func (r *run) watch(i int, stuck bool) error {
	l := &r.lines[i]
	if l.stuck == stuck {
		return nil
	}
	l.stuck = stuck
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if stuck {
		event.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.poll, unix.EPOLL_CTL_MOD, l.fd, &event))
}
