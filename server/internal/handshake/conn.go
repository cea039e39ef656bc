package handshake

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection with TLS, on the side of the server. Its first Read or Write completes the handshake.
//
// Deadlines that are set before the end of the handshake take effect then, and are later by the time that the handshake
// took: it has a timeout of its own. A read deadline in the past ends it at once.
type Conn struct {
	queue  *Queue
	socket *socket
	tls    *tls.Conn

	once sync.Once
	err  error // of the handshake; written in once

	mu          sync.Mutex
	established atomic.Bool // the handshake has ended and the deadlines below are in effect; set under mu
	reading     time.Time   // deadlines that were set before that
	writing     time.Time
}

// Read reads what the client sends, after the handshake.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.handshake(); err != nil {
		return 0, err
	}
	return c.tls.Read(p)
}

// Write writes to the client, after the handshake.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.handshake(); err != nil {
		return 0, err
	}
	return c.tls.Write(p)
}

// CloseWrite writes that nothing follows. It fails before the end of the handshake.
func (c *Conn) CloseWrite() error {
	if !c.established.Load() {
		return errEarly
	}
	return c.tls.CloseWrite()
}

var errEarly = errors.New("the handshake has not ended")

// Close closes the connection. It ends a handshake in progress.
func (c *Conn) Close() error {
	c.socket.end()
	return c.tls.Close()
}

// LocalAddr is part of net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// RemoteAddr is part of net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// SetDeadline is part of net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is part of net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.postpone(&c.reading, t) {
		return c.tls.SetReadDeadline(t)
	}
	if !t.IsZero() && !t.After(time.Now()) {
		c.socket.end()
		return c.socket.SetDeadline(t) // the client may be one that does not read
	}
	return nil
}

// SetWriteDeadline is part of net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.postpone(&c.writing, t) {
		return nil
	}
	return c.tls.SetWriteDeadline(t)
}

// postpone notes a deadline for after the handshake, unless that has ended.
func (c *Conn) postpone(deadline *time.Time, t time.Time) bool {
	if c.established.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.established.Load() {
		return false
	}
	*deadline = t
	return true
}

// handshake completes the handshake, if it is not complete yet.
func (c *Conn) handshake() error {
	if c.established.Load() {
		return nil
	}
	c.once.Do(func() { c.err = c.begin() })
	return c.err
}

// begin runs the handshake.
func (c *Conn) begin() error {
	counts, began := &c.queue.counts, time.Now()
	counts.inProgress.Add(1)
	defer counts.inProgress.Add(-1)
	c.socket.deadline, c.socket.patience = began.Add(c.queue.o.Timeout), c.queue.o.Wait
	err := c.socket.Conn.SetDeadline(c.socket.deadline)
	if err == nil {
		err = c.tls.Handshake()
	}
	c.socket.finish()
	if err == nil {
		err = c.establish(time.Since(began))
	}
	if err != nil {
		if c.socket.isEnded() {
			err = errEnded // whatever it caused
		}
		counts.failed[reasonOf(err)].Add(1)
		c.refusePlain(err)
		return err
	}
	counts.succeed(time.Since(began), c.tls.ConnectionState().DidResume)
	return nil
}

// establish puts the deadlines into effect that were set before the end of the handshake, which took so long.
func (c *Conn) establish(took time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	later := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(took)
	}
	c.established.Store(true)
	return errors.Join(c.tls.SetReadDeadline(later(c.reading)), c.tls.SetWriteDeadline(later(c.writing)))
}

// methods are how the request lines of HTTP begin.
var methods = []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO"}

const (
	lingerTime  = 500 * time.Millisecond // for a client without TLS to read its response while it is still sending
	lingerBytes = 1 << 20
)

// refusePlain responds to a client that uses HTTP without TLS. It reads what the client is still sending, for a while:
// the reset of a socket that is closed with unread bytes can overtake the response. Errors do not matter: the
// connection ends.
func (c *Conn) refusePlain(err error) {
	header, ok := errors.AsType[tls.RecordHeaderError](err)
	o, raw := &c.queue.o, c.socket.Conn
	if !ok || o.Plain == nil || !slices.Contains(methods, string(header.RecordHeader[:])) {
		return
	}
	_ = raw.SetDeadline(time.Now().Add(lingerTime))
	if _, err := raw.Write(o.Plain()); err == nil && o.Answered != nil {
		o.Answered()
	}
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, raw, lingerBytes)
	}
}
