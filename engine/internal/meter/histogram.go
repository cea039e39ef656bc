// Package meter counts durations on hot paths. An observation is two atomic additions; reads are rare.
package meter

import (
	"iter"
	"math/bits"
	"sync/atomic"
	"time"
)

// Every histogram has the same buckets: two an octave from 1.024 µs to 17.2 s, one below and one above. The two highest
// bits of a duration determine its bucket, so no search is needed. A quantile is at most 50 % too high.
const (
	firstBit = 10 // 2^10 ns
	lastBit  = 34
	bounds   = 2*(lastBit-firstBit) + 1 // upper bounds; the last bucket has none
	buckets  = bounds + 1
)

// bound returns the upper bound of a bucket, 0 ≤ i < bounds.
func bound(i int) time.Duration {
	whole := time.Duration(1) << (firstBit + i/2)
	return whole + whole/2*time.Duration(i%2)
}

// Histogram counts durations. The zero value is empty; all methods may be called by any number of goroutines.
type Histogram struct {
	counts [buckets]atomic.Uint64
	nanos  atomic.Uint64
}

// Observe counts a duration. A negative one counts as 0.
func (h *Histogram) Observe(d time.Duration) {
	ns := uint64(max(d, 0))
	h.counts[bucketOf(ns)].Add(1)
	h.nanos.Add(ns)
}

func bucketOf(ns uint64) int {
	top := bits.Len64(ns) - 1
	switch {
	case top < firstBit:
		return 0
	case top >= lastBit:
		return buckets - 1
	}
	return 1 + 2*(top-firstBit) + int(ns>>(top-1)&1)
}

// Durations are the contents of a histogram, or the sum of several. Observations made during the read may be missing.
type Durations struct {
	counts [buckets]uint64
	Sum    time.Duration
}

// Buckets yields the upper bound of each bucket, ascending, with the number of durations below it. Durations above the
// last bound are in Count only.
func (d *Durations) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		n := uint64(0)
		for i := range bounds {
			if n += d.counts[i]; !yield(bound(i), n) {
				return
			}
		}
	}
}

// Count returns the number of durations.
func (d *Durations) Count() uint64 {
	n := uint64(0)
	for _, c := range d.counts {
		n += c
	}
	return n
}

// Quantile returns a bound that at least the given share, 0 to 1, of the durations are below. It returns 0 if there are
// no durations, and the last bound for those above it.
func (d *Durations) Quantile(share float64) time.Duration {
	want, n := share*float64(d.Count()), uint64(0)
	for i, c := range d.counts {
		if n += c; n > 0 && float64(n) >= want {
			return bound(min(i, bounds-1))
		}
	}
	return 0
}

// AddTo adds the histogram to a sum.
func (h *Histogram) AddTo(sum *Durations) {
	for i := range h.counts {
		sum.counts[i] += h.counts[i].Load()
	}
	sum.Sum += time.Duration(h.nanos.Load())
}
