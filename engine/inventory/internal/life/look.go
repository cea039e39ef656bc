package life

// Look is what a row shows of its units at one instant: a set of the flags Look….
type Look uint8

const (
	LookTaken    Look = 1 << iota // they are not available
	LookGone                      // they are sold, or withheld after a return
	LookOver                      // they will not be taken again
	LookWasTaken                  // they may have been not available a moment ago
	LookWasGone                   // they may have been gone a moment ago
)

// Look returns what a row of the origin shows in the state.
func (s State) Look(origin Origin, flags uint8) (look Look) {
	taken, gone, withheld := s.Takes(flags)
	if taken {
		look |= LookTaken
	}
	if gone {
		look |= LookGone
	}
	if s.Dead() && !withheld {
		look |= LookOver
	}
	if s != Free && (s != Returned || withheld) { // otherwise a returned one has no units of its own
		look |= LookWasTaken
	}
	if gone || s.mayHaveBeenGone() || s == Pending && origin == OriginAgain { // sold while it is pending
		look |= LookWasGone
	}
	return look
}

// mayHaveBeenGone reports whether the units of a row may have been gone just before it came to the state, or are about
// to be.
func (s State) mayHaveBeenGone() bool {
	return s == Confirming || s == Yielding || s == Superseded || s == Forgotten
}
