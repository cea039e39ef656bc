package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// TestTakeovers (I1, I5, I8, I9) plays random histories of three servers that share a journal, in virtual time. They
// crash, are cut off, are closed, and start again as standbys or beside a leader, with another definition of the sale,
// and the journal stalls. At the end the journal verifies, and every reservation is in a state that its caller's
// answers and all reads allow: no acknowledged outcome is lost, and no fenced leader has acknowledged one.
func TestTakeovers(t *testing.T) {
	random := seeded(t)
	var all takeoverCounts
	n := rounds(t, 500)
	for range n {
		seed := random.Uint64()
		inCluster(t, func(c *cluster) {
			h := &takeovers{cluster: c, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), promises: map[uuid.UUID]*promise{}}
			h.play()
			all.add(&h.counts)
		})
		if t.Failed() {
			t.Fatalf("history with seed %d", seed)
		}
	}
	t.Logf("%d histories: %d terms, %d definitions stored, %d starts refused beside a leader; %d crashes, %d closes, "+
		"%d cuts, %d stalls, %d checkpoints; %d calls, %d without an answer, %d reads", n, all.terms, all.definitions,
		all.refused, all.crashes, all.closes, all.cuts, all.stalls, all.checkpoints, all.calls, all.unknown, all.reads)
	t.Log(&all.answers)
	if n >= 100 {
		require.NoError(t, all.answers.Untried())
		require.Greater(t, all.terms, n)
		require.Greater(t, all.definitions, n+n/10)
		require.Greater(t, all.unknown, n/2)
		require.Positive(t, all.refused)
	}
}

// takeoverCounts are the events of histories.
type takeoverCounts struct {
	terms, definitions, refused, crashes, closes, cuts, stalls, checkpoints, calls, unknown, reads int

	answers spec.Tally
}

func (a *takeoverCounts) add(b *takeoverCounts) {
	a.terms += b.terms
	a.definitions += b.definitions
	a.refused += b.refused
	a.crashes += b.crashes
	a.closes += b.closes
	a.cuts += b.cuts
	a.stalls += b.stalls
	a.checkpoints += b.checkpoints
	a.calls += b.calls
	a.unknown += b.unknown
	a.reads += b.reads
	a.answers.Merge(&b.answers)
}

// takeovers is one random history.
type takeovers struct {
	*cluster
	seed      uint64
	random    *rand.Rand
	reordered *catalog.Sale
	over      time.Time
	ctx       context.Context
	all       sync.WaitGroup

	mu       sync.Mutex // guards the rest
	nodes    [3]*node   // nil while the server is down
	ids      []uuid.UUID
	promises map[uuid.UUID]*promise
	counts   takeoverCounts
}

func (h *takeovers) play() {
	h.reordered = reordered(h)
	delays := h.fork()
	var delay sync.Mutex
	h.stream.Delay = func() time.Duration {
		delay.Lock()
		defer delay.Unlock()
		if delays.IntN(50) == 0 {
			return time.Duration(delays.IntN(1500)) * time.Millisecond
		}
		return time.Duration(delays.IntN(20_000)) * time.Microsecond
	}
	h.over = time.Now().Add(12 * time.Second)
	ctx, cancel := context.WithCancel(h.Context())
	h.ctx = ctx
	for i := range h.nodes {
		random := h.fork()
		h.all.Go(func() { h.serve(i, random) })
	}
	for i := range 3 {
		random := h.fork()
		h.all.Go(func() { h.call(i, random) })
	}
	random := h.fork()
	h.all.Go(func() { h.stall(random) })
	time.Sleep(time.Until(h.over))
	cancel()
	h.all.Wait()
	h.judge()
}

func (h *takeovers) fork() *rand.Rand { return rand.New(rand.NewPCG(h.random.Uint64(), 0)) }

// rest waits for a random time up to most, or until the history is over.
func (h *takeovers) rest(random *rand.Rand, most time.Duration) {
	select {
	case <-time.After(time.Duration(random.Int64N(int64(most)))):
	case <-h.ctx.Done():
	}
}

func (h *takeovers) count(f func(c *takeoverCounts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.counts)
}

// serve runs one server after another on a machine.
func (h *takeovers) serve(i int, random *rand.Rand) {
	name := fmt.Sprint(i)
	skew := time.Duration(random.IntN(3000)) * time.Millisecond
	for h.ctx.Err() == nil {
		n := &node{c: h.cluster, process: h.stream.Open(name), log: &syncBuffer{}}
		o := h.options(n)
		o.Standby = random.IntN(3) > 0
		if random.IntN(3) == 0 {
			o.Sale = h.reordered
		}
		o.Clock = saleclock.From(h.options(n).Clock.Now().Add(skew))
		o.SweepEvery, o.CheckEvery, o.TTL, o.MaxHold = time.Second, -1, 3*time.Second, 10*time.Second
		e, err := engine.Open(h.ctx, o)
		if err != nil {
			h.notOpened(err)
			h.rest(random, time.Second)
			continue
		}
		n.Engine = e
		h.put(i, n)
		for again := true; again && h.ctx.Err() == nil; {
			again = h.live(n, random)
		}
		h.put(i, nil)
		n.process.Cut(false)
		if random.IntN(2) == 0 {
			n.process.Crash()
			h.count(func(c *takeoverCounts) { c.crashes++ })
		} else {
			h.count(func(c *takeoverCounts) { c.closes++ })
		}
		if err := e.Close(); err != nil && !errors.Is(err, journaltest.ErrCrashed) && !errors.Is(err, journal.ErrFenced) &&
			!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			h.Errorf("closing server %s: %v", name, err)
		}
	}
}

func (h *takeovers) put(i int, n *node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes[i] = n
}

// notOpened checks why a server did not start.
func (h *takeovers) notOpened(err error) {
	if errors.Is(err, journal.ErrNotSilent) {
		h.count(func(c *takeoverCounts) { c.refused++ })
	} else if h.ctx.Err() == nil && !errors.Is(err, journal.ErrFenced) {
		h.Errorf("a server did not start: %v", err)
	}
}

// live lets a server live for a while. It returns false at its end.
func (h *takeovers) live(n *node, random *rand.Rand) bool {
	switch random.IntN(8) {
	case 0:
		return false
	case 1, 2:
		h.count(func(c *takeoverCounts) { c.cuts++ })
		n.process.Cut(true)
		h.rest(random, 2*silence)
		n.process.Cut(false)
	case 3:
		if n.Leads() {
			if _, err := n.Checkpoint(h.ctx); err == nil {
				h.count(func(c *takeoverCounts) { c.checkpoints++ })
			}
		}
	default:
	}
	pause := time.NewTimer(time.Duration(random.Int64N(int64(3 * time.Second))))
	defer pause.Stop()
	select {
	case <-n.Deposed():
		if !errors.Is(n.Ready(), journal.ErrFenced) {
			h.Errorf("a server is deposed: %v", n.Ready())
		}
		return false
	case <-pause.C:
	case <-h.ctx.Done():
	}
	return true
}

// stall freezes the journal now and then.
func (h *takeovers) stall(random *rand.Rand) {
	for h.ctx.Err() == nil {
		h.rest(random, 8*time.Second)
		h.count(func(c *takeoverCounts) { c.stalls++ })
		h.stream.Freeze(true)
		h.rest(random, 2*timeout)
		h.stream.Freeze(false)
	}
}

// pick returns one of the servers, rather the one that leads.
func (h *takeovers) pick(random *rand.Rand) *node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[random.IntN(len(h.nodes))]
	for _, other := range h.nodes {
		if other != nil && other.Leads() && random.IntN(2) == 0 {
			n = other
		}
	}
	return n
}
