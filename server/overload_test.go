package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// send sends a request on a connection without waiting for the answer.
func (f *fixture) send(c net.Conn, method, path, body string) {
	f.t.Helper()
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	require.NoError(f.t, err)
}

// exchange sends a request on a connection and returns the answer.
func (f *fixture) exchange(c net.Conn, method, path, body string) *answer {
	f.t.Helper()
	f.send(c, method, path, body)
	return f.readAnswer(bufio.NewReader(c))
}

// awaitWaiting returns when n requests wait for a turn.
func (f *fixture) awaitWaiting(n int64) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return f.server.turns.waiting.Load() == n }, patience, time.Millisecond)
}

// While new holds and lists are refused for load, confirms, releases, changes, batches of them, and reads of one's own
// wait for their turn and are served.
func TestConfirmIsNeverRefusedForLoad(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.MaxInFlight = 2 })
	for i := range 5 {
		require.Equal(t, 201, f.reserveOne(otherID(i+1), "a", "SWM01", "1").status)
	}
	require.Equal(t, 200, f.post("/v1/reservations/"+otherID(5)+"/confirm", "").status)
	leave := f.takeAllTurns()
	finishing := []struct{ method, path, body string }{
		{"POST", "/v1/reservations/" + otherID(1) + "/confirm", `{}`},
		{"POST", "/v1/reservations/" + otherID(2) + "/release", ``},
		{"POST", "/v1/batch", `{"operations":[{"op":"confirm","id":"` + otherID(3) + `"}]}`},
		{"POST", "/v1/reservations/" + otherID(4) + "/extend", `{"expires_at":"2024-01-10T09:30:00Z"}`},
		{"POST", "/v1/reservations/" + otherID(4) + "/reduce",
			`{"lines":[{"session":"SWM01","category":"A","quantity":1}]}`},
		{"POST", "/v1/reservations/" + otherID(5) + "/return", `{}`},
		{"GET", "/v1/reservations/" + otherID(4), ""},
		{"GET", "/v1/accounts/a", ""},
	}
	waiting := make([]net.Conn, len(finishing))
	for i, r := range finishing {
		waiting[i] = f.dial()
		f.send(waiting[i], r.method, r.path, r.body)
	}
	f.awaitWaiting(int64(len(finishing)))
	for range 3 {
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/v1/reservations", validBody},
			{"POST", "/v1/batch", `{"operations":[{"op":"reserve",` + validBody[1:] + `]}`},
			{"POST", "/v1/batch", `{"operations":[{"op":"reserv\u0065",` + validBody[1:] + `]}`},
			{"GET", "/v1/sessions", ""}, {"GET", "/v1/sessions/SWM01", ""}, {"GET", "/v1/phases", ""},
		} {
			a := f.call(r.method, r.path, r.body)
			require.Equal(t, "overloaded", a.code(), r.path)
			require.Equal(t, "1", a.header.Get("Retry-After"))
		}
	}
	require.EqualValues(t, len(finishing), f.server.turns.waiting.Load())
	leave()
	for i, c := range waiting {
		require.Equal(t, 200, f.readAnswer(bufio.NewReader(c)).status, finishing[i].path)
		require.NoError(t, c.Close())
	}
	stats := f.server.Stats().Overload
	require.EqualValues(t, 18, stats.Refused["waited"])
	require.EqualValues(t, len(finishing), stats.Waits.Count())
	require.Zero(t, stats.InTurn)
}

// What needs no engine needs no turn.
func TestRefusalsOfTheServerNeedNoTurn(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) {
		o.MaxInFlight, o.Keys = 1, must(ParseKeys(strings.NewReader("sell "+sellKey)))(t)
	})
	defer f.takeAllTurns()()
	require.Equal(t, "unauthenticated", f.post("/v1/reservations", validBody).code())
	require.Equal(t, "not_found", f.call("GET", "/v1/x", "", "Authorization", "Bearer "+sellKey).code())
}

// A refusal that is held back is sent when the server shuts down.
func TestRefusalIsHeldBack(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.MaxInFlight = 1 })
	defer f.takeAllTurns()()
	f.server.turns.hold = time.Hour
	c := f.dial()
	f.send(c, "POST", "/v1/reservations", validBody)
	require.Eventually(t, func() bool { return f.server.Stats().Overload.Waiting["refused"] == 1 }, patience,
		time.Millisecond)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(context.WithoutCancel(t.Context())) }()
	require.Equal(t, "overloaded", f.readAnswer(bufio.NewReader(c)).code())
	require.NoError(t, c.Close())
	require.NoError(t, <-down)
}

// While a refusal is held back, the request takes no bytes of the budget and none of its key's requests in flight.
func TestHeldBackRequestTakesNothing(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) {
		o.MaxInFlight, o.MaxInFlightPerKey = 1, 1
		o.Keys = must(ParseKeys(strings.NewReader("sell " + sellKey)))(t)
	})
	leave := f.takeAllTurns()
	f.server.turns.hold = time.Hour
	c := f.dial()
	body := `{"operations":[` + strings.Repeat(" ", 400<<10) + `{"op":"reserve",` + validBody[1:] + `]}`
	_, err := fmt.Fprintf(c, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Length: %d\r\n\r\n%s", sellKey, len(body), body)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.server.Stats().Overload.Waiting["refused"] == 1 }, patience,
		time.Millisecond)
	f.used(0)
	leave()
	require.Equal(t, 200, f.call("GET", "/v1/phases", "", "Authorization", "Bearer "+sellKey).status, "its key has room")
	require.NoError(t, f.server.Shutdown(context.WithoutCancel(t.Context())))
	require.NoError(t, c.Close())
}

// A shutdown answers the requests that wait for their turn: they were read.
func TestShutdownAnswersWhoWaits(t *testing.T) {
	onEachListener(t, func(t *testing.T, f *fixture, _ *stallingJournal) {
		leave := f.takeAllTurns()
		f.server.turns.longest = time.Hour
		c := f.dial()
		f.send(c, "POST", "/v1/reservations", validBody)
		f.awaitWaiting(1)
		down := make(chan error, 1)
		go func() { down <- f.server.Shutdown(context.WithoutCancel(t.Context())) }()
		require.Eventually(t, func() bool { return f.server.Ready() != nil }, patience, time.Millisecond)
		leave()
		a := f.readAnswer(bufio.NewReader(c))
		require.Equal(t, 201, a.status)
		require.True(t, a.last)
		require.NoError(t, <-down)
		require.NoError(t, c.Close())
	})
}

// A shutdown that times out ends although requests wait for a turn, and none of them takes effect.
func TestShutdownCutsWhoWaits(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	leave := f.takeAllTurns()
	f.server.turns.longest = time.Hour
	hold, read := f.dial(), f.dial()
	f.send(hold, "POST", "/v1/reservations", validBody)
	f.send(read, "GET", "/v1/accounts/w", "")
	f.awaitWaiting(2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.server.Shutdown(ctx), context.DeadlineExceeded)
	leave()
	require.Zero(t, f.server.turns.taken())
	require.Zero(t, f.engine.Stats().Reservations[engine.Held])
	for _, c := range []net.Conn{hold, read} {
		require.NoError(t, c.Close())
	}
}

// The requests of a key are limited if the operator wants it; what completes what was begun is not refused.
func TestLimitPerKey(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) {
		o.MaxInFlightPerKey = 1
		o.Keys = must(ParseKeys(strings.NewReader("sell " + sellKey + " greedy\nsell other-0123456789abcdef other")))(t)
	})
	leave := f.takeAllTurns()
	f.server.turns.longest = time.Hour
	post := func(key string) net.Conn {
		c := f.dial()
		_, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
			"Content-Length: %d\r\n\r\n%s", key, len(validBody), validBody)
		require.NoError(t, err)
		return c
	}
	first := post(sellKey)
	f.awaitWaiting(1)
	second := post(sellKey)
	require.Equal(t, "overloaded", f.readAnswer(bufio.NewReader(second)).code())
	require.EqualValues(t, 1, f.server.Stats().Overload.Refused["key"])
	third := post("other-0123456789abcdef")
	f.awaitWaiting(2)
	_, err := io.WriteString(second, "GET /v1/accounts/w HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+sellKey+"\r\n\r\n")
	require.NoError(t, err)
	f.awaitWaiting(3)
	leave()
	for c, status := range map[net.Conn]int{first: 201, second: 200, third: 201} {
		require.Equal(t, status, f.readAnswer(bufio.NewReader(c)).status)
		require.NoError(t, c.Close())
	}
}

// The connections of an address are limited if the operator wants it.
func TestLimitPerAddress(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.MaxConnectionsPerAddress = 2 })
	from := func(address string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		c, err := d.Dial("tcp", f.address)
		if err != nil {
			t.Skipf("this machine has no %s: %v", address, err) // macOS has 127.0.0.1 only
		}
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		return c
	}
	greedy := []net.Conn{from("127.0.0.2"), from("127.0.0.2")}
	for _, c := range greedy {
		require.Equal(t, 200, f.exchange(c, "GET", "/v1/phases", "").status)
	}
	beyond := from("127.0.0.2")
	require.Equal(t, "overloaded", f.readAnswer(bufio.NewReader(beyond)).code())
	require.EqualValues(t, 1, f.server.Stats().Overload.Refused["address"])
	other := from("127.0.0.3")
	require.Equal(t, 200, f.exchange(other, "GET", "/v1/phases", "").status)
	for _, c := range append(greedy, beyond, other) {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return f.server.Stats().Connections == 0 }, patience, time.Millisecond)
	require.Empty(t, f.server.listeners[0].from, "nothing is kept of those who left")
}

// The address of a client is that of its network, where it may have many.
func TestAddressOfClient(t *testing.T) {
	of := func(address string) string {
		return addressOf(&remote{address: must(net.ResolveTCPAddr("tcp", address))(t)}).String()
	}
	require.Equal(t, "192.0.2.7", of("192.0.2.7:1"))
	require.Equal(t, "192.0.2.7", of("[::ffff:192.0.2.7]:1"))
	require.Equal(t, "2001:db8:1:2::", of("[2001:db8:1:2:3:4:5:6]:1"))
	require.Equal(t, of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:2:3:4:5:6]:2"))
}

type remote struct {
	net.Conn
	address net.Addr
}

func (r *remote) RemoteAddr() net.Addr { return r.address }

// While the number of turns changes, those that are taken are counted exactly.
func TestTurnsTakenInStats(t *testing.T) {
	f := start(t, nil)
	s := f.server.turns
	var changes sync.WaitGroup
	var over atomic.Bool
	changes.Go(func() {
		for limit := int64(1); !over.Load(); limit = limit%100 + 10 {
			s.mu.Lock()
			s.setLimit(limit)
			s.mu.Unlock()
		}
	})
	for range 5000 {
		if n := f.server.overload().InTurn; n != 0 {
			t.Errorf("%d turns are taken", n)
			break
		}
	}
	over.Store(true)
	changes.Wait()
}

// Handshakes rest for requests that need the processors, not for a few that wait for the journal: those leave the
// processors idle.
func TestPressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turnstile := newTurnstile(t, 2000)
		turnstile.paced.Store(false)
		turnstile.give(2000)
		s := &Server{turns: turnstile.turns}
		w := newWaiter(finishing, 1)
		for range s.turns.pace.fewest {
			require.True(t, s.turns.take(w))
			require.False(t, s.pressed())
		}
		require.True(t, s.turns.take(w))
		require.True(t, s.pressed())
		time.Sleep(time.Second)
		require.True(t, s.pressed(), "they still have their turns")
		s.turns.leave(finishing)
		require.True(t, s.pressed(), "for a moment")
		time.Sleep(2 * paceEvery)
		require.False(t, s.pressed())

		full := newTurnstile(t, 1)
		full.paced.Store(false)
		s.turns = full.turns
		require.False(t, s.pressed())
		full.wait("confirm", newWaiter(finishing, 1))
		require.True(t, s.pressed(), "a request waits")
		full.give(1)
		require.Equal(t, []string{"confirm served"}, full.after(2*paceEvery))
		require.False(t, s.pressed())
	})
}
