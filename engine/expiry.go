package engine

// ExpireDue ends every hold that has expired on the sale clock, and returns how many it ended. The engine calls it
// every Options.SweepEvery. An expired hold that no sweep has ended yet cannot be confirmed either.
func (e *Engine) ExpireDue() int {
	e.sweepLock.Lock()
	defer e.sweepLock.Unlock()
	if t := e.term.Load(); t == nil || t.err() != nil {
		return 0 // a standby leaves it to the leader; with a failed journal the outcomes would only wait
	}
	return e.sweep.Expire(e.nowMs())
}
