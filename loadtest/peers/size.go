package peers

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"
)

// LiveBytes returns the bytes of live memory.
func LiveBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found unreachable has been swept
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Felt is what a caller feels of a checkpoint.
type Felt struct {
	Took  time.Duration // the checkpoint
	Quiet time.Duration // without it: a hundredth of reservations wait longer
	Busy  time.Duration // while it is written: likewise
	Pause time.Duration // longest of the garbage collector meanwhile, which is made to run all the time
}

// FeelCheckpoint makes reservations one after another, without and with a checkpoint being written. The garbage collector is
// made to run as often without it as with it, so that the one difference between the two is the checkpoint.
func (s *Seathold) FeelCheckpoint(ctx context.Context, c *Crowd, names Names, first uint64) (f Felt, err error) {
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
	f.Quiet = quantile(waits, 0.99)
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
			f.Pause = longest(pauses[0].Value.Float64Histogram(), counts)
			f.Busy = quantile(waits, 0.99)
			return f, err
		default:
		}
	}
}

// longest returns the upper end of the last bucket that has grown.
func longest(h *metrics.Float64Histogram, before []uint64) time.Duration {
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > before[i] {
			return time.Duration(min(h.Buckets[i+1], 60) * float64(time.Second))
		}
	}
	return 0
}

// waits makes n reservations one after another and returns how long each took, in ns.
func (s *Seathold) waits(ctx context.Context, c *Crowd, names Names, first uint64, n int) ([]int64, error) {
	caller := caller{engine: s.Engine, places: s.Places, crowd: c, names: names}
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
