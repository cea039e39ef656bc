package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/encode"
)

// headerReceived is called before a request's body is read.
//
// If the body of a request is not to be read, serve refuses the request and its connection is closed: what follows on
// the connection may be that body. A batch may have a larger body than other requests; that of a caller who may not
// sell is not read.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	fields, fault := readFields(h)
	batch := isBatch(h)
	if fault != nil || batch && !s.maySell(h) {
		h.SetContentLength(0)
		h.SetConnectionClose()
		h.Del(fasthttp.HeaderExpect)
		return fasthttp.RequestConfig{}
	}
	if fields.close {
		h.SetConnectionClose()
	}
	if fields.expect {
		// fasthttp sends 100 Continue where the value is in lower case. A client of HTTP/1.0 does not understand it, and one
		// without a body does not wait for it.
		if h.Del(fasthttp.HeaderExpect); h.IsHTTP11() && fields.body {
			h.Set(fasthttp.HeaderExpect, continues)
		}
	}
	if n := h.ContentLength(); n > maxBody && n > bodyLimit(h) {
		h.Set(fasthttp.HeaderExpect, continues) // so expect refuses it, and nothing is read
	}
	if batch {
		return fasthttp.RequestConfig{MaxRequestBodySize: maxBatchBody}
	}
	return fasthttp.RequestConfig{}
}

// maySell reports whether the caller of a batch may sell. An unknown key is removed: if the keys were read again before
// serve, and had it then, serve would take the unread body for an empty one.
func (s *Server) maySell(h *fasthttp.RequestHeader) bool {
	role := s.callerOf(h).Role
	if role == 0 {
		h.Del(fasthttp.HeaderAuthorization)
	}
	return role >= Sell
}

// isBatch reports whether the request may have the larger body of a batch. It compares the suffix of the path in the
// request line, which may begin with a host and end with a query. Other paths with that suffix do not exist.
func isBatch(h *fasthttp.RequestHeader) bool {
	if !h.IsPost() {
		return false
	}
	path := h.RequestURI()
	for _, mark := range [...]byte{'?', '#'} {
		if end := bytes.IndexByte(path, mark); end >= 0 {
			path = path[:end]
		}
	}
	return bytes.HasSuffix(path, []byte("/v1/batch"))
}

// bodyLimit is the most bytes that the request's body may have.
func bodyLimit(h *fasthttp.RequestHeader) int {
	if isBatch(h) {
		return maxBatchBody
	}
	return maxBody
}

// expect responds to `Expect: 100-continue`, and refuses a body that is too large before it is sent or read.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	if h := &ctx.Request.Header; h.ContentLength() > bodyLimit(h) {
		s.unreadable(ctx, fasthttp.ErrBodyTooLarge)
		return ctx.Response.StatusCode()
	}
	return fasthttp.StatusContinue
}

// unreadable responds to a request that could not be read completely. Its connection is then closed.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		reject(ctx, &encode.PayloadTooLarge,
			fmt.Sprintf("the body of this request may have at most %d bytes", bodyLimit(&ctx.Request.Header)))
	case errors.As(err, &small):
		rejectMalformed(ctx, "header", fmt.Sprintf("the request line and header have more than %d bytes", MaxHeader))
	case errors.As(err, &network) && network.Timeout():
		rejectMalformed(ctx, "request", fmt.Sprintf("it did not arrive completely within %s", s.http.ReadTimeout))
	case errors.Is(err, io.ErrUnexpectedEOF):
		rejectMalformed(ctx, "request", "the client ended the connection in the middle of it")
	default:
		rejectMalformed(ctx, "request", "it is not well-formed HTTP/1.1")
	}
	closeGracefully(ctx.Conn())
}

// closeGracefully marks a connection that is closed while its client may still be sending, see conn.Close. A connection
// of which nothing was read is not marked.
func closeGracefully(c net.Conn) {
	if own, ok := c.(*conn); ok {
		own.graceful.Store(own.received.Load())
	}
}
