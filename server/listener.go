package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lingerTime  = 500 * time.Millisecond // for a client to read the last answer while it is still sending
	lingerBytes = 1 << 20
	drainStep   = 5 * time.Millisecond
	drainGrace  = 50 * time.Millisecond // for requests that have arrived and were not yet read
)

// listener counts connections, refuses those beyond its limit, and drains them when the server shuts down.
type listener struct {
	net.Listener
	limit   int
	refusal []byte      // what a connection beyond the limit hears; nothing under TLS
	gates   *gateBounds // likewise nil under TLS, where requests are not to be seen here

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

// newListener makes a listener. gates is nil under TLS.
func newListener(ln net.Listener, limit int, gates *gateBounds) *listener {
	l := &listener{Listener: ln, limit: limit, gates: gates, conns: map[*conn]struct{}{}}
	if gates != nil {
		l.refusal = overloadedAnswer("Connection: close\r\n")
	}
	return l
}

// Accept waits for a connection. It survives a lack of file descriptors, and clients that give up at once: fasthttp would
// stop serving.
func (l *listener) Accept() (net.Conn, error) {
	pause := drainStep
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = drainStep
			if own := l.admit(c); own != nil {
				return own, nil
			}
		case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
			errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED):
			time.Sleep(pause) // until connections end; accepting is all this goroutine does
			pause = min(2*pause, time.Second)
		default:
			return nil, err
		}
	}
}

func (l *listener) admit(c net.Conn) *conn {
	own := &conn{Conn: c, through: c, listener: l}
	if l.gates != nil {
		own.through = newGate(c, l.gates)
	}
	l.mu.Lock()
	room := !l.closed && len(l.conns) < l.limit
	if room {
		l.conns[own] = struct{}{}
	}
	l.mu.Unlock()
	if room {
		return own
	}
	// The few bytes fit the socket's empty buffer, so this does not wait. What is lost with the connection is nobody's loss.
	_ = c.SetWriteDeadline(time.Now().Add(drainStep))
	_, _ = c.Write(l.refusal)
	_ = c.Close()
	return nil
}

// Close stops accepting; connections live on. It may be called again.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.Listener.Close()
}

// drain returns when all connections are closed. After a moment of grace a connection of which nothing was read since its
// last answer loses its right to read; one with a request in it keeps it, and the answer closes it. fasthttp may be just
// about to set a later deadline for the next request, so this is said again until it has been heard.
func (l *listener) drain(ctx context.Context) error {
	began := time.Now()
	again := time.NewTicker(drainStep)
	defer again.Stop()
	for {
		left := l.hurry(time.Since(began) >= drainGrace)
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections were cut: %w", left, ctx.Err())
		case <-again.C:
		}
	}
}

// hurry ends reading on connections that nothing is asked of, if it is time, and returns how many connections are left. It
// leaves lingering ones their time, which is short.
func (l *listener) hurry(now bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if now && !c.asked.Load() && !c.linger.Load() {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // fails for a closed one, which is as good
		}
	}
	return len(l.conns)
}

// cut closes the connections that are left. Each is gone when what it asked for has returned.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.Close() // its worker closes it for good
	}
}

// conn is a connection that knows whether its client waits for something.
type conn struct {
	net.Conn
	through  io.ReadWriter // the gate, or the connection itself
	listener *listener

	heard  atomic.Bool // something was read
	asked  atomic.Bool // something was read since the last write
	linger atomic.Bool // the client is still sending when the connection is closed
	once   sync.Once
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.through.Read(p)
	if n > 0 {
		c.heard.Store(true)
		c.asked.Store(true)
	}
	return n, err
}

// Write sends p, unless the client never said a word: fasthttp answers even that with an error when the time is over.
func (c *conn) Write(p []byte) (int, error) {
	if !c.heard.Load() {
		return len(p), nil
	}
	n, err := c.through.Write(p)
	c.asked.Store(false)
	return n, err
}

// Close closes the connection. Closing with bytes unread makes the kernel send a reset, which can overtake the answer; so
// a lingering connection first says that it is done and hears the client out for a while.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if g, ok := c.through.(*gate); ok {
			g.queue(false)
		}
		if c.linger.Load() {
			c.hearOut()
		}
		err = c.Conn.Close()
		c.listener.mu.Lock()
		delete(c.listener.conns, c)
		c.listener.mu.Unlock()
	})
	return err
}

func (c *conn) hearOut() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // ends by itself, by the deadline or by the client's reset
}
