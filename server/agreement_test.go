package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// TestAgreement sends random byte streams, see hostile_test.go, to the server, to net/http and to plain fasthttp. The
// server must see the same requests as each of the others, up to one that it refuses. A refusal ends the connection, so
// nothing after it can be taken for a request. Each request has one answer, in order.
//
// SEATHOLD_STREAMS is the number of streams. SEATHOLD_SEED repeats a run.
func TestAgreement(t *testing.T) {
	noLeaks(t)
	streams, seed := number(t, "SEATHOLD_STREAMS", rounds(t, 10_000)), number(t, "SEATHOLD_SEED", rand.IntN(1<<62))
	t.Logf("SEATHOLD_SEED=%d SEATHOLD_STREAMS=%d", seed, streams)
	p := startParsers(t)
	var next atomic.Int64
	var tally tally
	var all sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !t.Failed() {
				i := next.Add(1) - 1
				if i >= int64(streams) {
					return
				}
				s := newStream(rand.New(rand.NewPCG(uint64(seed), uint64(i))))
				own := p.own.parse(worker, s.pieces)
				if err := tally.compare(s, own, p.fast.parse(worker, s.pieces), p.std.parse(worker, s.pieces)); err != nil {
					t.Errorf("SEATHOLD_SEED=%d stream %d: %v\n%q", seed, i, err, s.pieces)
				}
			}
		})
	}
	all.Wait()
	t.Log(tally.String())
	if streams >= 10_000 {
		tally.requireVariety(t)
	}
}

// number returns the number in an environment variable, or the usual one.
func number(t *testing.T, variable string, usual int) int {
	if text := os.Getenv(variable); text != "" {
		return must(strconv.Atoi(text))(t)
	}
	return usual
}

// tally counts what the streams were.
type tally struct{ requests, refused, valid, lenient atomic.Int64 }

func (n *tally) String() string {
	return fmt.Sprintf("%d requests accepted; %d streams valid, %d refused by the server, %d by net/http alone",
		n.requests.Load(), n.valid.Load(), n.refused.Load(), n.lenient.Load())
}

// requireVariety checks that the streams are neither all valid nor all refused at once.
func (n *tally) requireVariety(t *testing.T) {
	require.Greater(t, n.requests.Load(), int64(5000))
	require.Greater(t, n.valid.Load(), int64(1000))
	require.Greater(t, n.refused.Load(), int64(1000))
}

// compare compares what each parser saw of a stream.
func (n *tally) compare(s *stream, own, fast, std *view) error {
	if err := own.checkAnswers(); err != nil {
		return err
	}
	_, _ = fast.checkAnswers(), std.checkAnswers() // only whether they closed the connection is of interest
	if err := own.checkContent(); err != nil {
		return err
	}
	n.requests.Add(int64(len(own.requests)))
	if own.refused {
		n.refused.Add(1)
	}
	if s.valid != nil {
		n.valid.Add(1)
		if !slices.Equal(s.valid, own.requests) {
			return fmt.Errorf("valid requests %q were seen as %q", s.valid, own.requests)
		}
	}
	if len(own.requests) > len(std.requests) && std.refused && sameWithout(own.requests, bytes.Join(s.pieces, nil)) {
		n.lenient.Add(1)
		std.requests = own.requests
	}
	return errors.Join(own.agree(fast), own.agree(std))
}

// agree checks that another parser saw the same requests, or more if the server has closed the connection.
func (v *view) agree(other *view) error {
	both := min(len(v.requests), len(other.requests))
	for i := range both {
		if v.requests[i] != other.requests[i] {
			return fmt.Errorf("request %d is %q, and %q to %s", i, v.requests[i], other.requests[i], other.parser)
		}
	}
	switch {
	case len(v.requests) > both:
		return fmt.Errorf("request %d, %q, is none to %s", both, v.requests[both], other.parser)
	case len(other.requests) > both && !v.closed:
		return fmt.Errorf("request %d, %q, is one to %s alone, and the connection is open", both, other.requests[both],
			other.parser)
	}
	return nil
}

// sameWithout reports whether net/http sees the same requests without what it refuses and the server does not: empty
// lines before a request, which a server ignores (RFC 9112, 2.2), and a path with a percent sign that encodes nothing.
func sameWithout(requests []request, wire []byte) bool {
	r := bufio.NewReader(bytes.NewReader(bytes.ReplaceAll(wire, []byte("%"), []byte("p"))))
	for _, q := range requests {
		for {
			if next, _ := r.Peek(2); bytes.HasPrefix(next, []byte("\n")) || string(next) == "\r\n" {
				_, _ = r.ReadString('\n') // it is in the buffer
				continue
			}
			break
		}
		seen, err := http.ReadRequest(r)
		if err != nil || slices.ContainsFunc(slices.Collect(maps.Keys(seen.Header)), hasSpace) { // which the server looks for
			return false
		}
		body, err := io.ReadAll(seen.Body)
		q.target, q.body = strings.ReplaceAll(q.target, "%", "p"), strings.ReplaceAll(q.body, "%", "p")
		if err != nil || q != (request{seen.Method, seen.RequestURI, string(body)}) {
			return false
		}
	}
	return true
}

func hasSpace(name string) bool { return strings.Contains(name, " ") }

// request is what a parser has to agree on.
type request struct{ method, target, body string }

// view is what one parser saw of a stream, and what it answered.
type view struct {
	parser   string
	requests []request
	methods  []string // of all requests that reached a handler, refused ones included
	out      bytes.Buffer
	answers  []answer
	refused  bool // the last answer is a refusal of the parser
	closed   bool // the last answer ends the connection
}

// checkAnswers parses the answers. Each request has one, in order, and a last one may refuse what is none.
func (v *view) checkAnswers() error {
	r := bufio.NewReader(bytes.NewReader(v.out.Bytes()))
	for len(v.answers) <= len(v.methods) {
		method := "GET"
		if len(v.answers) < len(v.methods) {
			method = v.methods[len(v.answers)]
		}
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%d answers, then %w: %q", len(v.answers), err, v.out.Bytes())
		}
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return fmt.Errorf("answer %d: %w", len(v.answers), err)
		}
		if response.StatusCode == http.StatusContinue {
			continue
		}
		if v.closed {
			return fmt.Errorf("answer %d is after the one that ends the connection", len(v.answers))
		}
		v.closed = response.Close
		v.answers = append(v.answers, answer{status: response.StatusCode, body: body})
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 || len(v.answers) < len(v.methods) {
		return fmt.Errorf("%d answers to %d requests, and %q", len(v.answers), len(v.methods), rest)
	}
	v.refused = len(v.answers) > len(v.requests)
	if v.refused && !v.closed {
		return fmt.Errorf("a refusal leaves the connection open")
	}
	return nil
}

// checkContent checks that the answer to each read of an account has that account, unless its Host is foreign.
func (v *view) checkContent() error {
	for i, q := range v.requests {
		name, ok := strings.CutPrefix(q.target, "/v1/accounts/")
		if !ok || q.method != http.MethodGet || name == "" || len(name) > 64 ||
			strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			continue
		}
		if a := v.answers[i]; a.status != 403 && !bytes.HasPrefix(a.body, []byte(`{"account":"`+name+`"`)) {
			return fmt.Errorf("request %d is for account %s; its answer is %d %s", i, name, a.status, a.body)
		}
	}
	return nil
}

// byteListener is the listener of a parser. Its connections read a stream and keep what is written.
type byteListener struct {
	parser string
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
	views  [64]*view // of the streams that are being parsed, by worker, which is the port of the client
}

func newByteListener(parser string) *byteListener {
	return &byteListener{parser: parser, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// parse lets the parser read the pieces, one a read, and then the end of the stream.
func (l *byteListener) parse(worker int, pieces [][]byte) *view {
	v := &view{parser: l.parser}
	l.views[worker] = v
	c := &byteConn{pieces: pieces, view: v, port: worker, closed: make(chan struct{})}
	l.conns <- c
	<-c.closed
	return v
}

// of is the view of the client with the address.
func (l *byteListener) of(client net.Addr) *view { return l.views[client.(*net.TCPAddr).Port] }

func (l *byteListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *byteListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *byteListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// byteConn is a connection whose client has already sent everything.
type byteConn struct {
	pieces [][]byte
	view   *view
	port   int
	once   sync.Once
	closed chan struct{}
}

func (c *byteConn) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces = append([][]byte{c.pieces[0][n:]}, c.pieces[1:]...)
	return n, nil
}

func (c *byteConn) Write(p []byte) (int, error) { return c.view.out.Write(p) }
func (c *byteConn) Close() error                { c.once.Do(func() { close(c.closed) }); return nil }
func (c *byteConn) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *byteConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port}
}
func (c *byteConn) SetDeadline(time.Time) error      { return nil }
func (c *byteConn) SetReadDeadline(time.Time) error  { return nil }
func (c *byteConn) SetWriteDeadline(time.Time) error { return nil }

// parsers are the listeners of the server, fasthttp and net/http.
type parsers struct{ own, fast, std *byteListener }

// startParsers starts the server, fasthttp and net/http.
func startParsers(t *testing.T) parsers {
	clock := clockAt(instantOf(t, early))
	e := newEngine(t, clock, nil)
	s := must(New(context.Background(), Options{Engine: e}))(t)
	own, fast, std := newByteListener("seathold"), newByteListener("fasthttp"), newByteListener("net/http")
	s.http.Handler = func(ctx *fasthttp.RequestCtx) {
		c := ctx.Conn().(*conn)
		c.held.server = s
		body, err := s.receive(ctx, c)
		if err != nil {
			own.of(ctx.RemoteAddr()).methods = append(own.of(ctx.RemoteAddr()).methods, string(ctx.Method()))
			s.refuseBody(ctx, err)
			return
		}
		v, q := own.of(ctx.RemoteAddr()), seenBy(ctx)
		s.serve(ctx)
		s.bodies.put(body)
		v.methods = append(v.methods, q.method)
		if !refusedUnread(ctx) {
			v.requests = append(v.requests, q)
		}
	}
	plain := &fasthttp.Server{Logger: log.New(io.Discard, "", 0), ReadBufferSize: MaxHeader,
		DisablePreParseMultipartForm: true, Handler: func(ctx *fasthttp.RequestCtx) {
			v, q := fast.of(ctx.RemoteAddr()), seenBy(ctx)
			v.methods, v.requests = append(v.methods, q.method), append(v.requests, q)
		}}
	library := &http.Server{ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: MaxHeader,
		ReadHeaderTimeout: time.Minute, DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, std, std.of(c.RemoteAddr()))
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v := r.Context().Value(std).(*view)
			v.methods = append(v.methods, r.Method)
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			v.requests = append(v.requests, request{r.Method, r.RequestURI, string(body)})
		})}
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Serve(own) })
	ended.Go(func() { _ = plain.Serve(fast) })
	ended.Go(func() { _ = library.Serve(std) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // that of the test has ended
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, errors.Join(fast.Close(), plain.Shutdown(), library.Close(), e.Close()))
		ended.Wait()
	})
	return parsers{own, fast, std}
}

func seenBy(ctx *fasthttp.RequestCtx) request {
	return request{string(ctx.Method()), string(ctx.Request.Header.RequestURI()), string(ctx.Request.Body())}
}

// refusedUnread reports whether the server refused a request without reading its body.
func refusedUnread(ctx *fasthttp.RequestCtx) bool {
	switch ctx.Response.StatusCode() {
	case 415, 417:
		return true
	case 400:
		return bytes.Contains(ctx.Response.Body(), []byte(`"where":"header"`))
	}
	return false
}
