package server

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/encode"
)

// headerReceived is called before a request's body is read.
//
// If a request frames its body in two ways, the server and a proxy in front of it may disagree about where the next
// request begins. fasthttp lets Transfer-Encoding win. Here the body of such a request is not read, serve refuses it,
// and its connection is closed. A batch may have a larger body than other requests; that of a caller who may not sell
// is not read.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if ambiguous(h.RawHeaders()) {
		h.SetContentLength(0)
		h.SetConnectionClose()
		return fasthttp.RequestConfig{}
	}
	if !isBatch(h) {
		return fasthttp.RequestConfig{}
	}
	if s.callerOf(h).Role < Sell {
		h.SetContentLength(0)
		h.SetConnectionClose()
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: maxBatchBody}
}

// isBatch reports whether the request may have the larger body of a batch. It compares the suffix of the path in the
// request line, which may begin with a host and end with a query. Other paths with that suffix do not exist.
func isBatch(h *fasthttp.RequestHeader) bool {
	path := h.RequestURI()
	if end := bytes.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	return bytes.HasSuffix(path, []byte("/v1/batch")) && string(h.Method()) == fasthttp.MethodPost
}

// bodyLimit is the most bytes that the request's body may have.
func bodyLimit(h *fasthttp.RequestHeader) int {
	if isBatch(h) {
		return maxBatchBody
	}
	return maxBody
}

// ambiguous reports whether the header has both Transfer-Encoding and Content-Length, or any encoding but chunked.
// fasthttp has already refused a repeated Content-Length or Transfer-Encoding.
func ambiguous(header []byte) bool {
	length, encoding := false, false
	for line := range bytes.Lines(header) {
		switch line[0] | 0x20 {
		case 'c':
			length = length || named(line, "Content-Length")
		case 't':
			if !named(line, "Transfer-Encoding") {
				continue
			}
			value := bytes.TrimSpace(line[len("Transfer-Encoding:"):])
			if encoding = true; !bytes.EqualFold(value, []byte("chunked")) {
				return true
			}
		}
		if length && encoding {
			return true
		}
	}
	return false
}

// named reports whether a header line is the field with the name.
func named(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
}

// expect responds to `Expect: 100-continue`, so that a body that is too large is refused before it is sent.
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
