package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"sync"
	"time"
)

// handshakes limits how many connections compute for their handshakes at a time, in order of arrival.
// Thousands of buyers would compute on machines of their own. Here all of them share processors with the server, and
// without a limit an answer that has arrived would wait in this process until the handshakes of all others are
// computed. How long a handshake waits for its place is reported.
var handshakes = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// handshakeConn is a connection that holds a place in handshakes while its handshake is computed, and none while it
// waits for the server, or for its client to come.
type handshakeConn struct {
	net.Conn                // nil until the client has come
	come     chan struct{}  // closed when Conn is there, or will never be
	computed sync.WaitGroup // until the ClientHello is computed
	first    bool           // nothing was written yet
	holds    bool           // a place
	over     bool
	queued   time.Duration // the waits for places since the client came
}

// enter waits for a place.
func (c *handshakeConn) enter() {
	began := time.Now()
	handshakes <- struct{}{}
	c.holds = true
	c.queued += time.Since(began)
}

// leave gives the place back, if c holds one.
func (c *handshakeConn) leave() {
	if c.holds {
		c.holds = false
		<-handshakes
	}
}

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.over {
		return c.Conn.Read(p)
	}
	c.leave()
	n, err := c.Conn.Read(p)
	c.enter()
	return n, err
}

// Write waits with the first message, the ClientHello, until the client has come.
func (c *handshakeConn) Write(p []byte) (int, error) {
	if c.first {
		c.first = false
		c.leave()
		c.computed.Done()
		<-c.come
		c.queued = 0
	}
	if c.Conn == nil {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// Close does nothing before the client has come.
func (c *handshakeConn) Close() error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.Close()
}

// handshake is the handshake of a client. Its ClientHello, with the client's keys for the exchange, is computed before
// the client comes and connects, as far as nothing depends on the server.
type handshake struct {
	below *handshakeConn
	tls   *tls.Conn
	err   error // of the whole handshake; may be read when ended is closed
	ended chan struct{}
}

// prepareHandshake computes a ClientHello. complete or abandon must follow.
func prepareHandshake(config *tls.Config) *handshake {
	below := &handshakeConn{come: make(chan struct{}), first: true}
	h := &handshake{below: below, tls: tls.Client(below, config), ended: make(chan struct{})}
	below.computed.Add(1)
	go func() {
		defer close(h.ended)
		below.enter()
		h.err = h.tls.Handshake()
		below.leave()
		if below.first { // the configuration is at fault
			below.computed.Done()
		}
	}()
	below.computed.Wait()
	return h
}

// complete makes the handshake on a connection. It also returns how long the client itself delayed it.
func (h *handshake) complete(conn net.Conn) (layered *tls.Conn, queued time.Duration, err error) {
	h.below.Conn = conn
	close(h.below.come)
	<-h.ended
	h.below.over = true
	return h.tls, h.below.queued, h.err
}

// abandon ends a handshake whose client does not come.
func (h *handshake) abandon() {
	close(h.below.come)
	<-h.ended
}

// shakeHands makes the whole handshake on a connection. It also returns how long the client itself delayed it.
func shakeHands(conn net.Conn, config *tls.Config) (layered *tls.Conn, queued time.Duration, err error) {
	below := &handshakeConn{Conn: conn}
	layered = tls.Client(below, config)
	below.enter()
	err = layered.Handshake()
	below.leave()
	below.over = true
	return layered, below.queued, err
}

// trusted are the leaf certificates that were verified against the authority.
var trusted sync.Map // by their DER

// trustOnce has a certificate verified against the authority the first time only, for the same reason. The signature of
// each handshake is verified.
func trustOnce(c *tls.Config) {
	roots, name := c.RootCAs, c.ServerName
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		leaf := s.PeerCertificates[0]
		if _, known := trusted.Load(string(leaf.Raw)); known {
			return nil
		}
		o := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
		for _, other := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(other)
		}
		if _, err := leaf.Verify(o); err != nil {
			return err
		}
		trusted.Store(string(leaf.Raw), true)
		return nil
	}
}
