package engine

import (
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
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
type ID = rules.ID

// Line is one (session, category, quantity) of a reservation.
type Line = rules.Line

// Request is a request to hold tickets. Its TTL is at most Options.TTL, and that if it is 0.
type Request = rules.Request

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
// nothing but room for the texts of dozens of answers at a time; texts do not change later. After Reserve, Account is
// the request's, and after Confirm, Reference is the call's. A caller that overwrites the memory of these texts calls
// DropTexts before the next call.
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
	texts      texts
	snapshot   inventory.Snapshot
	lines      []inventory.Line
	wait       inventory.Wait // for other callers
	waitedFrom time.Duration  // when the call began to wait for the journal; 0 if it did not wait or is not timed
}

// DropTexts clears the texts that may be a caller's: those of a request whose memory is about to be used again.
func (r *Reservation) DropTexts() { r.Account, r.Reference = "", "" }

// refuse stores the refusal in the caller's reservation, so that it costs no allocation.
func (r *Reservation) refuse(refusal Refusal) error {
	r.refusal = refusal
	return &r.refusal
}

// fill sets the public fields of r from its snapshot.
func (r *Reservation) fill(sale *catalog.Sale) {
	s := &r.snapshot
	r.ID, r.Account, r.Phase, r.State = ID(s.ID), r.texts.keep(r, r.Account, s.Account), sale.Phases[s.Phase].ID, s.State
	r.Lines, r.Tickets = r.Lines[:0], 0
	for _, l := range s.Lines {
		p := &sale.Pools[l.Pool]
		r.Lines = append(r.Lines, Line{Session: sale.Sessions[p.Session].ID, Category: p.Category,
			Quantity: int(l.Quantity)})
		r.Tickets += int(l.Quantity)
	}
	reference := r.Reference
	r.CreatedAt, r.ExpiresAt, r.ConfirmedAt, r.Reference = instant(s.CreatedMs), instant(s.ExpiresMs), time.Time{}, ""
	if s.State == Confirmed || s.State == Returned {
		r.ConfirmedAt, r.Reference = instant(s.ConfirmedMs), r.texts.keep(r, reference, s.Reference)
	}
	r.Repeated = false
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
	Account      string
	Programmes   []ProgrammeTickets // of the sale, in its order; a removed one only with tickets
	Reservations []Reservation      // those that count, held and confirmed: by CreatedAt, then by ID, the last one first
	Access       []AccessSlot       // in the order of the phases; of draws that were run
}

// ProgrammeTickets are an account's tickets in one programme. Held plus Confirmed never exceeds Cap (I2).
type ProgrammeTickets struct {
	Programme string
	Cap       int
	Held      int
	Confirmed int
}
