package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func containsPipelined(label string) bool { return strings.Contains(label, "PIPELINED") }

// fakeServer sells one pool; reserve answers its reservations, and every confirmation is accepted.
func fakeServer(t *testing.T, reserve http.HandlerFunc) *target {
	mux := http.NewServeMux()
	fixed := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /v1/phases", fixed(200, `{"phases":[{"phase":"p","programme":"x","access":"open","open":true}]}`))
	mux.HandleFunc("GET /v1/sessions", func(w http.ResponseWriter, q *http.Request) {
		assert.Equal(t, "phase=p", q.URL.RawQuery, "the phase need not sell all sessions")
		fixed(200, `{"sessions":[{"session":"S","on_sale":true,"pools":[{"category":"A","available":9}]}]}`)(w, q)
	})
	mux.HandleFunc("POST /v1/reservations/{id}/confirm", fixed(200, `{}`))
	mux.HandleFunc("POST /v1/reservations", func(w http.ResponseWriter, q *http.Request) {
		if reserve != nil {
			reserve(w, q)
		} else {
			fixed(201, `{}`)(w, q)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &target{URL: s.URL}
}

// A stall of the server counts for all buyers who are due during it, not only for those with requests in flight (no
// coordinated omission).
func TestStallCountsForAllWhoAreDue(t *testing.T) {
	const pause = 300 * time.Millisecond
	var stop sync.Mutex
	calls := 0
	tt := fakeServer(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		stop.Lock()
		if calls++; calls == 250 {
			<-time.After(pause)
		}
		stop.Unlock()
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusCreated)
	})
	m := made(t, tt, crowd{Connections: 1000, Seed: 7}, 500, time.Second)
	reserved := m.Accepted["reserve"]
	require.InDelta(t, 500, m.Arrived, 120) // Poisson, with a standard deviation of 22
	require.EqualValues(t, m.Arrived, reserved.Count)
	require.GreaterOrEqual(t, reserved.Most, 0.9*float64(pause.Milliseconds()))
	// 150 of 500 buyers are due during the stall; half of them wait for more than half of it.
	require.GreaterOrEqual(t, reserved.P90, 0.3*float64(pause.Milliseconds()), "%+v", reserved)
}

// The first reservation of each id is refused; made counts the refusals.
func refuseFirst(t *testing.T, retryAfter string) (tt *target, early func() int) {
	var mu sync.Mutex
	first := map[string]time.Time{}
	soon := 0
	tt = fakeServer(t, func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			panic(err)
		}
		mu.Lock()
		at, again := first[string(body)]
		if !again {
			first[string(body)] = time.Now()
		} else if time.Since(at) < time.Second {
			soon++
		}
		mu.Unlock()
		text := `{"code":"overloaded"}`
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		if again {
			w.WriteHeader(http.StatusCreated)
		} else {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, text)
	})
	return tt, func() int { mu.Lock(); defer mu.Unlock(); return soon }
}

// A refused buyer comes again with the same request, not before Retry-After; an impolite one comes at once.
func TestRefusedBuyersComeAgain(t *testing.T) {
	for name, is := range map[string]struct {
		rate, impolite float64
		patience       time.Duration
		left           bool
	}{
		"closed loop":        {0, 0, time.Minute, false},
		"open loop":          {40, 0, time.Minute, false},
		"impolite":           {0, 1, time.Minute, false},
		"impolite, open":     {40, 1, time.Minute, false},
		"impatient":          {0, 0, 500 * time.Millisecond, true},
		"impatient and open": {40, 0, 500 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt, early := refuseFirst(t, "1")
			var m *measurement
			growing(t, 1800*time.Millisecond, func(d time.Duration) bool {
				m = made(t, tt, crowd{Connections: 10, Patience: is.patience, Impolite: is.impolite}, is.rate, d)
				return (m.Left > 0) == is.left && (m.Results["reserve"]["ok"] > 0) == !is.left
			})
			t.Logf("seed %d: %+v", m.Seed, m.Results)
			require.Positive(t, m.Results["reserve"]["overloaded"])
			require.Positive(t, m.Overloads)
			require.EqualValues(t, m.Results["reserve"]["overloaded"], m.Refused.Count)
			require.Equal(t, is.impolite > 0, early() > 0)
		})
	}
}

// An attempt that finds no free connection is refused by the client, and its buyer comes again.
func TestBuyersWithoutAConnection(t *testing.T) {
	hold := make(chan struct{})
	var inside atomic.Int32
	tt := fakeServer(t, func(w http.ResponseWriter, q *http.Request) {
		inside.Add(1)
		<-hold
		_, _ = io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusCreated)
	})
	time.AfterFunc(400*time.Millisecond, func() { close(hold) })
	m := made(t, tt, crowd{Connections: 3, Seed: 3}, 200, 300*time.Millisecond)
	require.EqualValues(t, inside.Load(), m.Results["reserve"]["ok"])
	require.Positive(t, m.NoFree)
	require.Equal(t, m.Arrived, m.Results["reserve"]["ok"]+m.NoFree)
}

// A malformed answer ends the load with an error: a load that frames answers wrongly measures nothing.
func TestMalformedAnswersEndTheLoad(t *testing.T) {
	tt := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nHTTP/1.1 201 Created\r\n")
	})
	tt.Sources, tt.Quantity = 1, 1
	for _, rate := range []float64{0, 100} {
		f, err := newFleet(t.Context(), tt, crowd{Connections: 2, Pipeline: 1, Patience: time.Second})
		require.NoError(t, err)
		_, err = f.make(t.Context(), rate, 0, 0, time.Minute)
		require.ErrorContains(t, err, "bytes after it")
		f.close()
	}
}

// A connection that the server closed while it was idle is made again, as by any client. A request whose connection
// breaks otherwise is counted, and its buyer comes again.
func TestBrokenConnections(t *testing.T) {
	var calls atomic.Int64
	tt := fakeServer(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		if calls.Add(1)%2 == 1 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusCreated)
	})
	growing(t, 1700*time.Millisecond, func(d time.Duration) bool {
		m := made(t, tt, crowd{Connections: 2, New: true}, 0, d)
		require.Equal(t, m.Results["reserve"]["connection lost"], m.broken())
		return m.broken() > 0 && m.Results["reserve"]["ok"] > 0
	})
}

// Merged tallies have the figures of one that counted everything.
func TestTallies(t *testing.T) {
	w := window{time.Second, 3 * time.Second}
	one, two := &tally{counts: newCounts(w)}, &tally{counts: newCounts(w)}
	for i := range 1000 {
		at := time.Duration(i) * 4 * time.Millisecond // from 0 to 4 s
		for _, to := range []*tally{one, two} {
			to.answer(reserving, at, at+time.Millisecond, "ok")
			to.answer(confirming, at, at+2*time.Millisecond, "ok")
			to.answer(reserving, at, at, overloaded)
			to.answer(releasing, at, at, overloaded)
		}
	}
	one.add(two.counts)
	m := &measurement{Seconds: 2}
	m.conclude(one.counts)
	require.Equal(t, map[string]map[string]int{"reserve": {"ok": 1000, overloaded: 1000}, "confirm": {"ok": 1000},
		"release": {overloaded: 1000}}, m.Results)
	require.Equal(t, 1000, m.ConfirmsRefused)
	require.Equal(t, 1000.0, m.Overloads)
	require.InDelta(t, 500, m.Goodput, 2)
	require.InDelta(t, 2, m.Accepted["confirm"].P99, 0.01)
}

// Durations outside the range of a histogram are counted at its ends.
func TestRecordCountsEveryDuration(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, time.Hour} {
		record(h, d)
	}
	s := spreadOf(h)
	require.EqualValues(t, 4, s.Count)
	require.InEpsilon(t, 120_000, s.Most, 1e-3)
	require.False(t, math.IsNaN(s.Mean))
}
