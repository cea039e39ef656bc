package meter

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every duration falls into the bucket whose bounds enclose it.
func TestBuckets(t *testing.T) {
	for i := range bounds {
		below, at := bucketOf(uint64(bound(i))-1), bucketOf(uint64(bound(i)))
		require.Equal(t, i, below, "just below %v", bound(i))
		require.Equal(t, i+1, at, "%v", bound(i))
	}
	require.Equal(t, 0, bucketOf(0))
	require.Equal(t, buckets-1, bucketOf(1<<63))
}

// Concurrent observations are all counted, and a quantile is at most 50 % too high.
func TestHistogram(t *testing.T) {
	const callers, each = 4, 20_000
	seed := rand.Uint64()
	t.Log("seed", seed)
	var h Histogram
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(c)))
			for range each {
				h.Observe(10*time.Microsecond + time.Duration(r.Int64N(int64(100*time.Microsecond))))
			}
		})
	}
	all.Wait()
	var d Durations
	h.AddTo(&d)
	require.EqualValues(t, callers*each, d.Count())
	require.InEpsilon(t, 60*time.Microsecond, d.Sum/(callers*each), 0.02)
	for _, share := range []float64{0.1, 0.5, 0.9} {
		exact := 10*time.Microsecond + time.Duration(share*float64(100*time.Microsecond))
		got := d.Quantile(share)
		require.GreaterOrEqual(t, got, exact*98/100, "share %v", share)
		require.LessOrEqual(t, got, exact*153/100, "share %v", share)
	}
	last := uint64(0)
	for _, n := range d.Buckets() {
		last = n
	}
	require.Equal(t, d.Count(), last)
	require.Zero(t, (&Durations{}).Quantile(0.5))
}
