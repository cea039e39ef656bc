package peers

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// quantile sorts the values, in ns, and returns the one that a share of them does not exceed; 0 if there are none.
func quantile(values []int64, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return time.Duration(values[min(int(share*float64(len(values))), len(values)-1)])
}

// Contestant is one of several things that are measured in turn.
type Contestant struct {
	Name    string // key=value pairs joined by slashes
	Measure func() (operations int, took time.Duration, err error)
	Spent   *Spent // if it is not nil, Measure adds to it
	Cost    *Cost  // likewise
}

// Contest measures all contestants in turn for a number of rounds. For each it reports the median rate in operations a
// second, the rate of each round, and the processor time and the allocations of an operation over all rounds. Taking
// turns means that the two sides of a ratio are measured under similar conditions even on a shared machine. On a system
// where a contestant is not supported, the benchmark is skipped.
func Contest(b *testing.B, rounds int, contestants ...Contestant) {
	rates := make([][]float64, len(contestants))
	done := make([]int, len(contestants))
	for range rounds {
		for i, c := range contestants {
			operations, took, err := c.Measure()
			if errors.Is(err, errors.ErrUnsupported) {
				b.Skipf("%s: %v", c.Name, err)
			}
			if err != nil {
				b.Fatalf("%s: %v", c.Name, err)
			}
			rates[i] = append(rates[i], float64(operations)/took.Seconds())
			done[i] += operations
		}
	}
	for i, c := range contestants {
		b.Run(c.Name, func(b *testing.B) {
			for range b.N { // it was measured above
			}
			for round, rate := range rates[i] {
				b.ReportMetric(rate, fmt.Sprintf("round%d-ops/s", round+1))
			}
			b.ReportMetric(Median(rates[i]), "ops/s")
			b.ReportMetric(1e9/Median(rates[i]), "ns/op")
			if c.Spent != nil {
				each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(done[i]) }
				b.ReportMetric(each(c.Spent.Server), "server-µs/op")
				b.ReportMetric(each(c.Spent.Client), "client-µs/op")
				b.ReportMetric(each(c.Spent.Redis), "redis-µs/op")
			}
			if c.Cost != nil {
				c.Cost.Report(b, done[i])
			}
		})
	}
}

// Median returns the middle value, or the mean of the two middle values; 0 if there are none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
