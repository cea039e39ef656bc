package rehearsal

import (
	"sync"
	"sync/atomic"
)

// progress counts what is done of a stage and reports it at most about a thousand times. Any number of goroutines may
// use it.
type progress struct {
	report func(stage string, done, total int, note string)

	lock  sync.Mutex // held while reporting
	stage string
	total int

	done atomic.Int64
	next atomic.Int64 // the count at which the next report is due
}

// begin starts a stage.
func (p *progress) begin(stage string, total int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.stage, p.total = stage, total
	p.done.Store(0)
	p.next.Store(0)
}

// one counts one more.
func (p *progress) one() {
	done := p.done.Add(1)
	if done < p.next.Load() {
		return
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	// Others have counted meanwhile, and one of them may have reported it.
	if done = p.done.Load(); done < p.next.Load() {
		return
	}
	next := done + int64(p.total/1000) + 1
	if done < int64(p.total) {
		next = min(next, int64(p.total)) // the end of a stage is always reported
	}
	p.next.Store(next)
	p.report(p.stage, int(done), p.total, "")
}
