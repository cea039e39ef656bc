package engine

import (
	"cmp"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// How long calls wait for other callers, by the monotonic clock. The package documentation states it.
const (
	callWait  = 100 * time.Millisecond // a call, or an operation of a batch
	batchWait = time.Second            // all operations of a batch together …
	leastWait = time.Millisecond       // … after which each may still wait for so long

	yields = 256                    // pauses that only yield: the other caller may be waiting for a processor
	nap    = 200 * time.Microsecond // each pause after those: the other caller's thread may have been preempted
)

// waits decides how calls wait for what other callers are about to decide, and counts the waits.
type waits struct {
	began           time.Time // the origin of its clock
	begun, timedOut atomic.Uint64
}

// pause is the inventory's Config.Pause. It returns false once the call has waited for its limit: after that, by no
// more than its last pause took, which on a busy machine is as long as the call waits for a processor.
func (s *waits) pause(w inventory.Wait) (inventory.Wait, bool) {
	now := time.Since(s.began)
	if w.Attempts == 0 {
		s.begun.Add(1)
		w.Limit = cmp.Or(w.Limit, callWait)
		w.Until = now + w.Limit
	}
	switch {
	case now >= w.Until:
		s.timedOut.Add(1)
		return w, false
	case w.Attempts < yields:
		runtime.Gosched()
	default:
		time.Sleep(min(nap, w.Until-now))
	}
	w.Attempts++
	return w, true
}

// again is pause for the engine's own loops.
func (s *waits) again(w *inventory.Wait) (again bool) {
	*w, again = s.pause(*w)
	return again
}

// spent returns how long ago a call began to wait; 0 if it has not waited.
func (s *waits) spent(w *inventory.Wait) time.Duration {
	if w.Attempts == 0 {
		return 0
	}
	return time.Since(s.began) - (w.Until - w.Limit)
}
