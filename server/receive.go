package server

import (
	"errors"
	"io"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
)

// bodySizes are the sizes of the buffers for bodies. A body that does not fit its buffer moves to the next size, so a
// client gets memory for what it has sent, whatever length it has announced. fasthttp reads at most 8 KiB of a body
// before it calls the handler.
var bodySizes = [...]int{1 << 10, maxBody, 128 << 10, maxBatchBody}

// body is a buffer for the body of a request.
type body struct {
	room []byte
	size int // index into bodySizes
}

// bodies are the buffers that are not in use, by size.
type bodies [len(bodySizes)]sync.Pool

func (p *bodies) take(size int) *body {
	if b, ok := p[size].Get().(*body); ok {
		return b
	}
	return &body{size: size, room: make([]byte, bodySizes[size])}
}

// put takes a buffer back; nil is none.
func (p *bodies) put(b *body) {
	if b != nil {
		p[b.size].Put(b)
	}
}

// errNoRoom is returned for a body that the budget has no bytes for.
var errNoRoom = errors.New("server: the budget has no bytes for the body")

// receive reads the request's body completely. The body is the request's until the buffer is put back; without a body
// it is nil. After an error the rest of the body is still to come, so the connection must be closed.
func (s *Server) receive(ctx *fasthttp.RequestCtx, c *conn) (*body, error) {
	stream, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength() // -1: chunked
	if stream == nil || length == 0 {
		return nil, nil
	}
	limit, size := maxBody, 0
	if length < 0 || length > maxBody {
		limit = bodyLimit(&ctx.Request.Header)
	}
	if length > bodySizes[0] {
		size = 1
	}
	b := s.bodies.take(size)
	n, err := s.fill(&b, stream, limit, c)
	if c.held.body.element != nil {
		s.budget.settle(&c.held.body)
		if c.held.cutOff.Swap(false) && err != nil {
			err = errNoRoom
		}
	}
	if err == nil && length < 0 && c.held.ended {
		err = io.ErrUnexpectedEOF // in the trailer, which fasthttp accepts
	}
	if err != nil {
		s.bodies.put(b)
		return nil, err
	}
	ctx.Request.SetBodyRaw(b.room[:n])
	return b, nil
}

// discard gives back what the body of a request takes. Nothing reads the body any more.
func (s *Server) discard(ctx *fasthttp.RequestCtx, c *conn) {
	if c.held.received != nil {
		ctx.Request.SetBodyRaw(nil)
		s.bodies.put(c.held.received)
		c.held.received = nil
	}
	if c.held.body.element != nil {
		s.budget.release(&c.held.body)
	}
}

// fill reads a body of at most limit bytes into a buffer, and replaces that by larger ones.
func (s *Server) fill(b **body, stream io.Reader, limit int, c *conn) (n int, err error) {
	for {
		to := (*b).room[n:]
		switch {
		case n == limit:
			to = make([]byte, 1) // only to see whether there is more
		case len(to) == 0:
			size := (*b).size + 1
			more := int64(bodySizes[size]) - c.held.body.bytes
			if bodySizes[size] > exempt && !s.budget.take(&c.held.body, more, c.cutRead) {
				return 0, errNoRoom
			}
			larger := s.bodies.take(size)
			copy(larger.room, (*b).room)
			s.bodies.put(*b)
			*b, to = larger, larger.room[n:]
		}
		more, err := stream.Read(to)
		switch n += more; {
		case n > limit:
			return 0, fasthttp.ErrBodyTooLarge
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, err
		}
	}
}

// refuseBody answers a request whose body was not received.
func (s *Server) refuseBody(ctx *fasthttp.RequestCtx, err error) {
	overloaded := errors.Is(err, errNoRoom)
	if overloaded {
		refuse(ctx, &engine.Refusal{Code: engine.Overloaded})
		closeGracefully(ctx.Conn())
	} else {
		s.unreadable(ctx, err)
	}
	ctx.SetConnectionClose()
	s.countUnread(ctx, overloaded)
}
