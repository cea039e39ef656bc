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
	passRest     = 14                     // there, times as long as the last pass took
)

// lastPass is the reclaimer's last pass.
type lastPass struct {
	number uint64
	began  time.Time
	worked time.Duration // time that it took so far
}

// due reports whether the next pass begins although few rows were claimed. A large table may be full of what does not
// end. Passes that find nothing there leave the processor to the callers for passRest times as long as they took.
func (p *lastPass) due(pressed bool) bool {
	least := passEvery
	if pressed {
		least = min(passEvery, max(passPressed, passRest*p.worked))
	}
	return time.Since(p.began) >= least
}

// reclaimLoop makes the memory of what has ended free again.
func (e *Engine) reclaimLoop() {
	r := e.memory.Reclaimer
	last := lastPass{number: r.Passes(), began: time.Now()}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-pause.C:
		}
		began, busy := time.Now(), r.Busy()
		for more := true; more && !e.stopping(); {
			more = e.reclaim(last.due(e.memory.Pressed()))
			if number := r.Passes(); number != last.number {
				began, busy = time.Now(), true
				last = lastPass{number: number, began: began}
			}
		}
		if busy {
			last.worked += time.Since(began)
		}
		if r.Busy() {
			pause.Reset(reclaimAgain)
		} else {
			pause.Reset(reclaimEvery)
		}
	}
}

// reclaim makes a step of the reclaimer. pass is whether it begins a pass at once.
func (e *Engine) reclaim(pass bool) (more bool) {
	durable := uint64(0)
	if t := e.term.Load(); t.writer != nil {
		durable = t.writer.Durable()
	}
	return e.memory.Reclaim(e.nowMs(), durable, pass)
}

func (e *Engine) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}
