package main

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A handshake that waits for its server holds no place: others are made meanwhile.
func TestWaitingHandshakesHoldNoPlace(t *testing.T) {
	secure, ca := certificates(t)
	_, url := realServer(t, secure)
	to, err := newEndpoint(&target{URL: url, CA: ca, Sources: 1})
	require.NoError(t, err)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	waiting := *to
	waiting.host = silent.Addr().String()
	ended := make(chan error)
	var silentSides []net.Conn
	for range 2 * cap(handshakes) {
		c := newConnection(&waiting, 0, false, &tally{counts: newCounts(window{})})
		go func() { ended <- c.connect(time.Now().Add(time.Minute)) }()
		accepted, err := silent.Accept()
		require.NoError(t, err)
		silentSides = append(silentSides, accepted)
		require.NoError(t, accepted.SetReadDeadline(time.Now().Add(10*time.Second))) // less than a place is held
		_, err = accepted.Read(make([]byte, 1))
		require.NoError(t, err) // it has sent its first message, and waits or is about to
	}
	c := newConnection(to, 0, false, &tally{counts: newCounts(window{})})
	require.NoError(t, c.connect(time.Now().Add(time.Minute)))
	c.close()
	for _, side := range silentSides {
		require.NoError(t, side.Close())
		require.Error(t, <-ended)
	}
}

// A certificate of another authority is refused.
func TestOtherAuthoritiesAreRefused(t *testing.T) {
	secure, _ := certificates(t)
	_, other := certificates(t)
	_, url := realServer(t, secure)
	to, err := newEndpoint(&target{URL: url, CA: other, Sources: 1})
	require.NoError(t, err)
	c := newConnection(to, 0, false, &tally{counts: newCounts(window{})})
	require.ErrorContains(t, c.connect(time.Now().Add(time.Minute)), "certificate")
}
