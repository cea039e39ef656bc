// Package handshake completes the TLS handshakes of a server in the order in which the connections arrived, a few at a
// time.
//
// A handshake costs a processor some hundred microseconds. When thousands of clients connect in one moment and all
// handshakes run at once, all of them end late, and nothing is served until then. In order of arrival the first client
// is served within milliseconds, and the processors have time for the requests of clients that are connected.
//
// A handshake computes only while it holds one of a few slots. It holds none while it waits for its client: a slow
// client, or one that sends nothing, delays nobody. When the client has sent more, the handshake takes a slot again by
// the number of its arrival, so one that has begun is completed before later ones begin.
//
// While requests need all the time of the processors, handshakes take at most a quarter of what their slots could
// compute. Otherwise thousands of handshakes leave little to those who are connected. With a larger share, clients
// connect sooner and fewer tickets are sold meanwhile: a handshake costs as much as several sales.
//
// A handshake is bounded twice: Options.Wait bounds its waiting for slots, and Options.Timeout everything else, also
// against a client that sends a byte a second, or does not read. Such a connection is closed and counted. A client that
// has hung up while it waited costs no computing, so Wait is long: whoever is sent away connects again, at the end.
package handshake

import (
	"cmp"
	"crypto/tls"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// Options configure a Queue. Every field has a default, which zero selects.
type Options struct {
	Slots   int           // handshakes that compute at a time; default half of GOMAXPROCS, at least 1
	Timeout time.Duration // of a handshake without its waiting for slots; default 10 s
	Wait    time.Duration // most time that a handshake waits for slots; default 30 s

	// Plain makes the answer to a client that uses HTTP without TLS, before its connection is closed. Answered is called
	// when it was written. Nil: there is no answer, and nothing is called.
	Plain    func() []byte
	Answered func()

	// Busy reports whether requests need all the time of the processors. They come before handshakes: each slot then rests
	// for three times as long as it was held. While requests only wait for something else, such as a disk, it reports
	// false: a rest would leave the processors idle. It is called from many goroutines and must not block. Nil: never.
	Busy func() bool
}

// Queue is the handshakes of a server, on all its listeners.
type Queue struct {
	o        Options
	slots    slots
	arrivals atomic.Uint64
	owed     atomic.Int64 // ns that were computed while Busy, and are to be rested
	counts   counts
}

// New makes a queue.
func New(o Options) *Queue {
	o.Slots = cmp.Or(o.Slots, max(1, runtime.GOMAXPROCS(0)/2))
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Wait = cmp.Or(o.Wait, 30*time.Second)
	return &Queue{o: o, slots: slots{free: o.Slots}}
}

// Server adds TLS to a connection that has arrived just now, with the configuration of a server. The handshake begins
// with the first Read or Write.
func (q *Queue) Server(raw net.Conn, config *tls.Config) *Conn {
	c := &Conn{queue: q, socket: newSocket(raw, q)}
	c.tls = tls.Server(c.socket, config)
	return c
}
