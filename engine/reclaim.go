package engine

import "time"

// The reclaimer pauses for reclaimAgain while it waits for calls that run, and for reclaimEvery while it has nothing to
// do. A pass begins passEvery after the last one at the latest, whether or not rows are claimed: what has ended is
// forgotten as time passes.
const (
	reclaimAgain = time.Millisecond
	reclaimEvery = 10 * time.Millisecond
	passEvery    = time.Minute
	passPressed  = 100 * time.Millisecond // instead of passEvery, where a table is filling up
)

// reclaimLoop makes the memory of what has ended free again.
func (e *Engine) reclaimLoop() {
	r, passed, passes := e.memory.Reclaimer, time.Now(), e.memory.Reclaimer.Passes()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-pause.C:
		}
		for more := true; more && !e.stopping(); {
			more = e.reclaim(time.Since(passed))
			if now := r.Passes(); now != passes {
				passed, passes = time.Now(), now
			}
		}
		if r.Busy() {
			pause.Reset(reclaimAgain)
		} else {
			pause.Reset(reclaimEvery)
		}
	}
}

// reclaim makes a step of the reclaimer. since is the time since its last pass began.
func (e *Engine) reclaim(since time.Duration) (more bool) {
	durable, due := uint64(0), passEvery
	if t := e.term.Load(); t.writer != nil {
		durable = t.writer.Durable()
	}
	if e.memory.Pressed() {
		due = passPressed
	}
	return e.memory.Reclaim(e.nowMs(), durable, since >= due)
}

func (e *Engine) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}
