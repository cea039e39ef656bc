package life

// Origin is the outcome that made a row.
type Origin uint8

const (
	OriginReserve    Origin = iota
	OriginExtend            // another end, the same lines
	OriginReduce            // fewer tickets of a held reservation
	OriginReduceSold        // fewer tickets of a confirmed one
	OriginReplace           // in the place of a held reservation with another id
	OriginAgain             // an expired reservation, taken again and confirmed
	OriginReturn            // a confirmed reservation, given back
)

// From returns the state of the row that such a row follows.
func (o Origin) From() State {
	switch o {
	case OriginReduceSold, OriginReturn:
		return Confirmed
	case OriginAgain:
		return Expired
	}
	return Held
}

// To returns the state in which such a row begins.
func (o Origin) To() State {
	switch o {
	case OriginReduceSold, OriginAgain:
		return Confirmed
	case OriginReturn:
		return Returned
	}
	return Held
}

// Flags of a reservation, beside those of its caller, which has the first two.
const (
	FlagReplaces = 1 << (iota + 2) // it took the place of another one
	FlagExtended                   // its end was moved
	FlagReduced                    // it keeps less than was reserved
	FlagWithheld                   // it was returned, and its tickets are not for sale again
)
