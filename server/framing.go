package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/encode"
)

// headerReceived looks at a request before its body is read.
//
// Where a request announces its body in two ways, the server and a proxy before it may disagree on where the next request
// begins. fasthttp lets Transfer-Encoding win. Here such a request loses its body and its connection, and serve answers it
// with a refusal. A batch's body may be larger than others; of callers that may not sell it is not read at all.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if ambiguous(h.RawHeaders()) {
		h.SetContentLength(0)
		h.SetConnectionClose()
		return fasthttp.RequestConfig{}
	}
	if !batched(h) {
		return fasthttp.RequestConfig{}
	}
	if s.roleOf(h) < Sell {
		h.SetContentLength(0)
		h.SetConnectionClose()
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: MaxBatchBody}
}

// batched reports whether the request may have the larger body of a batch. The path is compared as it stands in the
// request line, which may go on with a query or begin with a host: a path that only ends in the same way is no resource.
func batched(h *fasthttp.RequestHeader) bool {
	path := h.RequestURI()
	if end := bytes.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	return bytes.HasSuffix(path, []byte("/v1/batch")) && string(h.Method()) == fasthttp.MethodPost
}

// bodyLimit is the most bytes that the request's body may have.
func bodyLimit(h *fasthttp.RequestHeader) int {
	if batched(h) {
		return MaxBatchBody
	}
	return MaxBody
}

// ambiguous reports whether the header has Transfer-Encoding beside Content-Length, or any but chunked. A repeated
// Content-Length or Transfer-Encoding was refused by fasthttp.
func ambiguous(header []byte) bool {
	length, encoding := false, false
	for len(header) > 0 {
		line := header
		if end := bytes.IndexByte(header, '\n'); end >= 0 {
			line, header = header[:end], header[end+1:]
		} else {
			header = nil
		}
		if len(line) < len("Content-Length:") {
			continue
		}
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

func named(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
}

// expect answers `Expect: 100-continue`: a body that is too large is refused before it is sent.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	if h := &ctx.Request.Header; h.ContentLength() > bodyLimit(h) {
		s.unreadable(ctx, fasthttp.ErrBodyTooLarge)
		return ctx.Response.StatusCode()
	}
	return fasthttp.StatusContinue
}

// unreadable answers a request that could not be read to its end. The connection ends with it.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		reject(ctx, &encode.PayloadTooLarge, fmt.Sprintf("the body of this request has at most %d bytes", bodyLimit(&ctx.Request.Header)))
	case errors.As(err, &small):
		rejectMalformed(ctx, "header", fmt.Sprintf("the request line and header have more than %d bytes", MaxHeader))
	case errors.As(err, &network) && network.Timeout():
		rejectMalformed(ctx, "request", fmt.Sprintf("it did not arrive whole within %s", s.http.ReadTimeout))
	default:
		rejectMalformed(ctx, "request", "it is not well-formed HTTP/1.1")
	}
	lingering(ctx.Conn())
}

// lingering marks a connection that is closed with bytes still to come, unless its client never said a word: see conn.Close.
func lingering(c net.Conn) {
	if layer, ok := c.(*tls.Conn); ok {
		c = layer.NetConn()
	}
	if own, ok := c.(*conn); ok {
		own.linger.Store(own.heard.Load())
	}
}
