package handshake

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// errEnded ends a handshake whose connection was closed, or whose reads were ended, by its owner.
var errEnded = errors.New("the connection was closed during the handshake")

// errAbandoned ends a handshake whose client has lost patience.
var errAbandoned = errors.New("the client disconnected while its handshake waited")

// readSize is the room for what one read of the network returns. The first message of a browser has 1.8 KB. With less
// room it would take several reads, between which other handshakes begin.
const readSize = 2 << 10

// socket is a connection below TLS. During the handshake it takes and releases the slot: crypto/tls computes between
// two reads of the network, so a slot is held from the end of one to the beginning of the next.
type socket struct {
	net.Conn
	queue  *Queue
	waiter waiter

	// Used by the goroutine that runs the handshake, and after it by others.
	deadline time.Time     // of the client's part of the handshake
	patience time.Duration // for which it may still wait for slots
	room     []byte        // for what is received
	received []byte        // part of room that is not read yet
	holds    bool          // the slot
	taken    time.Time     // when it was taken

	complete atomic.Bool // no slot is needed any more

	once  sync.Once
	ended chan struct{} // closed when the owner ends the handshake
}

func newSocket(raw net.Conn, q *Queue) *socket {
	return &socket{Conn: raw, queue: q, ended: make(chan struct{}), waiter: newWaiter(q.arrivals.Add(1))}
}

// Read waits for the network without a slot, and returns with one during the handshake.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.received) == 0 {
		if s.complete.Load() {
			return s.Conn.Read(p)
		}
		if err := s.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.received)
	if s.received = s.received[n:]; s.complete.Load() && len(s.received) == 0 {
		s.received = nil // and with it the room
	}
	return n, nil
}

// receive reads the network without the slot, and then takes it.
func (s *socket) receive() error {
	s.release()
	if s.isEnded() {
		return errEnded
	}
	if s.room == nil {
		s.room = make([]byte, readSize)
	}
	n, err := s.Conn.Read(s.room)
	if n == 0 {
		return err
	}
	s.received = s.room[:n]
	return s.take()
}

// take takes the slot. The client has as much more time as that took.
func (s *socket) take() error {
	began := time.Now()
	waited, err := s.queue.slots.take(&s.waiter, s.patience, s.ended)
	if err != nil {
		return err
	}
	s.holds, s.taken = true, time.Now()
	if !waited {
		return nil
	}
	took := s.taken.Sub(began)
	s.patience -= took
	s.deadline = s.deadline.Add(took)
	if hungUp(s.Conn) {
		return errAbandoned // computing would be in vain
	}
	// If end was called meanwhile, this undoes the deadline in the past. The next Read or Write sees that.
	return s.Conn.SetDeadline(s.deadline)
}

// promptly is how long a write may wait for the network with a slot. The buffer of a socket has room for all that a
// server writes in a handshake, unless its chain of certificates is very long and the client does not read.
const promptly = 5 * time.Millisecond

// Write writes without a slot, during the handshake, what the network does not take promptly.
func (s *socket) Write(p []byte) (int, error) {
	// Another goroutine writes after the handshake, or when it has called end to close the connection.
	if s.complete.Load() || s.isEnded() || !s.holds {
		return s.Conn.Write(p)
	}
	if err := s.Conn.SetWriteDeadline(time.Now().Add(promptly)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Write(p)
	prompt := !errors.Is(err, os.ErrDeadlineExceeded)
	if fault := s.Conn.SetWriteDeadline(s.deadline); prompt || fault != nil {
		return n, errors.Join(err, fault)
	}
	s.release()
	if s.isEnded() {
		return n, errEnded
	}
	rest, err := s.Conn.Write(p[n:])
	if err == nil {
		err = s.take()
	}
	return n + rest, err
}

const (
	// leastComputed is how much computing is followed by a rest. With a rest after each of the steps, some of which take
	// microseconds, a client that sends single bytes could make the slots rest all the time: a timer is not so exact.
	leastComputed = time.Millisecond
	// restFactor is how long a rest is compared with the computing before it.
	restFactor = 3
	// maxRest bounds a rest: a handshake that computed for longer was itself interrupted.
	maxRest = 15 * time.Millisecond
)

// release releases the slot, if this holds one. While the server is busy, the slots rest for three times as long as
// they were held, so handshakes take a quarter of what the slots could compute.
func (s *socket) release() {
	if !s.holds {
		return
	}
	s.holds = false
	pause := time.Duration(0)
	if s.queue.o.Busy != nil && s.queue.o.Busy() {
		owed := &s.queue.owed
		if owed.Add(int64(time.Since(s.taken))) >= int64(leastComputed) {
			pause = min(restFactor*time.Duration(owed.Swap(0)), maxRest)
		}
	}
	s.queue.slots.rest(pause)
}

// finish ends the handshake, whether or not it succeeded.
func (s *socket) finish() {
	s.release()
	s.room = nil
	if len(s.received) == 0 {
		s.received = nil
	}
	s.complete.Store(true)
}

// end ends a handshake that is waiting, for the client or for a slot. It may be called at any time, by any goroutine.
func (s *socket) end() { s.once.Do(func() { close(s.ended) }) }

func (s *socket) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
