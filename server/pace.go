package server

import (
	"runtime/metrics"
	"time"
)

// pace adapts the number of turns to what the processors can do.
//
// With too many turns requests wait in Go's scheduler, which knows neither their urgency nor their caller, and whatever
// else happens waits there with them: a read, a response, the journal's writer. With too few the processors are idle
// while requests wait for the journal. The right number depends on the processors, the journal and the requests. So it
// follows what is to be kept short: how long a goroutine that can run waits until it does. While that is longer than
// longestDelay, turns are taken away; while it is shorter and requests wait for turns, turns are added. CockroachDB's
// admission control uses the same signal.
type pace struct {
	fewest, most int64
	delay        func() time.Duration // what goroutines waited to run since the last call
}

const (
	// paceEvery is how often the number of turns is adapted.
	paceEvery = 20 * time.Millisecond
	// longestDelay is what goroutines may wait to run under overload.
	longestDelay = time.Millisecond
	// delayed is the share of goroutines whose wait delay leaves out.
	delayed = 0.1
)

// next returns how many turns there should be, after so many. wanted is whether requests wait for more.
func (p *pace) next(limit int64, wanted bool) int64 {
	switch delay := p.delay(); {
	case delay > longestDelay:
		return max(p.fewest, limit-max(1, limit/8))
	case wanted:
		return min(p.most, limit+max(1, limit/16))
	}
	return limit
}

// schedulerDelay returns a function that reports the time within which all but the delayed share of the goroutines ran
// that became runnable since its last call; 0 if there were none.
func schedulerDelay() func() time.Duration {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	var before []uint64
	return func() time.Duration {
		metrics.Read(sample)
		h := sample[0].Value.Float64Histogram()
		if before == nil {
			before = make([]uint64, len(h.Counts))
		}
		total := uint64(0)
		for i, n := range h.Counts {
			before[i], total = n-before[i], total+n-before[i]
		}
		above, bound := uint64(float64(total)*delayed), len(before)
		for sum := uint64(0); bound > 0 && sum <= above; {
			bound--
			sum += before[bound]
		}
		copy(before, h.Counts)
		if total == 0 {
			return 0
		}
		return time.Duration(h.Buckets[bound] * float64(time.Second))
	}
}
