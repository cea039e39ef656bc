package redis

import (
	"context"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// BenchmarkCheckpoint writes a checkpoint of three million reservations, or SEATHOLD_RESERVATIONS, with the engine's
// pauses, while callers make records durable. It measures the whole checkpoint and the callers' 99th percentile without
// and during it, on this machine's disk and where a sync takes 10 ms longer.
//
//	go test -run '^$' -bench Checkpoint -benchtime 1x ./engine/journal/redis
func BenchmarkCheckpoint(b *testing.B) {
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		for _, callers := range []int{1, 64} {
			b.Run("sync=+"+delay.String()+"/callers="+strconv.Itoa(callers), func(b *testing.B) {
				for range b.N {
					measureCheckpoint(b, delay, callers)
				}
			})
		}
	}
}

func measureCheckpoint(b *testing.B, delay time.Duration, callers int) {
	const recordBytes, chunk = 60, 32 << 10
	records := 3_000_000
	if s := os.Getenv("SEATHOLD_RESERVATIONS"); s != "" {
		var err error
		records, err = strconv.Atoi(s)
		require.NoError(b, err, "SEATHOLD_RESERVATIONS")
	}
	s := redistest.Start(b, append(slices.Clone(redistest.Durable), "--auto-aof-rewrite-percentage", "0")...)
	if delay > 0 {
		s.DelaySyncs(delay)
	}
	j := claimed(b, Options{Address: s.URL(), Name: freshName()})
	var q queue
	w := journal.NewWriter(j, journal.Feed{Fill: q.fill, Durable: func(journal.Group) {}}, 0, time.Minute)
	var mu sync.Mutex
	var waits []time.Duration
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				seq := q.add(make([]byte, benchRecord))
				w.Wake()
				if err := w.Wait(context.Background(), seq); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				waits = append(waits, time.Since(began))
				mu.Unlock()
			}
		})
	}
	p99 := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(waits)
		p := waits[len(waits)*99/100]
		waits = nil
		return float64(p.Microseconds())
	}
	time.Sleep(10 * time.Second) // the measurement without a checkpoint
	quiet := p99()
	began := time.Now()
	c, err := j.Checkpoint(b.Context(), 0)
	require.NoError(b, err)
	run := make([]byte, chunk)
	for range records * recordBytes / chunk {
		const encoding = 100 * time.Microsecond
		before := time.Now()
		require.NoError(b, c.Write(run))
		took := encoding
		if p, ok := c.(interface{ PacesItself() bool }); !ok || !p.PacesItself() {
			took += time.Since(before)
		}
		time.Sleep(14 * took)
	}
	require.NoError(b, c.Commit(0))
	took := time.Since(began)
	busy := p99()
	close(stop)
	running.Wait()
	require.NoError(b, w.Close(b.Context()))
	b.ReportMetric(took.Seconds(), "s/checkpoint")
	b.ReportMetric(quiet, "µs-p99-without")
	b.ReportMetric(busy, "µs-p99-during")
	b.ReportMetric(busy/quiet, "times")
	b.ReportMetric(0, "ns/op")
}
