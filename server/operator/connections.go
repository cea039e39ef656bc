package operator

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections the port keeps. Each takes a file descriptor and memory from the API.
const maxConnections = 256

// connections bounds the connections of the port. A new one displaces the one that has been without a request for
// longest: if it were refused, whoever holds idle connections could make the probes of health fail, and a supervisor
// would end the server. Only if all have a request, the new one is closed.
type connections struct {
	limit int

	mu   sync.Mutex
	idle map[net.Conn]time.Time // since when; zero while there is a request
}

// note is the ConnState of an http.Server.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.idle[conn]; !known && (state != http.StateNew || !c.makeRoom(conn)) {
		return // it was displaced
	}
	switch state {
	case http.StateNew, http.StateIdle:
		c.idle[conn] = time.Now()
	case http.StateActive:
		c.idle[conn] = time.Time{}
	case http.StateClosed, http.StateHijacked:
		delete(c.idle, conn)
	}
}

// makeRoom makes room for a new connection, or closes it and returns false.
func (c *connections) makeRoom(conn net.Conn) bool {
	if len(c.idle) < c.limit {
		return true
	}
	longest := conn
	for other, since := range c.idle {
		if !since.IsZero() && (longest == conn || since.Before(c.idle[longest])) {
			longest = other
		}
	}
	delete(c.idle, longest)
	raw := longest
	if secure, ok := longest.(*tls.Conn); ok {
		raw = secure.NetConn() // whose Close does not wait for the client
	}
	_ = raw.Close() // its own goroutine notices
	return longest != conn
}
