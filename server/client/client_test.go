package client

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/operator"
)

const (
	sellKey  = "for-selling-tickets"
	readKey  = "for-reading-only-1"
	adminKey = "for-the-operator-1"
)

// fixture is both ports of a real server, with a sale clock that the test moves.
type fixture struct {
	now    atomic.Pointer[time.Time]
	engine *engine.Engine
	api    string
	admin  string
}

func start(t testing.TB) *fixture {
	f := &fixture{}
	f.at(t, "2024-01-10T09:00:00Z") // single tickets of both programmes are on sale
	sale, err := catalog.Load("../testdata/sale")
	require.NoError(t, err)
	f.engine, err = engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return *f.now.Load() })})
	require.NoError(t, err)
	keys, err := server.ParseKeys(strings.NewReader("sell " + sellKey + "\nread " + readKey + "\nadmin " + adminKey))
	require.NoError(t, err)
	api, err := server.New(context.Background(), server.Options{Engine: f.engine, Keys: keys})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- api.Serve(ln) }()
	port := operator.New(operator.Options{Ready: api.Ready, Metrics: http.NotFoundHandler(), Engine: api.Engine,
		Keys: keys})
	admin := httptest.NewServer(port.Handler)
	f.api, f.admin = "http://"+ln.Addr().String(), admin.URL
	t.Cleanup(func() {
		admin.Close()
		require.NoError(t, api.Shutdown(context.Background()))
		require.NoError(t, <-served)
		require.NoError(t, f.engine.Close())
	})
	return f
}

func (f *fixture) at(t testing.TB, instant string) {
	now, err := time.Parse(time.RFC3339, instant)
	require.NoError(t, err)
	f.now.Store(&now)
}

// client returns a client of the address that waits for nothing and records its waits.
func client(t testing.TB, o Options) (*Client, *[]time.Duration) {
	var slept []time.Duration
	o.Sleep = func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }
	if o.Key == "" {
		o.Key = sellKey
	}
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, &slept
}

// proxy is a proxy before the server. It passes the n-th request on, from 1, unless before answers it, and
// drops the answer where drop returns true.
func proxy(t testing.TB, api string, before func(n int64, w http.ResponseWriter) bool,
	drop func(n int64) bool) (url string, requests *atomic.Int64) {
	requests = &atomic.Int64{}
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if before != nil && before(n, w) {
			return
		}
		onward, err := http.NewRequestWithContext(r.Context(), r.Method, api+r.URL.Path, r.Body)
		if err != nil {
			panic(err)
		}
		onward.Header = r.Header
		response, err := http.DefaultClient.Do(onward)
		if err != nil {
			panic(err)
		}
		defer func() { _ = response.Body.Close() }() // read to its end
		if drop != nil && drop(n) {
			panic(http.ErrAbortHandler) // the server has done it, and its answer is lost
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}))
	t.Cleanup(p.Close)
	return p.URL, requests
}

func two(account string) *Request {
	return &Request{Account: account, Lines: []Line{{Session: "ATH01", Category: "B", Quantity: 2}}}
}

func TestReservation(t *testing.T) {
	f := start(t)
	c, _ := client(t, Options{URL: f.api})
	r := two("alice")
	r.Phase, r.TTLSeconds = "early", 60
	held, err := c.Reserve(t.Context(), r)
	require.NoError(t, err)
	now := *f.now.Load()
	require.Equal(t, Reservation{ID: r.ID, Account: "alice", Phase: "early", State: "held", Lines: r.Lines, Tickets: 2,
		CreatedAt: now, ExpiresAt: now.Add(time.Minute)}, held)
	again, err := c.Reserve(t.Context(), r)
	require.NoError(t, err)
	held.Repeated = true
	require.Equal(t, held, again)

	sold, err := c.Confirm(t.Context(), held.ID, "paid-1")
	require.NoError(t, err)
	require.Equal(t, "confirmed", sold.State)
	require.Equal(t, "paid-1", sold.Reference)
	require.Equal(t, now, sold.ConfirmedAt)
	read, err := c.Reservation(t.Context(), held.ID)
	require.NoError(t, err)
	require.Equal(t, sold, read)

	other := two("bob")
	_, err = c.Reserve(t.Context(), other)
	require.NoError(t, err)
	released, err := c.Release(t.Context(), other.ID)
	require.NoError(t, err)
	require.Equal(t, "released", released.State)

	ledger, err := c.Account(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, []Reservation{sold}, ledger.Reservations)
	require.Equal(t, "summer", ledger.Programmes[0].Programme)
	require.Equal(t, 10, ledger.Programmes[0].Cap)
	require.Equal(t, 2, ledger.Programmes[0].Confirmed)
	session, err := c.Session(t.Context(), "ATH01")
	require.NoError(t, err)
	price := 9050
	require.Equal(t, Pool{Category: "B", PriceCents: &price, Capacity: 100, Available: 88, Sold: 2, Withheld: 10},
		session.Pools[1])
	all, err := c.Sessions(t.Context(), Filter{}, nil)
	require.NoError(t, err)
	require.Len(t, all.Sessions, 7)
	require.Contains(t, all.Sessions, session)
	some, err := c.Sessions(t.Context(), Filter{Phase: "snow", Available: 1000}, nil)
	require.NoError(t, err)
	require.Len(t, some.Sessions, 1)
	phases, err := c.Phases(t.Context())
	require.NoError(t, err)
	require.Len(t, phases, 6)
	require.Equal(t, 3, phases[0].PackSessions)
	require.True(t, phases[1].Open)
}

func TestBatchSplitsLongLists(t *testing.T) {
	f := start(t)
	url, requests := proxy(t, f.api, nil, func(n int64) bool { return n == 2 })
	c, _ := client(t, Options{URL: url})
	operations := make([]Operation, 2*MaxBatch+1)
	for i := range operations {
		r := Request{Account: fmt.Sprintf("a%d", i), Lines: []Line{{"SKI01", "B", 1}}}
		operations[i] = Operation{Op: Reserve, Request: r}
	}
	operations[7].Lines[0].Quantity = 5
	results, err := c.Batch(t.Context(), operations)
	require.NoError(t, err)
	require.Len(t, results, len(operations))
	require.Equal(t, int64(4), requests.Load(), "three requests, one of them twice")
	ends := []Operation{{Op: Release, Request: Request{ID: operations[0].ID}},
		{Op: Confirm, Request: Request{ID: operations[1].ID}, Reference: "paid"}}
	for i, r := range results {
		if i == 7 {
			require.Equal(t, 409, r.Status)
			require.Equal(t, "session_limit_exceeded", r.Problem.Code)
			require.Equal(t, 4, r.Problem.Count("limit"))
			continue
		}
		require.Nil(t, r.Problem)
		require.Equal(t, operations[i].ID, r.Reservation.ID)
	}
	results, err = c.Batch(t.Context(), ends)
	require.NoError(t, err)
	require.Equal(t, "released", results[0].Reservation.State)
	require.Equal(t, "paid", results[1].Reservation.Reference)
	require.Equal(t, 2*MaxBatch-1, f.stock(t, "SKI01", "B"), "each was made once")
	_, err = c.Batch(t.Context(), []Operation{{Op: "sell"}})
	refusedWith(t, err, 400, "malformed_request")
}

// stock returns how many tickets of a pool are held or sold.
func (f *fixture) stock(t testing.TB, session, category string) int {
	c, _ := client(t, Options{URL: f.api, Key: readKey})
	s, err := c.Session(t.Context(), session)
	require.NoError(t, err)
	for _, p := range s.Pools {
		if p.Category == category {
			return p.Held + p.Sold
		}
	}
	require.FailNow(t, "no such category")
	return 0
}

func refusedWith(t testing.TB, err error, status int, code string) *Error {
	t.Helper()
	var refusal *Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code, refusal.Detail)
	require.Equal(t, status, refusal.Status)
	return refusal
}

func TestRefusals(t *testing.T) {
	f := start(t)
	c, slept := client(t, Options{URL: f.api})
	reserve := func(change func(*Request)) error {
		r := two("alice")
		change(r)
		_, err := c.Reserve(t.Context(), r)
		return err
	}
	where := refusedWith(t, reserve(func(r *Request) { r.ID = "x" }), 400, "malformed_request")
	require.Equal(t, "id", where.Text("where"))
	stranger, _ := client(t, Options{URL: f.api, Key: "stranger"})
	_, err := stranger.Phases(t.Context())
	refusedWith(t, err, 401, "unauthenticated")
	reader, _ := client(t, Options{URL: f.api, Key: readKey})
	_, err = reader.Reserve(t.Context(), two("alice"))
	refusedWith(t, err, 403, "forbidden")
	closed := refusedWith(t, reserve(func(r *Request) { r.Phase = "regional" }), 403, "phase_not_open")
	require.Equal(t, time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), closed.Time("opens_at"))
	require.Equal(t, "urn:seathold:problem:phase_not_open", closed.Type)
	require.Zero(t, closed.Time("phase"))
	require.Zero(t, closed.Count("phase"))
	_, err = c.Reservation(t.Context(), "018c1f6e-0000-7000-8000-000000000000")
	refusedWith(t, err, 404, "reservation_not_found")
	_, err = c.Session(t.Context(), "a/b c")
	require.Equal(t, "a/b c", refusedWith(t, err, 404, "session_not_found").Text("session"))
	short := refusedWith(t, reserve(func(r *Request) { r.Lines[0].Quantity = 7 }), 409, "session_limit_exceeded")
	require.Equal(t, 6, short.Count("limit"), short)
	refusedWith(t, reserve(func(r *Request) { r.Account = strings.Repeat("a", 20<<10) }), 413, "payload_too_large")
	refusedWith(t, reserve(func(r *Request) { r.Lines[0].Session = "XYZ" }), 422, "unknown_session")
	require.Empty(t, *slept, "none of these is retried")
}

// A retry after a lost answer has one effect (I9).
func TestRetryAfterALostAnswerHasOneEffect(t *testing.T) {
	f := start(t)
	url, requests := proxy(t, f.api, nil, func(n int64) bool { return n%2 == 1 })
	c, slept := client(t, Options{URL: url})
	r := two("alice")
	held, err := c.Reserve(t.Context(), r)
	require.NoError(t, err)
	require.True(t, held.Repeated)
	require.Equal(t, r.ID, held.ID)
	require.Equal(t, int64(2), requests.Load())
	require.Len(t, *slept, 1)
	require.Less(t, (*slept)[0], firstWait)
	require.Equal(t, 2, f.stock(t, "ATH01", "B"))
	sold, err := c.Confirm(t.Context(), held.ID, "paid")
	require.NoError(t, err)
	require.Equal(t, "confirmed", sold.State)
	require.Equal(t, int64(4), requests.Load())
	require.Equal(t, 2, f.stock(t, "ATH01", "B"))
}

func TestRetriesAreBounded(t *testing.T) {
	f := start(t)
	notNow := func(retryAfter string, times int64) (url string, requests *atomic.Int64) {
		return proxy(t, f.api, func(n int64, w http.ResponseWriter) bool {
			if n > times {
				return false
			}
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code":"overloaded","detail":"at its limit","status":503}`)
			return true
		}, nil)
	}
	url, _ := notNow("7", 2)
	c, slept := client(t, Options{URL: url})
	held, err := c.Reserve(t.Context(), two("alice"))
	require.NoError(t, err)
	require.False(t, held.Repeated)
	require.Len(t, *slept, 2)
	for i, d := range *slept {
		require.GreaterOrEqual(t, d, 7*time.Second, "attempt %d", i)
		require.Less(t, d, 8*time.Second, "attempt %d", i)
	}

	url, requests := notNow("1", 100)
	c, _ = client(t, Options{URL: url})
	_, err = c.Reserve(t.Context(), two("alice"))
	require.Equal(t, time.Second, refusedWith(t, err, 503, "overloaded").RetryAfter)
	require.Equal(t, int64(5), requests.Load(), "the default")

	url, requests = notNow("3600", 100)
	c, slept = client(t, Options{URL: url})
	_, err = c.Reserve(t.Context(), two("alice"))
	refusedWith(t, err, 503, "overloaded")
	require.Equal(t, int64(1), requests.Load(), "an hour is more than the patience of a minute")
	require.Empty(t, *slept)

	url, requests = notNow("30", 100)
	c, slept = client(t, Options{URL: url})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = c.Phases(ctx)
	refusedWith(t, err, 503, "overloaded")
	require.Equal(t, int64(1), requests.Load(), "the retry would be after the context's deadline")
	require.Empty(t, *slept)

	stop := errors.New("stopped")
	stopped, end := context.WithCancelCause(t.Context())
	c, err = New(Options{URL: url, Sleep: func(context.Context, time.Duration) error { end(stop); return stop }})
	require.NoError(t, err)
	_, err = c.Phases(stopped)
	require.ErrorIs(t, err, stop)
	refusedWith(t, err, 503, "overloaded")
	_, err = c.Phases(stopped)
	require.Equal(t, stop, err, "the cause, and no retry")
}

func TestOtherServersAreRecognized(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://host", "http://host/path", "http://host?x", "http://"} {
		_, err := New(Options{URL: url})
		require.ErrorIs(t, err, errURL, url)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/sessions/") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "<html>hello</html>")
	}))
	defer page.Close()
	c, slept := client(t, Options{URL: page.URL})
	_, err := c.Phases(t.Context())
	refusedWith(t, err, 200, "no_answer")
	_, err = c.Session(t.Context(), "ATH01")
	refusedWith(t, err, 404, "no_answer")
	require.Empty(t, *slept)
	redirect := httptest.NewServer(http.RedirectHandler(page.URL, http.StatusMovedPermanently))
	defer redirect.Close()
	c, slept = client(t, Options{URL: redirect.URL})
	_, err = c.Reserve(t.Context(), two("alice"))
	refusedWith(t, err, 301, "no_answer")
	require.Empty(t, *slept)
	gone, slept := client(t, Options{URL: "http://127.0.0.1:1", Attempts: 3})
	_, err = gone.Phases(t.Context())
	require.ErrorContains(t, err, "connection refused")
	require.Len(t, *slept, 2)
}

// An answer that stops in the middle ends its attempt, not only the context.
func TestStalledAnswersAreRetried(t *testing.T) {
	for _, status := range []int{200, 409} {
		var requests atomic.Int64
		stalling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"code":`)
			_ = http.NewResponseController(w).Flush()
			requests.Add(1)
			<-r.Context().Done()
		}))
		c, err := newCaller(Options{URL: stalling.URL, Attempts: 2}, 50*time.Millisecond)
		require.NoError(t, err)
		_, err = c.call(t.Context(), http.MethodGet, "/v1/phases", nil, &struct{}{})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.EqualValues(t, 2, requests.Load())
		stalling.Close()
	}
}

// No error contains the key.
func TestErrorsDoNotContainTheKey(t *testing.T) {
	for _, key := range []string{sellKey, sellKey + "\n"} {
		c, _ := client(t, Options{URL: "http://127.0.0.1:1", Key: key})
		_, err := c.Phases(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), sellKey)
	}
}

// Many goroutines race for ten tickets through one client (I1).
func TestClientIsSafeForConcurrentUse(t *testing.T) {
	f := start(t)
	c, _ := New(Options{URL: f.api, Key: sellKey, Connections: 8})
	defer c.Close()
	var sold atomic.Int64
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			r := &Request{Account: fmt.Sprintf("a%d", i), Lines: []Line{{"ATH01", "A", 1}}}
			held, err := c.Reserve(t.Context(), r)
			if err != nil {
				refusal := &Error{}
				if !errors.As(err, &refusal) || refusal.Code != "sold_out" || refusal.Count("requested") != 1 {
					t.Errorf("%d: %v", i, err)
				}
				return
			}
			if _, err := c.Confirm(t.Context(), held.ID, ""); err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			sold.Add(1)
		})
	}
	wait.Wait()
	require.Equal(t, int64(9), sold.Load(), "one of ten is withheld")
}

func TestDrawFromEntryToSlot(t *testing.T) {
	f := start(t)
	f.at(t, "2024-01-02T00:00:00Z")
	c, _ := client(t, Options{URL: f.api})
	o, err := NewOperator(Options{URL: f.admin, Key: adminKey})
	require.NoError(t, err)
	defer o.Close()
	entry, err := c.Enter(t.Context(), "ballot", "alice", "")
	require.NoError(t, err)
	require.Equal(t, Entry{Draw: "ballot", Account: "alice"}, entry)
	entry, err = c.Enter(t.Context(), "ballot", "alice", "")
	require.NoError(t, err)
	require.True(t, entry.Repeated)
	_, err = c.Enter(t.Context(), "ballot", "bob", "club")
	refusedWith(t, err, 400, "malformed_request")
	_, err = o.Freeze(t.Context(), "ballot")
	refusedWith(t, err, 409, "registration_open")
	_, err = c.Entry(t.Context(), "ballot", "alice")
	refusedWith(t, err, 409, "draw_not_run")

	f.at(t, "2024-01-06T00:00:00Z")
	frozen, err := o.Freeze(t.Context(), "ballot")
	require.NoError(t, err)
	require.Equal(t, "frozen", frozen.Status)
	_, err = o.Run(t.Context(), "ballot", []byte(strings.Replace(beacon, "1000", "1001", 1)))
	refusedWith(t, err, 422, "beacon_refused")
	drawn, err := o.Run(t.Context(), "ballot", []byte(beacon))
	require.NoError(t, err)
	require.Equal(t, "drawn", drawn.Status)
	require.Equal(t, 10, drawn.Slots.Places)
	require.Equal(t, frozen.Digest, drawn.Digest)
	_, err = o.Run(t.Context(), "ballot", []byte(beacon))
	refusedWith(t, err, 409, "already_drawn")
	read, err := c.Draw(t.Context(), "ballot")
	require.NoError(t, err)
	require.Equal(t, drawn, read)
	entry, err = c.Entry(t.Context(), "ballot", "alice")
	require.NoError(t, err)
	require.Equal(t, 1, entry.Rank)
	require.Equal(t, uint64(1), entry.Proof.Size)
	require.Equal(t, "drawn", entry.Slot.Phase)

	_, err = o.Export(t.Context(), "lottery")
	refusedWith(t, err, 404, "draw_not_found")
	archive, err := o.Export(t.Context(), "ballot")
	require.NoError(t, err)
	first, err := tar.NewReader(archive).Next()
	require.NoError(t, err)
	require.NotEmpty(t, first.Name)
	require.NoError(t, archive.Close())
}

const beacon = `{"round":1000,"randomness":"fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",` +
	`"signature":"b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"}`
