package engine

import (
	"fmt"
	"strings"
	"time"
)

// Code names the rule that a refused request broke. The words are those of the HTTP contract.
type Code string

// Shape of the request.
const (
	MalformedRequest Code = "malformed_request" // Where
	InvalidQuantity  Code = "invalid_quantity"  // Where
	DuplicateLine    Code = "duplicate_line"    // Session, Category
	TooManyLines     Code = "too_many_lines"    // Limit, Requested
)

// Identity of the reservation.
const (
	ReservationNotFound  Code = "reservation_not_found"
	IDReused             Code = "id_reused"
	ReservationConfirmed Code = "reservation_confirmed"
	ReservationReleased  Code = "reservation_released"
	ReservationExpired   Code = "reservation_expired"
)

// Phase and access.
const (
	UnknownPhase  Code = "unknown_phase"  // Phase
	PhaseRequired Code = "phase_required" //
	PhaseNotOpen  Code = "phase_not_open" // Phase, OpensAt, ClosesAt
	NoAccessSlot  Code = "no_access_slot" // Phase
	SlotNotOpen   Code = "slot_not_open"  // OpensAt
	SlotEnded     Code = "slot_ended"     // ClosesAt
)

// What is on sale, and how packs look.
const (
	UnknownSession  Code = "unknown_session"   // Session
	UnknownCategory Code = "unknown_category"  // Session, Category
	NotOnSale       Code = "not_on_sale"       // Session
	Paused          Code = "paused"            // Session
	PackShape       Code = "pack_shape"        // Limit (sessions required), Requested (sessions given)
	SessionNotFound Code = "session_not_found" // Session
)

// Limits, caps and stock.
const (
	SessionLimitExceeded Code = "session_limit_exceeded" // Session, Limit, Held, Confirmed, Requested
	AccountCapExceeded   Code = "account_cap_exceeded"   // Programme, Limit, Held, Confirmed, Requested
	SoldOut              Code = "sold_out"               // Session, Category, Requested, Available
)

// Draws.
const (
	DrawNotFound       Code = "draw_not_found" // Where
	EntryNotFound      Code = "entry_not_found"
	RegistrationClosed Code = "registration_closed" // OpensAt, ClosesAt
	DrawNotRun         Code = "draw_not_run"
)

// Not now. The caller tries again a moment later, with the same id.
const (
	Overloaded         Code = "overloaded"
	JournalUnavailable Code = "journal_unavailable"
	NotLeader          Code = "not_leader" // Leader
)

// Refusal is the error of a request that broke a rule: nothing was changed. Which fields are set follows from the code.
//
// JournalUnavailable is different for a call that had taken effect before the journal failed it: the outcome is then
// unknown, and asking again with the same id tells.
type Refusal struct {
	Code      Code
	Where     string
	Phase     string
	Session   string
	Category  string
	Programme string
	Leader    string
	Limit     int
	Held      int // tickets
	Confirmed int
	Requested int
	Available int
	OpensAt   time.Time
	ClosesAt  time.Time
}

func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail() }

// Detail says in a sentence for people what rule was broken and by what.
func (r *Refusal) Detail() string {
	switch r.Code {
	case MalformedRequest:
		return r.Where
	case InvalidQuantity:
		return fmt.Sprintf("%s: a quantity is a whole number from 1 to %d", r.Where, MaxQuantity)
	case DuplicateLine:
		return fmt.Sprintf("session %s, category %s stands in two lines; add the quantities up in one", r.Session, r.Category)
	case TooManyLines:
		return fmt.Sprintf("%d lines; a reservation has at most %d", r.Requested, r.Limit)
	case ReservationNotFound:
		return "no reservation has this id"
	case IDReused:
		return "the id belongs to a reservation with other content; choose a new id for a new reservation"
	case ReservationConfirmed:
		return "the reservation is confirmed and can no longer be released"
	case ReservationReleased:
		return "the reservation was released"
	case ReservationExpired:
		return "the reservation's time is over"
	case UnknownPhase:
		return fmt.Sprintf("the sale has no phase %q", r.Phase)
	case PhaseRequired:
		return "several open phases fit: say which one in \"phase\""
	case PhaseNotOpen:
		return fmt.Sprintf("phase %s is open from %s until %s", r.Phase, stamp(r.OpensAt), stamp(r.ClosesAt))
	case NoAccessSlot:
		return fmt.Sprintf("the account has no access slot in phase %s", r.Phase)
	case SlotNotOpen:
		return "the account's access slot opens at " + stamp(r.OpensAt)
	case SlotEnded:
		return "the account's access slot ended at " + stamp(r.ClosesAt)
	}
	return r.stockDetail()
}

func (r *Refusal) stockDetail() string {
	switch r.Code {
	case UnknownSession, SessionNotFound:
		return fmt.Sprintf("the sale has no session %q", r.Session)
	case UnknownCategory:
		return fmt.Sprintf("session %s has no price category %q", r.Session, r.Category)
	case NotOnSale:
		return fmt.Sprintf("session %s is not on sale%s", r.Session, inPhase(r.Phase))
	case Paused:
		return fmt.Sprintf("session %s is paused", r.Session)
	case PackShape:
		return fmt.Sprintf("a pack takes exactly %d different sessions, %d were given", r.Limit, r.Requested)
	case SessionLimitExceeded:
		return fmt.Sprintf("an account may have %d tickets for session %s; it has %d held and %d confirmed, %d more were requested",
			r.Limit, r.Session, r.Held, r.Confirmed, r.Requested)
	case AccountCapExceeded:
		return fmt.Sprintf("an account may have %d tickets in the %s programme; it has %d held and %d confirmed, %d more were requested",
			r.Limit, r.Programme, r.Held, r.Confirmed, r.Requested)
	case SoldOut:
		return fmt.Sprintf("session %s, category %s has %d tickets left, %d were requested", r.Session, r.Category, r.Available, r.Requested)
	case Overloaded:
		return "the server is at its limit; nothing was done, try again in a moment"
	case JournalUnavailable:
		return "the journal does not answer; whether the call took effect is told by sending it again with the same id"
	case DrawNotFound:
		return "the sale has no draw " + quoted(r.Where)
	case EntryNotFound:
		return "the account has no entry for this draw"
	case RegistrationClosed:
		return fmt.Sprintf("registration is open from %s until %s", stamp(r.OpensAt), stamp(r.ClosesAt))
	case DrawNotRun:
		return "the draw has not been run yet"
	case NotLeader:
		return strings.TrimSpace("this server is not the leader " + r.Leader)
	}
	panic("BUG: no detail for " + string(r.Code))
}

func inPhase(phase string) string {
	if phase == "" {
		return ""
	}
	return " in phase " + phase
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
