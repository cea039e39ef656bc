package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// certify makes a certificate for the name x, which is its own authority and is valid at every time of a test, and the
// pool that trusts it.
func certify(t testing.TB) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return certifyKey(t, key)
}

func certifyKey(t testing.TB, key crypto.Signer) (tls.Certificate, *x509.CertPool) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"},
		DNSNames: []string{"x"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// bench is a queue with one slot, and the configurations of both sides.
type bench struct {
	*Queue
	t              *testing.T
	server, client *tls.Config
}

func newBench(t *testing.T) *bench {
	certificate, pool := certify(t)
	return &bench{t: t, Queue: New(Options{Slots: 1, Plain: func() []byte { return []byte("plain") }}),
		// Without tickets, as no client reads after its handshake, and a pipe has no room for what is not read.
		server: &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true},
		client: &tls.Config{RootCAs: pool, ServerName: "x"}}
}

// connect makes both sides of a connection. No handshake has begun.
func (b *bench) connect() (*Conn, net.Conn) {
	ours, theirs := net.Pipe()
	return b.Server(ours, b.server), theirs
}

// busy takes the only slot, and returns a function that gives it back.
func (b *bench) busy() (release func()) {
	w := newWaiter(0)
	_, err := b.slots.take(&w, time.Hour, nil)
	require.NoError(b.t, err)
	return b.slots.release
}

// read begins a Read and returns where its error arrives.
func read(c net.Conn) chan error {
	end := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		end <- err
	}()
	return end
}

// idle checks that every slot is free and that nothing is in progress.
func (b *bench) idle() {
	b.t.Helper()
	require.Equal(b.t, b.o.Slots, b.slots.free)
	s := b.Stats()
	require.Zero(b.t, s.Waiting)
	require.Zero(b.t, s.InProgress)
}

// Handshakes begin in order of arrival, in whatever order the clients send.
func TestOrderOfArrival(t *testing.T) {
	seed := mathrand.Uint64()
	t.Log("seed", seed)
	synctest.Test(t, func(t *testing.T) {
		const clients = 50
		b := newBench(t)
		release := b.busy()
		var order []int
		conns, theirs := make([]*Conn, clients), make([]net.Conn, clients)
		for i := range clients {
			conns[i], theirs[i] = b.connect()
		}
		done := make(chan error, clients)
		for _, i := range mathrand.New(mathrand.NewPCG(seed, 0)).Perm(clients) {
			read(conns[i])
			go func() { done <- tls.Client(&noting{Conn: theirs[i], client: i, order: &order}, b.client).Handshake() }()
			synctest.Wait()
		}
		require.Equal(t, clients, b.Stats().Waiting)
		release()
		for range clients {
			require.NoError(t, <-done)
		}
		synctest.Wait()
		require.IsIncreasing(t, order)
		require.Len(t, order, clients)
		require.EqualValues(t, clients, b.Stats().Full)
		for i := range clients {
			require.NoError(t, theirs[i].Close())
			_ = conns[i].Close() // the alert that nothing follows cannot be written any more
		}
		b.idle()
	})
}

// noting notes the order in which clients receive their first bytes. The server writes them with the only slot, and a
// write to a pipe ends when it was read, so one client at a time notes.
type noting struct {
	net.Conn
	client int
	order  *[]int
	noted  bool
}

func (c *noting) Read(p []byte) (int, error) {
	if !c.noted {
		c.noted = true
		n, err := io.ReadAtLeast(c.Conn, p[:1], 1)
		*c.order = append(*c.order, c.client)
		return n, err
	}
	return c.Conn.Read(p)
}

// A client that stops in the middle of its first message holds no slot, so others complete meanwhile.
func TestSlowClientHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		slow, theirs := b.connect()
		stopped := read(slow)
		_, err := theirs.Write([]byte{22, 3, 1, 2, 0, 1}) // a record of 512 bytes, of which one is sent
		require.NoError(t, err)
		fast, client := b.connect()
		read(fast)
		require.NoError(t, tls.Client(client, b.client).Handshake())
		synctest.Wait()
		require.Equal(t, 1, b.Stats().InProgress)
		require.NoError(t, slow.Close())
		require.Error(t, <-stopped)
		require.EqualValues(t, 1, b.Stats().Failed["closed"])
		require.NoError(t, client.Close())
		_ = fast.Close() // the alert that nothing follows cannot be written any more
		synctest.Wait()
		b.idle()
	})
}

// The timeout is that of the whole handshake: a byte a second does not extend it.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c, client := b.connect()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour))) // is for what follows
		end := read(c)
		sender := make(chan struct{})
		go func() {
			defer close(sender)
			for _, err := client.Write([]byte{22, 3, 1, 2, 0}); err == nil; _, err = client.Write([]byte{1}) {
				time.Sleep(time.Second)
			}
		}()
		began := time.Now()
		require.Error(t, <-end)
		require.Equal(t, b.o.Timeout, time.Since(began))
		require.EqualValues(t, 1, b.Stats().Failed["timeout"])
		require.NoError(t, c.Close())
		<-sender
		b.idle()
	})
}

// A handshake that gets no slot within Options.Wait ends, and leaves the queue. So does one whose connection is closed,
// or whose reads are ended, while it waits.
func TestWaitEnds(t *testing.T) {
	past := func(c *Conn) { require.NoError(t, c.SetReadDeadline(time.Unix(1, 0))) }
	for name, test := range map[string]struct {
		end    func(c *Conn)
		after  time.Duration
		reason string
	}{
		"overloaded": {func(*Conn) {}, 30 * time.Second, "overloaded"},
		"closed":     {func(c *Conn) { require.NoError(t, c.Close()) }, 0, "closed"},
		"drained":    {past, 0, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				release := b.busy()
				c, client := b.connect()
				end := read(c)
				go func() { _ = tls.Client(client, b.client).Handshake() }()
				synctest.Wait()
				require.Equal(t, 1, b.Stats().Waiting)
				began := time.Now()
				test.end(c)
				require.Error(t, <-end)
				require.Equal(t, test.after, time.Since(began))
				require.EqualValues(t, 1, b.Stats().Failed[test.reason])
				release()
				_ = c.Close() // again in one case
				b.idle()
			})
		})
	}
}

// A connection whose reads were ended before its handshake begins does not begin one.
func TestEndedBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c, client := b.connect()
		require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
		require.ErrorIs(t, <-read(c), errEnded)
		require.NoError(t, c.Close())
		require.NoError(t, client.Close())
		b.idle()
	})
}

// The deadline for the first request counts from the end of the handshake.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c, client := b.connect()
		began := time.Now()
		require.NoError(t, c.SetDeadline(began.Add(3*time.Second)))
		end := read(c)
		time.Sleep(8 * time.Second)
		require.NoError(t, tls.Client(client, b.client).Handshake())
		require.ErrorContains(t, <-end, "timeout")
		require.Equal(t, 11*time.Second, time.Since(began))
		_, err := c.Write([]byte{1}) // its deadline is over too
		require.ErrorContains(t, err, "timeout")
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		require.EqualValues(t, 1, b.Stats().Full)
		require.NoError(t, client.Close())
		_ = c.Close() // the alert that nothing follows cannot be written any more
		b.idle()
	})
}

// Every failure is counted under its reason, and gives its slot back.
func TestReasons(t *testing.T) {
	for name, test := range map[string]struct {
		server func(*tls.Config)
		client func(*tls.Config)
		reason string
	}{
		"no client certificate": {func(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert }, nil,
			"client_certificate"},
		"another authority's": {func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		}, func(c *tls.Config) {
			own, _ := certify(t)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}, "client_certificate"},
		"the client distrusts the server": {nil, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, "refused_by_client"},
		"an old client": {nil, func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		}, "protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if test.server != nil {
				test.server(b.server)
			}
			if test.client != nil {
				test.client(b.client)
			}
			c, client := b.dial()
			end := read(c)
			_, err := tls.Client(client, b.client).Read(make([]byte, 1))
			require.Error(t, err)
			require.Error(t, <-end)
			require.EqualValues(t, 1, b.Stats().Failed[test.reason], "%v", b.Stats().Failed)
			require.NoError(t, c.Close())
			require.NoError(t, client.Close())
			b.idle()
		})
	}
}

// dial is connect with sockets: a pipe has no room for two sides that write at the same time.
func (b *bench) dial() (*Conn, net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(b.t, err)
	raw, err := ln.Accept()
	require.NoError(b.t, err)
	return b.Server(raw, b.server), client
}

// What is no handshake is counted, and a client that forgot TLS is answered in its own language.
func TestNoHandshake(t *testing.T) {
	for sent, answer := range map[string]string{"GET / HTTP/1.1\r\n\r\n": "plain", "POST /v1/batch HTTP/1.1\r\n": "plain",
		"SSH-2.0-OpenSSH": "", "": ""} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			c, client := b.connect()
			go func() {
				_, err := c.Read(make([]byte, 1))
				require.Error(t, err)
				_ = c.Close() // a pipe is closed without an error
			}()
			_, err := io.WriteString(client, sent)
			require.NoError(t, err)
			if sent == "" {
				require.NoError(t, client.Close())
			} else {
				text, err := io.ReadAll(client)
				require.NoError(t, err)
				require.Equal(t, answer, string(text), sent)
			}
			synctest.Wait()
			reason := "not_tls"
			if sent == "" {
				reason = "disconnected"
			}
			require.EqualValues(t, 1, b.Stats().Failed[reason], sent)
			b.idle()
		})
	}
}

// A resumed session is counted as such.
func TestResumed(t *testing.T) {
	b := newBench(t)
	b.server.SessionTicketsDisabled = false
	b.client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 3 {
		c, client := b.connect()
		end := read(c)
		secure := tls.Client(client, b.client)
		require.NoError(t, secure.Handshake())
		received := read(secure) // also reads the ticket
		require.NoError(t, <-writeOne(c))
		require.NoError(t, <-received)
		require.NoError(t, <-writeOne(secure))
		require.NoError(t, <-end)
		require.NoError(t, client.Close())
		_ = c.Close() // the alert that nothing follows cannot be written any more
	}
	s := b.Stats()
	require.EqualValues(t, 1, s.Full)
	require.EqualValues(t, 2, s.Resumed)
	require.EqualValues(t, 3, s.Took.Count())
	b.idle()
}

func writeOne(c net.Conn) chan error {
	end := make(chan error, 1)
	go func() {
		_, err := c.Write([]byte{1})
		end <- err
	}()
	return end
}

// A client that has hung up while it waited costs no handshake.
func TestHungUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("is noticed by the first write")
	}
	b := newBench(t)
	release := b.busy()
	c, client := b.dial()
	end := read(c)
	go func() { _ = tls.Client(client, b.client).Handshake() }()
	require.Eventually(t, func() bool { return b.Stats().Waiting == 1 }, 10*time.Second, time.Millisecond)
	require.False(t, hungUp(c.socket.Conn))
	require.NoError(t, client.Close())
	require.Eventually(t, func() bool { return hungUp(c.socket.Conn) }, 10*time.Second, time.Millisecond)
	release()
	require.ErrorIs(t, <-end, errAbandoned)
	require.EqualValues(t, 1, b.Stats().Failed["abandoned"])
	require.NoError(t, c.Close())
	b.idle()
}
