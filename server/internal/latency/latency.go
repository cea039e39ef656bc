// Package latency counts durations for Prometheus: as a native histogram, and in a few classic buckets for servers
// that do not scrape native ones. An observation takes two atomic additions.
package latency

import (
	"iter"
	"math"
	"sync/atomic"
	"time"
)

// Schema is the resolution of the native histogram: 2^Schema buckets for each factor of two, so a bucket is 9 % wide.
// Bucket i of a native histogram has the durations above 2^((i-1)/8) s, up to 2^(i/8) s.
const Schema = 3

const (
	perOctave = 1 << Schema
	firstKey  = -20*perOctave + 1 // the first bucket begins at ZeroBound
	lastKey   = 10 * perOctave    // ends at 1,024 s; longer durations count in it
	buckets   = lastKey - firstKey + 1
)

// ZeroBound is the longest duration in seconds that counts as zero: 0.95 µs.
const ZeroBound = 1.0 / (1 << 20)

// The classic buckets end at the powers of two from 0.49 ms to 8 s. They are sums of native buckets.
const firstClassic, lastClassic = -11, 3

// fractions are the bounds of the buckets within an octave: 2^(i/8) / 2. A duration is mapped to [0.5, 1).
var fractions = func() (bounds [perOctave]uint64) {
	for i := range bounds {
		bounds[i] = math.Float64bits(math.Exp2(float64(i)/perOctave - 1))
	}
	return bounds
}()

// Histogram counts durations. The zero value is empty. Its methods may be called by any number of goroutines.
type Histogram struct {
	zero   atomic.Uint64
	counts [buckets]atomic.Uint64
	nanos  atomic.Uint64
}

// Observe counts a duration. A negative one counts as 0.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.nanos.Add(uint64(d))
	if key := keyOf(d); key < firstKey {
		h.zero.Add(1)
	} else {
		h.counts[min(key, lastKey)-firstKey].Add(1)
	}
}

// keyOf returns the index of the native bucket of a duration.
func keyOf(d time.Duration) int {
	if d <= 0 {
		return firstKey - 1
	}
	const mantissa, half = 1<<52 - 1, 0x3fe << 52 // half: the exponent of [0.5, 1)
	bits := math.Float64bits(float64(d) * 1e-9)
	octave := int(bits>>52) - 0x3fe - 1
	bits = bits&mantissa | half
	key := octave * perOctave
	for _, bound := range fractions { // positive floats compare as their bits do
		if bits > bound {
			key++
		}
	}
	return key
}

// Counts are the contents of a histogram, or the sum of several. Observations made during the read may be missing.
type Counts struct {
	zero    uint64
	buckets [buckets]uint64
	nanos   uint64
}

// AddTo adds the histogram to a sum.
func (h *Histogram) AddTo(sum *Counts) {
	sum.zero += h.zero.Load()
	for i := range h.counts {
		sum.buckets[i] += h.counts[i].Load()
	}
	sum.nanos += h.nanos.Load()
}

// Zero returns how many durations were at most ZeroBound.
func (c *Counts) Zero() uint64 { return c.zero }

// Sum returns the sum of the durations in seconds. It begins again at 0 after 585 years: as a time.Duration it would be
// negative after half of that, eleven days of ten thousand clients that wait.
func (c *Counts) Sum() float64 { return float64(c.nanos) / float64(time.Second) }

// Count returns the number of durations.
func (c *Counts) Count() uint64 {
	n := c.zero
	for _, in := range c.buckets {
		n += in
	}
	return n
}

// Native yields the native buckets that are not empty, ascending by their index.
func (c *Counts) Native() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		for i, n := range c.buckets {
			if n > 0 && !yield(firstKey+i, n) {
				return
			}
		}
	}
}

// Classic yields the upper bound of each classic bucket in seconds, with the number of durations up to it.
func (c *Counts) Classic() iter.Seq2[float64, uint64] {
	return func(yield func(float64, uint64) bool) {
		n, key := c.zero, firstKey
		for power := firstClassic; power <= lastClassic; power++ {
			for ; key <= power*perOctave; key++ {
				n += c.buckets[key-firstKey]
			}
			if !yield(math.Exp2(float64(power)), n) {
				return
			}
		}
	}
}
