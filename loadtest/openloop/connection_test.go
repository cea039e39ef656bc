package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A kept connection that the server has closed is made again, even before its first request. A new one that the server
// closes is a fault.
func TestConnectionClosedWhileIdle(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	to := &endpoint{host: ln.Addr().String(), sources: 1}
	c := newConnection(to, 0, false, &tally{counts: newCounts(window{})})
	deadline := time.Now().Add(time.Minute)
	require.NoError(t, c.connect(deadline))
	first, err := ln.Accept()
	require.NoError(t, err)
	require.NoError(t, first.Close())
	served := make(chan error, 1)
	go func() {
		second, err := ln.Accept()
		if err == nil {
			_, err = io.ReadFull(second, make([]byte, len("request")))
		}
		if err == nil {
			_, err = io.WriteString(second, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
		}
		served <- err
		if third, err := ln.Accept(); err == nil {
			third.Close()
		}
	}()
	a, err := c.exchange([]byte("request"), deadline)
	require.NoError(t, err)
	require.NoError(t, <-served)
	require.Equal(t, "ok", string(a.body))
	require.Nil(t, c.conn, "the server said that it closes")
	_, err = c.exchange([]byte("request"), deadline)
	require.True(t, lost(err), "%v", err)
}
