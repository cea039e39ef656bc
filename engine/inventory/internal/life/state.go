// Package life has the life of a reservation: its states, the outcomes that make its rows, and what they mean for the
// caps and for the stock. It is pure: who may make which step, and when, is decided in package inventory.
package life

// State is the state of a reservation. The state word is the only truth about it: ledgers and checkpoints read it
// there.
//
//	free → pending → held → confirming → confirmed
//	          ↓        ↓→ releasing → released  ↓
//	        void       ↓→ expiring  → expired   ↓
//	                   ↓→ yielding ←────────────
//	                         ↓→ superseded, released
//
// What has ended is forgotten some time later, and then its row is free again. Within one call a row keeps its
// meaning, and its state only moves forward. Two steps are decisions: the step out of pending, made by the caller that
// reserves, and the step out of held or confirmed, made by the compare-and-swap that wins (I3). The winner alone makes
// the next step, once the outcome has its place in the journal. A row that is made by a return goes from pending to
// returned.
type State uint32

const (
	Free       State = iota // free, or claimed and not yet published
	Pending                 // published, its stock not all taken yet
	Held                    // taken, to be confirmed before its time is over
	Confirming              // confirmed; its record is about to be placed
	Confirmed               // sold
	Releasing               // released; its record is about to be placed, then its units come back
	Expiring                // expired, likewise
	Yielding                // changed; the record of the row that follows it is about to be placed
	Released                // given back by a caller
	Returned                // given back after it was sold
	Expired                 // given back because its time was over
	Void                    // failed; to every reader as if it had never been made
	Superseded              // changed: another row has the id now
	Forgotten               // no word names the row any more
)

// Counts reports whether the reservation's tickets count against the caps. They do until the record of its end has
// its place in the journal (I6).
func (s State) Counts() bool { return s >= Pending && s <= Yielding }

// Undecided reports whether the reservation may cease to count by the next step of its own caller. No refusal may
// rest on it (I7).
func (s State) Undecided() bool { return s == Pending || s >= Releasing && s <= Yielding }

// Dead reports whether the row will never count again.
func (s State) Dead() bool { return s >= Released }

// Takes reports whether a row in the state has all of its units, whether they are gone, and whether they are withheld.
func (s State) Takes(flags uint8) (taken, gone, withheld bool) {
	withheld = s == Returned && flags&FlagWithheld != 0
	gone = s == Confirmed || withheld
	return gone || s == Held || s == Confirming, gone, withheld
}

// Ended returns the state to which the end of a reservation led, once that is placed: then the state has left held,
// and shows which end it is. A confirmed one may have changed since.
func (s State) Ended() State {
	switch s {
	case Releasing, Released:
		return Released
	case Expiring, Expired:
		return Expired
	}
	return Confirmed
}

// String returns the state's name in the API; undecided between two of them.
func (s State) String() string {
	switch s {
	case Held:
		return "held"
	case Confirmed:
		return "confirmed"
	case Released:
		return "released"
	case Returned:
		return "returned"
	case Expired:
		return "expired"
	}
	return "undecided"
}
