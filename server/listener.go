package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/handshake"
)

const (
	lingerTime  = 500 * time.Millisecond // for a client to read the last response while it is still sending
	lingerBytes = 1 << 20
	drainStep   = 5 * time.Millisecond
	drainGrace  = 50 * time.Millisecond // for requests that have arrived and are not read yet
)

// listener counts connections, refuses those beyond its limit, and drains them when the server shuts down.
type listener struct {
	net.Listener
	limit      int
	perAddress int // 0 for no limit

	readTimeout time.Duration // Options.ReadTimeout
	idleTimeout time.Duration // Options.IdleTimeout

	observer   *observer
	refused    func(refusalReason) // counts connections that are refused
	handshakes *handshake.Queue
	secure     *tls.Config // nil without TLS

	mu     sync.Mutex
	conns  map[*conn]struct{}
	from   map[netip.Addr]int // connections by address, with perAddress
	closed bool
}

// newListener makes a listener, with TLS if secure is not nil.
func (s *Server) newListener(ln net.Listener, secure *tls.Config) *listener {
	return &listener{Listener: ln, limit: s.maxConnections, perAddress: s.maxPerAddress, observer: s.observer,
		readTimeout: s.http.ReadTimeout, idleTimeout: s.http.IdleTimeout,
		refused: func(why refusalReason) { s.turns.refused[why].Add(1) }, handshakes: s.handshakes, secure: secure,
		conns: map[*conn]struct{}{}, from: map[netip.Addr]int{}}
}

// Accept waits for a connection. It retries when file descriptors or memory run out and when a client aborts its
// connection: such an error would end fasthttp's loop.
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
			time.Sleep(pause) // back off until connections end; this goroutine does nothing but accept
			pause = min(2*pause, time.Second)
		default:
			return nil, err
		}
	}
}

// admit registers a connection, or refuses it and returns nil.
func (l *listener) admit(c net.Conn) *conn {
	own := &conn{Conn: c, socket: c, listener: l, seen: l.observer.timeline(), address: addressOf(c)}
	if l.secure != nil {
		own.Conn = l.handshakes.Server(c, l.secure)
	}
	if l.register(own) {
		return own
	}
	// The few bytes fit into the socket's empty buffer, so this does not wait. Errors do not matter: the connection ends.
	_ = c.SetWriteDeadline(time.Now().Add(drainStep))
	if l.secure == nil {
		if _, err := c.Write(overloadedAnswer()); err == nil {
			l.observer.countUnseen(fasthttp.StatusServiceUnavailable)
		}
	}
	_ = c.Close()
	return nil
}

// register adds a connection, if the limits permit it.
func (l *listener) register(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false
	case len(l.conns) >= l.limit:
		l.refused(refusedConnections)
		return false
	case l.perAddress > 0 && l.from[c.address] >= l.perAddress:
		l.refused(refusedAddress)
		return false
	}
	l.conns[c] = struct{}{}
	if l.perAddress > 0 {
		l.from[c.address]++
	}
	return true
}

// deregister removes a connection that is closed.
func (l *listener) deregister(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if l.perAddress > 0 {
		if l.from[c.address]--; l.from[c.address] == 0 {
			delete(l.from, c.address)
		}
	}
}

// addressOf returns whose connection it is, as far as its address shows. Of IPv6 it is the network of 64 bits, since a
// client may have all addresses of one.
func addressOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap()
	if address.Is6() {
		network, err := address.WithZone("").Prefix(64)
		if err != nil {
			panic("BUG: an IPv6 address has no network of 64 bits: " + err.Error())
		}
		return network.Addr()
	}
	return address
}

// Close stops accepting and leaves connections open. It may be called again.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.Listener.Close()
}

// drain returns when all connections are closed. After drainGrace it ends reading on every idle connection; one with a
// request in flight is closed by its response. fasthttp may be about to set a later read deadline for the next request,
// so drain repeats this until all connections are closed.
func (l *listener) drain(ctx context.Context) error {
	began := time.Now()
	again := time.NewTicker(drainStep)
	defer again.Stop()
	for {
		left := l.endIdle(time.Since(began) >= drainGrace)
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

// endIdle ends reading on connections without a request in flight, if now is set, and returns how many connections are
// open. Those that are closing gracefully are left alone; they end soon.
func (l *listener) endIdle(now bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if now && !c.inFlight.Load() && !c.graceful.Load() {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed connection
		}
	}
	return len(l.conns)
}

// cut closes the remaining connections. Each is removed when its call has returned.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // ends a handshake that waits for its slot
		_ = c.socket.Close()                   // its worker then calls conn.Close
	}
}

// conn is a connection that tracks whether its client waits for a response. It is above TLS, so it reads requests and
// writes responses. It has no method but those of net.Conn.
type conn struct {
	net.Conn          // the layer of TLS, or the socket itself
	socket   net.Conn // what was accepted
	listener *listener
	seen     timeline
	held     held

	address netip.Addr // of the client, or the network of an IPv6 client

	received atomic.Bool // something was read
	inFlight atomic.Bool // something was read since the last write
	graceful atomic.Bool // the client may still be sending when the connection is closed
	once     sync.Once
}

// Read reads what the client sends. The end is io.ErrUnexpectedEOF: at io.EOF in the middle of a request, fasthttp ends
// the connection without writing the responses to the complete requests before it.
func (c *conn) Read(p []byte) (int, error) {
	c.seen.end(c)
	c.written()
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.seen.read()
		c.inFlight.Store(true)
		if !c.received.Swap(true) {
			_ = c.SetReadDeadline(time.Now().Add(c.listener.readTimeout)) // fails only for a closed connection
		}
	}
	if c.held.ended = n == 0 && err == io.EOF; err == io.EOF && c.received.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// SetReadDeadline is part of net.Conn. Before the first byte of a connection's first request, the client has
// IdleTimeout as it has before later requests, and only after it ReadTimeout: gateways connect in advance. fasthttp
// sets ReadTimeout for both.
func (c *conn) SetReadDeadline(t time.Time) error {
	if !c.received.Load() && t.After(time.Now()) { // otherwise it ends reading
		t = time.Now().Add(c.listener.idleTimeout)
	}
	return c.Conn.SetReadDeadline(t)
}

// Write writes p, unless nothing was read from the client: fasthttp responds with an error even to a client that sent
// nothing before the timeout.
func (c *conn) Write(p []byte) (int, error) {
	if !c.received.Load() {
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	c.seen.wrote(err)
	c.inFlight.Store(false)
	if err != nil {
		c.written() // no more of it will be, and with TLS it takes 5 s to close a connection whose client does not read
	}
	return n, err
}

// Close closes the connection. When a socket is closed with unread bytes the kernel sends a reset, which can overtake
// the last response. So a graceful close first ends its own side and reads what the client is still sending, for a
// while.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.seen.close(c)
		if c.graceful.Load() {
			c.linger()
		}
		err = c.Conn.Close()
		c.listener.deregister(c)
	})
	return err
}

// linger reads until the client ends its side, the deadline, or the client's reset. With TLS, the client first receives
// the alert that nothing follows.
func (c *conn) linger() {
	if c.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	if layer, ok := c.Conn.(*handshake.Conn); ok && layer.CloseWrite() != nil {
		return
	}
	half, ok := c.socket.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.socket, lingerBytes)
}
