// Package meter counts durations on hot paths: an atomic addition or two for each, read as a whole now and then.
package meter

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets of every histogram: two an octave, from 1.024 µs to 17.2 s, one below and one above. The place of a duration
// follows from its highest two bits, so no search is needed, and a quantile read from them is at most half too high.
const (
	firstBit = 10 // 2^10 ns
	lastBit  = 34
	// Bounds is how many upper bounds there are; the bucket behind the last has none.
	Bounds  = 2*(lastBit-firstBit) + 1
	buckets = Bounds + 1
)

// Bound returns the upper bound of a bucket, 0 ≤ i < Bounds.
func Bound(i int) time.Duration {
	whole := time.Duration(1) << (firstBit + i/2)
	return whole + whole/2*time.Duration(i%2)
}

// Histogram counts durations. The zero value is empty; all methods may be called by any number of goroutines.
type Histogram struct {
	counts [buckets]atomic.Uint64
	nanos  atomic.Uint64
}

// Observe counts a duration. A negative one counts as none.
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

// Durations is what a histogram held at one moment, give or take what was being counted just then.
type Durations struct {
	Counts [buckets]uint64 // by bucket, not summed up
	Sum    time.Duration
}

// Count returns how many durations there are.
func (d *Durations) Count() uint64 {
	n := uint64(0)
	for _, c := range d.Counts {
		n += c
	}
	return n
}

// Quantile returns a bound that at least the given share, 0 to 1, of the durations stay below; 0 of none, and the last
// bound for those beyond it.
func (d *Durations) Quantile(share float64) time.Duration {
	want, n := share*float64(d.Count()), uint64(0)
	for i, c := range d.Counts {
		if n += c; n > 0 && float64(n) >= want {
			return Bound(min(i, Bounds-1))
		}
	}
	return 0
}

// AddTo adds what the histogram holds to the sum of several.
func (h *Histogram) AddTo(sum *Durations) {
	for i := range h.counts {
		sum.Counts[i] += h.counts[i].Load()
	}
	sum.Sum += time.Duration(h.nanos.Load())
}
