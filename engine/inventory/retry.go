package inventory

import "time"

// decision is what one look at a pool or a ledger finds about a request.
type decision uint8

const (
	granted decision = iota // whatever becomes of what is undecided
	refused                 // nothing undecided had a part in it: the refusal was true at the instant of the look
	inDoubt                 // what is undecided may change the answer or its facts
)

// Wait is how long a call has waited for other callers. Its zero value begins one. Only Config.Pause reads and changes
// it; the inventory keeps it while the call runs, so that a bound on it bounds the call, however often and wherever the
// call waits.
type Wait struct {
	Attempts int           // pauses so far
	Until    time.Duration // the end of the wait on the clock of Pause; set at its first pause
	Limit    time.Duration // the most that the call may wait; 0 for what is usual
}

// begun returns the wait of a call, which begins with it if the caller has none. It is inlined, so that a new one is on
// the caller's stack.
func begun(w *Wait) *Wait {
	if w == nil {
		return &Wait{}
	}
	return w
}

// backOff waits before the next attempt at what another caller is about to decide. False means that the call has waited
// for as long as it may: the operation undoes what it did and returns Overloaded.
//
// All retry loops have one shape. A definite answer ends the loop. Where a word has changed between the look and the
// decision, another caller made progress and the look is repeated. Where something is undecided, the loop backs off
// first; foresee, which holds nothing yet, backs off in both cases. Waiting is acyclic (see Reserve), so the caller
// that is waited for never waits in turn for the one that waits.
func (v *Inventory) backOff(w *Wait) bool {
	next, again := v.pause(*w) // by value: a pointer would move each call's Wait to the heap
	*w = next
	return again
}
