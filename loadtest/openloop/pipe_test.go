package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func answerText(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nServer: x\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status),
		len(body), body)
}

var testWriter = &writer{pools: []string{`"}`}, header: "Host: x\r\n"}

// Every answer reaches the request it belongs to, however the bytes arrive, with and without the short cut for
// refusals.
func TestReadAssignsAnswersInOrder(t *testing.T) {
	type answer struct {
		status int
		body   string
	}
	for name, arrive := range map[string]func(io.Reader) io.Reader{
		"at once":         func(r io.Reader) io.Reader { return r },
		"in single bytes": iotest.OneByteReader,
		"in halves":       iotest.HalfReader,
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				answers := rapid.SliceOf(rapid.SampledFrom([]answer{{201, `{"id":1}`}, {200, ""}, {409, `{"code":"sold_out"}`},
					{503, `{"code":"overloaded"}`}, {503, `{"code":"overloaded"} `}})).Draw(t, "answers")
				var text strings.Builder
				p := &pipe{}
				for n, a := range answers {
					text.WriteString(answerText(a.status, a.body))
					require.True(t, p.put(testWriter, sent{n: uint64(n)}))
				}
				p.in = bufio.NewReader(arrive(strings.NewReader(text.String())))
				n := 0
				require.Equal(t, io.EOF, p.read(func(s sent, status int, body []byte) {
					require.Equal(t, uint64(n), s.n)
					require.Equal(t, answers[n].status, status)
					if status != http.StatusServiceUnavailable {
						require.Equal(t, answers[n].body, string(body))
					}
					n++
					require.Equal(t, len(answers)-n, p.pending())
				}))
				require.Len(t, answers, n)
			})
		})
	}
}

func TestReadReportsMalformedAnswers(t *testing.T) {
	for text, message := range map[string]string{
		"nonsense\r\n":                                 "not an HTTP status line",
		"HTTP/1.1 abc\r\n":                             "not an HTTP status line",
		"HTTP/1.1 200 OK\r\n\r\n":                      "without Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n": "not a valid Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n": "EOF",
		answerText(200, "") + answerText(200, ""):      "without a request",
	} {
		p := &pipe{in: bufio.NewReader(strings.NewReader(text))}
		require.True(t, p.put(testWriter, sent{}))
		require.ErrorContains(t, p.read(func(sent, int, []byte) {}), message)
	}
}

// What a connection does not accept stays in the pipe in order, up to a limit, and flush never blocks.
func TestFlushKeepsWhatIsNotAccepted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	p, err := dial(t.Context(), ln.Addr().String())
	require.NoError(t, err)
	server, err := ln.Accept()
	require.NoError(t, err)
	defer server.Close()

	var want []byte
	n := uint64(0)
	for ; p.put(testWriter, sent{kind: reading, n: n}); n++ {
		want = testWriter.append(want, reading, n)
		if n%10_000 == 0 {
			p.flush() // the server does not read yet: its buffers fill up
		}
	}
	require.Greater(t, len(p.out), maxUnsent, "put refuses only over the limit")
	require.Equal(t, int(n), p.pending())

	got := make(chan []byte)
	go func() {
		var b bytes.Buffer
		_, _ = io.CopyN(&b, server, int64(len(want)))
		got <- b.Bytes()
	}()
	require.Eventually(t, func() bool { p.flush(); return len(p.out) == 0 }, time.Minute, time.Microsecond)
	require.True(t, bytes.Equal(want, <-got))
	require.NoError(t, p.conn.Close())
	p.put(testWriter, sent{})
	p.flush()
	require.Error(t, p.lost)
	require.False(t, p.put(testWriter, sent{}), "a lost connection accepts no requests")
}
