package engine

import "time"

// ExpireDue ends every hold whose time is over on the sale clock and returns how many it ended. The engine does so by
// itself every Options.SweepEvery; an expired hold cannot be confirmed in between either.
func (e *Engine) ExpireDue() int {
	e.sweepLock.Lock()
	defer e.sweepLock.Unlock()
	if t := e.term.Load(); t == nil || t.err() != nil {
		return 0 // the leader does it, or the outcomes would only wait
	}
	return e.sweep.Expire(e.nowMs())
}

func (e *Engine) sweepLoop() {
	defer e.background.Done()
	tick := time.NewTicker(e.o.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.ExpireDue()
		}
	}
}
