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
// waits for the server.
type handshakeConn struct {
	net.Conn
	over   bool
	queued time.Duration // the waits for places
}

// enter waits for a place.
func (c *handshakeConn) enter() {
	began := time.Now()
	handshakes <- struct{}{}
	c.queued += time.Since(began)
}

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.over {
		return c.Conn.Read(p)
	}
	<-handshakes
	n, err := c.Conn.Read(p)
	c.enter()
	return n, err
}

// shakeHands makes the handshake on a connection. It also returns how long the client itself delayed it.
func shakeHands(conn net.Conn, config *tls.Config) (layered *tls.Conn, queued time.Duration, err error) {
	below := &handshakeConn{Conn: conn}
	layered = tls.Client(below, config)
	below.enter()
	err = layered.Handshake()
	<-handshakes
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
