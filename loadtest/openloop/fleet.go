package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is how the buyers behave. Its fields are flags.
type crowd struct {
	Connections int           `default:"64" help:"Connections, each with one request at a time."`
	New         bool          `help:"Make a connection for each request and close it after the answer."`
	Resume      bool          `help:"With --new and TLS: resume the session of the connection before."`
	Think       time.Duration `help:"Closed loop: how long a buyer waits on average before the next reservation on its connection."`
	Patience    time.Duration `default:"10s" help:"A refused buyer comes again for this long after its arrival."`
	Impolite    float64       `help:"Share of buyers that ignore Retry-After and come again at once."`
	Release     float64       `help:"Share of reservations that are released instead of confirmed."`
	Pipeline    int           `default:"1" help:"Send this many requests on a connection before reading the answers. No browser and no gateway does this."`
	Seed        uint64        `help:"Seed of arrivals, pauses and choices; 0 takes a random one."`
}

func (c *crowd) check() error {
	switch {
	case c.Connections < 1 || c.Pipeline < 1:
		return errors.New("--connections and --pipeline are at least 1")
	case c.Pipeline > 1 && (c.New || c.Think > 0):
		return errors.New("--pipeline goes with kept connections without pauses only")
	case c.Impolite < 0 || c.Impolite > 1 || c.Release < 0 || c.Release > 1:
		return errors.New("--impolite and --release are shares, from 0 to 1")
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	return nil
}

// retryWait is the wait after an answer that names none: a refusal without Retry-After, or a lost connection.
const retryWait = time.Second

// connectTime limits the wait for a connection, with its handshake.
const connectTime = 30 * time.Second

// answerTime limits the wait for outstanding answers after a load.
const answerTime = 5 * time.Second

// fleet is the buyers' connections, and what is the same for all loads on them.
type fleet struct {
	crowd       crowd
	target      *target
	to          *endpoint
	writer      *writer
	connections []*connection
	tallies     [tallies]tally
	start       time.Time
	next        atomic.Uint64 // number of the last buyer
	loads       uint64        // made so far: each has random numbers of its own
	faults      chan error    // the first is enough to end a load
	cutoff      time.Time     // the load's end and answerTime: no connection is awaited longer
}

func newFleet(ctx context.Context, t *target, c crowd) (*fleet, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	to, err := newEndpoint(t)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(ctx, t, to)
	if err != nil {
		return nil, err
	}
	f := &fleet{crowd: c, target: t, to: to, writer: w, start: time.Now(), faults: make(chan error, 1)}
	f.clear(window{})
	for i := range c.Connections {
		f.connections = append(f.connections, newConnection(to, i, c.Resume, &f.tallies[i%tallies]))
	}
	return f, nil
}

func (f *fleet) now() time.Duration { return time.Since(f.start) }

// clear begins new counts.
func (f *fleet) clear(w window) {
	f.eachTally(func(t *tally) { t.counts = newCounts(w) })
}

// eachTally calls visit with each tally locked.
func (f *fleet) eachTally(visit func(*tally)) {
	for i := range f.tallies {
		t := &f.tallies[i]
		t.mu.Lock()
		visit(t)
		t.mu.Unlock()
	}
}

// total adds up all counts.
func (f *fleet) total() *counts {
	sum := newCounts(f.tallies[0].window)
	f.eachTally(func(t *tally) { sum.add(t.counts) })
	return sum
}

// handshakes returns how many handshakes the load has made so far.
func (f *fleet) handshakes() (n int) {
	f.eachTally(func(t *tally) { n += t.counts.handshakes })
	return n
}

// answered reports whether any request of the load was answered.
func (f *fleet) answered() (some bool) {
	f.eachTally(func(t *tally) { some = some || len(t.results[reserving]) > 0 })
	return some
}

// fail ends the load with a fault of the server.
func (f *fleet) fail(err error) {
	select {
	case f.faults <- err:
	default: // another one ends it
	}
}

// connect makes all connections, if they are kept. A few at a time connect, so that no handshake has to wait for long.
func (f *fleet) connect(ctx context.Context) error {
	if f.crowd.New {
		return nil
	}
	const atOnce = 32
	var all sync.WaitGroup
	var next atomic.Int64
	faults := make(chan error, atOnce)
	for range min(atOnce, len(f.connections)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(f.connections) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				c := f.connections[i]
				if c.conn != nil {
					continue
				}
				if err := c.connect(time.Now().Add(connectTime)); err != nil {
					faults <- fmt.Errorf("connection %d of %d: %w", i+1, len(f.connections), err)
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-faults:
		return err
	default:
		return ctx.Err()
	}
}

// prepare computes the ClientHellos of all connections that are not made yet. It also collects the garbage of that, or
// this process would collect it in the first seconds of the load, with the stacks of all handshakes.
func (f *fleet) prepare(ctx context.Context) error {
	for _, c := range f.connections {
		if ctx.Err() != nil {
			break
		}
		c.prepare()
	}
	runtime.GC()
	return ctx.Err()
}

// close closes all connections. No goroutine uses them any more.
func (f *fleet) close() {
	for _, c := range f.connections {
		c.close()
	}
}

// buyer is one who comes for a reservation and its confirmation.
type buyer struct {
	n       uint64        // its number; 0 before the first request of an open loop's buyer
	arrived time.Duration // when the first attempt was due
	due     time.Duration // when the next request is due
	held    bool          // the reservation was accepted
}

// share returns a number from 0 to 1 that depends on the buyer only.
func (b *buyer) share() float64 { return float64(b.n*0x9e3779b97f4a7c15>>11) / (1 << 53) }

// attempt makes the requests of a buyer until it is served or has to come again; wait is how long until then. A buyer
// that is served, refused for good or out of patience does not come again.
func (f *fleet) attempt(c *connection, b *buyer, jitter float64) (wait time.Duration, again bool) {
	for {
		k := reserving
		switch {
		case b.held && b.share() < f.crowd.Release:
			k = releasing
		case b.held:
			k = confirming
		}
		c.out = f.writer.append(c.out[:0], k, b.n)
		a, err := c.exchange(c.out, f.cutoff)
		now := f.now()
		if f.crowd.New {
			c.close()
		}
		var code string
		switch {
		case err == nil:
			code = codeOf(a)
		case errors.Is(err, errConnect):
			code = "not connected"
		case errors.Is(err, os.ErrDeadlineExceeded):
			code = "no answer"
		default:
			code = "connection lost"
		}
		if bad := (malformed{}); errors.As(err, &bad) {
			f.fail(err)
			return 0, false
		}
		c.tally.answer(k, b.due, now, code)
		b.due = now
		switch {
		case code != "ok" && err == nil && a.status != 503:
			return 0, false
		case code != "ok":
			return f.pause(c, b, a, jitter)
		case k != reserving:
			return 0, false
		}
		b.held = true
	}
}

// pause returns how long a refused buyer waits before it comes again. A buyer with a hold never leaves without it.
func (f *fleet) pause(c *connection, b *buyer, a answer, jitter float64) (wait time.Duration, again bool) {
	wait = cmp.Or(a.retryAfter, retryWait)
	wait += time.Duration(float64(wait) / 2 * jitter)
	if a.status == 503 && b.share() >= 1-f.crowd.Impolite {
		wait = 0
	}
	if !b.held && b.due+wait > b.arrived+f.crowd.Patience {
		c.tally.count(b.due, &c.tally.left)
		return 0, false
	}
	b.due += wait
	return wait, true
}
