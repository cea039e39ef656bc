package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func readerOf(text string) *answerReader {
	return &answerReader{in: bufio.NewReaderSize(strings.NewReader(text), readBuffer)}
}

// Answers in sequence are framed as net/http frames them, however the bytes arrive.
func TestAnswersAreFramedAsNetHTTPDoes(t *testing.T) {
	arrivals := map[string]func(io.Reader) io.Reader{
		"at once":         func(r io.Reader) io.Reader { return r },
		"in single bytes": iotest.OneByteReader,
		"in halves":       iotest.HalfReader,
	}
	for name, arrive := range arrivals {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var text strings.Builder
				count := rapid.IntRange(1, 5).Draw(t, "answers")
				for range count {
					status := rapid.SampledFrom([]int{200, 201, 304, 409, 503}).Draw(t, "status")
					body := strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 300, keptBody, 3 * keptBody}).Draw(t, "size"))
					fmt.Fprintf(&text, "HTTP/1.1 %d Some Reason\r\nServer: s\r\n", status)
					switch {
					case status == 304:
						text.WriteString("\r\n")
					case rapid.Bool().Draw(t, "chunked"):
						text.WriteString("transfer-encoding: Chunked\r\n\r\n")
						for rest := body; rest != ""; {
							n := min(len(rest), rapid.IntRange(1, 900).Draw(t, "chunk"))
							fmt.Fprintf(&text, "%x\r\n%s\r\n", n, rest[:n])
							rest = rest[n:]
						}
						text.WriteString("0\r\n\r\n")
					default:
						fmt.Fprintf(&text, "content-LENGTH: %d\r\nRetry-After: 2\r\nConnection: close\r\n\r\n%s", len(body), body)
					}
				}
				ours := &answerReader{in: bufio.NewReaderSize(arrive(strings.NewReader(text.String())), readBuffer)}
				theirs := bufio.NewReader(strings.NewReader(text.String()))
				for range count {
					want, err := http.ReadResponse(theirs, nil)
					require.NoError(t, err)
					body, err := io.ReadAll(want.Body)
					require.NoError(t, err)
					got, err := ours.read()
					require.NoError(t, err)
					require.NoError(t, want.Body.Close())
					require.Equal(t, want.StatusCode, got.status)
					require.EqualValues(t, len(body), got.size)
					require.Equal(t, string(body[:min(len(body), keptBody)]), string(got.body))
					require.Equal(t, want.Close, got.closes)
					if want.Header.Get("Retry-After") != "" {
						require.Equal(t, 2*time.Second, got.retryAfter)
					}
				}
				_, err := ours.read()
				require.Equal(t, io.EOF, err, "nothing is left")
			})
		})
	}
}

func TestOddAnswersAreErrors(t *testing.T) {
	const ok, end = "HTTP/1.1 200 OK\r\n", "\r\n\r\n"
	for text, message := range map[string]string{
		"nonsense" + end:                                                  "not a status line",
		"HTTP/1.0 200 OK" + end:                                           "not a status line",
		"HTTP/1.1 2x0 OK" + end:                                           "not the status of a final answer",
		"HTTP/1.1 100 Continue" + end:                                     "not the status of a final answer",
		"HTTP/1.1 200 OK\nA: b" + end:                                     "does not end with one CR LF",
		ok + "A: b\r\r\n\r\n":                                             "does not end with one CR LF",
		ok + "\r\n":                                                       "without Content-Length",
		ok + "Content-Length: x" + end:                                    "Content-Length: x",
		ok + "Content-Length: -1" + end:                                   "Content-Length: -1",
		ok + "Content-Length: +1" + end:                                   "Content-Length: +1",
		ok + "Content-Length:" + end:                                      "Content-Length:",
		ok + "Content-Length : 1" + end:                                   "not a field",
		ok + "no colon" + end:                                             "not a field",
		ok + "Retry-After: soon" + end:                                    "not a number of seconds",
		ok + "Transfer-Encoding: br" + end:                                "Transfer-Encoding",
		ok + "Content-Length: 1\r\nContent-Length: 1" + end:               "after a length of 1",
		ok + "Content-Length: 1\r\nTransfer-Encoding: chunked" + end:      "Content-Length and Transfer-Encoding",
		ok + "Transfer-Encoding: chunked" + end + "x\r\n":                 "not the size of a chunk",
		ok + "Transfer-Encoding: chunked" + end + "1\r\nxy\r\n0" + end:    "after a chunk",
		ok + "Transfer-Encoding: chunked" + end + "0\r\nTrailer: x" + end: "after the last chunk",
		ok + "A: " + strings.Repeat("x", readBuffer) + end:                "a line of more than",
		ok + "Content-Length: 12345678901234567890123" + end:              "Content-Length",
	} {
		_, err := readerOf(text).read()
		var bad malformed
		require.True(t, errors.As(err, &bad), "%q: %v", text, err)
		require.ErrorContains(t, err, message)
	}
	for _, text := range []string{"H", ok, ok + "Content-Length: 5\r\n", ok + "Content-Length: 5" + end + "1234",
		ok + "Transfer-Encoding: chunked" + end + "5\r\n12"} {
		_, err := readerOf(text).read()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%q", text)
	}
}

func TestCodeOf(t *testing.T) {
	for want, a := range map[string]answer{
		"ok":         {status: 201},
		"overloaded": {status: 503, body: []byte(`{"status":503,"code":"overloaded"}`)},
		"sold_out":   {status: 409, body: []byte(`{"code":"sold_out","session":"A"}`)},
		"status 502": {status: 502, body: []byte(`Bad Gateway`)},
	} {
		require.Equal(t, want, codeOf(a))
	}
}
