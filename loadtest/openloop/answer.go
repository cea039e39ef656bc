package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// keptBody is how much of an answer's body is kept; the rest is read and dropped.
const keptBody = 2 << 10

// answer is an answer of the server. Its body is valid until the next one is read.
type answer struct {
	status     int
	retryAfter time.Duration // 0 without
	closes     bool          // the server closes the connection
	etag       string        // only where the reader keeps it
	body       []byte        // the first keptBody bytes
	size       int64         // of the whole body
}

// malformed is an answer that is not unambiguous HTTP/1.1. Unlike a lost connection, it is a fault of the server.
type malformed struct{ what string }

func (m malformed) Error() string { return "the server's answer is malformed: " + m.what }

func malformedf(format string, facts ...any) error { return malformed{fmt.Sprintf(format, facts...)} }

// answerReader reads the answers on a connection. It frames them by Content-Length or by chunks, and takes whatever is
// odd for an error: two lengths, a bare line feed, a header without a colon.
type answerReader struct {
	in       *bufio.Reader
	keepETag bool
	body     []byte
}

// framing is how an answer's end is found.
type framing struct {
	length  int64 // -1 if not announced
	chunked bool
}

// read reads one answer. An interim answer (1xx) is malformed: no request that is sent calls for one.
func (r *answerReader) read() (a answer, err error) {
	line, err := r.line()
	if err != nil {
		return a, err
	}
	if a.status, err = statusOf(line); err != nil {
		return a, err
	}
	f := framing{length: -1}
	for {
		if line, err = r.line(); err != nil {
			return a, inside(err)
		}
		if len(line) == 0 {
			break
		}
		if err = r.field(line, &a, &f); err != nil {
			return a, err
		}
	}
	r.body = r.body[:0]
	switch {
	case a.status == 304 || a.status == 204:
	case f.chunked && f.length >= 0:
		err = malformedf("Content-Length and Transfer-Encoding")
	case f.chunked:
		a.size, err = r.chunks()
	case f.length < 0:
		err = malformedf("status %d without Content-Length", a.status)
	default:
		a.size = f.length
		err = r.take(f.length)
	}
	a.body = r.body
	return a, inside(err)
}

// inside turns the end of the stream within an answer into the error that it is.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line reads a line that ends with CR LF, and returns it without them.
func (r *answerReader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, malformedf("a line of more than %d bytes", r.in.Size())
	case err != nil && len(line) > 0:
		return nil, inside(err)
	case err != nil:
		return nil, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.IndexByte(text, '\r') >= 0 {
		return nil, malformedf("the line %q does not end with one CR LF", line)
	}
	return text, nil
}

// statusOf parses a status line.
func statusOf(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 || rest[3] != ' ' {
		return 0, malformedf("%q is not a status line of HTTP/1.1", line)
	}
	status, ok := number(rest[:3])
	if !ok || status < 200 || status > 599 {
		return 0, malformedf("%q is not the status of a final answer", line)
	}
	return int(status), nil
}

// number parses digits and nothing else.
func number(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, len(text) > 0 && len(text) < 16
}

// field reads one field of the header.
func (r *answerReader) field(line []byte, a *answer, f *framing) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return malformedf("%q is not a field of a header", line)
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-length"):
		n, ok := number(value)
		if !ok || f.length >= 0 {
			return malformedf("%q, after a length of %d", line, f.length)
		}
		f.length = n
	case is(name, "transfer-encoding"):
		if !is(value, "chunked") || f.chunked {
			return malformedf("%q", line)
		}
		f.chunked = true
	case is(name, "connection"):
		a.closes = is(value, "close")
	case is(name, "retry-after"):
		n, ok := number(value)
		if !ok {
			return malformedf("%q is not a number of seconds", line)
		}
		a.retryAfter = time.Duration(n) * time.Second
	case r.keepETag && is(name, "etag"):
		a.etag = string(value)
	}
	return nil
}

// is compares without regard to case. lower has lower-case letters only.
func is(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// take reads n bytes of a body.
func (r *answerReader) take(n int64) error {
	if keep := min(n, int64(keptBody-len(r.body))); keep > 0 {
		at := len(r.body)
		r.body = append(r.body, make([]byte, keep)...)
		if _, err := io.ReadFull(r.in, r.body[at:]); err != nil {
			return err
		}
		n -= keep
	}
	for n > 0 {
		dropped, err := r.in.Discard(int(min(n, 1<<20)))
		if err != nil {
			return err
		}
		n -= int64(dropped)
	}
	return nil
}

// chunks reads a body in chunks and returns its size.
func (r *answerReader) chunks() (size int64, err error) {
	for {
		line, err := r.line()
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return 0, malformedf("%q is not the size of a chunk", line)
		}
		if n == 0 {
			if line, err = r.line(); err == nil && len(line) > 0 {
				err = malformedf("%q after the last chunk", line)
			}
			return size, err
		}
		if err = r.take(int64(n)); err != nil {
			return 0, err
		}
		if line, err = r.line(); err != nil {
			return 0, err
		}
		if len(line) > 0 {
			return 0, malformedf("%q after a chunk", line)
		}
		size += int64(n)
	}
}

// codeOf returns the result code of an answer: ok, the refusal's code, or the status where there is none.
func codeOf(a answer) string {
	if a.status < 300 {
		return "ok"
	}
	if _, rest, found := bytes.Cut(a.body, []byte(`"code":"`)); found {
		if code, _, found := bytes.Cut(rest, []byte(`"`)); found {
			if string(code) == overloaded {
				return overloaded
			}
			return string(code)
		}
	}
	return fmt.Sprintf("status %d", a.status)
}

// overloaded is the code of a refusal because of load.
const overloaded = "overloaded"
