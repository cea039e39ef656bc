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
			h := &takeovers{cluster: c, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), promises: map[uuid.UUID]*outcome{}}
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
	if n >= 100 {
		require.Greater(t, all.terms, n)
		require.Greater(t, all.definitions, n+n/10)
		require.Greater(t, all.unknown, n/2)
		require.Positive(t, all.refused)
	}
}

// takeoverCounts are the events of histories.
type takeoverCounts struct {
	terms, definitions, refused, crashes, closes, cuts, stalls, checkpoints, calls, unknown, reads int
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
}

// outcome is what callers and readers know of a reservation.
type outcome struct {
	possible map[string]bool // states in which it may be; "" for absent
	final    string          // the end that somebody was shown; "" for none
	exists   bool            // somebody was shown it
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
	promises map[uuid.UUID]*outcome
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
		o.SweepEvery, o.CheckEvery, o.TTL = time.Second, -1, 10*time.Second
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

// call makes the calls of one caller.
func (h *takeovers) call(i int, random *rand.Rand) {
	for serial := 0; h.ctx.Err() == nil; {
		h.rest(random, 250*time.Millisecond)
		n := h.pick(random)
		if n == nil {
			continue
		}
		switch what := random.IntN(10); {
		case what < 4:
			serial++
			h.reserve(n, random, fmt.Sprintf("%d-%d-%d", h.seed, i, serial), fmt.Sprintf("caller-%d-%d", i, serial/5))
		case what < 8:
			h.finish(n, random)
		default:
			h.read(n, random)
		}
	}
}

// some returns a reservation that was named, and what is known of it; nil for none yet.
func (h *takeovers) some(random *rand.Rand) (uuid.UUID, *outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) == 0 {
		return uuid.UUID{}, nil
	}
	id := h.ids[max(0, len(h.ids)-1-random.IntN(12))]
	return id, h.promises[id]
}

func (h *takeovers) reserve(n *node, random *rand.Rand, name, account string) {
	id := uuid.NewSHA1(uuid.Nil, []byte(name))
	p := &outcome{possible: map[string]bool{"": true}}
	h.mu.Lock()
	h.ids, h.promises[id] = append(h.ids, id), p
	h.mu.Unlock()
	q := engine.Request{ID: id, Account: account, Phase: "singles",
		Lines: []engine.Line{{Session: fmt.Sprintf("S%d", random.IntN(4)), Category: "A", Quantity: 1 + random.IntN(2)}}}
	var r engine.Reservation
	h.answered(p, &r, n.Reserve(h.ctx, &q, &r), "held")
}

func (h *takeovers) finish(n *node, random *rand.Rand) {
	id, p := h.some(random)
	if p == nil {
		return
	}
	var r engine.Reservation
	if random.IntN(2) == 0 {
		h.answered(p, &r, n.Confirm(h.ctx, id, "paid", &r), "confirmed")
	} else {
		h.answered(p, &r, n.Release(h.ctx, id, &r), "released")
	}
}

// answered notes the answer of a call that leads to the state.
func (h *takeovers) answered(p *outcome, r *engine.Reservation, err error, state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.calls++
	code := engine.Code("")
	if refusal, ok := errors.AsType[*engine.Refusal](err); ok {
		code = refusal.Code
	} else if err != nil {
		code = engine.JournalUnavailable // the caller has gone
	}
	switch code {
	case "":
		h.shown(p, r.State.String())
		p.possible[state] = true
	case engine.JournalUnavailable:
		h.counts.unknown++
		p.possible[state] = true
	case engine.ReservationConfirmed:
		h.shown(p, "confirmed")
	case engine.ReservationReleased:
		h.shown(p, "released")
	case engine.ReservationExpired:
		h.shown(p, "expired")
	}
}

// shown notes that somebody was shown the reservation in a state. h.mu is held.
func (h *takeovers) shown(p *outcome, state string) {
	p.exists = true
	if state == "held" {
		return
	}
	if p.final != "" && p.final != state {
		h.Errorf("a reservation was shown as %s and as %s", p.final, state)
	}
	p.final = state
}

func (h *takeovers) read(n *node, random *rand.Rand) {
	id, p := h.some(random)
	if p == nil {
		return
	}
	var r engine.Reservation
	err := n.Reservation(h.ctx, id, &r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.counts.reads++
		h.shown(p, r.State.String())
	}
}

// judge replays the journal and compares it with everything that was shown.
func (h *takeovers) judge() {
	h.verify()
	n := h.leader("judge")
	for id, p := range h.promises {
		state := n.state(id)
		if state == string(engine.ReservationNotFound) {
			state = ""
		}
		switch {
		case p.exists && state == "":
			h.Errorf("an acknowledged reservation is lost")
		case p.final != "" && state != p.final:
			h.Errorf("a reservation was shown as %s and is %q", p.final, state)
		case !p.possible[state] && state != "expired":
			h.Errorf("a reservation is %q without a call that made it so", state)
		}
	}
	h.counts.terms += int(h.stream.Epoch()) - 1
	n.close()
	h.counts.definitions += h.requireDefinitionsFirst()
}
