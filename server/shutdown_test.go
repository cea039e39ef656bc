package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
)

// TestShutdownUnderLoad checks that every request that took effect is answered when the server shuts down under load: a
// request without an answer was never executed.
func TestShutdownUnderLoad(t *testing.T) {
	noLeaks(t)
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { shutdownUnderLoad(t, uint64(time.Now().UnixNano())) })
	}
}

func shutdownUnderLoad(t *testing.T, seed uint64) {
	t.Logf("seed %d", seed)
	clock := clockAt(instantOf(t, early))
	b := must(embedded.Open(t.TempDir(), embedded.Options{}))(t)
	e := newEngine(t, clock, func(o *engine.Options) { o.Durability, o.Journal = engine.Sync, b })
	f := startWith(t, clock, e, nil)
	const clients = 32
	var all sync.WaitGroup
	var answered atomic.Int64
	unanswered := make([][]uuid.UUID, clients)
	for i := range clients {
		all.Go(func() { unanswered[i] = f.sellUntilClosed(i, 1+i%4, &answered) })
	}
	enough := 200 + rand.New(rand.NewPCG(seed, 0)).Int64N(400)
	for answered.Load() < enough {
		time.Sleep(time.Millisecond) // until there is load
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, f.server.Shutdown(ctx))
	require.Error(t, f.server.Ready())
	_, err := net.Dial("tcp", f.address)
	require.Error(t, err)
	all.Wait()
	var r engine.Reservation
	for _, ids := range unanswered {
		for _, id := range ids {
			err := e.Reservation(t.Context(), id, &r)
			var refusal *engine.Refusal
			require.ErrorAs(t, err, &refusal, "%s took effect without an answer", id)
			require.Equal(t, engine.ReservationNotFound, refusal.Code)
		}
	}
}

// sellUntilClosed pipelines reservations, depth at a time, until the connection ends, and counts the answers. It
// returns the ids without one. After a failed write it still reads the answers to earlier requests.
func (f *fixture) sellUntilClosed(client, depth int, answered *atomic.Int64) (unanswered []uuid.UUID) {
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		return nil // the server has shut down
	}
	defer c.Close() // an error of Close does not matter
	r := bufio.NewReader(c)
	for n := 0; ; n++ {
		for range depth {
			id := uuid.New()
			unanswered = append(unanswered, id)
			body := fmt.Sprintf(`{"id":"%s","account":"c%d-%d","lines":[{"session":"SKI01","category":"B","quantity":1}]}`,
				id, client, n)
			if _, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
				len(body), body); err != nil {
				break
			}
		}
		for range depth {
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				return unanswered
			}
			_, err = io.Copy(io.Discard, response.Body)
			if errors.Join(err, response.Body.Close()) != nil {
				return unanswered
			}
			unanswered = unanswered[1:]
			answered.Add(1)
		}
	}
}

// TestShutdownEndsIdleConnections checks that a shutdown does not wait for idle connections, and waits for one with a
// request in flight.
func TestShutdownEndsIdleConnections(t *testing.T) {
	onEachListener(t, shutdownEndsIdleConnections)
}

// onEachListener runs a test on a plain listener, and on one with TLS.
func onEachListener(t *testing.T, test func(t *testing.T, f *fixture, j *stallingJournal)) {
	t.Run("plain", func(t *testing.T) {
		f, j := startStalling(t)
		test(t, f, j)
	})
	t.Run("tls", func(t *testing.T) {
		f, j := startStalling(t)
		test(t, f.overTLS(), j)
	})
}

func shutdownEndsIdleConnections(t *testing.T, f *fixture, j *stallingJournal) {
	silent, used, busy := f.dial(), f.dial(), f.dial()
	for _, c := range []net.Conn{used, busy} {
		_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, 200, f.readAnswer(bufio.NewReader(c)).status)
	}
	j.stalled.Store(true)
	f.beginReserve(busy)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	if c, ok := silent.(*tls.Conn); ok {
		silent = c.NetConn() // it has not even begun the handshake
	}
	for _, c := range []net.Conn{silent, used} { // both are closed while the third waits for the journal
		require.Empty(t, must(io.ReadAll(c))(t))
		require.NoError(t, c.Close())
	}
	require.Empty(t, down)
	close(j.resumed)
	a := f.readAnswer(bufio.NewReader(busy))
	require.Equal(t, 201, a.status)
	require.True(t, a.last)
	require.NoError(t, <-down) // even though the client keeps its end open
	require.NoError(t, busy.Close())
}

// TestShutdownClosesGracefully checks that a client that has sent more than was read receives its answer and an orderly
// close. A reset could overtake the answer.
func TestShutdownClosesGracefully(t *testing.T) {
	onEachListener(t, shutdownClosesGracefully)
}

func shutdownClosesGracefully(t *testing.T, f *fixture, j *stallingJournal) {
	c := f.dial()
	j.stalled.Store(true)
	f.beginReserve(c)
	_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return f.server.Ready() != nil }, patience, time.Millisecond)
	close(j.resumed)
	r := bufio.NewReader(c)
	a := f.readAnswer(r)
	require.Equal(t, 201, a.status)
	require.True(t, a.last)
	_, err = r.ReadByte()
	require.Equal(t, io.EOF, err)
	require.NoError(t, c.Close())
	require.NoError(t, <-down)
}

// TestShutdownTimesOut checks that a shutdown ends although the journal stalls, and leaves no call in flight.
func TestShutdownTimesOut(t *testing.T) {
	f, j := startStalling(t)
	j.stalled.Store(true)
	busy := f.dial()
	f.beginReserve(busy)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.server.Shutdown(ctx), context.DeadlineExceeded)
	require.Zero(t, f.server.turns.taken())
	require.NoError(t, busy.Close())
	close(j.resumed)
}

// After the calls are cancelled, a request that has arrived decides nothing any more: it takes no stock, and its caller
// learns by a retry what became of it.
func TestCancelledCallsTakeNothing(t *testing.T) {
	f := start(t, nil)
	require.Equal(t, 201, f.reserveOne(otherID(1), "a", "SWM01", "1").status)
	before := f.engine.Stats().Reservations
	f.server.cancel()
	require.Equal(t, "journal_unavailable", f.reserveOne(otherID(2), "a", "SWM01", "1").code())
	require.Equal(t, "journal_unavailable", f.post("/v1/reservations/"+otherID(1)+"/confirm", "").code())
	batch := f.post("/v1/batch", `{"operations":[{"op":"release","id":"`+otherID(1)+`"}]}`)
	require.Contains(t, string(batch.body), `"code":"journal_unavailable"`)
	require.Equal(t, before, f.engine.Stats().Reservations)
}

// startStalling starts a server whose journal can stall.
func startStalling(t *testing.T) (*fixture, *stallingJournal) {
	noLeaks(t)
	clock := clockAt(instantOf(t, early))
	j := &stallingJournal{resumed: make(chan struct{}), failingJournal: failingJournal{from: 1 << 60}}
	e := newEngine(t, clock, func(o *engine.Options) {
		o.Durability, o.Journal, o.JournalTimeout = engine.Sync, j, time.Minute
	})
	return startWith(t, clock, e, nil), j
}

// beginReserve sends a request to reserve, and returns when it is the only one in flight.
func (f *fixture) beginReserve(c net.Conn) {
	f.t.Helper()
	_, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		len(validBody), validBody)
	require.NoError(f.t, err)
	require.Eventually(f.t, func() bool { return f.server.turns.taken() == 1 }, patience, time.Millisecond)
}

// stallingJournal is a journal that can stall.
type stallingJournal struct {
	failingJournal
	stalled atomic.Bool
	resumed chan struct{}
}

func (j *stallingJournal) Append(ctx context.Context, g journal.Group) error {
	if j.stalled.Load() {
		select {
		case <-j.resumed:
		case <-ctx.Done():
			return errors.Join(errors.New("the journal stalled"), ctx.Err())
		}
	}
	return j.failingJournal.Append(ctx, g)
}
