package redis

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// faultyTimeout is the timeout of a first attempt through a faulty proxy. It is longer than the proxy's delay.
const faultyTimeout = 400 * time.Millisecond

// shortTimeout is for black holes, each of which costs a timeout.
const shortTimeout = 100 * time.Millisecond

// strikes draws whether a fault occurs at a piece. It is rarer at large pieces, because a large group consists of many
// and would otherwise never arrive.
func strikes(r *rand.Rand, p redistest.Piece, oneIn int) bool {
	if p.Bytes > 16<<10 {
		oneIn *= 50
	}
	return r.IntN(oneIn) == 0
}

// faults are the faults that a proxy injects at random pieces.
var faults = []struct {
	name  string
	oneIn int // average number of pieces per fault; a small piece after twice as many always has one
	// timeout is that of a first attempt. It is longer than a delay, and short where each fault costs one.
	timeout time.Duration
	fault   func(p redistest.Piece) redistest.Fault
}{
	{"replies are lost", 6, faultyTimeout, func(p redistest.Piece) redistest.Fault {
		return redistest.Fault{Lose: !p.ToServer}
	}},
	{"requests are lost", 6, faultyTimeout, func(p redistest.Piece) redistest.Fault {
		return redistest.Fault{Lose: p.ToServer}
	}},
	{"100 ms of delay", 200, faultyTimeout, func(redistest.Piece) redistest.Fault {
		return redistest.Fault{Delay: 100 * time.Millisecond}
	}},
	{"10 kB a second", 60, faultyTimeout, func(p redistest.Piece) redistest.Fault {
		if p.Bytes > 4<<10 { // a larger piece would only take longer
			return redistest.Fault{}
		}
		return redistest.Fault{BytesPerSecond: 10_000}
	}},
	{"black holes", 150, shortTimeout, func(redistest.Piece) redistest.Fault {
		return redistest.Fault{BlackHole: true}
	}},
}

// TestSuiteWithFaults runs the conformance suite of all backends with each kind of network fault. Most of its time is
// spent waiting for timeouts, so the faults are injected in parallel, each in a Redis of its own.
func TestSuiteWithFaults(t *testing.T) {
	fewerChecks(t, 2)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			r := seeded(t)
			proxy := redistest.NewProxy(t, s.Addr())
			injected, since := 0, 0
			proxy.Plan(func(p redistest.Piece) redistest.Fault {
				since++
				if due := since >= 2*f.oneIn && p.Bytes < 1<<10; !due && !strikes(r, p, f.oneIn) {
					return redistest.Fault{}
				}
				injected, since = injected+1, 0
				return f.fault(p)
			})
			journaltest.Run(t, func(t *testing.T) journaltest.Store {
				p := placeIn(t, s, proxy.URL(), freshName(), f.timeout)
				p.Crash = func(b journal.Backend) { abandon(b.(claiming).Journal) }
				return p
			})
			proxy.Plan(nil)
			t.Logf("%d faults injected", injected)
			require.Positive(t, injected)
		})
	}
}

// fewerChecks makes rapid draw so many examples during a test, times SEATHOLD_ROUNDS.
func fewerChecks(t *testing.T, n int) {
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	require.NoError(t, checks.Value.Set(strconv.Itoa(rounds(t, n))))
	t.Cleanup(func() { checks.Value.Set(before) })
}

// TestAppendedOnceDespiteFaults mixes all faults while groups are appended, beats sent and connections reset. The
// journal contains every group once.
func TestAppendedOnceDespiteFaults(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t)
	proxy := redistest.NewProxy(t, s.Addr())
	plan := rand.New(rand.NewPCG(r.Uint64(), 0))
	proxy.Plan(func(p redistest.Piece) redistest.Fault {
		if !strikes(plan, p, 10) {
			return redistest.Fault{}
		}
		f := faults[plan.IntN(2)]
		if plan.IntN(40) == 0 {
			f = faults[plan.IntN(len(faults))]
		}
		return f.fault(p)
	})
	o := Options{Address: proxy.URL(), Name: freshName(), Timeout: faultyTimeout}
	j := claimed(t, o)
	var want []journal.Group
	for range rounds(t, 400) {
		g := testGroup(j.Status().Last+1, 1+r.IntN(30))
		require.NoError(t, j.Append(t.Context(), g))
		want = append(want, g)
		switch r.IntN(20) {
		case 0:
			require.NoError(t, j.Beat(t.Context()))
		case 1:
			proxy.Cut()
		}
	}
	proxy.Plan(nil)
	require.Equal(t, want, contentsOf(t, o).groups)
	require.EqualValues(t, 1, j.Epoch())
}
