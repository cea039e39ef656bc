package draw

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel splits 0..n into spans of step, the last of which may be shorter, and processes them on up to GOMAXPROCS
// goroutines. Each goroutine calls worker once for its own work function. inParallel returns when all spans are done.
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
