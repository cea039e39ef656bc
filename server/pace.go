package server

import (
	"runtime"
	"runtime/metrics"
)

// pace adapts the number of turns to what the processors can do.
//
// With too many turns requests wait in Go's scheduler, which knows neither their urgency nor their caller, and whatever
// else happens waits there with them: a read, a response, the journal's writer. With too few the processors are idle
// while requests wait for the journal. The right number depends on the processors, the journal and the requests. So it
// follows what is to be kept short, the queue of the scheduler: the goroutines that could run and wait for a processor.
// While there are more than longest, turns are taken away; while there are clearly fewer and requests wait for turns,
// turns are added. Their number, unlike the time for which they wait, does not depend on what else the machine does:
// fewer turns would not shorten a wait for other programs. CockroachDB's admission control uses the same signal.
//
// The queue has two lengths. A long one is cheap: the processors never run dry between two groups of the journal, and
// what they do for one goroutine is little beside what they do for many. But whatever happens passes the queue several
// times. So while a caller with a crowd competes with others, the queue is short, at the cost of the crowd.
type pace struct {
	fewest, most int64
	runnable     func() float64 // goroutines that wait for a processor

	processors float64
	queue      float64 // moving average of runnable
	beside     uint64  // turnQueue.beside at the last call of next
	short      int     // calls of next for which the queue is still short
}

const (
	// longQueue is how many goroutines may wait for each processor. A request takes about 25 µs of a processor, so they
	// wait for little more than a millisecond.
	longQueue = 48
	// shortQueue is the same while a crowd competes with others.
	shortQueue = 16
	// stayShort is for how many calls of next, a second, the queue stays short.
	stayShort = 500
	// paceSamples is how many samples the average follows.
	paceSamples = 8
)

// newPace makes the pace of at most so many turns.
func newPace(most int64) pace {
	processors := int64(runtime.GOMAXPROCS(0))
	return pace{most: most, fewest: min(most, fewestPerCPU*processors), processors: float64(processors),
		runnable: runnableGoroutines()}
}

// next returns how many turns there should be, after so many, when so many goroutines can run. wanted is whether
// requests wait for more; beside is turnQueue.beside.
func (p *pace) next(limit int64, runnable float64, wanted bool, beside uint64) int64 {
	if p.short > 0 {
		p.short--
	}
	if beside != p.beside {
		p.beside, p.short = beside, stayShort
	}
	p.queue += (runnable - p.queue) / paceSamples
	longest := longQueue * p.processors
	if p.short > 0 {
		longest = shortQueue * p.processors
	}
	switch {
	case p.queue > longest:
		return max(p.fewest, limit-max(1, limit/32))
	case !wanted:
		return limit
	case p.queue < p.processors/2: // they are idle: all wait for the journal
		return min(p.most, limit+max(1, limit/8))
	case p.queue < longest*3/4:
		return min(p.most, limit+max(1, limit/32))
	}
	return limit
}

// runnableGoroutines returns a function that reports how many goroutines could run and wait for a processor. One
// goroutine at a time may call it.
func runnableGoroutines() func() float64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	return func() float64 {
		metrics.Read(sample)
		return float64(sample[0].Value.Uint64())
	}
}
