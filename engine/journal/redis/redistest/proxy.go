package redistest

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Fault is what happens to one piece of what goes over a connection. The zero Fault lets it pass.
type Fault struct {
	Delay          time.Duration // passes it on after this time
	BytesPerSecond int           // passes it on no faster
	Lose           bool          // swallows it and resets the connection
	BlackHole      bool          // swallows it and all that follows in both directions; the connection stays
}

// Piece is what one read from a connection brought.
type Piece struct {
	Number   int // of all pieces of all connections, from 1
	ToServer bool
	Bytes    int
}

// Proxy passes connections on to a server and does to them what its plan says. All methods may be called by any number of
// goroutines.
type Proxy struct {
	listener net.Listener
	target   string
	done     chan struct{}
	running  sync.WaitGroup

	mu     sync.Mutex
	plan   func(Piece) Fault
	number int
	pairs  map[*pair]struct{}
}

// pair is a client's connection and the one to the server.
type pair struct {
	client, server net.Conn
	mu             sync.Mutex
	hole           bool
}

// NewProxy starts a proxy before the server at target, which passes everything until Plan says otherwise. It ends with the
// test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{listener: l, target: target, done: make(chan struct{}), pairs: map[*pair]struct{}{}}
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

// URL returns the proxy's address as a journal takes it.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Plan sets what is asked, one call at a time, for the fate of every piece. nil lets all pass.
func (p *Proxy) Plan(plan func(Piece) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Cut resets all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.reset()
	}
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
		p.pairs[c] = struct{}{}
		p.mu.Unlock()
		select {
		case <-p.done: // Cut has passed
			c.reset()
		default:
		}
		var ways sync.WaitGroup
		ways.Go(func() { p.pass(c, client, server, true) })
		ways.Go(func() { p.pass(c, server, client, false) })
		p.running.Go(func() {
			ways.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.pairs, c)
		})
	}
}

// pass passes what comes from one connection to the other until one of them ends.
func (p *Proxy) pass(c *pair, from, to net.Conn, toServer bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.suffer(c, to, buffer[:n], p.fate(toServer, n)) {
			c.reset()
			return
		}
		if err != nil {
			c.close()
			return
		}
	}
}

func (p *Proxy) fate(toServer bool, n int) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	if p.plan == nil {
		return Fault{}
	}
	return p.plan(Piece{p.number, toServer, n})
}

// suffer does to a piece what the fault says. It returns false when the connections are to be reset.
func (p *Proxy) suffer(c *pair, to net.Conn, piece []byte, f Fault) bool {
	if f.BlackHole {
		c.mu.Lock()
		c.hole = true
		c.mu.Unlock()
	}
	if c.swallows() {
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

// wait waits; it returns false when the proxy ends before.
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

func (c *pair) swallows() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hole
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
