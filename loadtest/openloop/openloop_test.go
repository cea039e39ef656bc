package main

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
)

// TestMain makes this program the command where a test, or the command under test, starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// realServer serves the bundled sale without a journal, over TLS if the configuration is not nil. It returns the engine
// and the address.
func realServer(t *testing.T, secure *tls.Config) (*engine.Engine, string) {
	sale := catalog.Paris2024()
	phase, ok := sale.PhaseByID("all-venues")
	require.True(t, ok)
	opening, began := sale.Phases[phase].OpensAt, time.Now()
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return opening.Add(time.Since(began)) })})
	require.NoError(t, err)
	s, err := server.New(t.Context(), server.Options{Engine: e})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + ln.Addr().String()
	if secure != nil {
		url = "https://" + ln.Addr().String()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ServeTLS(ln, secure) }()
	t.Cleanup(func() {
		require.NoError(t, s.Shutdown(context.Background()))
		require.NoError(t, <-ended)
		require.NoError(t, e.Close())
	})
	return e, url
}

// certificates makes an authority and a certificate, and returns the server's configuration and the authority's file.
func certificates(t *testing.T) (secure *tls.Config, ca string) {
	dir := t.TempDir()
	require.NoError(t, (&certificateCommand{Dir: dir}).Run())
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, filepath.Join(dir, "ca.pem")
}

// growing tries with longer and longer durations until it is enough: on a busy machine a short load may do nothing.
func growing(t *testing.T, duration time.Duration, try func(time.Duration) (enough bool)) {
	for ; duration < 2*time.Minute; duration *= 3 {
		if try(duration) {
			return
		}
		t.Logf("not enough in %s", duration)
	}
	t.Fatal("it was never enough")
}

// made makes a fleet and one load with it.
func made(t *testing.T, tt *target, c crowd, rate float64, duration time.Duration) *measurement {
	if tt.Sources == 0 {
		tt.Sources = 1
	}
	tt.Quantity, c.Pipeline = 1, max(c.Pipeline, 1)
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	f, err := newFleet(t.Context(), tt, c)
	require.NoError(t, err)
	defer f.close()
	require.NoError(t, f.connect(t.Context()))
	m, err := f.make(t.Context(), rate, c.Think, 0, duration)
	require.NoError(t, err)
	return m
}

// Whatever the client, its counts agree with the stock of the engine.
func TestCountsAgreeWithTheEngine(t *testing.T) {
	secure, ca := certificates(t)
	for name, is := range map[string]struct {
		secure bool
		crowd  crowd
		rate   float64
	}{
		"closed loop":             {false, crowd{Connections: 20, Release: 0.3}, 0},
		"closed loop with pauses": {false, crowd{Connections: 20, Think: 5 * time.Millisecond}, 0},
		"open loop":               {false, crowd{Connections: 20, Release: 0.3}, 1000},
		"new connections":         {false, crowd{Connections: 8, New: true}, 0},
		"TLS":                     {true, crowd{Connections: 8}, 0},
		"TLS, open loop":          {true, crowd{Connections: 8, New: true}, 100},
		"TLS, resumed":            {true, crowd{Connections: 8, New: true, Resume: true}, 0},
		"pipelined":               {false, crowd{Connections: 4, Pipeline: 8}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt := &target{}
			var layer *tls.Config
			if is.secure {
				layer, tt.CA = secure, ca
			}
			var e *engine.Engine
			e, tt.URL = realServer(t, layer)
			sold := func() (n int) {
				for i := range e.Sale().Pools {
					n += e.Stock(i).Sold
				}
				return n
			}
			var m *measurement
			before, after := 0, 0
			growing(t, 300*time.Millisecond, func(d time.Duration) bool {
				before = sold()
				m = made(t, tt, is.crowd, is.rate, d)
				after = sold()
				return m.Results["confirm"]["ok"] > 0 && (m.Results["release"]["ok"] > 0 || is.crowd.Release == 0) &&
					(m.Resumed > 0 || !is.crowd.Resume)
			})
			t.Logf("seed %d: %+v", m.Seed, m.Results)
			require.Zero(t, m.broken()+m.ConfirmsRefused+m.Left)
			// A confirmation that follows a reservation of the last moment is in the engine and not counted.
			require.InDelta(t, after-before, m.Results["confirm"]["ok"], float64(is.crowd.Connections*max(1, is.crowd.Pipeline)))
			require.InDelta(t, m.Results["reserve"]["ok"], m.Results["confirm"]["ok"]+m.Results["release"]["ok"],
				float64(is.crowd.Connections*max(1, is.crowd.Pipeline)))
			require.Equal(t, is.crowd.Release > 0, m.Results["release"]["ok"] > 0)
			require.Equal(t, is.secure, m.Protocol != "")
			require.Equal(t, is.secure && is.crowd.New, m.Handshakes > 0)
			require.Equal(t, is.crowd.Resume, m.Resumed > 0)
			require.Equal(t, is.crowd.Pipeline > 1, containsPipelined(m.Client))
		})
	}
}
