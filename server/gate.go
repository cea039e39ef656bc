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

// gate stands between a connection and fasthttp, and refuses reservations that would only wait.
//
// A client, or the gateway in front of many, that sends the next request before the last one is answered makes a queue on
// its connection. While the server has more to do than it can, such a queue only grows, and each request in it costs the
// whole way through the server to be told "overloaded" at the end, or is answered when its buyer has long gone. So the
// gate looks at what has arrived: of the reservations that wait on this connection it lets through the newest few, as many
// as can be answered soon, and answers the others with a text made in advance, in front of the next answer or at once where
// none is to come, many with one system call. That costs a fiftieth of a sale, so the sale goes on under ten times the load it can take. What is let through is the newest,
// since its buyers are still there. Confirmations, releases and reads always pass: they finish what was begun.
//
// Answers must come in the order of the requests. The gate answers only when everything before has been: fasthttp reads
// on only after it has answered, and flushed, every whole request that it was given, so at a Read all that was handed out
// whole is answered, and what it writes next belongs behind the refusals that are owed. A request that is handed out in part is followed by the rest of it before anything else happens.
type gate struct {
	conn    net.Conn
	arrived func(p []byte) int // reads from conn what is there
	bounds  *gateBounds
	framing

	// What was read and not yet handed out. The room is kept only while it is needed.
	room     *[gateRoom]byte
	segments []segment
	at, end  int  // of room: how far it was handed out or answered, and filled
	more     bool // the last ordinary read took all that it could: there may be more

	owed   int       // refusals of requests before the one that is answered next
	parts  [2][]byte // of what is written with them
	queued bool      // counted in bounds.queues
	handed int       // reservations of a queue handed out together
	since  time.Time // when they were read
	pass   float64   // so many reservations are answered within the patience, by what was seen
}

// gateRoom is how many bytes of a queue are looked at together.
const gateRoom = 64 << 10

// refusalsAtOnce is how many refusals one system call sends at most.
const refusalsAtOnce = 200

// gateBounds is what all gates of a server share.
type gateBounds struct {
	queues  atomic.Int64  // connections with queues
	crowd   int64         // so many of them say that the server has more to do than it can
	refused func(n int)   // n reservations were refused
	answers []byte        // what so many of them hear as can be told at once
	queue   time.Duration // how long a reservation may wait behind others of its connection in a crowd
	write   time.Duration // for the client to take its refusals
	rooms   sync.Pool     // of *[gateRoom]byte
}

const (
	// queuePatience is long enough for the next few to fill the journal's next group, short against what a buyer notices.
	queuePatience = 4 * time.Millisecond
	// firstPass is how many reservations are taken to be answered within the patience before any were.
	firstPass = 8
	// How many pass grows by so many with every queue that was answered in time, and shrinks to its part of the patience,
	// but not below half, with one that was not. All connections do so, and together they come to rest where the patience is
	// used up, however the time of one depends on what the others let through.
	passMore, passLeast = 0.25, 0.5
	// crowd is how many connections with queues, for each processor, make a crowd. A client that sends ahead on a few
	// connections makes none: it is served in its turn.
	crowd = 8
)

func newGateBounds(s *Server, write time.Duration) *gateBounds {
	b := &gateBounds{crowd: int64(crowd * runtime.GOMAXPROCS(0)), answers: bytes.Repeat(overloadedAnswer(""), refusalsAtOnce), queue: queuePatience, write: write}
	b.refused = func(n int) {
		s.admission.refused.Add(uint64(n))
		s.answers[0].byStatus[503].Add(uint64(n))
	}
	b.rooms.New = func() any { return new([gateRoom]byte) }
	return b
}

// Queues is how many connections have more reservations waiting on them than can be answered soon.
func (s *Server) Queues() int { return int(s.gates.queues.Load()) }

func newGate(c net.Conn, b *gateBounds) *gate {
	return &gate{conn: c, bounds: b, pass: firstPass, arrived: arrivedOn(c)}
}

// arrivedOn returns what reads that which has arrived on a connection, without waiting, and returns how many bytes there
// were. An error shows again at the next ordinary read.
func arrivedOn(c net.Conn) func(p []byte) int {
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

// Read hands out what fasthttp may see.
func (g *gate) Read(p []byte) (int, error) {
	g.measure()
	for {
		if n := g.hand(p); n > 0 {
			return n, nil
		}
		if err := g.settle(); err != nil {
			return 0, errors.Join(io.EOF, err) // the client takes no answers: fasthttp has nothing to add
		}
		n, err := g.conn.Read(p)
		if n == 0 {
			return 0, err
		}
		g.segments = g.parse(p[:n], 0, g.segments[:0])
		waiting := reservations(g.segments)
		g.more = n == len(p)
		g.queue(waiting > g.soon() || waiting > 1 && g.more)
		if waiting > 1 {
			g.since, g.handed = time.Now(), waiting
		}
		if err != nil || g.blind || !g.queued || g.bounds.queues.Load() < g.bounds.crowd {
			return n, err
		}
		g.gather(p[:n])
	}
}

// soon is how many requests can be answered within the patience.
func (g *gate) soon() int { return int(g.pass) }

// queue notes whether more wait on this connection than can be answered soon.
func (g *gate) queue(is bool) {
	if is == g.queued {
		return
	}
	g.queued = is
	if is {
		g.bounds.queues.Add(1)
	} else {
		g.bounds.queues.Add(-1)
	}
}

// measure learns how many reservations can be answered within the patience: from when a queue of them was read until
// fasthttp, having answered all that were handed out, reads on.
func (g *gate) measure() {
	if g.handed == 0 || g.room != nil && len(g.segments) > 0 {
		return
	}
	handed := float64(g.handed)
	g.handed = 0
	share := float64(g.bounds.queue) / float64(max(time.Since(g.since), 1))
	switch {
	case share < 1:
		g.pass = max(1, min(g.pass, handed)*max(share, passLeast))
	case handed+1 > g.pass:
		g.pass += passMore
	}
}

// gather takes what was read and all that has arrived besides, as far as there is room, and decides who passes.
func (g *gate) gather(read []byte) {
	g.room = g.bounds.rooms.Get().(*[gateRoom]byte)
	g.decide(copy(g.room[:], read), len(read))
}

// decide fills the room behind its first n bytes, of which so many are parsed, and decides who of it passes: the newest
// few, unless the room does not hold all that has arrived. Then the newest are still to come.
func (g *gate) decide(n, parsed int) {
	if g.more && n < gateRoom {
		n += g.arrived(g.room[n:])
	}
	g.segments = g.parse(g.room[parsed:n], parsed, g.segments)
	g.at, g.end, g.handed = 0, n, 0
	pass := g.soon()
	if n == gateRoom && g.open > 0 {
		pass = 0
		g.putBack()
	}
	for i := len(g.segments) - 1; i >= 0; i-- {
		s := &g.segments[i]
		if !s.reserve {
			continue
		}
		if s.refuse = g.handed == pass; !s.refuse {
			g.handed++
		}
	}
}

// putBack leaves the request that has not arrived whole for the next filling.
func (g *gate) putBack() {
	last := len(g.segments) - 1
	g.segments[last].end = g.open
	if last > 0 && g.segments[last-1].end == g.open {
		g.segments = g.segments[:last]
	}
	g.rest, g.head = 0, g.head[:0]
}

// hand notes what is to be refused next, and hands out what may pass before the next that is not; nothing when the room is
// empty.
func (g *gate) hand(p []byte) (n int) {
	for g.room != nil {
		refuse := 0
		for len(g.segments) > refuse && g.segments[refuse].refuse {
			g.at = g.segments[refuse].end
			refuse++
		}
		if g.segments = g.segments[refuse:]; refuse > 0 {
			g.owed += refuse
			g.bounds.refused(refuse)
		}
		for len(g.segments) > 0 && !g.segments[0].refuse && n < len(p) {
			more := copy(p[n:], g.room[g.at:g.segments[0].end])
			n += more
			if g.at += more; g.at == g.segments[0].end {
				g.segments = g.segments[1:]
			}
		}
		left := g.end - g.at
		switch {
		case left == 0: // at once, so that the next connection finds it in the cache
			g.release()
			return n
		case n > 0:
			return n
		default:
			copy(g.room[:], g.room[g.at:g.end])
			g.segments = nil
			g.decide(left, 0)
		}
	}
	return 0
}

func (g *gate) release() {
	g.bounds.rooms.Put(g.room)
	g.room, g.segments = nil, nil
}

// settle sends the refusals that are owed, for want of an answer to send them with.
func (g *gate) settle() error {
	if g.owed == 0 {
		return nil
	}
	if err := g.conn.SetWriteDeadline(time.Now().Add(g.bounds.write)); err != nil {
		return err
	}
	_, err := g.Write(nil)
	return err
}

// Write sends what fasthttp answers, behind the refusals of the requests before: with one system call, and one waking of the
// client, unless they are more than refusalsAtOnce.
func (g *gate) Write(p []byte) (int, error) {
	if g.owed == 0 {
		return g.conn.Write(p)
	}
	for ; g.owed > refusalsAtOnce; g.owed -= refusalsAtOnce {
		if _, err := g.conn.Write(g.bounds.answers); err != nil {
			return 0, err
		}
	}
	refusals := g.owed * len(g.bounds.answers) / refusalsAtOnce
	g.owed = 0
	g.parts = [2][]byte{g.bounds.answers[:refusals], p}
	out := net.Buffers(g.parts[:])
	n, err := out.WriteTo(g.conn)
	return max(0, int(n)-refusals), err
}

// segment is a piece of what was read: a whole request to reserve, or anything else.
type segment struct {
	end     int // in the bytes that were read together
	reserve bool
	refuse  bool
}

func reservations(segments []segment) (n int) {
	for _, s := range segments {
		if s.reserve {
			n++
		}
	}
	return n
}

// framing follows where requests begin and end in the stream of a connection, as far as it was read.
type framing struct {
	rest  int    // bytes of a body that are still to come
	head  []byte // the beginning of a header that two reads have split
	blind bool   // the framing is not the simple one: everything passes from here on
	open  int    // where among the bytes parsed last the request begins that is not whole yet; -1 for none, or before them

	last       []byte // the header seen last; most connections repeat theirs
	lastLength int    // of the body that it announces
}

var (
	endOfHeader = []byte("\r\n\r\n")
	reserveLine = []byte("POST /v1/reservations HTTP/1.1\r\n")
)

// parse cuts b, which lies at an offset of what was read together, into segments and appends them.
func (f *framing) parse(b []byte, offset int, to []segment) []segment {
	f.open = -1
	for len(b) > 0 {
		clean := f.rest == 0 && len(f.head) == 0 && !f.blind
		n, reserve := f.step(b)
		if clean {
			f.open = offset
		}
		offset += n
		b = b[n:]
		if last := len(to) - 1; !reserve && last >= 0 && !to[last].reserve {
			to[last].end = offset
			continue
		}
		to = append(to, segment{end: offset, reserve: reserve})
	}
	if f.rest == 0 && len(f.head) == 0 || f.blind {
		f.open = -1
	}
	return to
}

// step returns how many bytes of b belong together, and whether they are a whole request to reserve.
func (f *framing) step(b []byte) (n int, reserve bool) {
	switch {
	case f.blind:
		return len(b), false
	case f.rest > 0:
		n = min(f.rest, len(b))
		f.rest -= n
		return n, false
	case len(f.head) > 0:
		return f.goOn(b), false
	}
	if whole := len(f.last) + f.lastLength; len(f.last) > 0 && whole <= len(b) && bytes.HasPrefix(b, f.last) {
		return whole, true
	}
	end := bytes.Index(b, endOfHeader)
	if end < 0 {
		f.head = append(f.head, b[:min(len(b), MaxHeader+1)]...)
		f.blind = len(b) > MaxHeader
		return len(b), false
	}
	end += len(endOfHeader)
	length := f.bodyLength(b[:end])
	if whole := end + length; !f.blind && whole <= len(b) {
		if reserve = bytes.HasPrefix(b, reserveLine); reserve {
			f.last, f.lastLength = append(f.last[:0], b[:end]...), length
		}
		return whole, reserve
	}
	f.rest = length
	return end, false
}

// goOn looks for the end of a header that began in an earlier read.
func (f *framing) goOn(b []byte) (n int) {
	before := len(f.head)
	f.head = append(f.head, b[:min(len(b), MaxHeader)]...)
	from := max(0, before-len(endOfHeader)+1)
	end := bytes.Index(f.head[from:], endOfHeader)
	if end < 0 {
		f.blind = len(f.head) > MaxHeader
		return len(b)
	}
	end += from + len(endOfHeader)
	f.rest = f.bodyLength(f.head[:end])
	f.head = f.head[:0]
	return end - before
}

// bodyLength returns how long the body is that a header announces. A header that says anything about how the connection or
// the body goes on, other than one Content-Length, makes the gate blind.
func (f *framing) bodyLength(header []byte) (length int) {
	announced := false
	for len(header) > 0 {
		end := bytes.IndexByte(header, '\n')
		line := header[:end+1]
		header = header[end+1:]
		switch line[0] | 0x20 {
		case 'c':
			if named(line, "Connection") {
				f.blind = true
			} else if named(line, "Content-Length") {
				n, ok := decimal(bytes.TrimSpace(line[len("Content-Length:"):]))
				f.blind = f.blind || announced || !ok
				length, announced = n, true
			}
		case 'e', 't', 'u':
			f.blind = f.blind || named(line, "Expect") || named(line, "Transfer-Encoding") || named(line, "Upgrade")
		case ' ', '\t' | 0x20:
			f.blind = true // a header that goes on in another line
		}
	}
	return length
}

// decimal reads a number of at most nine digits.
func decimal(text []byte) (n int, ok bool) {
	if len(text) == 0 || len(text) > 9 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}
