package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// gate is a layer between a connection and fasthttp. Under overload it sheds reservations that would only wait.
//
// A client, or the gateway of many clients, that pipelines requests builds a backlog on its connection. While the
// server is overloaded that backlog only grows. Each request in it would pay the full cost of a request only to be
// refused as overloaded, or would be answered after its buyer has left. So the gate looks at what has arrived. Of the
// reservations that are buffered on this connection it passes the newest few, as many as can be answered soon. It
// refuses the others with a precomputed response, many in one system call: before the next response, or immediately if
// none is pending. A refusal costs a fiftieth of a sale, so the server keeps selling under ten times the load that it
// can serve. The newest pass since their buyers are still waiting. Confirmations, releases and reads always pass: they
// complete what was begun.
//
// Responses must be in the order of the requests. fasthttp calls Read only after it has answered, and flushed, every
// complete request that it was given. So at a Read all requests that were passed whole are answered, and what fasthttp
// writes next belongs after the refusals that are owed. A request that was passed in part is followed by its rest
// before anything else happens.
type gate struct {
	conn          net.Conn
	readAvailable func(p []byte) int // reads from conn without waiting
	shared        *shedding
	splitter

	// What was read and not yet passed. The buffer is kept only while it is needed.
	buffer     *[gateBuffer]byte
	segments   []segment
	start, end int  // of the bytes in buffer that are neither passed nor refused
	full       bool // the last blocking read filled its buffer: more may be available

	owed       int       // refusals to write before the next response
	parts      [2][]byte // of one write: refusals, then the response
	backlogged bool      // counted in shared.backlogged
	passed     int       // reservations of a backlog that were passed together
	readAt     time.Time // when they were read
	window     float64   // how many reservations are answered within the target, as measured
}

// gateBuffer is how many bytes of a backlog are inspected together.
const gateBuffer = 64 << 10

// maxRefusals is the most refusals that one system call sends.
const maxRefusals = 200

// shedding is what all gates of a server share.
type shedding struct {
	backlogged   atomic.Int64  // connections with a backlog
	overload     int64         // this many of them mean that the server is overloaded
	countRefused func(n int)   // counts n refused reservations
	refusals     []byte        // maxRefusals responses
	target       time.Duration // how long a reservation may wait on its connection under overload
	writeTimeout time.Duration // for the client to read its refusals
	buffers      sync.Pool     // of *[gateBuffer]byte
}

const (
	// waitTarget is long enough for the next few reservations to fill the journal's next group, and too short for a buyer
	// to notice.
	waitTarget = 4 * time.Millisecond
	// firstWindow is a gate's window before its first measurement.
	firstWindow = 8
	// A window grows by windowGrowth after each backlog that was answered within the target. After one that was not it
	// shrinks in proportion to the excess, at most by the factor windowShrink. All connections do so; together they
	// converge where the target is used up, although each one's time depends on what the others pass.
	windowGrowth, windowShrink = 0.25, 0.5
	// overloadPerCPU is how many backlogged connections per processor mean overload. A client that pipelines on a few
	// connections is served in turn and sheds nothing.
	overloadPerCPU = 8
)

func newShedding(s *Server, writeTimeout time.Duration) *shedding {
	h := &shedding{
		overload: int64(overloadPerCPU * runtime.GOMAXPROCS(0)),
		refusals: bytes.Repeat(overloadedAnswer(""), maxRefusals),
		target:   waitTarget, writeTimeout: writeTimeout,
	}
	h.countRefused = func(n int) {
		s.admission.refused.Add(uint64(n))
		s.answers[0].byStatus[503].Add(uint64(n))
	}
	h.buffers.New = func() any { return new([gateBuffer]byte) }
	return h
}

func newGate(c net.Conn, shared *shedding) *gate {
	return &gate{conn: c, shared: shared, window: firstWindow, readAvailable: nonBlocking(c)}
}

// nonBlocking returns a read of the bytes that are available on a connection. It returns 0 on an error, which the next
// blocking read returns again.
func nonBlocking(c net.Conn) func(p []byte) int {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return func([]byte) int { return 0 }
	}
	return func(p []byte) (n int) {
		raw, err := socket.SyscallConn()
		if err != nil {
			return 0
		}
		if raw.Read(func(fd uintptr) bool { n, err = readArrived(fd, p); return true }) != nil || err != nil {
			return 0
		}
		return n
	}
}

// Read returns the next bytes that pass to fasthttp.
func (g *gate) Read(p []byte) (int, error) {
	g.adaptWindow()
	for {
		if n := g.pass(p); n > 0 {
			return n, nil
		}
		if err := g.flushRefusals(); err != nil {
			return 0, errors.Join(io.EOF, err) // the client reads no responses, so fasthttp need not write another
		}
		n, err := g.conn.Read(p)
		if n == 0 {
			return 0, err
		}
		g.segments = g.split(p[:n], 0, g.segments[:0])
		waiting := reservations(g.segments)
		g.full = n == len(p)
		g.setBacklogged(waiting > int(g.window) || waiting > 1 && g.full)
		if waiting > 1 {
			g.readAt, g.passed = time.Now(), waiting
		}
		if err != nil || g.passthrough || !g.backlogged || g.shared.backlogged.Load() < g.shared.overload {
			return n, err
		}
		g.buffer = g.shared.buffers.Get().(*[gateBuffer]byte)
		g.shed(copy(g.buffer[:], p[:n]), n)
	}
}

// setBacklogged records whether more reservations wait on this connection than can be answered soon.
func (g *gate) setBacklogged(is bool) {
	if is == g.backlogged {
		return
	}
	g.backlogged = is
	if is {
		g.shared.backlogged.Add(1)
	} else {
		g.shared.backlogged.Add(-1)
	}
}

// adaptWindow measures how many reservations are answered within the target: from when a backlog was read until
// fasthttp reads again, having answered all that were passed.
func (g *gate) adaptWindow() {
	if g.passed == 0 || g.buffer != nil && len(g.segments) > 0 {
		return
	}
	passed := float64(g.passed)
	g.passed = 0
	share := float64(g.shared.target) / float64(max(time.Since(g.readAt), 1))
	switch {
	case share < 1:
		g.window = max(1, min(g.window, passed)*max(share, windowShrink))
	case passed+1 > g.window:
		g.window += windowGrowth
	}
}

// shed decides which reservations pass. The buffer has n bytes, of which the first so many are split; shed first fills
// it with what is available. The newest reservations pass, unless the buffer is full: then the newest are still to
// come.
func (g *gate) shed(n, split int) {
	if g.full && n < gateBuffer {
		n += g.readAvailable(g.buffer[n:])
	}
	g.segments = g.split(g.buffer[split:n], split, g.segments)
	g.start, g.end, g.passed = 0, n, 0
	pass := int(g.window)
	if n == gateBuffer && g.partial > 0 {
		pass = 0
		g.deferPartial()
	}
	for i := len(g.segments) - 1; i >= 0; i-- {
		s := &g.segments[i]
		if !s.reserve {
			continue
		}
		if s.refuse = g.passed == pass; !s.refuse {
			g.passed++
		}
	}
}

// deferPartial leaves the incomplete request at the end of the buffer for the next call of shed.
func (g *gate) deferPartial() {
	last := len(g.segments) - 1
	g.segments[last].end = g.partial
	if last > 0 && g.segments[last-1].end == g.partial {
		g.segments = g.segments[:last]
	}
	g.bodyLeft, g.header = 0, g.header[:0]
}

// pass skips the refused reservations at the start of the buffer, which are then owed a response, and copies to p what
// passes before the next refused one. It returns 0 when the buffer is empty.
func (g *gate) pass(p []byte) (n int) {
	for g.buffer != nil {
		refuse := 0
		for len(g.segments) > refuse && g.segments[refuse].refuse {
			g.start = g.segments[refuse].end
			refuse++
		}
		if g.segments = g.segments[refuse:]; refuse > 0 {
			g.owed += refuse
			g.shared.countRefused(refuse)
		}
		for len(g.segments) > 0 && !g.segments[0].refuse && n < len(p) {
			more := copy(p[n:], g.buffer[g.start:g.segments[0].end])
			n += more
			if g.start += more; g.start == g.segments[0].end {
				g.segments = g.segments[1:]
			}
		}
		left := g.end - g.start
		switch {
		case left == 0: // returned now, so that the next connection finds it in the processor's cache
			g.shared.buffers.Put(g.buffer)
			g.buffer, g.segments = nil, nil
			return n
		case n > 0:
			return n
		default: // an incomplete request that was deferred
			copy(g.buffer[:], g.buffer[g.start:g.end])
			g.segments = nil
			g.shed(left, 0)
		}
	}
	return 0
}

// flushRefusals writes the refusals that are owed when no response is pending.
func (g *gate) flushRefusals() error {
	if g.owed == 0 {
		return nil
	}
	if err := g.conn.SetWriteDeadline(time.Now().Add(g.shared.writeTimeout)); err != nil {
		return err
	}
	_, err := g.Write(nil)
	return err
}

// Write writes fasthttp's responses after the refusals that are owed: in one system call, which wakes the client once,
// unless there are more than maxRefusals.
func (g *gate) Write(p []byte) (int, error) {
	if g.owed == 0 {
		return g.conn.Write(p)
	}
	for ; g.owed > maxRefusals; g.owed -= maxRefusals {
		if _, err := g.conn.Write(g.shared.refusals); err != nil {
			return 0, err
		}
	}
	refusals := g.owed * len(g.shared.refusals) / maxRefusals
	g.owed = 0
	g.parts = [2][]byte{g.shared.refusals[:refusals], p}
	out := net.Buffers(g.parts[:])
	n, err := out.WriteTo(g.conn)
	return max(0, int(n)-refusals), err
}
