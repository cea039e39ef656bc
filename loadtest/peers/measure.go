package peers

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// quantile returns the value that a share of the values is below; 0 of none. It sorts them.
func quantile(values []int64, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return time.Duration(values[min(int(share*float64(len(values))), len(values)-1)])
}

// Contestant is one of several that are measured in turn.
type Contestant struct {
	Name    string // key=value pairs joined by slashes
	Measure func() (operations int, took time.Duration, err error)
	Spent   *Spent // where it is not nil, Measure adds to it
}

// Contest measures all contestants in turn, so many rounds, and reports for each the median of its rates in operations a
// second, the rate of each round, and the processor time of an operation over all rounds. In turn means that the ratio of
// two in a round is taken under much the same conditions, even on a machine that others use.
func Contest(b *testing.B, rounds int, contestants ...Contestant) {
	rates := make([][]float64, len(contestants))
	done := make([]int, len(contestants))
	for range rounds {
		for i, c := range contestants {
			operations, took, err := c.Measure()
			if err != nil {
				b.Fatalf("%s: %v", c.Name, err)
			}
			rates[i] = append(rates[i], float64(operations)/took.Seconds())
			done[i] += operations
		}
	}
	for i, c := range contestants {
		b.Run(c.Name, func(b *testing.B) {
			for range b.N { // the measuring is done
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
		})
	}
}

// Median returns the value in the middle, or the mean of the two in the middle; 0 of none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
