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

// ID is a reservation's id: a UUID that the client chooses, or the engine where the client leaves it zero. The same id
// with the same content has one effect and one answer, however often it is sent (I9).
type ID = uuid.UUID

// Line is one (session, category, quantity) of a reservation.
type Line struct {
	Session  string // `ATH10`
	Category string // `First`, `A` … `E`
	Quantity int    // tickets, 1 to MaxQuantity
}

// Request asks to hold tickets.
type Request struct {
	ID      ID            // zero: the engine makes a UUIDv7
	Account string        // [A-Za-z0-9._:@-]{1,64}
	Phase   string        // empty: the only open phase that fits
	TTL     time.Duration // how long to hold, in whole seconds, at most Options.TTL; 0: Options.TTL
	Lines   []Line        // 1 to MaxLines, of different session and category
}

// State is where a reservation stands.
type State = inventory.State

// The states of a reservation. It leaves Held exactly once (I3).
const (
	Held      = inventory.Held
	Confirmed = inventory.Confirmed
	Released  = inventory.Released
	Expired   = inventory.Expired
)

// Reservation is the claim of one account on tickets of one or more pools, as read at one instant.
//
// Calls fill one that the caller owns and reuse its Lines, so a caller that keeps one allocates nothing.
type Reservation struct {
	ID          ID
	Account     string
	Phase       string
	State       State
	Lines       []Line // in the order of the request
	Tickets     int
	CreatedAt   time.Time // UTC, on the sale clock, to the millisecond
	ExpiresAt   time.Time // the first instant at which it can no longer be confirmed
	ConfirmedAt time.Time // zero unless Confirmed
	Reference   string    // the caller's, given with the confirmation

	Repeated bool // the call changed nothing: an earlier one with this id had the same effect

	refusal    Refusal
	snapshot   inventory.Snapshot
	lines      []inventory.Line
	waitedFrom time.Duration // instant at which the call began to wait for the journal; 0: it did not, or is not timed
}

// refuse stores the refusal in the caller's reservation, so that it costs no allocation.
func (r *Reservation) refuse(refusal Refusal) error {
	r.refusal = refusal
	return &r.refusal
}

// Stock is what a pool holds at one moment. Available, Held, Sold and Withheld add up to Capacity (I1).
type Stock struct {
	Capacity  int
	Available int
	Held      int
	Sold      int
	Withheld  int
}

// Account is a buyer's ledger.
type Account struct {
	Account      string
	Programmes   []ProgrammeTickets // every programme of the sale, in its order
	Reservations []Reservation      // those that count: held and confirmed, newest first
	Access       []AccessSlot       // in the order of the phases
}

// ProgrammeTickets are an account's tickets in one programme. Held and Confirmed together never exceed Cap (I2).
type ProgrammeTickets struct {
	Programme string
	Cap       int
	Held      int
	Confirmed int
}
