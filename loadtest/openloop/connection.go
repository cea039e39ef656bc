package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// connection is one connection of a buyer, made when it is needed. One goroutine uses it at a time.
type connection struct {
	to     *endpoint
	tally  *tally
	dialer net.Dialer
	tls    *tls.Config // nil without TLS; with a session cache of its own
	ready  *handshake  // prepared for the next connect, or nil

	mu   sync.Mutex // for cut; the goroutine that uses the connection writes conn
	conn net.Conn   // nil while there is none, and during the handshake
	in   answerReader
	out  []byte
}

// readBuffer is the size of a connection's read buffer. A line of a header must fit.
const readBuffer = 2 << 10

// newConnection makes the i-th connection; it does not connect yet. resume lets it resume its own TLS sessions.
func newConnection(e *endpoint, i int, resume bool, t *tally) *connection {
	c := &connection{to: e, tally: t, in: answerReader{in: bufio.NewReaderSize(nil, readBuffer)}}
	if local := e.source(i); local != nil {
		c.dialer.LocalAddr, c.dialer.Control = local, lateBind
	}
	if e.tls != nil {
		c.tls = e.tls.Clone()
		trustOnce(c.tls)
		if resume {
			c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	return c
}

// prepare computes what the next connect sends first, as a client's own machine does at no cost to the server's.
func (c *connection) prepare() {
	if c.tls != nil && c.ready == nil {
		c.ready = prepareHandshake(c.tls)
	}
}

// connect connects, with the handshake. It takes until the deadline, or for connectTime, at most.
func (c *connection) connect(deadline time.Time) error {
	if patience := time.Now().Add(connectTime); patience.Before(deadline) {
		deadline = patience
	}
	c.dialer.Deadline = deadline
	conn, err := c.dialer.DialContext(context.Background(), "tcp", c.to.host)
	if err != nil {
		return err
	}
	if c.tls != nil {
		err = conn.SetDeadline(deadline)
		layered, queued, failed := c.shakeHands(conn)
		if err = errors.Join(err, failed, conn.SetDeadline(time.Time{})); err != nil {
			return errors.Join(err, conn.Close())
		}
		c.tally.handshake(layered.ConnectionState(), queued)
		conn = layered
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	c.in.in.Reset(conn)
	return nil
}

// shakeHands makes the handshake, the prepared one if there is one.
func (c *connection) shakeHands(conn net.Conn) (layered *tls.Conn, queued time.Duration, err error) {
	if h := c.ready; h != nil {
		c.ready = nil
		return h.complete(conn)
	}
	return shakeHands(conn, c.tls)
}

// close closes the connection, if there is one, and ends a handshake that was prepared in vain.
func (c *connection) close() {
	if h := c.ready; h != nil {
		c.ready = nil
		h.abandon()
	}
	if c.conn != nil {
		_ = c.conn.Close() // nothing is in flight; a close_notify that fails changes nothing
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	}
}

// cut ends the wait for an answer. Any goroutine may call it.
func (c *connection) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Unix(1, 0)) // fails only for a closed connection
	}
}

// exchange sends a request and reads its answer. It connects first if there is no connection, and again if the server
// closed the connection while it was idle, as an ordinary client does.
func (c *connection) exchange(request []byte, deadline time.Time) (answer, error) {
	for {
		reused := c.conn != nil
		if !reused {
			if err := c.connect(deadline); err != nil {
				return answer{}, fmt.Errorf("%w: %w", errConnect, err)
			}
		}
		a, err := c.send(request)
		if err == nil {
			if a.closes {
				c.close()
			}
			return a, nil
		}
		none := c.in.in.Buffered() == 0
		c.close()
		if bad := (malformed{}); errors.As(err, &bad) || !reused || !none || !lost(err) {
			return a, err
		}
	}
}

// lost reports whether the server closed or reset the connection.
func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// errConnect is the fault of a connection that was not made.
var errConnect = errors.New("cannot connect")

// send writes a request and reads its answer. Nothing may follow the answer.
func (c *connection) send(request []byte) (answer, error) {
	if _, err := c.conn.Write(request); err != nil {
		return answer{}, err
	}
	a, err := c.in.read()
	if err == nil && c.in.in.Buffered() > 0 {
		rest, _ := c.in.in.Peek(c.in.in.Buffered()) // what is buffered is there
		err = malformedf("%d bytes after it: %q", len(rest), rest[:bytes.IndexByte(append(rest, '\n'), '\n')])
	}
	return a, err
}
