package server

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// stream is what a client sends on one connection.
type stream struct {
	pieces [][]byte  // as they arrive
	valid  []request // what it means, if it has no fault; otherwise nil
}

// newStream makes a stream of a few requests. Half of the streams are valid. The others have a few faults: in the parts
// that decide where a request ends, or in any byte.
func newStream(r *rand.Rand) *stream {
	s := &stream{}
	w := &writer{Rand: r}
	faults := 0
	if r.IntN(2) == 0 {
		faults = 1 + r.IntN(3)
	}
	n := 1 + r.IntN(4)
	for i := range n {
		w.faults = 0
		if faults > 0 && (i == n-1 || r.IntN(2) == 0) {
			w.faults, faults = faults, 0
		}
		s.valid = append(s.valid, w.request(i == n-1))
	}
	wire := []byte(w.out.String())
	if w.faulty {
		s.valid = nil
		if r.IntN(3) == 0 {
			wire = w.garble(wire)
		}
	}
	for cuts := r.IntN(5); cuts > 0 && len(wire) > 1; cuts-- {
		at := 1 + r.IntN(len(wire)-1)
		s.pieces, wire = append(s.pieces, wire[:at]), wire[at:]
	}
	s.pieces = append(s.pieces, wire)
	return s
}

// writer writes requests.
type writer struct {
	*rand.Rand
	out    strings.Builder
	faults int  // to be put into the request
	faulty bool // there was one
	names  int
}

// one returns one of the texts.
func (w *writer) one(texts ...string) string { return texts[w.IntN(len(texts))] }

// or returns a text that is right, or with some chance one of those that may be wrong.
func (w *writer) or(right string, wrong ...string) string {
	if w.faults == 0 || w.IntN(6) > 0 {
		return right
	}
	w.faults--
	w.faulty = true
	return w.one(wrong...)
}

// account returns a target with a name that no other request has.
func (w *writer) account() string { w.names++; return fmt.Sprintf("/v1/accounts/n%d", w.names) }

// smuggled returns a body that looks like requests, so that a parser that ends the body elsewhere sees one.
func (w *writer) smuggled() string {
	get := "GET " + w.account() + " HTTP/1.1\r\nHost: x\r\n\r\n"
	return w.one("", "{}", get, get+get, "\r\n"+get, "\r\n\r\n"+get, "0\r\n\r\n"+get, "x=1\r\n0\r\n\r\n"+get,
		strings.Repeat(" ", 40)+get)
}

// request writes a request. The last of a connection may end it.
func (w *writer) request(last bool) request {
	q := request{method: w.one("GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"), target: w.account()}
	if q.method == "POST" {
		q.target = w.one("/v1/reservations", "/v1/batch", "/v1/reservations/x/confirm", "/v1/reservations/x/extend",
			"/v1/reservations/x/reduce", "/v1/reservations/x/return")
	}
	w.out.WriteString(w.or("", "\r\n", "\n", "\r\n\r\n", "\r", " ", "\x00"))
	w.out.WriteString(w.or(q.method, "get", "TRACE", "CONNECT", "G T", "", "GET\t", "PRI", "P\x7fST"))
	w.out.WriteString(w.or(" ", "  ", "\t", "", "\r "))
	w.out.WriteString(w.or(q.target, "*", "//x/v1/phases", "http://h/v1/phases", "http://h", "/a b", "/\x01", "/%zz",
		"h:80", "/v1/accounts/a#b", "", "/\xff", "x/v1/batch", "/v1/batch?a=http://b/c"))
	w.out.WriteString(w.or(" ", "  ", "\t", "", " \r"))
	version := w.or("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/1", "HTTP/0.9",
		"HTTP/1.1\x0b", "")
	w.out.WriteString(version)
	w.end()
	body := ""
	if q.method == "POST" || w.IntN(6) == 0 {
		q.body = w.smuggled()
	}
	lines, body := w.framing(q.body, q.method == "POST" || q.body != "")
	lines = append(lines, w.or("Host: x", "Host : x", "host:x", "Host: x\r\nHost: y", "Host:", "Host: a b", "Host: a/b",
		"Host: x,y", "Host: [::1]:80", "Host: \x80", "X: y"))
	lines = append(lines, w.others(last)...)
	w.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for _, line := range lines {
		w.out.WriteString(line)
		w.end()
	}
	w.out.WriteString(w.or("\r\n", "\n", "\r\r\n", "\r", " \r\n", "\n\r\n", "\r\n\r\n", "\t\n"))
	w.out.WriteString(body)
	return q
}

// end ends a line.
func (w *writer) end() {
	w.out.WriteString(w.or("\r\n", "\n", "\r", "\r\r\n", "\n\n", "\r\n ", "\r\n\t", " \r\n", "\x00\r\n", "\r\n\r\n",
		"\n\r"))
}

// framing returns the lines that frame a body, and the body in that frame.
func (w *writer) framing(body string, framed bool) (lines []string, wire string) {
	if !framed {
		return slices.DeleteFunc([]string{w.or("", "Content-Length: 0", "Content-Length: 3", "Transfer-Encoding: chunked")},
			func(line string) bool { return line == "" }), ""
	}
	if w.IntN(2) == 0 {
		n := len(body)
		return w.wrongly(w.or(fmt.Sprintf("Content-Length: %d", n), fmt.Sprintf("Content-Length: +%d", n),
			fmt.Sprintf("Content-Length: %d", n+1+w.IntN(9)), fmt.Sprintf("Content-Length: %d", max(n-1-w.IntN(9), 0)),
			fmt.Sprintf("Content-Length: 0%d", n), fmt.Sprintf("Content-Length: %d, %d", n, n),
			fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d", n, n), fmt.Sprintf("Content-Length:\t%d\t", n),
			fmt.Sprintf("Content-Length: %d\r\nContent-Length: 0", n), fmt.Sprintf("Content-Length : %d", n),
			fmt.Sprintf("Content-Length: 0x%x", n), fmt.Sprintf("Content-Length: -%d", n), "Content-Length:",
			fmt.Sprintf("Content-Length: 1\r\n %d", n), fmt.Sprintf("Content-Length: 18446744073709551616%d", n),
			fmt.Sprintf("Content_Length: %d", n), fmt.Sprintf("content-length:%d", n), fmt.Sprintf("Content-Length: %d;", n),
			fmt.Sprintf("Content-Length: 00000000000000000000000%d", n), fmt.Sprintf("Content-Length: %d\x0b", n),
			fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked", n), fmt.Sprintf("\tContent-Length: %d", n),
		)), body
	}
	return w.wrongly(w.or("Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding: chunked\t",
		"Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding : chunked",
		"Transfer-Encoding: \x0bchunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: xchunked",
		"Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding:",
		"Transfer_Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length: 4", "Content-Length: 4\r\nTransfer-Encoding: chunked",
		"X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", " Transfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTrailer: Content-Length", "Transfer-Encoding: chunke\x00d")), w.chunks(body)
}

// wrongly returns the line, and with some chance another one that frames the body too.
func (w *writer) wrongly(line string) []string {
	lines := []string{line}
	another := w.or("", "Content-Length: 5", "Transfer-Encoding: chunked", "Transfer-Encoding: identity")
	if another != "" {
		lines = append(lines, another)
	}
	return lines
}

// chunks returns a body in chunks.
func (w *writer) chunks(body string) string {
	var out strings.Builder
	for len(body) > 0 {
		n := 1 + w.IntN(len(body))
		size := w.or(fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("0%x", n), fmt.Sprintf("+%x", n),
			fmt.Sprintf("-%x", n), fmt.Sprintf(" %x", n), fmt.Sprintf("%x ", n), fmt.Sprintf("%x\t", n),
			fmt.Sprintf("0x%x", n), fmt.Sprintf("%x", n+1), fmt.Sprintf("%x", n-1), "", "g",
			fmt.Sprintf("1000000000000000%x", n), fmt.Sprintf("00000000000000000000%x", n), fmt.Sprintf("%x,", n))
		size += w.or("", ";a=b", "; a", ";a=\"\r\n\"", ";\n", ";a=b\x00", ";", " ;a", ";\ra", ";\x80")
		size += w.or("\r\n", "\n", "\r", "\r\r\n", " \r\n", "\n\r\n")
		out.WriteString(size + body[:n] + w.or("\r\n", "\n", "", "\r", "\r\n\r\n", "xx", " \r\n"))
		body = body[n:]
	}
	out.WriteString(w.or("0", "00", "000000000000000000000", "0;x", "0 ", "", "-0", "0x0", "+0"))
	out.WriteString(w.or("\r\n", "\n", "\r", "\r\r\n"))
	out.WriteString(w.or("", "T: 1\r\n", "T: 1\n", "T : 1\r\n", " T: 1\r\n", "Content-Length: 3\r\n", "T\r\n",
		"T: \x00\r\n", "Host: y\r\n", "Transfer-Encoding: chunked\r\n", "T: 1\r\n 2\r\n", ": 1\r\n", "T: 1\r\nU: 2\r\n"))
	out.WriteString(w.or("\r\n", "\n", "", "\r", "\r\r\n"))
	return out.String()
}

// others returns lines that do not frame the body.
func (w *writer) others(last bool) []string {
	var lines []string
	if w.IntN(3) == 0 {
		lines = append(lines, w.one("Connection: keep-alive", "Accept: */*", "User-Agent: a", "X-Empty:", "Cookie: a=b",
			"Content-Type: application/json", "Connection: TE"))
	}
	if last && w.IntN(4) == 0 {
		lines = append(lines, w.one("Connection: close", "connection: Close", "Connection: TE, close"))
	}
	if line := w.or("", "Connection: close", "Connection: CLOSE", "Connection: close, TE", "Connection: TE,Close",
		"Connection: close\r\nConnection: keep-alive", "Connection: keep-alive\r\nConnection: close",
		"Connection: \"close\"", "Connection: keep-alive", "Connection: keep-alive, close", "Connection: TE close",
		"Connection : close",
		"Connection: closed", "Expect: 100-continue", "Expect: 100-Continue", "Expect: 200-ok", "expect:100-continue, x",
		"Expect:", "Content-Encoding: gzip", "Content-Encoding: identity", "Content-Encoding:", "Authorization: a",
		"Authorization: a\r\nAuthorization: b", "A b: c", "A\tb: c", "A", ": b", "A(: b", "A\x80: b", "A: \x80", "A: b\rc",
		"A: b\x00", "A: \x7f", "Trailer: T", "Trailer: Host", "Upgrade: h2c\r\nConnection: Upgrade", "A: b\r\n c: d",
		"Proxy-Connection: close", "TE: trailers", "A: "+strings.Repeat("b", 9000), "HTTP2-Settings: x"); line != "" {
		lines = append(lines, line)
	}
	return lines
}

// garble changes bytes anywhere.
func (w *writer) garble(wire []byte) []byte {
	const bytes = "\r\n\r\n \t:;,0123456789abcfxX\x00\x0b\x7f\x80\xff/-"
	for n := 1 + w.IntN(3); n > 0 && len(wire) > 2; n-- {
		at, to := w.IntN(len(wire)), w.IntN(len(wire))
		switch b := bytes[w.IntN(len(bytes))]; w.IntN(5) {
		case 0:
			wire = slices.Insert(slices.Clone(wire), at, b)
		case 1:
			wire = slices.Delete(slices.Clone(wire), at, at+1)
		case 2:
			wire = slices.Clone(wire)
			wire[at] = b
		case 3:
			wire = append(slices.Clone(wire[:at]), wire[to:]...)
		case 4:
			wire = slices.Insert(slices.Clone(wire), at, slices.Clone(wire[min(at, to):max(at, to)])...)
		}
	}
	return wire
}
