package peers

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"
)

// LiveBytes returns the bytes of live heap memory, after a garbage collection.
func LiveBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // completes the sweep of the first one
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// CheckpointImpact is the effect of a checkpoint on concurrent reservations.
type CheckpointImpact struct {
	Took      time.Duration // of the checkpoint
	QuietP99  time.Duration // 99th percentile of a reservation's latency without a checkpoint
	BusyP99   time.Duration // likewise, during the checkpoint
	LongestGC time.Duration // longest pause of the garbage collector, which runs all the time, during the checkpoint
}

// MeasureCheckpoint makes reservations one after another, first without and then during a checkpoint. The garbage
// collector runs as often without it as during it, so that the checkpoint is the only difference.
func (s *Seathold) MeasureCheckpoint(
	ctx context.Context, c *Crowd, names Names, first uint64,
) (f CheckpointImpact, err error) {
	const before, step = 10_000, 100
	var waits []int64
	few := func(n int) error {
		if n%10 == 0 {
			runtime.GC()
		}
		more, err := s.waits(ctx, c, names, first+uint64(step*n), step)
		waits = append(waits, more...)
		return err
	}
	for n := range before / step {
		if err := few(n); err != nil {
			return f, err
		}
	}
	f.QuietP99 = quantile(waits, 0.99)
	pauses := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(pauses)
	counts := slices.Clone(pauses[0].Value.Float64Histogram().Counts)
	done := make(chan error, 1)
	go func() {
		report, err := s.Checkpoint(ctx)
		f.Took = report.Took
		done <- err
	}()
	waits = waits[:0]
	for n := before / step; ; n++ {
		if err := few(n); err != nil {
			return f, err
		}
		select {
		case err := <-done:
			metrics.Read(pauses)
			f.LongestGC = longest(pauses[0].Value.Float64Histogram(), counts)
			f.BusyP99 = quantile(waits, 0.99)
			return f, err
		default:
		}
	}
}

// longest returns the upper bound of the last bucket that has grown, at most a minute.
func longest(h *metrics.Float64Histogram, before []uint64) time.Duration {
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > before[i] {
			return time.Duration(min(h.Buckets[i+1], 60) * float64(time.Second))
		}
	}
	return 0
}

// waits makes n reservations one after another and returns the latency of each, in ns.
func (s *Seathold) waits(ctx context.Context, c *Crowd, names Names, first uint64, n int) ([]int64, error) {
	caller := caller{engine: s.Engine, pools: s.Pools, crowd: c, names: names}
	waits := make([]int64, n)
	for i := range waits {
		began := time.Now()
		if err := caller.reserve(ctx, first+uint64(i), 1); err != nil {
			return nil, err
		}
		waits[i] = int64(time.Since(began))
	}
	return waits, nil
}
