package inventory

// decision is what one look at a pool or a ledger finds about a request.
type decision uint8

const (
	granted decision = iota // whatever becomes of what is undecided
	refused                 // nothing undecided had a part in it: the refusal was true at the instant of the look
	inDoubt                 // what is undecided may change the answer or its facts
)

// backOff waits before the next attempt at what another caller is about to decide, and counts the attempts. False
// means that the retries are exhausted: the operation undoes what it did and returns Overloaded.
//
// All retry loops have one shape. A definite answer ends the loop. Where a word has changed between the look and the
// decision, another caller made progress and the look is repeated. Where something is undecided, the loop backs off
// first; foresee, which holds nothing yet, backs off in both cases. Waiting is acyclic (see Reserve), so the caller
// that is waited for never waits in turn for the one that waits.
func (v *Inventory) backOff(attempt *int) bool {
	*attempt++
	return v.pause(*attempt - 1)
}
