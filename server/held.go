package server

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// exempt is the most bytes of an answer, and of a body, that the budget does not count. Each connection may have so
// many of each, so they are part of what a connection takes.
const exempt = maxBody

// held is what the body of a connection's request, and its answer, take of the server. fasthttp has written an answer,
// or copied what is left of it, when it calls the handler for the next request, reads from the connection, or closes
// it. All of this is in the connection's goroutine, so only cutOff is shared.
type held struct {
	server   *Server
	received *body      // the body of the request that is answered; nil without one
	body     charge     // of a large body
	answer   charge     // of a large answer
	room     *[]byte    // the buffer of that answer
	shared   *rendering // the answer, if it is one that others share
	cutOff   atomic.Bool

	ended bool // the client has ended the connection
}

// written ends what the answer took.
func (c *conn) written() {
	h := &c.held
	if h.answer.element == nil && h.shared == nil {
		return
	}
	b := h.server.budget
	if h.answer.element != nil {
		b.release(&h.answer)
	}
	if h.shared != nil {
		b.detach(h.shared, c)
		h.shared = nil
	}
	if h.room != nil {
		h.server.results.Put(h.room)
		h.room = nil
	}
	h.cutOff.Store(false)
}

// holdAnswer sets a large body of an answer, which counts in the budget until it is written: by then the budget has
// given about so many bytes for it. room is one of the server's results.
func (x *exchange) holdAnswer(room *[]byte) {
	c := x.conn()
	c.held.room = room
	x.server.budget.hold(&c.held.answer, int64(cap(*room)), c.cutWrite)
	x.ctx.Response.SetBodyRaw(*room)
}

// conn returns the connection of the request.
func (x *exchange) conn() *conn { return x.ctx.Conn().(*conn) }

// closed is called by the connection's goroutine when it has closed the connection.
func closed(c net.Conn, state fasthttp.ConnState) {
	if own, ok := c.(*conn); ok && state == fasthttp.StateClosed {
		own.written()
	}
}

// cutRead ends reading from a client that sends its body slowly. It is called with the budget's lock, which receive
// takes before it reads anything else. It returns 0 if that was ended before.
func (c *conn) cutRead(time.Time) (cut int) {
	if c.held.cutOff.Swap(true) {
		return 0
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed connection
	return 1
}

// cutWrite ends writing to a client that reads slowly. It returns 0 if that was ended before.
func (c *conn) cutWrite(time.Time) (cut int) {
	if c.held.cutOff.Swap(true) {
		return 0
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0)) // fails only for a closed connection
	return 1
}
