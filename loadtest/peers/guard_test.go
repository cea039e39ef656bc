package peers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// The tests of this file guard the speed-ups that the design is built on. Their ratios are far below the measured ones,
// so that they hold on any machine and under the race detector: they catch the loss of a speed-up, not of a few
// percent.

// faster requires that the rate of one is at least that of other multiplied by times. The ratio is the median of rounds
// in which the two take turns.
func faster(t *testing.T, times float64, one, other func() (operations int, took time.Duration, err error)) {
	t.Helper()
	var ratios []float64
	for range 5 {
		a, d, err := one()
		require.NoError(t, err)
		b, e, err := other()
		require.NoError(t, err)
		ratios = append(ratios, float64(a)/d.Seconds()/(float64(b)/e.Seconds()))
	}
	t.Logf("%.1f times, at least %g are required", Median(ratios), times)
	require.GreaterOrEqual(t, Median(ratios), times)
}

func opened(t *testing.T, name string) *Seathold {
	k, err := Journal{Name: name}.Empty(t.Context(), t.TempDir())
	require.NoError(t, err)
	s, err := k.Open(context.Background(), 1<<16)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// timed measures n operations; each call continues the numbering.
func timed(n int, do func(first uint64) error) func() (int, time.Duration, error) {
	first := uint64(0)
	return func() (int, time.Duration, error) {
		began := time.Now()
		err := do(first)
		first += uint64(n)
		return n, time.Since(began), err
	}
}

// TestBatchesSaveRequests: an operation in a batch costs a fraction of an operation in a request of its own.
func TestBatchesSaveRequests(t *testing.T) {
	needsLinux(t)
	address, err := opened(t, "none").Listen()
	require.NoError(t, err)
	way := func(w Workload, connections int, first uint64) func() (int, time.Duration, error) {
		j := Job{Client: Client{Address: address, Connections: connections, Depth: 1}, For: 100 * time.Millisecond,
			Workload: w, Demand: Spread, Crowd: 1 << 20, First: first}
		return func() (int, time.Duration, error) {
			r, err := j.Measure(0, &Spent{})
			return r.Operations, r.Took, err
		}
	}
	times := 4.0
	if raced {
		times = 1
	}
	faster(t, times, way(WorkloadBatch, 2, 0), way(WorkloadReserve, 32, 1<<40))
}

// TestGroupsSaveSyncs: concurrent callers share the journal's syncs.
func TestGroupsSaveSyncs(t *testing.T) {
	s, names := opened(t, "embedded"), NewNames(1<<16)
	crowd := NewCrowd(1<<16, len(s.Pools), Spread)
	const many, few = 4096, 64
	together := timed(many, func(first uint64) error {
		return s.Reservations(context.Background(), crowd, names, first, many, 256, 1)
	})
	alone := timed(few, func(first uint64) error {
		return s.Reservations(context.Background(), crowd, names, 1<<40+first, few, 1, 1)
	})
	faster(t, 3, together, alone)
}

// TestRefusalsAreCheap: refusing a sold-out pack costs less than selling one.
func TestRefusalsAreCheap(t *testing.T) {
	s, names := opened(t, "embedded"), NewNames(1<<16)
	gone, crowd := NewCrowd(1<<16, len(s.Pools), Gone), NewCrowd(1<<16, len(s.Pools), Spread)
	const n = 4096
	refusing := timed(n, func(first uint64) error {
		return s.Refusals(context.Background(), gone, names, 1<<40+first, n, 256, engine.SoldOut)
	})
	selling := timed(n, func(first uint64) error {
		return s.Cycles(context.Background(), crowd, names, first, n, 256, 3)
	})
	faster(t, 2, refusing, selling)
}

// TestHotPoolsStayFast: one hot pool costs no more than a part of the rate of spread pools.
func TestHotPoolsStayFast(t *testing.T) {
	const accounts, n = 1 << 16, 40_000
	names := NewNames(accounts)
	way := func(demand Demand) func() (int, time.Duration, error) {
		c, err := NewCore(names, accounts, 1<<20)
		require.NoError(t, err)
		crowd := NewCrowd(accounts, CorePools+1, demand)
		first := uint64(0)
		return func() (int, time.Duration, error) {
			plan := NewPlan(crowd, names, first, n, 1)
			first += n
			cost, err := plan.Run(c)
			return n, cost.Took, err
		}
	}
	faster(t, 0.3, way(Hot), way(Spread))
}
