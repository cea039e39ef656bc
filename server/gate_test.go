package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stream is a connection whose client has sent everything already, in pieces. It records what is written.
type stream struct {
	net.Conn
	pieces  [][]byte
	written bytes.Buffer
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *stream) Write(p []byte) (int, error)      { return s.written.Write(p) }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// randomRequests makes a stream of numbered requests, and returns which of them are reservations.
func randomRequests(dice *rand.Rand, n int) (text string, reserving []bool) {
	var all strings.Builder
	for i := range n {
		body := fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, strings.Repeat("x", dice.IntN(40)))
		switch dice.IntN(12) {
		case 0:
			fmt.Fprintf(&all, "GET /v1/accounts/n%d HTTP/1.1\r\nHost: x\r\nNumber: %d\r\n\r\n", i, i)
		case 1:
			fmt.Fprintf(&all, "POST /v1/reservations/n%d/confirm HTTP/1.1\r\nHost: x\r\nNumber: %d\r\n"+
				"Content-Length: %d\r\n\r\n%s", i, i, len(body), body)
		case 2: // a large request that is not a reservation
			body = strings.Repeat("y", dice.IntN(30_000))
			fmt.Fprintf(&all, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nNumber: %d\r\ncontent-length: %d\r\n\r\n%s",
				i, len(body), body)
		default:
			fmt.Fprintf(&all, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nNumber: %d\r\nContent-Length: %d\r\n\r\n%s",
				i, len(body), body)
			reserving = append(reserving, true)
			continue
		}
		reserving = append(reserving, false)
	}
	return all.String(), reserving
}

// serveLike reads requests and answers each with its number, as fasthttp does: it writes when no further request is
// buffered.
func serveLike(t *testing.T, c *gate) {
	in := bufio.NewReaderSize(c, MaxHeader)
	var out bytes.Buffer
	for {
		q, err := http.ReadRequest(in)
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, q.Body)
		require.NoError(t, err)
		fmt.Fprintf(&out, "answer %s\n", q.Header.Get("Number"))
		if in.Buffered() == 0 {
			_, err = out.WriteTo(c)
			require.NoError(t, err)
		}
	}
}

// Whatever is sent, in whatever pieces, every request has its response, in order. Without overload all are the
// server's; under overload only reservations are refused, and never the last one.
func TestGateKeepsOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	refusedInAll := 0
	for round := range 300 {
		overloaded := round%2 == 0
		text, reserving := randomRequests(dice, 1+dice.IntN(400))
		s := &stream{}
		for rest := []byte(text); len(rest) > 0; {
			n := min(len(rest), 1+dice.IntN([]int{5, 500, 20_000}[dice.IntN(3)]))
			s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
		}
		refused := 0
		shared := &shedding{overload: 1 << 60, refusals: bytes.Repeat([]byte("refused\n"), maxRefusals), target: waitTarget,
			countRefused: func(n int) { refused += n },
			buffers:      sync.Pool{New: func() any { return new([gateBuffer]byte) }}}
		if overloaded {
			shared.overload, shared.target = 0, time.Nanosecond
		}
		g := newGate(s, shared)
		g.readAvailable = func(p []byte) (n int) {
			for n < len(p) && len(s.pieces) > 0 && dice.IntN(4) > 0 { // some of it, or all
				more, err := s.Read(p[n:])
				require.NoError(t, err)
				n += more
			}
			return n
		}
		serveLike(t, g)
		lines := strings.Split(strings.TrimSpace(s.written.String()), "\n")
		require.Len(t, lines, len(reserving), "round %d", round)
		for i, line := range lines {
			if line == "refused" {
				require.True(t, reserving[i], "round %d: request %d is refused and not a reservation", round, i)
				refused--
				refusedInAll++
				continue
			}
			require.Equal(t, fmt.Sprintf("answer %d", i), line, "round %d", round)
		}
		require.Zero(t, refused, "round %d: refusals are counted", round)
		require.True(t, overloaded || !strings.Contains(s.written.String(), "refused"),
			"round %d: refused without overload", round)
		require.NotEqual(t, "refused", lines[len(lines)-1], "round %d: the newest is refused", round)
	}
	t.Logf("%d refusals", refusedInAll)
	require.Greater(t, refusedInAll, 1000)
}

// A header that affects the framing by more than one Content-Length ends the splitting for good.
func TestGatePassesUnusualFraming(t *testing.T) {
	for _, header := range []string{
		"Connection: close", "Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: x",
		"Content-Length: 1\r\nContent-Length: 2",
		"Content-Length: x", "Content-Length: 9999999999", "A: b\r\n c: d",
	} {
		f := &splitter{}
		segments := f.split([]byte("POST /v1/reservations HTTP/1.1\r\n"+header+"\r\n\r\n"+
			"POST /v1/reservations HTTP/1.1\r\n\r\n"), 0, nil)
		require.True(t, f.passthrough, header)
		require.Zero(t, reservations(segments), header)
	}
	f := &splitter{}
	f.split([]byte("GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 2*MaxHeader)), 0, nil)
	require.True(t, f.passthrough, "a header without an end")
}

// The window grows after a backlog that was answered within the target, unless fewer waited than might have passed. It
// shrinks after one that was not, to half at least, and never below one.
func TestGateAdaptsItsWindow(t *testing.T) {
	const target = time.Hour
	g := newGate(&stream{}, &shedding{target: target})
	answered := func(passed int, took time.Duration) float64 {
		g.passed, g.readAt = passed, time.Now().Add(-took)
		g.adaptWindow()
		require.Zero(t, g.passed)
		return g.window
	}
	require.EqualValues(t, firstWindow, g.window)
	require.EqualValues(t, firstWindow+windowGrowth, answered(firstWindow, target/2))
	require.EqualValues(t, firstWindow+windowGrowth, answered(firstWindow/2, target/2),
		"fewer waited than might have passed")
	require.InDelta(t, firstWindow*3/4, answered(firstWindow, target*4/3), 0.01)
	require.InDelta(t, firstWindow*3/8, answered(firstWindow*3/4, 100*target), 0.01)
	require.EqualValues(t, 1, answered(1, 100*target))
	require.Equal(t, 1, int(g.window))
	g.passed = 0
	g.adaptWindow()
	require.EqualValues(t, 1, g.window, "nothing was measured")
}

// A backlog is no longer counted after its connection is closed.
func TestGateLeavesNoBacklog(t *testing.T) {
	b := &shedding{}
	g := newGate(&stream{}, b)
	g.setBacklogged(true)
	g.setBacklogged(true)
	require.EqualValues(t, 1, b.backlogged.Load())
	l := &listener{conns: map[*conn]struct{}{}}
	c := &conn{Conn: &closing{}, through: g, listener: l}
	require.NoError(t, c.Close())
	require.Zero(t, b.backlogged.Load())
}

type closing struct{ net.Conn }

func (closing) Close() error { return nil }
