package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
)

// realServer serves the bundled sale without a journal, and returns its engine and address.
func realServer(t *testing.T) (*engine.Engine, string) {
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
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, s.Shutdown(context.Background()))
		require.NoError(t, <-ended)
		require.NoError(t, e.Close())
	})
	return e, "http://" + ln.Addr().String()
}

// The counts of the generator agree with the stock of the engine, for a mix of all calls.
func TestMixAgreesWithTheEngine(t *testing.T) {
	e, url := realServer(t)
	mix := &target{URL: url, Connections: 4, Quantity: 2, Confirm: 0.5, Release: 0.3, Reads: 0.2}
	g, err := newGenerator(t.Context(), mix)
	require.NoError(t, err)
	m, err := g.load(t.Context(), 2000, 0, time.Second)
	require.NoError(t, err)
	require.Equal(t, 2000, m.Offered)
	require.Zero(t, m.Unsent+m.Unanswered)
	ok := func(call string) int { return m.Results[call]["ok"] }
	require.Equal(t, 1600, ok("reserve"))
	require.Equal(t, 400, ok("read")+m.Results["read"]["reservation_not_found"])
	require.InDelta(t, 800, ok("confirm"), 100)
	require.InDelta(t, 480, ok("release"), 100)
	held, sold := 0, 0
	for i := range e.Sale().Pools {
		s := e.Stock(i)
		held, sold = held+s.Held, sold+s.Sold
	}
	require.Equal(t, 2*ok("confirm"), sold)
	require.Equal(t, 2*(ok("reserve")-ok("confirm")-ok("release")), held)
	var out strings.Builder
	m.print(&out)
	require.Contains(t, out.String(), "2000 a second")
}

// A stall of the server counts for all buyers who are due during it, not only for the few with requests in flight (no
// coordinated omission).
func TestStallCountsForAllWhoAreDue(t *testing.T) {
	const pause = 300 * time.Millisecond
	var stop sync.Mutex
	calls := 0
	mux := http.NewServeMux()
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body) // pipelined requests are answered in order if each is read
			stop.Lock()
			if calls++; calls == 500 {
				<-time.After(pause)
			}
			stop.Unlock()
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /v1/phases", reply(200, `{"phases":[{"phase":"p","programme":"x","open":true}]}`))
	mux.HandleFunc("GET /v1/sessions", reply(200,
		`{"sessions":[{"session":"S","programme":"x","on_sale":true,"pools":[{"category":"A","available":9}]}]}`))
	mux.HandleFunc("POST /v1/reservations", reply(201, `{}`))
	fake := httptest.NewServer(mux)
	defer fake.Close()
	g, err := newGenerator(t.Context(), &target{URL: fake.URL, Connections: 8, Quantity: 1})
	require.NoError(t, err)
	m, err := g.load(t.Context(), 1000, 0, time.Second)
	require.NoError(t, err)
	require.Equal(t, 1000, m.Offered)
	require.Equal(t, 1000, m.Results["reserve"]["ok"])
	require.GreaterOrEqual(t, m.Accepted.Most, 0.9*float64(pause.Milliseconds()))
	// 300 buyers are due during the stall; half of them wait for more than half of it.
	require.GreaterOrEqual(t, m.Accepted.P90, 0.4*float64(pause.Milliseconds()), "%+v", m.Accepted)
}

// Requests that are never answered are counted.
func TestUnansweredRequestsAreCounted(t *testing.T) {
	_, url := realServer(t)
	g, err := newGenerator(t.Context(), &target{URL: url, Connections: 2, Quantity: 1})
	require.NoError(t, err)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	g.writer.host = silent.Addr().String()
	m, err := g.load(t.Context(), 500, 0, 200*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 100, m.Offered)
	require.Equal(t, 100, m.Unanswered)
	require.Zero(t, m.Goodput)
}

// A sweep finds the capacity and draws a well-formed picture.
func TestSweep(t *testing.T) {
	_, url := realServer(t)
	report := t.TempDir() + "/sweep"
	c := sweepCommand{Report: report, Short: true, Target: target{URL: url, Connections: 8, Quantity: 1, Confirm: 1}}
	require.NoError(t, c.Run(t.Context()))
	r := sweepReport{Capacity: 1000, Shares: []float64{0.1, 1, 10}}
	for _, good := range []float64{100, 1000, 950} {
		r.Loads = append(r.Loads, &measurement{Goodput: good, Accepted: spread{P50: 1, P99: 7, P999: 80}})
	}
	picture := r.picture()
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		if _, err := d.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	require.Equal(t, 5, strings.Count(picture, "<polyline"))
	require.NotContains(t, picture, "NaN")
}

// costs recovers the costs that the loads were made of.
func TestCosts(t *testing.T) {
	r := sweepReport{Shares: []float64{0.5, 1, 2, 10}}
	for _, load := range [][2]float64{{500, 0}, {1000, 0}, {990, 1000}, {950, 9000}} {
		r.Loads = append(r.Loads, &measurement{Goodput: load[0], Seconds: 1, ServerCPU: (load[0]*40 + load[1]*0.5) / 1e6,
			Results: map[string]map[string]int{"reserve": {"overloaded": int(load[1])}}})
	}
	sale, refusal := r.costs()
	require.InDelta(t, 40, sale, 1e-6)
	require.InDelta(t, 0.5, refusal, 1e-6)
}
