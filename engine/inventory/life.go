package inventory

import "github.com/seathold/seathold/engine/inventory/internal/life"

// State is the state of a reservation. All of them, and the steps between them, are in internal/life.
type State = life.State

// Held: taken, to be confirmed before its time is over. Confirmed: sold. Released: given back by a caller. Returned:
// given back after it was sold. Expired: given back because its time was over.
const (
	Held, Confirmed             = life.Held, life.Confirmed
	Released, Returned, Expired = life.Released, life.Returned, life.Expired
)

// The states between them, and those of rows that have no reservation.
const (
	free, pending, void, superseded, forgotten = life.Free, life.Pending, life.Void, life.Superseded, life.Forgotten
	confirming, releasing, expiring, yielding  = life.Confirming, life.Releasing, life.Expiring, life.Yielding
)

// Origin is the outcome that made a row.
type Origin = life.Origin

// OriginReserve: a new reservation. OriginExtend: another end, the same lines. OriginReduce and OriginReduceSold:
// fewer tickets of a held one, or of a confirmed one. OriginReplace: in the place of a held one with another id.
// OriginAgain: an expired one, taken again and confirmed. OriginReturn: a confirmed one, given back.
const (
	OriginReserve, OriginExtend, OriginReduce = life.OriginReserve, life.OriginExtend, life.OriginReduce
	OriginReduceSold, OriginReplace           = life.OriginReduceSold, life.OriginReplace
	OriginAgain, OriginReturn                 = life.OriginAgain, life.OriginReturn
)

// Flags of a reservation, beside those of its caller, which has the first two. FlagReplaces: it took the place of
// another one. FlagExtended: its end was moved. FlagReduced: it keeps less than was reserved. FlagWithheld: it was
// returned, and its tickets are not for sale again.
const (
	FlagReplaces, FlagExtended = life.FlagReplaces, life.FlagExtended
	FlagReduced, FlagWithheld  = life.FlagReduced, life.FlagWithheld
)

// Look is what a row shows of its units at one instant: a set of the flags Look….
type Look = life.Look

// LookTaken: they are not available. LookGone: they are sold, or withheld after a return. LookOver: they will not be
// taken again. LookWasTaken and LookWasGone: they may have been not available, or gone, a moment ago.
const (
	LookTaken, LookGone, LookOver = life.LookTaken, life.LookGone, life.LookOver
	LookWasTaken, LookWasGone     = life.LookWasTaken, life.LookWasGone
)
