package main

import (
	"crypto/rand"
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

// counting counts the random numbers that a handshake takes. Only the ClientHello takes any.
type counting int

func (c *counting) Read(p []byte) (int, error) {
	*c += counting(len(p))
	return rand.Read(p)
}

// A prepared handshake has its ClientHello before its client comes, holds no place until then, and its client's delays
// count from then. It serves one connection.
func TestPreparedHandshakes(t *testing.T) {
	secure, ca := certificates(t)
	_, url := realServer(t, secure)
	to, err := newEndpoint(&target{URL: url, CA: ca, Sources: 1})
	require.NoError(t, err)
	tally := &tally{counts: newCounts(window{})}
	var all []*connection
	var taken counting
	for range 2 * cap(handshakes) { // more than there are places
		c := newConnection(to, 0, false, tally)
		c.tls.Rand = &taken
		c.prepare()
		all = append(all, c)
	}
	require.Empty(t, handshakes)
	before := taken
	require.NotZero(t, before)
	all[0].ready.below.queued = time.Hour // before the client comes
	for _, c := range all {
		require.NoError(t, c.connect(time.Now().Add(time.Minute)))
		require.Nil(t, c.ready)
		require.Equal(t, before, taken)
		c.close()
	}
	require.Less(t, tally.queued.Max(), time.Minute.Microseconds())
	require.NoError(t, all[0].connect(time.Now().Add(time.Minute)))
	require.Greater(t, taken, before)
	all[0].close()
}

// A handshake that was prepared in vain ends when its connection is closed, and so does one of a faulty configuration.
func TestPreparedInVain(t *testing.T) {
	secure, ca := certificates(t)
	_, url := realServer(t, secure)
	to, err := newEndpoint(&target{URL: url, CA: ca, Sources: 1})
	require.NoError(t, err)
	c := newConnection(to, 0, false, &tally{counts: newCounts(window{})})
	c.prepare()
	c.close() // awaits the end
	require.Nil(t, c.ready)
	require.Empty(t, handshakes)
	c.tls.ServerName, c.tls.InsecureSkipVerify = "", false
	c.prepare()
	require.Error(t, c.connect(time.Now().Add(time.Minute)))
	require.Empty(t, handshakes)
}
