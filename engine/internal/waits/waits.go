// Package waits decides how the calls of an engine wait for what other callers are about to decide. The documentation
// of package engine states the bounds.
package waits

import (
	"cmp"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// How long calls wait for other callers, by the monotonic clock. The package documentation states it.
const (
	Call  = 100 * time.Millisecond // a call, or an operation of a batch
	Batch = time.Second            // all operations of a batch together …
	Least = time.Millisecond       // … after which each may still wait for so long

	yields = 256                    // pauses that only yield: the other caller may be waiting for a processor
	nap    = 200 * time.Microsecond // each pause after those: the other caller's thread may have been preempted
)

// Waits are the waits of one engine, and their counts. Any number of calls may wait at once.
type Waits struct {
	began           time.Time // the origin of its clock
	begun, timedOut atomic.Uint64
}

// New returns the waits of an engine that begins now.
func New() *Waits { return &Waits{began: time.Now()} }

// Begun returns how many calls have waited, those that still wait included.
func (s *Waits) Begun() uint64 { return s.begun.Load() }

// TimedOut returns how many calls have waited for as long as they may.
func (s *Waits) TimedOut() uint64 { return s.timedOut.Load() }

// Pause is the inventory's Config.Pause. It returns false once the call has waited for its limit: after that, by no
// more than its last pause took, which on a busy machine is as long as the call waits for a processor.
func (s *Waits) Pause(w inventory.Wait) (inventory.Wait, bool) {
	now := time.Since(s.began)
	if w.Attempts == 0 {
		s.begun.Add(1)
		w.Limit = cmp.Or(w.Limit, Call)
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

// Again is Pause for the engine's own loops.
func (s *Waits) Again(w *inventory.Wait) (again bool) {
	*w, again = s.Pause(*w)
	return again
}

// Spent returns how long ago a call began to wait; 0 if it has not waited.
func (s *Waits) Spent(w *inventory.Wait) time.Duration {
	if w.Attempts == 0 {
		return 0
	}
	return time.Since(s.began) - (w.Until - w.Limit)
}
