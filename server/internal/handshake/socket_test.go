package handshake

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A client is not closed for the time that the server took: its timeout is for what it does itself.
func TestWaitingIsNotTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		release := b.busy()
		c, client := b.connect()
		end := read(c)
		secure, done := tls.Client(client, b.client), make(chan error, 1)
		go func() { done <- secure.Handshake() }()
		time.Sleep(2 * b.o.Timeout)
		release()
		require.NoError(t, <-done)
		require.NoError(t, <-writeOne(secure))
		require.NoError(t, <-end)
		require.InDelta(t, 2*b.o.Timeout.Seconds(), b.Stats().Took.Sum(), 1)
		require.NoError(t, client.Close())
		_ = c.Close() // the alert that nothing follows cannot be written any more
		b.idle()
	})
}

// stepwise is a client that sends its first message in two parts, the second when it is told.
type stepwise struct {
	net.Conn
	second chan struct{}
}

func (c *stepwise) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:8])
	if err != nil {
		return n, err
	}
	<-c.second
	rest, err := c.Conn.Write(p[8:])
	return n + rest, err
}

// The waits for slots add up to Options.Wait at most, in however many steps the client sends.
func TestWaitsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		release := b.busy()
		c, client := b.connect()
		end := read(c)
		slow := &stepwise{Conn: client, second: make(chan struct{})}
		go func() { _ = tls.Client(slow, b.client).Handshake() }()
		began := time.Now()
		time.Sleep(b.o.Wait / 3)
		release()
		synctest.Wait()
		release = b.busy()
		close(slow.second)
		require.ErrorIs(t, <-end, errOverloaded)
		require.Equal(t, b.o.Wait, time.Since(began))
		require.EqualValues(t, 1, b.Stats().Failed["overloaded"])
		release()
		_ = c.Close() // a pipe is closed without an error
		b.idle()
	})
}

// A client that does not read what the server sends holds no slot, and a shutdown ends it.
func TestClientDoesNotRead(t *testing.T) {
	for name, drained := range map[string]bool{"timeout": false, "closed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				silent, theirs := b.connect()
				end := read(silent)
				began := time.Now()
				go func() { _ = tls.Client(&unread{theirs}, b.client).Handshake() }()
				synctest.Wait()

				other, client := b.connect()
				read(other)
				require.NoError(t, tls.Client(client, b.client).Handshake())
				require.Equal(t, promptly, time.Since(began))
				after := b.o.Timeout
				if drained {
					after = promptly
					require.NoError(t, silent.SetReadDeadline(time.Unix(1, 0)))
				}
				require.Error(t, <-end)
				require.Equal(t, after, time.Since(began))
				require.EqualValues(t, 1, b.Stats().Failed[name], "%v", b.Stats().Failed)
				require.NoError(t, theirs.Close())
				require.NoError(t, client.Close())
				_ = silent.Close() // a pipe is closed without an error
				_ = other.Close()  // the alert that nothing follows cannot be written any more
				synctest.Wait()
				b.idle()
			})
		})
	}
}

// unread is the side of a client that never reads.
type unread struct{ net.Conn }

func (c *unread) Read([]byte) (int, error) { return 0, io.EOF }

// What a client reads late is completed: no byte is lost where a write goes on without its slot.
func TestClientReadsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c, client := b.connect()
		end := read(c)
		secure := tls.Client(&trickling{client}, b.client)
		require.NoError(t, secure.Handshake())
		require.NoError(t, <-writeOne(secure))
		require.NoError(t, <-end)
		require.NoError(t, client.Close())
		_ = c.Close() // the alert that nothing follows cannot be written any more
		b.idle()
	})
}

// trickling is the side of a client that reads a hundred bytes at a time, with pauses.
type trickling struct{ net.Conn }

func (c *trickling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), 100)])
	time.Sleep(2 * promptly)
	return n, err
}

// While the server is busy, the slots rest for three times as long as they were held, and no more often than a timer
// can time: a client that sends single bytes does not stop the others.
func TestRestAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.o.Busy = func() bool { return true }
		s := newSocket(nil, b.Queue)
		step := func(held time.Duration) {
			w := newWaiter(0)
			_, err := b.slots.take(&w, time.Second, nil)
			require.NoError(t, err)
			s.holds, s.taken = true, time.Now()
			time.Sleep(held)
			s.release()
		}
		for range 9 {
			step(leastComputed / 10)
			require.Equal(t, 1, b.slots.free)
		}
		step(leastComputed / 10)
		require.Zero(t, b.slots.free)
		began := time.Now()
		step(time.Second)
		require.Equal(t, 3*time.Millisecond+time.Second, time.Since(began))
		began = time.Now()
		step(0)
		require.Equal(t, maxRest, time.Since(began))
	})
}

// A client without TLS receives its response even if it is still sending a body.
func TestPlainClientIsSending(t *testing.T) {
	b := newBench(t)
	for range 20 {
		c, client := b.dial()
		go func() {
			_, err := c.Read(make([]byte, 1))
			require.Error(t, err)
			_ = c.Close() // an error shows at the client
		}()
		_, err := io.WriteString(client, "POST /v1/reservations HTTP/1.1\r\n")
		require.NoError(t, err)
		_, err = client.Write(make([]byte, 500_000))
		require.NoError(t, err)
		text, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "plain", string(text))
		require.NoError(t, client.Close())
	}
	require.EqualValues(t, 20, b.Stats().Failed["not_tls"])
	require.Eventually(t, func() bool { return b.Stats().InProgress == 0 }, 10*time.Second, time.Millisecond)
	b.idle()
}
