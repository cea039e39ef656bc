package engine

import (
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Limits of a request (I10).
const (
	MaxLines     = inventory.MaxLines
	MaxQuantity  = inventory.MaxQuantity // tickets of one line
	MaxAccount   = inventory.MaxAccount  // bytes
	MaxReference = record.MaxReference   // bytes
)

// ID is a reservation's id: a UUID that the client chooses. If the client leaves it zero, the engine chooses one. The
// same id with the same content has one effect and one answer, however often it is sent (I9).
type ID = uuid.UUID

// Line is one (session, category, quantity) of a reservation.
type Line struct {
	Session  string // `ATH10`
	Category string // `First`, `A` … `E`
	Quantity int    // tickets, 1 to MaxQuantity
}

// Request is a request to hold tickets.
type Request struct {
	ID      ID            // zero: the engine creates a UUIDv7
	Account string        // [A-Za-z0-9._:@-]{1,64}
	Phase   string        // empty: the only open phase that matches the lines
	TTL     time.Duration // how long the hold lasts, in whole seconds, at most Options.TTL; 0: Options.TTL
	Lines   []Line        // 1 to MaxLines, of different session and category

	// Replaces is the id of a held reservation of the account that is released in the same step; zero: none.
	Replaces ID
}

// State is the state of a reservation.
type State = inventory.State

// The states of a reservation. It leaves Held exactly once (I3).
const (
	Held      = inventory.Held
	Confirmed = inventory.Confirmed
	Released  = inventory.Released
	Expired   = inventory.Expired
	Returned  = inventory.Returned
)

// Reservation is the claim of one account on tickets of one or more pools, as read at one instant.
//
// The caller owns it; a call fills it and reuses its Lines. A caller that reuses one for all its calls allocates
// nothing: a text that an earlier call has left stays if the next one has the same. After Reserve, Account is the
// request's. A caller that overwrites the memory of a request's texts clears Account before the next call.
type Reservation struct {
	ID          ID
	Account     string
	Phase       string
	State       State
	Lines       []Line // in the order of the request, or of the last Reduce
	Tickets     int
	CreatedAt   time.Time // UTC, on the sale clock, to the millisecond
	ExpiresAt   time.Time // the first instant at which it can no longer be confirmed
	ConfirmedAt time.Time // zero unless Confirmed or Returned
	Reference   string    // the caller's, given with the confirmation or the return

	Repeated bool // the call changed nothing: an earlier call with this id had the same effect

	refusal    Refusal
	snapshot   inventory.Snapshot
	lines      []inventory.Line
	wait       inventory.Wait // for other callers
	waitedFrom time.Duration  // when the call began to wait for the journal; 0 if it did not wait or is not timed
}

// refuse stores the refusal in the caller's reservation, so that it costs no allocation.
func (r *Reservation) refuse(refusal Refusal) error {
	r.refusal = refusal
	return &r.refusal
}

// Stock is a pool at one instant, in tickets. Available, Held, Sold and Withheld add up to Capacity (I1).
type Stock struct {
	Capacity  int
	Available int
	Held      int
	Sold      int
	Withheld  int
}

// Account is a buyer's ledger.
type Account struct {
	Account    string
	Programmes []ProgrammeTickets // every programme of the sale, in its order
	// Reservations are those that count: held and confirmed, newest first. An extend, a reduce and a confirmation after
	// the expiry make a reservation the newest. After a restart, one that was confirmed longer than Options.Forget ago may
	// precede newer ones.
	Reservations []Reservation
	Access       []AccessSlot // in the order of the phases; of draws that were run
}

// ProgrammeTickets are an account's tickets in one programme. Held plus Confirmed never exceeds Cap (I2).
type ProgrammeTickets struct {
	Programme string
	Cap       int
	Held      int
	Confirmed int
}
