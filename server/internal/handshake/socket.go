package handshake

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// errEnded ends a handshake whose connection was closed, or whose reads were ended, by its owner.
var errEnded = errors.New("the connection was closed during the handshake")

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
	deadline time.Time // of the handshake
	room     []byte    // for what is received
	received []byte    // part of room that is not read yet
	holds    bool      // the slot
	taken    time.Time // when it was taken
	complete bool      // no slot is needed any more

	once  sync.Once
	ended chan struct{} // closed when the owner ends the handshake
}

func newSocket(raw net.Conn, q *Queue) *socket {
	return &socket{Conn: raw, queue: q, ended: make(chan struct{}), waiter: newWaiter(q.arrivals.Add(1))}
}

// Read waits for the network without a slot, and returns with one during the handshake.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.received) == 0 {
		if s.complete {
			return s.Conn.Read(p)
		}
		if err := s.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.received)
	if s.received = s.received[n:]; s.complete && len(s.received) == 0 {
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
	limit := min(s.queue.o.Wait, time.Until(s.deadline))
	waited, err := s.queue.slots.take(&s.waiter, limit, s.ended)
	if err != nil {
		return err
	}
	s.holds, s.received, s.taken = true, s.room[:n], time.Now()
	if waited && hungUp(s.Conn) {
		return io.EOF // its client has lost patience; computing would be in vain
	}
	return nil
}

// maxRest bounds the pause of a slot: a handshake that computed for longer was itself interrupted.
const maxRest = 5 * time.Millisecond

// release releases the slot, if this holds one. While the server has requests to serve, the slot then rests for as long
// as it was held, so handshakes take half of what the slots could compute.
func (s *socket) release() {
	if !s.holds {
		return
	}
	s.holds = false
	pause := time.Duration(0)
	if s.queue.o.Busy != nil && s.queue.o.Busy() {
		pause = min(time.Since(s.taken), maxRest)
	}
	s.queue.slots.rest(pause)
}

// finish ends the handshake, whether or not it succeeded.
func (s *socket) finish() {
	s.release()
	s.complete, s.room = true, nil
	if len(s.received) == 0 {
		s.received = nil
	}
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
