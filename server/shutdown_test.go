package server

import (
	"bufio"
	"context"
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

// TestShutdownUnderLoad is that no request which took effect goes unanswered when the server shuts down in the middle
// of it: what a client heard nothing of was never executed.
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
	unheard := make([][]uuid.UUID, clients)
	for i := range clients {
		all.Go(func() { unheard[i] = f.sellUntilClosed(i, 1+i%4, &answered) })
	}
	enough := 200 + rand.New(rand.NewPCG(seed, 0)).Int64N(400)
	for answered.Load() < enough {
		time.Sleep(time.Millisecond) // until the load is on
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, f.server.Shutdown(ctx))
	require.Error(t, f.server.Ready())
	_, err := net.Dial("tcp", f.address)
	require.Error(t, err)
	all.Wait()
	var r engine.Reservation
	for _, ids := range unheard {
		for _, id := range ids {
			err := e.Reservation(t.Context(), id, &r)
			var refusal *engine.Refusal
			require.ErrorAs(t, err, &refusal, "%s took effect and nobody was told", id)
			require.Equal(t, engine.ReservationNotFound, refusal.Code)
		}
	}
}

// sellUntilClosed sends reservations, depth at a time, each release and each refusal included in what counts as
// answered, until the connection ends. It returns the ids of which it heard nothing. A request that it could not send
// any more does not keep it from hearing what was answered to those before.
func (f *fixture) sellUntilClosed(client, depth int, answered *atomic.Int64) (unheard []uuid.UUID) {
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		return nil // it came too late
	}
	defer c.Close() // the answers are all that counts
	r := bufio.NewReader(c)
	for n := 0; ; n++ {
		for range depth {
			id := uuid.New()
			unheard = append(unheard, id)
			body := fmt.Sprintf(`{"id":"%s","account":"c%d-%d","lines":[{"session":"SKI01","category":"B","quantity":1}]}`, id, client, n)
			if _, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
				break
			}
		}
		for range depth {
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				return unheard
			}
			_, err = io.Copy(io.Discard, response.Body)
			if errors.Join(err, response.Body.Close()) != nil {
				return unheard
			}
			unheard = unheard[1:]
			answered.Add(1)
		}
	}
}

// TestShutdownEndsIdleConnections is that connections without a request in them do not hold up a shutdown, and that it
// waits for one that has.
func TestShutdownEndsIdleConnections(t *testing.T) {
	f, gate := startGated(t)
	silent, used, busy := f.dial(), f.dial(), f.dial()
	for _, c := range []net.Conn{used, busy} {
		_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, 200, f.readAnswer(bufio.NewReader(c)).status)
	}
	gate.closed.Store(true)
	f.beginReserve(busy)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	for _, c := range []net.Conn{silent, used} { // both end while the third still waits for the journal
		require.Empty(t, must(io.ReadAll(c))(t))
		require.NoError(t, c.Close())
	}
	require.Empty(t, down)
	close(gate.open)
	a := f.readAnswer(bufio.NewReader(busy))
	require.Equal(t, 201, a.status)
	require.True(t, a.last)
	require.NoError(t, <-down) // also with a client that does not hang up
	require.NoError(t, busy.Close())
}

// TestShutdownHearsClientsOut is that a client that has sent more than was read of it gets its answer and an orderly
// end: a reset could overtake the answer.
func TestShutdownHearsClientsOut(t *testing.T) {
	f, gate := startGated(t)
	c := f.dial()
	gate.closed.Store(true)
	f.beginReserve(c)
	_, err := io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return f.server.Ready() != nil }, patience, time.Millisecond)
	close(gate.open)
	r := bufio.NewReader(c)
	a := f.readAnswer(r)
	require.Equal(t, 201, a.status)
	require.True(t, a.last)
	_, err = r.ReadByte()
	require.Equal(t, io.EOF, err)
	require.NoError(t, c.Close())
	require.NoError(t, <-down)
}

// TestShutdownLosesPatience is that a shutdown ends although the journal hangs, and leaves no call behind.
func TestShutdownLosesPatience(t *testing.T) {
	f, gate := startGated(t)
	gate.closed.Store(true)
	busy := f.dial()
	f.beginReserve(busy)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.server.Shutdown(ctx), context.DeadlineExceeded)
	require.Zero(t, f.server.admission.inFlight.Load())
	require.NoError(t, busy.Close())
	close(gate.open)
}

// startGated starts a server whose journal can be made to hang.
func startGated(t *testing.T) (*fixture, *gatedJournal) {
	noLeaks(t)
	clock := clockAt(instantOf(t, early))
	gate := &gatedJournal{open: make(chan struct{}), failingJournal: failingJournal{from: 1 << 60}}
	e := newEngine(t, clock, func(o *engine.Options) { o.Durability, o.Journal, o.JournalTimeout = engine.Sync, gate, time.Minute })
	return startWith(t, clock, e, nil), gate
}

// beginReserve sends a request to reserve, and returns when the server is at it and no other.
func (f *fixture) beginReserve(c net.Conn) {
	f.t.Helper()
	_, err := fmt.Fprintf(c, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(validBody), validBody)
	require.NoError(f.t, err)
	require.Eventually(f.t, func() bool { return f.server.admission.inFlight.Load() == 1 }, patience, time.Millisecond)
}

// gatedJournal is a journal that can be made to hang.
type gatedJournal struct {
	failingJournal
	closed atomic.Bool
	open   chan struct{}
}

func (j *gatedJournal) Append(ctx context.Context, g journal.Group) error {
	if j.closed.Load() {
		select {
		case <-j.open:
		case <-ctx.Done():
			return errors.Join(errors.New("the journal hung"), ctx.Err())
		}
	}
	return j.failingJournal.Append(ctx, g)
}
