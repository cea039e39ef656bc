package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/server/internal/encode"
)

const patience = 10 * time.Second // for a response in a test

// raw sends bytes unchanged and returns the first response.
func (f *fixture) raw(request string) *answer {
	f.t.Helper()
	c := f.dial()
	defer c.Close() // an error of Close does not matter
	_, err := io.WriteString(c, request)
	require.NoError(f.t, err)
	return f.readAnswer(bufio.NewReader(c))
}

func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c := must(net.Dial("tcp", f.address))(f.t)
	if f.secure != nil {
		c = tls.Client(c, f.secure)
	}
	require.NoError(f.t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

func (f *fixture) readAnswer(r *bufio.Reader) *answer {
	f.t.Helper()
	response, err := http.ReadResponse(r, nil)
	require.NoError(f.t, err)
	body := must(io.ReadAll(response.Body))(f.t)
	require.NoError(f.t, response.Body.Close())
	a := &answer{status: response.StatusCode, header: response.Header, body: body, last: response.Close}
	if len(body) > 0 {
		require.NoError(f.t, json.Unmarshal(body, &a.json), "%s", body)
	}
	if a.status >= 400 {
		require.Equal(f.t, encode.ProblemType, a.header.Get("Content-Type"))
		contract.checkProblem(f.t, a.code(), body)
	}
	return a
}

// on records a raw response as one of an operation of the document.
func (a *answer) on(o operation) *answer {
	contract.note(o.name+" "+http.StatusText(a.status), &contract.answered)
	return a
}

const validBody = `{"account":"w","lines":[{"session":"SWM01","category":"A","quantity":1}]}`

// TestBadHTTP checks that bytes that are not a valid request get a 400 or 413 as problem+json.
func TestBadHTTP(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	const bad, large = "malformed_request", "payload_too_large"
	post := "POST /v1/reservations HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct{ request, code, where string }{
		"length and encoding": {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			bad, "header"},
		"encoding and length": {post + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
			bad, "header"},
		"identity and length":   {post + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", bad, "header"},
		"identity":              {post + "Transfer-Encoding: identity\r\n\r\n", bad, "header"},
		"gzip, chunked":         {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", bad, "request"},
		"two lengths":           {post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", bad, "request"},
		"two different lengths": {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", bad, "request"},
		"two encodings": {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			bad, "request"},
		"list of lengths":        {post + "Content-Length: 2, 2\r\n\r\n{}", bad, "request"},
		"negative length":        {post + "Content-Length: -2\r\n\r\n{}", bad, "request"},
		"hexadecimal length":     {post + "Content-Length: 0x2\r\n\r\n{}", bad, "request"},
		"length with a sign":     {post + "Content-Length: +2\r\n\r\n{}", bad, "request"},
		"space before the colon": {post + "Content-Length : 2\r\n\r\n{}", bad, "request"},
		"encoding in HTTP/1.0": {"POST /v1/reservations HTTP/1.0\r\nHost: x\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad, "request"},
		"bad chunk size": {post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", bad, "request"},
		"bad chunk end":  {post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n", bad, "request"},
		"chunks beyond the limit": {post + "Transfer-Encoding: chunked\r\n\r\nffff\r\n" + strings.Repeat(" ", 0x5000),
			large, ""},
		"a chunk of 2^59": {post + "Transfer-Encoding: chunked\r\n\r\n800000000000000\r\n" + strings.Repeat(" ", 0x5000),
			large, ""},
		"length beyond the limit": {post + "Content-Length: 16385\r\n\r\n", large, ""},
		"a length of gigabytes":   {post + "Content-Length: 9000000000000000000\r\n\r\n{}", large, ""},
		"a length beyond 64 bits": {post + "Content-Length: 99999999999999999999\r\n\r\n{}", bad, "request"},
		"expecting beyond it":     {post + "Content-Length: 16385\r\nExpect: 100-continue\r\n\r\n", large, ""},
		"no Host":                 {"GET /v1/phases HTTP/1.1\r\n\r\n", bad, "request"},
		"two Hosts":               {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", bad, "request"},
		"header too large": {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nX: " +
			strings.Repeat("x", MaxHeader) + "\r\n\r\n", bad, "header"},
		"path too long": {"GET /" + strings.Repeat("x", MaxHeader) + " HTTP/1.1\r\nHost: x\r\n\r\n",
			bad, "header"},
		"no HTTP":                  {"hello, is this the box office?\r\n\r\n", bad, "request"},
		"no version":               {"GET /v1/phases\r\n\r\n", bad, "request"},
		"HTTP/2 in the clear":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bad, "header"},
		"TLS to a plain port":      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", bad, "request"},
		"control byte in the path": {"GET /v1/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", bad, "request"},
		"control byte in a header": {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", bad, "request"},
		"bad percent sign":         {"GET /v1/accounts/a%zz HTTP/1.1\r\nHost: x\r\n\r\n", bad, "path"},
		"percent sign at the end":  {"GET /v1/accounts/a%4 HTTP/1.1\r\nHost: x\r\n\r\n", bad, "path"},
		"space in a name":          {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nX Y: 1\r\n\r\n", bad, "header"},
		"colon in front":           {"GET /v1/phases HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n", bad, "request"},
		"bracket in a name":        {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nX[: 1\r\n\r\n", bad, "request"},
		"continued line":           {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n", bad, "header"},
		"line feed in a header":    {"GET /v1/phases HTTP/1.1\r\nHost: x\nX: 1\r\n\r\n", bad, "header"},
		"header ended by line feeds": {"POST /v1/batch HTTP/1.1\nHost: x\nContent-Length: 9\n\nxxxxx\r\n\r\n", bad,
			"header"},
		"two slashes":             {"GET //a/v1/phases HTTP/1.1\r\nHost: x\r\n\r\n", "not_found", ""},
		"two slashes and no Host": {"GET //a/v1/phases HTTP/1.0\r\n\r\n", bad, "header"},
		"two keys": {"GET /v1/phases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer a\r\n\r\n",
			bad, "header"},
		"bad Host":      {"GET /v1/phases HTTP/1.1\r\nHost: a/b\r\n\r\n", bad, "request"},
		"a user's Host": {"GET /v1/phases HTTP/1.1\r\nHost: a@b\r\n\r\n", bad, "header"},
		"empty Host":    {"GET /v1/phases HTTP/1.1\r\nHost:\r\n\r\n", bad, "request"},
		"HTTP/1.2":      {"GET /v1/phases HTTP/1.2\r\nHost: x\r\n\r\n", bad, "header"},
		"gzip":          {post + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "unsupported_media_type", ""},
		"gzip in chunks": {post + "Transfer-Encoding: chunked\r\nContent-Encoding: GZIP\r\n\r\n0\r\n\r\n",
			"unsupported_media_type", ""},
		"unknown expectation": {post + "Expect: tickets\r\nContent-Length: 2\r\n\r\n{}", "expectation_failed", ""},
		"one unknown of two": {post + "Expect: 100-continue, tickets\r\nContent-Length: 2\r\n\r\n{}",
			"expectation_failed", ""},
		"chunk size with a sign":  {post + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n", bad, "request"},
		"chunk size with a space": {post + "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n", bad, "request"},
		"chunk size beyond 64 bits": {post + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
			bad, "request"},
		"chunk size ended by a line feed": {post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", bad, "request"},
		"a trace":                         {"TRACE /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n", "method_not_allowed", ""},
		"another method":                  {"BREW /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n", "method_not_allowed", ""},
		"the server itself":               {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "not_found", ""},
		"a tunnel":                        {"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", "not_found", ""},
		"the path leads out":              {"GET /v1/sessions/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "not_found", ""},
		"bad UTF-8 in a body":             {post + "Content-Length: 14\r\n\r\n{\"account\":\"\xff\"", bad, "body"},
		"bad UTF-8 in a name":             {post + "Content-Length: 8\r\n\r\n{\"\xff\":\"a\"", bad, "body"},
		"a form": {post +
			"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n\r\n--x--", bad, "body"},
		"byte order mark": {post + "Content-Length: 5\r\n\r\n\xef\xbb\xbf{}", bad, "body"},
		"ten thousand deep, bodies": {post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 10_000,
			strings.Repeat("[", 10_000)), bad, "body"},
		"ten thousand deep, lines": {post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 10_009,
			`{"lines":`+strings.Repeat("[", 10_000)), bad, "lines[0]"},
		"ten thousand deep, unknown": {post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 10_005,
			`{"x":`+strings.Repeat("[", 10_000)), bad, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *f
			sub.t = t
			a := sub.raw(c.request)
			require.Equal(t, c.code, a.code(), "%s", a.body)
			if c.where != "" {
				require.Equal(t, c.where, a.json["where"], "%s", a.body)
			}
		})
	}
	require.Equal(t, json.Number("90"), f.get("/v1/sessions/SWM01").json["pools"].([]any)[0].(map[string]any)["available"])
}

// TestGoodHTTP checks requests that are unusual but valid.
func TestGoodHTTP(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	head := "POST /v1/reservations HTTP/1.1\r\nHost: x\r\n"
	half := len(validBody) / 2
	chunked := fmt.Sprintf("%x;note=1\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n", half, validBody[:half],
		len(validBody)-half, validBody[half:])
	require.Equal(t, 201, f.raw(head+"Transfer-Encoding: Chunked\r\n\r\n"+chunked).status)
	padded := validBody + strings.Repeat(" ", maxBody-len(validBody))
	require.Equal(t, 201, f.raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", maxBody, padded)).status)
	require.Equal(t, 200, f.raw("GET http://elsewhere/v1/phases HTTP/1.1\r\nHost: x\r\n\r\n").status)
	require.Equal(t, 200, f.raw("GET /v1/phases?a=b#c HTTP/1.1\r\nHost: x\r\n\r\n").status)
	require.Equal(t, 200, f.raw("GET /v1/phases HTTP/1.0\r\n\r\n").status)

	// The client sends the body after 100 Continue.
	c := f.dial()
	defer c.Close() // an error of Close does not matter
	r := bufio.NewReader(c)
	_, err := fmt.Fprintf(c, "%sContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", head, len(validBody))
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", must(r.ReadString('\n'))(t))
	require.Equal(t, "\r\n", must(r.ReadString('\n'))(t))
	_, err = io.WriteString(c, validBody)
	require.NoError(t, err)
	require.Equal(t, 201, f.readAnswer(r).status)
}

// TestLastRequest checks which requests end their connection, and that the others do not.
func TestLastRequest(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	for lines, last := range map[string]bool{
		"HTTP/1.1":                                       false,
		"HTTP/1.1|Connection: keep-alive":                false,
		"HTTP/1.1|Connection: closed":                    false,
		"HTTP/1.1|Connection: close":                     true,
		"HTTP/1.1|connection: CLOSE":                     true,
		"HTTP/1.1|Connection: Close ":                    true,
		"HTTP/1.1|Connection: TE, Close":                 true,
		"HTTP/1.1|Connection: close\t,keep-alive":        true,
		"HTTP/1.1|Connection: keep-alive close":          true,
		"HTTP/1.1|Connection: ,close,":                   true,
		"HTTP/1.1|Connection: close|Connection: TE":      true,
		"HTTP/1.1|Connection: TE|X: y|Connection: Close": true,
		"HTTP/1.0":                               true,
		"HTTP/1.0|Connection: close":             true,
		"HTTP/1.0|Connection: close, keep-alive": true,
		"HTTP/1.0|Connection: Keep-Alive":        false,
		"HTTP/1.0|Connection: TE, keep-alive":    false,
	} {
		c := f.dial()
		request := "GET /v1/accounts/a " + strings.ReplaceAll(lines, "|", "\r\n") + "\r\nHost: x\r\n\r\n"
		_, err := io.WriteString(c, strings.Repeat(request, 3))
		require.NoError(t, err)
		r := bufio.NewReader(c)
		require.Equal(t, last, f.readAnswer(r).last, lines)
		if last {
			require.Empty(t, must(io.ReadAll(r))(t), lines)
		} else {
			require.False(t, f.readAnswer(r).last, lines)
		}
		require.NoError(t, c.Close())
	}
}

// TestWebPages checks that a server without keys sells nothing to a web page, and one with keys does not look.
func TestWebPages(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	locked := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader("sell " + sellKey)))(t) })
	for _, lines := range []string{"Host: evil.example", "Host: 127.0.0.1\r\nOrigin: https://evil.example",
		"Host: localhost:1\r\nOrigin: http://localhost:2", "Host: x\r\nSec-Fetch-Site: cross-site"} {
		page := fmt.Sprintf("POST /v1/reservations HTTP/1.1\r\n%s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n",
			lines, len(validBody))
		require.Equal(t, "forbidden", f.raw(page+"\r\n"+validBody).code(), lines)
		require.Equal(t, 201, locked.raw(page+"Authorization: Bearer "+sellKey+"\r\n\r\n"+validBody).status, lines)
		require.Equal(t, "forbidden", f.raw("GET /v1/accounts/w HTTP/1.1\r\n"+lines+"\r\n\r\n").code(), lines)
		require.Equal(t, "forbidden", f.raw("OPTIONS /v1/batch HTTP/1.1\r\n"+lines+"\r\n\r\n").code(), lines)
	}
	form := "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	require.Equal(t, 201, f.raw(form+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(validBody), validBody)).status,
		"curl -d")
}

// TestExpectation checks who is sent 100 Continue.
func TestExpectation(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	length := fmt.Sprintf("\r\nContent-Length: %d\r\nHost: x\r\n\r\n%s", len(validBody), validBody)
	for request, continued := range map[string]bool{
		"POST /v1/reservations HTTP/1.1\r\nExpect: 100-continue" + length:                               true,
		"POST /v1/reservations HTTP/1.1\r\nexpect: 100-Continue " + length:                              true,
		"POST /v1/reservations HTTP/1.0\r\nExpect: 100-continue" + length:                               false,
		"POST /v1/reservations HTTP/1.1" + length:                                                       false,
		"GET /v1/phases HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n":                            false,
		"GET /v1/phases HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 00\r\n\r\n":      false,
		"POST /v1/batch HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n": false,
	} {
		c := f.dial()
		_, err := io.WriteString(c, request)
		require.NoError(t, err)
		r := bufio.NewReader(c)
		line := must(r.Peek(12))(t)
		require.Equal(t, continued, string(line) == "HTTP/1.1 100", "%s: %s", request, line)
		if continued {
			_ = must(r.Discard(len("HTTP/1.1 100 Continue\r\n\r\n")))(t)
		}
		require.NotEqual(t, 100, f.readAnswer(r).status)
		require.NoError(t, c.Close())
	}
}

// TestPipelining checks that pipelined requests are answered in order, including refusals.
func TestPipelining(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	c := f.dial()
	defer c.Close() // an error of Close does not matter
	var all strings.Builder
	const rounds = 100
	for i := range rounds {
		fmt.Fprintf(&all, "GET /v1/accounts/n%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		fmt.Fprintf(&all, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	}
	go func() { _, _ = io.WriteString(c, all.String()) }() // a failure shows when the answers are read
	r := bufio.NewReader(c)
	for i := range rounds {
		require.Equal(t, fmt.Sprintf("n%d", i), f.readAnswer(r).json["account"])
		require.Equal(t, "malformed_request", f.readAnswer(r).code())
	}
}

// TestHalfARequest checks that a client that ends in the middle of a pipelined request receives the responses to those
// before it.
func TestHalfARequest(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	for _, half := range []string{"GET /v1/phases HTTP/1.1\r\nHost:",
		"GET /v1/phases HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n",
		"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{",
		"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"} {
		c := f.dial()
		_, err := io.WriteString(c, strings.Repeat("GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n", 2)+half)
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		r := bufio.NewReader(c)
		for range 2 {
			require.Equal(t, 200, f.readAnswer(r).status, half)
		}
		require.Equal(t, "malformed_request", f.readAnswer(r).code(), half)
		require.NoError(t, c.Close())
	}
}

// TestSlowRequests checks that a slow request times out, and that a client that sends nothing receives nothing.
func TestSlowRequests(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.ReadTimeout, o.IdleTimeout = 150*time.Millisecond, 150*time.Millisecond })
	for name, begin := range map[string]string{
		"header": "POST /v1/reservations HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"chunk":  "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial()
			defer c.Close() // an error of Close does not matter
			_, err := io.WriteString(c, begin)
			require.NoError(t, err)
			began, stop := time.Now(), make(chan struct{})
			defer close(stop)
			go trickle(c, stop)
			sub := *f
			sub.t = t
			require.Equal(t, "malformed_request", sub.readAnswer(bufio.NewReader(c)).code())
			require.Less(t, time.Since(began), 3*time.Second)
		})
	}
	c := f.dial()
	defer c.Close() // an error of Close does not matter
	require.Empty(t, must(io.ReadAll(c))(t))
}

// A connection may be idle before its first request for as long as between later ones: gateways connect in advance.
// From its first byte on, the first request has the time of every request.
func TestIdleBeforeTheFirstRequest(t *testing.T) {
	const readTimeout = 500 * time.Millisecond
	plain := start(t, func(o *Options) { o.ReadTimeout = readTimeout })
	for name, f := range map[string]*fixture{"plain": plain, "TLS": plain.overTLS()} {
		t.Run(name, func(t *testing.T) {
			early, slow := f.dial(), f.dial()
			defer early.Close()
			defer slow.Close()
			if secure, ok := early.(*tls.Conn); ok {
				require.NoError(t, secure.Handshake())
				require.NoError(t, slow.(*tls.Conn).Handshake())
			}
			time.Sleep(readTimeout * 3 / 2)
			f.send(early, "GET", "/v1/phases", "")
			require.Equal(t, http.StatusOK, f.readAnswer(bufio.NewReader(early)).status)

			began := time.Now()
			must(io.WriteString(slow, "GET /v1/phases HT"))(t)
			a := f.readAnswer(bufio.NewReader(slow))
			require.Equal(t, http.StatusBadRequest, a.status)
			require.True(t, a.last)
			require.GreaterOrEqual(t, time.Since(began), readTimeout*9/10)
			require.Less(t, time.Since(began), 10*time.Second)
		})
	}
}

// trickle sends single bytes slowly, as attackers do.
func trickle(c net.Conn, stop chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
		}
	}
}

// TestAnnouncedBodies checks that bodies that are announced and not sent cost at most the limit each, and one beyond
// the limit nothing.
func TestAnnouncedBodies(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	const connections = 200
	before := liveHeap()
	for _, announced := range []int{maxBody, 1 << 30} {
		for range connections {
			c := f.dial()
			defer c.Close() // an error of Close does not matter
			_, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", announced)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 200, f.get("/v1/phases").status)
	const each = maxBody + MaxHeader + 16<<10 // body, buffers, and the connection's own state
	require.Less(t, liveHeap()-before, int64(2*connections*each))
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRefusalReachesASendingClient checks that a client that is still sending a body that is too large can read the
// refusal, and its connection is not reset.
func TestRefusalReachesASendingClient(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	for range 20 {
		c := f.dial()
		_, err := io.WriteString(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
		require.NoError(t, err)
		_, err = c.Write(bytes.Repeat([]byte(" "), 500_000))
		require.NoError(t, err)
		require.Equal(t, "payload_too_large", f.readAnswer(bufio.NewReader(c)).code())
		require.NoError(t, c.Close())
	}
}

// TestTooManyConnections checks that a connection beyond the limit is refused, and that closed ones make room.
func TestTooManyConnections(t *testing.T) {
	noLeaks(t)
	const limit = 8
	f := start(t, func(o *Options) { o.MaxConnections = limit })
	open := make([]net.Conn, limit)
	for i := range open {
		c := f.dial()
		open[i] = c
		_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, 200, f.readAnswer(bufio.NewReader(c)).status)
	}
	beyond := f.dial()
	a := f.readAnswer(bufio.NewReader(beyond))
	require.Equal(t, "overloaded", a.code())
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.NoError(t, beyond.Close())
	for _, c := range open {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool {
		c := f.dial()
		defer c.Close() // an error of Close does not matter
		if _, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return false
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		return err == nil && line == "HTTP/1.1 200 OK\r\n"
	}, patience, 5*time.Millisecond)
}
