package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkHandshake measures what a handshake costs the server: the time during which it computes, between two reads
// of the network, as server-µs/op. The default of Go's clients is the curve X25519MLKEM768.
func BenchmarkHandshake(b *testing.B) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	for certificate, key := range map[string]crypto.Signer{"ecdsa": ec, "rsa2048": rsa2048} {
		for _, curve := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519} {
			for _, resumed := range []bool{false, true} {
				b.Run(fmt.Sprintf("certificate=%s/curve=%s/resumed=%v", certificate, curve, resumed), func(b *testing.B) {
					benchmarkHandshake(b, key, curve, resumed)
				})
			}
		}
	}
}

func benchmarkHandshake(b *testing.B, key crypto.Signer, curve tls.CurveID, resumed bool) {
	certificate, pool := certifyKey(b, key)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}}
	client := &tls.Config{RootCAs: pool, ServerName: "x", CurvePreferences: []tls.CurveID{curve}}
	if resumed {
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer ln.Close()
	var computed time.Duration
	served := make(chan error)
	connect := func() bool {
		go func() {
			raw, err := ln.Accept()
			if err != nil {
				served <- err
				return
			}
			watch := &stopwatch{Conn: raw, began: time.Now(), computed: &computed}
			s := tls.Server(watch, server)
			err = s.Handshake()
			computed += time.Since(watch.began)
			_, _ = s.Write([]byte{1}) // an error shows at the client
			served <- err
		}()
		c, err := tls.Dial("tcp", ln.Addr().String(), client)
		require.NoError(b, err)
		_, err = io.ReadFull(c, make([]byte, 1)) // also reads the ticket
		require.NoError(b, err)
		require.NoError(b, c.Close())
		require.NoError(b, <-served)
		return c.ConnectionState().DidResume
	}
	connect()
	computed = 0
	b.ReportAllocs()
	for b.Loop() {
		require.Equal(b, resumed, connect())
	}
	b.ReportMetric(float64(computed.Nanoseconds())/1000/float64(b.N), "server-µs/op")
}

// stopwatch adds up the time between its reads and writes, in which the server computes.
type stopwatch struct {
	net.Conn
	began    time.Time
	computed *time.Duration
}

func (w *stopwatch) Read(p []byte) (int, error)  { return w.pause(w.Conn.Read, p) }
func (w *stopwatch) Write(p []byte) (int, error) { return w.pause(w.Conn.Write, p) }

func (w *stopwatch) pause(call func([]byte) (int, error), p []byte) (int, error) {
	*w.computed += time.Since(w.began)
	defer func() { w.began = time.Now() }()
	return call(p)
}
