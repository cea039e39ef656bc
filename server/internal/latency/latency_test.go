package latency

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// Durations fall into the same native buckets as in a histogram of Prometheus' own client.
func TestBucketsAreThoseOfPrometheus(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	model := prometheus.NewHistogram(prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1,
		NativeHistogramZeroThreshold: ZeroBound})
	var h Histogram
	observe := func(d time.Duration) {
		h.Observe(d)
		model.Observe(float64(d) * 1e-9)
	}
	observe(0)
	for octave := -20; octave <= 9; octave++ {
		for i := range perOctave { // at the bounds, and next to them
			bound := time.Duration(math.Exp2(float64(octave)+float64(i)/perOctave) * 1e9)
			observe(bound - 1)
			observe(bound)
			observe(bound + 1)
		}
	}
	for range 10_000 {
		observe(time.Duration(math.Exp(r.Float64() * math.Log(1e12))))
	}
	var m dto.Metric
	require.NoError(t, model.Write(&m))
	require.EqualValues(t, Schema, m.Histogram.GetSchema())
	want, key, delta, count := map[int]uint64{}, 0, 0, int64(0)
	for _, span := range m.Histogram.PositiveSpan {
		key += int(span.GetOffset())
		for range span.GetLength() {
			count += m.Histogram.PositiveDelta[delta]
			want[key] = uint64(count)
			key++
			delta++
		}
	}
	for key := range want {
		if want[key] == 0 {
			delete(want, key)
		}
	}
	var c Counts
	h.AddTo(&c)
	got := map[int]uint64{}
	for key, n := range c.Native() {
		got[key] = n
	}
	require.Equal(t, want, got)
	require.Equal(t, m.Histogram.GetZeroCount(), c.Zero())
	require.Equal(t, m.Histogram.GetSampleCount(), c.Count())
	require.InEpsilon(t, m.Histogram.GetSampleSum(), c.Sum(), 1e-9)
}

// A classic bucket has the durations up to its bound.
func TestClassicBuckets(t *testing.T) {
	var h Histogram
	h.Observe(-time.Second)
	h.Observe(250 * time.Millisecond)
	h.Observe(250*time.Millisecond + 1)
	h.Observe(8 * time.Second)
	h.Observe(8*time.Second + 1)
	h.Observe(math.MaxInt64)
	var c Counts
	h.AddTo(&c)
	got := map[float64]uint64{}
	for bound, n := range c.Classic() {
		got[bound] = n
	}
	require.Len(t, got, 15)
	require.EqualValues(t, 1, got[0.00048828125])
	require.EqualValues(t, 1, got[0.125])
	require.EqualValues(t, 2, got[0.25])
	require.EqualValues(t, 3, got[0.5])
	require.EqualValues(t, 3, got[4])
	require.EqualValues(t, 4, got[8])
	require.EqualValues(t, 6, c.Count())
}

// Concurrent observations are all counted.
func TestConcurrentObservations(t *testing.T) {
	const callers, each = 4, 10_000
	var h Histogram
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := range each {
				h.Observe(time.Duration(i) * time.Microsecond)
			}
		})
	}
	all.Wait()
	var c Counts
	h.AddTo(&c)
	require.EqualValues(t, callers*each, c.Count())
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var h Histogram
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }))
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for i := 0; b.Loop(); i++ {
		h.Observe(time.Duration(i&0xfffff) * 97)
	}
}

// The sum of many waits exceeds a time.Duration: ten thousand waiting clients take eleven days.
func TestSumOfManyWaits(t *testing.T) {
	var h Histogram
	h.Observe(math.MaxInt64)
	h.Observe(time.Hour)
	var c Counts
	h.AddTo(&c)
	require.InEpsilon(t, time.Duration(math.MaxInt64).Seconds()+3600, c.Sum(), 1e-9)
}
