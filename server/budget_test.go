package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// used waits until the budget has these bytes in use.
func (f *fixture) used(want int64) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { used, _, _ := f.server.budget.usage(); return used == want }, patience,
		time.Millisecond, "the budget has other than %d bytes in use", want)
}

// small starts a server with the least budget.
func small(t *testing.T) *fixture {
	return start(t, func(o *Options) { o.MaxBuffered = LeastBuffered })
}

// announced is a batch's header with a body's length, as chunks if it is negative.
func announced(length int) string {
	if length < 0 {
		return "POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7ffff\r\n"
	}
	return fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
}

// crowd opens connections that send the same and do not read.
func (f *fixture) crowd(n int, sent string) {
	for range n {
		c := f.dial()
		f.t.Cleanup(func() { _ = c.Close() }) // the server may have closed it
		require.NoError(f.t, c.(*net.TCPConn).SetReadBuffer(4096))
		_, err := io.WriteString(c, sent)
		require.NoError(f.t, err)
	}
}

// honest sends a batch with a large body.
func (f *fixture) honest() *answer {
	f.t.Helper()
	release := strings.Repeat(`,{"op":"release","id":"`+someID+`"}`, maxBatch)
	return f.post("/v1/batch", `{"operations":[`+strings.Repeat(" ", 400<<10)+release[1:]+`]}`)
}

// TestSlowSenders (I10) checks that bodies take memory when they arrive, not when they are announced, and that clients
// that stop in the middle of one do not keep its bytes from others.
func TestSlowSenders(t *testing.T) {
	noLeaks(t)
	for _, length := range []int{maxBatchBody, -1} {
		f := small(t)
		f.crowd(100, announced(length)+"{")
		require.Eventually(t, func() bool { return f.server.Stats().Connections >= 100 }, patience, time.Millisecond)
		f.used(0)
		require.Equal(t, 200, f.honest().status)
		f.used(0)

		// A third of their bodies arrives: more bytes than there are.
		limit := f.server.budget.limit
		f.slowAfter(time.Hour)
		f.crowd(int(limit/maxBatchBody), announced(length)+strings.Repeat(" ", maxBatchBody/3))
		f.used(limit)
		refused := f.honest()
		require.Equal(t, "overloaded", refused.code())
		require.Equal(t, "1", refused.header.Get("Retry-After"))
		require.Equal(t, 201, f.reserveOne(otherID(1), "a", "SWM01", "1").status, "small bodies are not counted")
		_, n, cut := f.server.budget.usage()
		require.Equal(t, [2]uint64{1, 0}, [2]uint64{n, cut})

		f.slowAfter(0)
		require.Equal(t, 200, f.honest().status)
		_, n, cut = f.server.budget.usage()
		require.EqualValues(t, 1, n)
		require.Positive(t, cut, "slow clients make room")
	}
}

// TestCutOffSender checks what a client that was cut off receives: a refusal that lets it retry.
func TestCutOffSender(t *testing.T) {
	noLeaks(t)
	f := small(t)
	f.slowAfter(0)
	c := f.dial()
	defer c.Close() // an error of Close does not matter
	_, err := io.WriteString(c, announced(maxBatchBody)+strings.Repeat(" ", maxBatchBody/3))
	require.NoError(t, err)
	f.used(maxBatchBody)
	f.crowd(int(f.server.budget.limit/maxBatchBody), announced(maxBatchBody)+strings.Repeat(" ", maxBatchBody/3))
	a := f.readAnswer(bufio.NewReader(c))
	require.Equal(t, "overloaded", a.code())
	require.True(t, a.last)
}

// TestAnswersAreHeld (I10) checks that the answer to a batch counts until it is written, and that a client that does
// not read it makes room for others.
func TestAnswersAreHeld(t *testing.T) {
	noLeaks(t)
	f := small(t)
	confirm := `{"op":"confirm","id":"` + someID + `","reference":"` + strings.Repeat("r", 60) + `"}`
	batch := `{"operations":[` + strings.Repeat(confirm+",", maxBatch-1) + confirm + `]}`
	f.crowd(1, strings.Repeat(announced(len(batch))+batch, 30))
	require.Eventually(t, func() bool {
		used, _, _ := f.server.budget.usage()
		return used > 0 && f.server.turns.taken() == 0 // its turn has ended
	}, patience, time.Millisecond)
	f.slowAfter(0)
	require.Eventually(t, func() bool { // once the client's and the server's sockets are full
		f.server.budget.mu.Lock()
		defer f.server.budget.mu.Unlock()
		f.server.budget.cutSlow(time.Now(), maxBatchBody)
		return f.server.budget.used == 0 && f.server.budget.cutOff > 0
	}, patience, time.Millisecond, "the answer is cut off")
}

// TestLargeAnswerWithoutRoom (I10) checks that an answer that is large, such as that of an account with many
// reservations, is refused while the budget has no bytes for it, and counts until it is written.
func TestLargeAnswerWithoutRoom(t *testing.T) {
	noLeaks(t)
	f := small(t)
	ctx, c := &fasthttp.RequestCtx{}, &conn{held: held{server: f.server}}
	ctx.Init2(c, nil, false)
	x := &exchange{server: f.server, engine: f.engine, ctx: ctx, seen: &observation{}, workspace: &workspace{}}
	large := make([]byte, exempt+1)
	var taken charge
	require.True(t, f.server.budget.take(&taken, f.server.budget.limit, nil))
	x.respondTagged(large)
	require.Equal(t, fasthttp.StatusServiceUnavailable, ctx.Response.StatusCode())
	require.Empty(t, ctx.Response.Header.Peek(fasthttp.HeaderETag), "a cache would take the refusal for the answer")
	require.Empty(t, ctx.Response.Header.Peek(fasthttp.HeaderCacheControl))
	require.Less(t, len(ctx.Response.Body()), exempt)
	f.used(f.server.budget.limit)
	f.server.budget.release(&taken)
	x.respond(fasthttp.StatusOK, large)
	require.Equal(t, fasthttp.StatusOK, ctx.Response.StatusCode())
	require.Len(t, ctx.Response.Body(), len(large))
	f.used(int64(len(large)))
	c.written()
	f.used(0)
}

// TestCutOffIsCountedOnce checks that a client that is cut off by several who need bytes is one client.
func TestCutOffIsCountedOnce(t *testing.T) {
	b, c := newBudget(10), &conn{Conn: &cutConn{cut: func() {}}}
	b.slowAfter = 0
	require.True(t, b.take(&c.held.body, 10, c.cutRead))
	for range 3 {
		require.False(t, b.take(&charge{}, 10, nil), "the client's body is still there")
	}
	_, refused, cut := b.usage()
	require.Equal(t, [2]uint64{3, 1}, [2]uint64{refused, cut})
}

// cutConn is a connection that ends its reader when a deadline is in the past.
type cutConn struct {
	net.Conn
	cut func()
}

func (c *cutConn) SetWriteDeadline(time.Time) error { go c.cut(); return nil }
func (c *cutConn) SetReadDeadline(time.Time) error  { go c.cut(); return nil }

// TestSlowReaders (I10) checks that a list that is no longer on a shelf counts once while any client reads it, and that
// slow ones are cut off when others need its bytes.
func TestSlowReaders(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	budget := b.board.renderings.budget
	read := func() *rendering {
		return must(b.board.rendering(b.engine, variant{inFull, everySession}, gzipped, b.now))(t)
	}
	r := read()
	readers := make([]*conn, 3)
	for i := range readers {
		readers[i] = &conn{}
		readers[i].Conn = &cutConn{cut: func() { budget.detach(r, readers[i]) }}
		budget.attach(r, readers[i])
	}
	require.Zero(t, budget.used, "it is on a shelf")
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	b.now = b.now.Add(maxLag)
	require.NotSame(t, r, read())
	require.EqualValues(t, len(r.body), budget.used)
	budget.detach(r, readers[0])
	require.EqualValues(t, len(r.body), budget.used)

	budget.limit = 0
	budget.slowAfter = time.Hour
	require.False(t, budget.roomy(), "the readers are not slow")
	budget.slowAfter = 0
	require.True(t, budget.roomy())
	require.Zero(t, budget.used)
	require.EqualValues(t, 2, budget.cutOff)
	require.Empty(t, r.readers.since)
}

func (f *fixture) slowAfter(d time.Duration) {
	f.server.budget.mu.Lock()
	defer f.server.budget.mu.Unlock()
	f.server.budget.slowAfter = d
}
