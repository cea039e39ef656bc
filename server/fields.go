package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// A proxy in front of the server and the server must agree where each request ends; otherwise a caller can send one
// request inside of another, and the proxy gives an answer to the wrong caller (request smuggling). fasthttp accepts
// some headers that others read differently or refuse. This file reads the lines of a header once more, and refuses
// whatever is not plainly RFC 9112: such a request is refused before its body is read, and ends its connection.

// fields is what a header declares about its connection and body, beyond what fasthttp takes from it.
type fields struct {
	close  bool // Connection: close
	expect bool // Expect: 100-continue
	body   bool // a body is announced, which may be empty if it comes in chunks

	length, encoding, authorization bool // a line of that name was read
	coded                           bool // Content-Encoding is not identity
}

// continues is the only expectation that is supported.
const continues = "100-continue"

// fault is why a request is refused before its body is read.
type fault struct {
	rule   *engine.Rule // nil for malformed_request
	detail string
}

var (
	faultVersion = &fault{detail: "only HTTP/1.1 and HTTP/1.0 are supported"}
	faultTarget  = &fault{detail: "the path begins with two slashes, and there is no Host"}
	faultLine    = &fault{detail: "each line must be a name, a colon without space before it, a value, and CR LF"}
	faultHost    = &fault{detail: "Host has a character that no host and port has"}
	faultFraming = &fault{detail: "Content-Length and Transfer-Encoding exclude each other, " +
		"and chunked is the only encoding supported"}
	faultKeys   = &fault{detail: "Authorization is repeated; send one"}
	faultExpect = &fault{&encode.ExpectationFailed, "the only expectation supported is 100-continue"}
	faultCoding = &fault{&encode.UnsupportedMedia, "the body has a Content-Encoding; send it without, as JSON"}
)

// refuse responds with the fault.
func (f *fault) refuse(ctx *fasthttp.RequestCtx) {
	if f.rule == nil {
		rejectMalformed(ctx, "header", f.detail)
		return
	}
	if f.rule == &encode.UnsupportedMedia {
		ctx.Response.Header.Set(fasthttp.HeaderAcceptEncoding, "identity") // RFC 9110, 15.5.16
	}
	reject(ctx, f.rule, f.detail)
}

// readFields reads the lines of a header. fasthttp has already refused empty names, names with bytes other than spaces
// and those of a token, control bytes in values, repeated Host, Content-Length and Transfer-Encoding lines, and lengths
// that are not digits.
func readFields(h *fasthttp.RequestHeader) (f fields, fault *fault) {
	if !h.IsHTTP11() && string(h.Protocol()) != "HTTP/1.0" { // fasthttp treats other versions as 1.0
		return f, faultVersion
	}
	if len(h.Host()) == 0 && bytes.HasPrefix(h.RequestURI(), []byte("//")) { // fasthttp takes what follows for the host
		return f, faultTarget
	}
	for rest := h.RawHeaders(); len(rest) > 0; {
		if string(rest) == "\r\n" {
			break
		}
		end := bytes.IndexByte(rest, '\n')
		colon := bytes.IndexByte(rest[:max(end, 0)], ':')
		if colon <= 0 || rest[end-1] != '\r' {
			return f, faultLine
		}
		name := rest[:colon]
		if name[0] == '\t' || bytes.IndexByte(name, ' ') >= 0 {
			return f, faultLine
		}
		if mayMatter[min(colon, len(mayMatter)-1)] {
			if fault = f.read(name, bytes.Trim(rest[colon+1:end-1], " \t")); fault != nil {
				return f, fault
			}
		}
		rest = rest[end+1:]
	}
	switch {
	case f.length && f.encoding:
		return f, faultFraming
	case f.coded && f.body:
		return f, faultCoding
	}
	return f, nil
}

// mayMatter has the lengths of the names that read looks for. Most lines have others.
var mayMatter = func() (lengths [len("Transfer-Encoding") + 2]bool) {
	for _, name := range []string{"Host", "Expect", "Connection", "Authorization", "Content-Length", "Content-Encoding",
		"Transfer-Encoding"} {
		lengths[len(name)] = true
	}
	return lengths
}()

// read reads one line.
func (f *fields) read(name, value []byte) *fault {
	switch len(name) {
	case len("Host"):
		if named(name, "Host") && !isHost(value) {
			return faultHost
		}
	case len("Expect"):
		if named(name, "Expect") {
			if f.expect = true; !bytes.EqualFold(value, []byte(continues)) {
				return faultExpect
			}
		}
	case len("Connection"):
		if named(name, "Connection") && !bytes.EqualFold(value, []byte("keep-alive")) {
			f.close = f.close || listed(value, "close")
		}
	case len("Authorization"):
		if named(name, "Authorization") {
			if f.authorization {
				return faultKeys
			}
			f.authorization = true
		}
	case len("Content-Length"):
		if named(name, "Content-Length") {
			f.length, f.body = true, len(bytes.Trim(value, "0")) > 0
		}
	case len("Content-Encoding"):
		f.coded = f.coded || named(name, "Content-Encoding") && !bytes.EqualFold(value, []byte("identity"))
	case len("Transfer-Encoding"):
		if named(name, "Transfer-Encoding") {
			if f.encoding, f.body = true, true; !bytes.EqualFold(value, []byte("chunked")) {
				return faultFraming
			}
		}
	}
	return nil
}

// named reports whether a field's name is the given one. Its length is.
func named(name []byte, is string) bool { return bytes.EqualFold(name, []byte(is)) }

// listed reports whether a list has the member, in any spelling. Members are separated by commas, and by spaces as in
// net/http.
func listed(list []byte, member string) bool {
	for one := range bytes.FieldsFuncSeq(list, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
		if bytes.EqualFold(one, []byte(member)) {
			return true
		}
	}
	return false
}

// isHost reports whether a Host has only characters of hosts and ports (RFC 3986, 3.2.2).
func isHost(host []byte) bool {
	for _, c := range host {
		if !hostBytes[c] {
			return false
		}
	}
	return true
}

// hostBytes are the characters of hosts and ports.
var hostBytes = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$%&'()*+,-.:;=[]_~" {
		set[c] = true
	}
	return set
}()
