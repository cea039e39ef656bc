package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxUnsent limits the bytes that wait for a connection to accept them. Further requests are counted as not sent.
const maxUnsent = 4 << 20

// sent is a request whose answer is awaited.
type sent struct {
	kind      kind
	counted   bool          // it belongs to the measured time
	n         uint64        // of the reservation
	scheduled time.Duration // since the generator's start
}

// pipe is one connection with the requests on it, in order. Any goroutine may put and flush requests; one goroutine
// reads the answers.
type pipe struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	in   *bufio.Reader

	// Owned by the reading goroutine.
	head    []byte // the last header read
	refusal []byte // the last complete answer with status 503

	mu      sync.Mutex
	out     []byte // not yet accepted by the connection
	awaited []sent // oldest first
	passed  int    // the first awaited requests, which are answered
	lost    error  // the connection's error, after which nothing is sent
}

func dial(ctx context.Context, host string) (*pipe, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.TCPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &pipe{conn: conn, raw: raw, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// put adds a request; flush sends it. It returns false if too many bytes wait already or the connection is lost.
func (p *pipe) put(w *writer, s sent) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost != nil || len(p.out) > maxUnsent {
		return false
	}
	p.out = w.append(p.out, s.kind, s.n)
	p.awaited = append(p.awaited, s)
	return true
}

// flush sends what the connection accepts without blocking: only the schedule may set the pace of the load.
func (p *pipe) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) > 0 && p.lost == nil {
		n, err := p.writeNow(p.out)
		p.out, p.lost = p.out[:copy(p.out, p.out[n:])], err
		if n == 0 {
			return
		}
	}
}

// pending returns the number of requests in flight.
func (p *pipe) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.awaited) - p.passed
}

// next returns the request that the next answer belongs to; false if none is in flight.
func (p *pipe) next() (sent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passed == len(p.awaited) {
		return sent{}, false
	}
	s := p.awaited[p.passed]
	if p.passed++; p.passed == len(p.awaited) || p.passed > 4096 {
		p.awaited = p.awaited[:copy(p.awaited, p.awaited[p.passed:])]
		p.passed = 0
	}
	return s, true
}

// read calls answered for every answer until the connection ends. The body is valid during the call only, and is not
// set for status 503.
func (p *pipe) read(answered func(s sent, status int, body []byte)) error {
	var body []byte
	for {
		status, err := p.skipRefusal()
		if err != nil {
			return err
		}
		if status == 0 {
			length := 0
			if status, length, err = p.header(); err != nil {
				return err
			}
			if cap(body) < length {
				body = make([]byte, length)
			}
			body = body[:length]
			if _, err := io.ReadFull(p.in, body); err != nil {
				return err
			}
			if status == http.StatusServiceUnavailable {
				p.refusal = append(append(p.refusal[:0], p.head...), body...)
			}
		}
		s, ok := p.next()
		if !ok {
			return errors.New("the server sent an answer without a request")
		}
		answered(s, status, body)
	}
}

// skipRefusal consumes the next answer if it repeats the last refusal byte for byte, and returns its status; 0 if it
// does not. Under overload most answers are the refusal that the server prepares in advance, and parsing each would
// cost too much.
func (p *pipe) skipRefusal() (status int, err error) {
	if p.refusal == nil {
		return 0, nil
	}
	if p.in.Buffered() == 0 {
		if _, err := p.in.Peek(1); err != nil {
			return 0, err
		}
	}
	size := min(len(p.refusal), p.in.Buffered())
	if b, err := p.in.Peek(size); err != nil || size < len(p.refusal) || !bytes.Equal(b, p.refusal) {
		return 0, err
	}
	_, err = p.in.Discard(size)
	return http.StatusServiceUnavailable, err
}

var contentLength = []byte("Content-Length: ")

// header reads an answer's header and returns its status and the length of its body.
func (p *pipe) header() (status, length int, err error) {
	length = -1
	p.head = p.head[:0]
	for first := true; ; first = false {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		p.head = append(p.head, line...)
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		switch {
		case first:
			if len(line) < len("HTTP/1.1 200") {
				return 0, 0, fmt.Errorf("not an HTTP status line: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, 0, fmt.Errorf("not an HTTP status line: %q", line)
			}
		case len(line) == 0:
			if length < 0 {
				return 0, 0, errors.New("the server sent an answer without Content-Length")
			}
			return status, length, nil
		case bytes.HasPrefix(line, contentLength):
			if length, err = strconv.Atoi(string(line[len(contentLength):])); err != nil {
				return 0, 0, fmt.Errorf("not a valid Content-Length: %q", line)
			}
		}
	}
}

// close closes the connection and returns how many requests remain unanswered.
func (p *pipe) close(ended *atomic.Bool) (unanswered int, err error) {
	ended.Store(true)
	return p.pending(), p.conn.Close()
}
