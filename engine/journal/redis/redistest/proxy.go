package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Fault is what happens to one piece of a connection's data. The zero Fault forwards it.
type Fault struct {
	Delay          time.Duration // forwards the piece after this time
	BytesPerSecond int           // forwards it no faster than this
	Lose           bool          // drops it and resets the connection
	BlackHole      bool          // drops it and all later data in both directions; the connection stays open
}

// Piece is the data of one read from a connection.
type Piece struct {
	ToServer bool
	Bytes    int
}

// Proxy forwards connections to a server and injects faults as planned. All methods may be called by any number of
// goroutines.
type Proxy struct {
	listener net.Listener
	target   string
	done     chan struct{}
	running  sync.WaitGroup

	mu    sync.Mutex
	plan  func(Piece) Fault
	pairs []*pair // since the last Cut
}

// pair is a client's connection and its counterpart to the server.
type pair struct {
	client, server net.Conn
	blackHole      atomic.Bool
}

// NewProxy starts a proxy for the server at target. It forwards everything until Plan is called, and ends with the
// test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{listener: l, target: target, done: make(chan struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		close(p.done)
		l.Close()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr returns the proxy's host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the proxy's address in the form that a journal accepts.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Plan sets the function that returns the fault of each piece. It is called for one piece at a time. nil forwards all.
func (p *Proxy) Plan(plan func(Piece) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Cut resets all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		c.reset()
	}
	p.pairs = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			reset(client)
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs = append(p.pairs, c)
		p.mu.Unlock()
		select {
		case <-p.done: // the last Cut missed this connection
			c.reset()
		default:
		}
		p.running.Go(func() { p.forward(c, client, server, true) })
		p.running.Go(func() { p.forward(c, server, client, false) })
	}
}

// forward forwards data from one connection to the other until one of them ends.
func (p *Proxy) forward(c *pair, from, to net.Conn, toServer bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.deliver(c, to, buffer[:n], p.fault(toServer, n)) {
			c.reset()
			return
		}
		if err != nil {
			c.close()
			return
		}
	}
}

func (p *Proxy) fault(toServer bool, n int) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan == nil {
		return Fault{}
	}
	return p.plan(Piece{toServer, n})
}

// deliver forwards a piece, subject to its fault. It returns false when the connections must be reset.
func (p *Proxy) deliver(c *pair, to net.Conn, piece []byte, f Fault) bool {
	if f.BlackHole {
		c.blackHole.Store(true)
	}
	if c.blackHole.Load() {
		return true
	}
	if f.Lose || !p.wait(f.Delay) {
		return false
	}
	if f.BytesPerSecond > 0 {
		const slice = 100 * time.Millisecond
		step := max(1, int(int64(f.BytesPerSecond)*int64(slice)/int64(time.Second)))
		for len(piece) > step {
			if _, err := to.Write(piece[:step]); err != nil || !p.wait(slice) {
				return false
			}
			piece = piece[step:]
		}
	}
	_, err := to.Write(piece)
	return err == nil
}

// wait waits. It returns false if the proxy ends first.
func (p *Proxy) wait(d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

func (c *pair) close() {
	c.client.Close()
	c.server.Close()
}

func (c *pair) reset() {
	reset(c.client)
	reset(c.server)
}

// reset closes a connection so that its peer sees a reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
