package operator

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestConnectionsAreBounded checks that a new connection displaces the one that has been without a request for longest,
// and never one with a request.
func TestConnectionsAreBounded(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const limit = 3
			begun, end := make(chan struct{}), make(chan struct{})
			all := &connections{limit: limit, idle: map[net.Conn]time.Time{}}
			port := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					begun <- struct{}{}
					<-end
				}
			}))
			port.Config.ConnState = all.note
			if secure {
				port.StartTLS()
			} else {
				port.Start()
			}
			defer port.Close()
			idle := func(n int) {
				require.Eventually(t, func() bool { return all.withoutRequest() == n }, time.Minute, time.Millisecond)
			}
			dial := func() *client {
				c, err := net.Dial("tcp", port.Listener.Addr().String())
				require.NoError(t, err)
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
				if secure {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of a test
				}
				t.Cleanup(func() { _ = c.Close() }) // it may be closed
				return &client{t, c, bufio.NewReader(c)}
			}
			first := dial()
			first.exchange("/")
			idle(1)
			var others []*client
			for range limit {
				c := dial()
				c.send("/slow")
				<-begun
				others = append(others, c)
			}
			first.closed()
			dial().closed() // since all have a request
			close(end)
			for _, c := range others {
				c.complete()
			}
			idle(limit)
			for _, c := range others {
				c.exchange("/")
				idle(limit)
			}
			dial().exchange("/")
			others[0].closed()
			for _, c := range others[1:] {
				c.exchange("/")
			}
		})
	}
}

// TestProbesFindRoom checks that a probe is answered while others hold as many connections as the port keeps.
func TestProbesFindRoom(t *testing.T) {
	port := New(Options{Ready: func() error { return nil }, Metrics: http.NotFoundHandler()})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error)
	go func() { ended <- port.Serve(ln) }()
	dial := func() *client {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() }) // it may be closed
		return &client{t, c, bufio.NewReader(c)}
	}
	first := dial()
	for range maxConnections - 1 {
		dial()
	}
	dial().exchange("/healthz")
	require.NoError(t, first.SetDeadline(time.Now().Add(time.Second))) // it has been closed, and not for its silence
	first.closed()
	require.NoError(t, port.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
}

// withoutRequest returns how many connections are idle.
func (c *connections) withoutRequest() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, since := range c.idle {
		if !since.IsZero() {
			n++
		}
	}
	return n
}

// client is one connection.
type client struct {
	t *testing.T
	net.Conn
	read *bufio.Reader
}

func (c *client) send(path string) {
	c.t.Helper()
	_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(c.t, err)
}

func (c *client) complete() {
	c.t.Helper()
	response, err := http.ReadResponse(c.read, nil)
	require.NoError(c.t, err)
	require.NoError(c.t, response.Body.Close())
	require.Equal(c.t, http.StatusOK, response.StatusCode)
}

func (c *client) exchange(path string) {
	c.t.Helper()
	c.send(path)
	c.complete()
}

// closed checks that the server has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	_, err := c.read.ReadByte()
	require.Error(c.t, err)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded)
}
