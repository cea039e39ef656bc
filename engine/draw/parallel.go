package draw

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel splits 0..n into spans of step, of which the last may be shorter, and has them worked on by GOMAXPROCS
// goroutines, each with a work function of its own from worker. It returns when all spans are done.
func inParallel(n, step int, worker func() func(first, end int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+step-1)/step) {
		done.Go(func() {
			work := worker()
			for {
				first := int(next.Add(int64(step))) - step
				if first >= n {
					return
				}
				work(first, min(first+step, n))
			}
		})
	}
	done.Wait()
}
