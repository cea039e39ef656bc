package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// Code names the rule that a refused request broke. The words are those of the HTTP contract; [Rules] returns a row for
// each.
type Code string

// Shape of the request.
const (
	MalformedRequest Code = "malformed_request"
	InvalidQuantity  Code = "invalid_quantity"
	DuplicateLine    Code = "duplicate_line"
	TooManyLines     Code = "too_many_lines"
)

// Identity of the reservation.
const (
	ReservationNotFound  Code = "reservation_not_found"
	IDReused             Code = "id_reused"
	ReservationConfirmed Code = "reservation_confirmed"
	ReservationReleased  Code = "reservation_released"
	ReservationExpired   Code = "reservation_expired"
	ReservationReturned  Code = "reservation_returned"
	ReservationHeld      Code = "reservation_held"
	HoldLimitExceeded    Code = "hold_limit_exceeded"
	NotAReduction        Code = "not_a_reduction"
)

// Phase and access.
const (
	UnknownPhase  Code = "unknown_phase"
	PhaseRequired Code = "phase_required"
	PhaseNotOpen  Code = "phase_not_open"
	NoAccessSlot  Code = "no_access_slot"
	SlotNotOpen   Code = "slot_not_open"
	SlotEnded     Code = "slot_ended"
)

// What is on sale, and the shape of packs.
const (
	UnknownSession  Code = "unknown_session"
	UnknownCategory Code = "unknown_category"
	NotOnSale       Code = "not_on_sale"
	SalesEnded      Code = "sales_ended"
	Paused          Code = "paused"
	PackShape       Code = "pack_shape"
	SessionNotFound Code = "session_not_found"
)

// Limits, caps and stock.
const (
	SessionLimitExceeded Code = "session_limit_exceeded"
	AccountCapExceeded   Code = "account_cap_exceeded"
	SoldOut              Code = "sold_out"
)

// Draws.
const (
	DrawNotFound       Code = "draw_not_found"
	EntryNotFound      Code = "entry_not_found"
	RegistrationClosed Code = "registration_closed"
	DrawNotRun         Code = "draw_not_run"
)

// Temporary. The caller retries after a moment, with the same id; after Full, at long intervals.
const (
	Overloaded         Code = "overloaded"
	Full               Code = "full"
	JournalUnavailable Code = "journal_unavailable"
	NotLeader          Code = "not_leader"
)

// refusals is the table of all codes of the engine. A new refusal is a constant above, a row here, a constant in
// engine/refusal.go and its schema in server/openapi.yaml.
var refusals = [...]Rule{
	{MalformedRequest, 400, "Malformed request", []Fact{factWhere}, func(r *Refusal) string { return r.Where }},
	{InvalidQuantity, 422, "Invalid quantity", []Fact{factWhere}, func(r *Refusal) string {
		return fmt.Sprintf("%s: the quantity must be a whole number from 1 to %d", r.Where, inventory.MaxQuantity)
	}},
	{DuplicateLine, 422, "Duplicate line", []Fact{factSession, factCategory}, func(r *Refusal) string {
		return fmt.Sprintf("session %s, category %s is in two lines; add up their quantities in one line",
			r.Session, r.Category)
	}},
	{TooManyLines, 422, "Too many lines", []Fact{factLimit, factRequested}, func(r *Refusal) string {
		return fmt.Sprintf("the request has %d lines; a reservation has at most %d", r.Requested, r.Limit)
	}},

	{ReservationNotFound, 404, "Reservation not found", nil, always("no reservation has this id")},
	{IDReused, 409, "Reservation id reused", nil,
		always("a reservation with this id and other content exists; use a new id for a new reservation")},
	{ReservationConfirmed, 409, "Reservation confirmed",
		[]Fact{textFact("reference", func(r *Refusal) string { return r.Reference })}, func(r *Refusal) string {
			if r.Reference == "" {
				return "the reservation is already confirmed, without a reference"
			}
			return "the reservation is already confirmed, with the reference " + quoted(r.Reference)
		}},
	{ReservationReleased, 409, "Reservation released", nil,
		always("the reservation was released; use a new id for a new reservation")},
	{ReservationExpired, 409, "Reservation expired",
		[]Fact{flagFact("can_take_again", func(r *Refusal) bool { return r.CanTakeAgain })}, func(r *Refusal) string {
			if r.CanTakeAgain {
				return "the reservation has expired; its tickets are still there, and a confirmation with again takes them"
			}
			return "the reservation has expired, and its tickets cannot be taken again now"
		}},
	{ReservationReturned, 409, "Reservation returned", nil,
		always("the reservation was returned; use a new id for a new reservation")},
	{ReservationHeld, 409, "Reservation held", nil,
		always("the reservation is held, not sold; release gives a hold back")},
	{HoldLimitExceeded, 409, "Hold limit exceeded",
		[]Fact{timeFact("max_expires_at", func(r *Refusal) time.Time { return r.MaxExpiresAt })}, func(r *Refusal) string {
			return "the hold can be extended until " + stamp(r.MaxExpiresAt) + " at most"
		}},
	{NotAReduction, 409, "Not a reduction", []Fact{
		factSession, factCategory, numberFact("has", func(r *Refusal) int { return r.Held }), factRequested,
	}, func(r *Refusal) string {
		return fmt.Sprintf("the reservation has %d tickets of session %s, category %s; it cannot keep %d",
			r.Held, r.Session, r.Category, r.Requested)
	}},

	{UnknownPhase, 422, "Unknown phase", []Fact{factPhase}, func(r *Refusal) string {
		return fmt.Sprintf("the sale has no phase %q", r.Phase) + r.offer.elsewhere(r)
	}},
	{PhaseRequired, 422, "Phase required", nil, phaseRequired},
	{PhaseNotOpen, 403, "Phase not open", []Fact{factPhase, factOpensAt, factClosesAt}, phaseNotOpen},
	{NoAccessSlot, 403, "No access slot", []Fact{factPhase}, noSlotOrMember},
	{SlotNotOpen, 403, "Access slot not open yet", []Fact{factOpensAt}, func(r *Refusal) string {
		return noSlot(r, "the account's opens at "+stamp(r.OpensAt))
	}},
	{SlotEnded, 403, "Access slot ended", []Fact{timeFact("closed_at", func(r *Refusal) time.Time { return r.ClosesAt })},
		func(r *Refusal) string { return noSlot(r, "the account's ended at "+stamp(r.ClosesAt)) }},

	{UnknownSession, 422, "Unknown session", []Fact{factSession}, noSession},
	{UnknownCategory, 422, "Unknown price category", []Fact{factSession, factCategory}, unknownCategory},
	{NotOnSale, 422, "Not on sale", []Fact{factSession}, notOnSale},
	{SalesEnded, 409, "Sales ended", []Fact{
		factSession, timeFact("ended_at", func(r *Refusal) time.Time { return r.EndedAt }),
	}, func(r *Refusal) string {
		return fmt.Sprintf("sales of session %s ended at %s", r.Session, stamp(r.EndedAt))
	}},
	{Paused, 409, "Paused", []Fact{optional(factPhase), optional(factSession)}, paused}, // it has one of them
	{PackShape, 422, "Wrong pack shape", []Fact{
		numberFact("sessions_required", func(r *Refusal) int { return r.Limit }),
		numberFact("sessions_given", func(r *Refusal) int { return r.Requested }),
	}, wrongShape},
	{SessionNotFound, 404, "Session not found", []Fact{factSession}, noSession},

	{SessionLimitExceeded, 409, "Session limit exceeded",
		[]Fact{factSession, factLimit, factHeld, factConfirmed, factRequested}, func(r *Refusal) string {
			return fmt.Sprintf("an account may have %d tickets for session %s; "+ledgerDetail,
				r.Limit, r.Session, r.Held, r.Confirmed, r.Requested)
		}},
	{AccountCapExceeded, 409, "Account cap exceeded", []Fact{
		textFact("programme", func(r *Refusal) string { return r.Programme }),
		numberFact("cap", func(r *Refusal) int { return r.Limit }), factHeld, factConfirmed, factRequested,
	}, func(r *Refusal) string {
		return fmt.Sprintf("an account may have %d tickets in the %s programme; "+ledgerDetail,
			r.Limit, r.Programme, r.Held, r.Confirmed, r.Requested)
	}},
	{SoldOut, 409, "Sold out", []Fact{
		factSession, factCategory, factRequested, numberFact("available", func(r *Refusal) int { return r.Available }),
	}, soldOut},

	{DrawNotFound, 404, "Draw not found", []Fact{textFact("draw", func(r *Refusal) string { return r.Where })},
		func(r *Refusal) string { return fmt.Sprintf("the sale has no draw %q", r.Where) }},
	{EntryNotFound, 404, "Entry not found", nil, always("the account has no entry for this draw")},
	{RegistrationClosed, 409, "Registration closed", []Fact{factOpensAt, factClosesAt}, func(r *Refusal) string {
		return fmt.Sprintf("registration is open from %s until %s", stamp(r.OpensAt), stamp(r.ClosesAt))
	}},
	{DrawNotRun, 409, "Draw not run", nil, always("the draw has not been run yet")},

	{Overloaded, 503, "Overloaded", nil, always("the server is overloaded and did nothing; retry in a moment")},
	{Full, 503, "Full", []Fact{textFact("table", func(r *Refusal) string { return r.Table })}, func(r *Refusal) string {
		return fmt.Sprintf("the server has no room for more %s; retry at long intervals: room comes back "+
			"as what has ended is forgotten, or its operator makes it", r.Table)
	}},
	{JournalUnavailable, 503, "Journal unavailable", nil,
		always("the journal does not respond; retry with the same id to learn whether the call took effect")},
	{NotLeader, 503, "Not the leader", []Fact{textFact("leader", func(r *Refusal) string { return r.Leader })},
		func(r *Refusal) string {
			if r.Leader == "" {
				return "this server is not the leader; send the request to another server of the sale"
			}
			return "this server is not the leader; send the request to the leader, " + r.Leader
		}},
}

// Codes is the number of codes, each of which has a rule.
const Codes = len(refusals)

// rows finds a code's row.
var rows = func() map[Code]int {
	index := make(map[Code]int, len(refusals))
	for i := range refusals {
		index[refusals[i].Code] = i
	}
	return index
}()

// Index returns the index of the code's rule in Rules, from 0 to Codes-1; false if the engine has no such code.
func (c Code) Index() (int, bool) { i, known := rows[c]; return i, known }

// Rules returns a copy of the table of refusals: the rule of every code that a Refusal of the engine can have.
func Rules() []Rule { return slices.Clone(refusals[:]) }

// Rule is what a code means: its row in the table of refusals.
type Rule struct {
	Code   Code
	Status int    // of HTTP
	Title  string // for people; the same for all refusals with the code
	Facts  []Fact // in the order in which they are written
	detail func(r *Refusal) string
}

// Detail is r.Detail for a caller that has the rule of r already.
func (u *Rule) Detail(r *Refusal) string { return u.detail(r) }

// Fact is one fact of a refusal, by its name in the HTTP contract. Exactly one of the functions is set; it reads the
// value.
type Fact struct {
	Name     string
	Text     func(r *Refusal) string
	Number   func(r *Refusal) int
	Flag     func(r *Refusal) bool
	Instant  func(r *Refusal) time.Time
	Optional bool // a text that is left out where it is empty
}

func textFact(name string, of func(r *Refusal) string) Fact    { return Fact{Name: name, Text: of} }
func numberFact(name string, of func(r *Refusal) int) Fact     { return Fact{Name: name, Number: of} }
func flagFact(name string, of func(r *Refusal) bool) Fact      { return Fact{Name: name, Flag: of} }
func timeFact(name string, of func(r *Refusal) time.Time) Fact { return Fact{Name: name, Instant: of} }
func optional(f Fact) Fact                                     { f.Optional = true; return f }

// The facts that several rules share.
var (
	factSession   = textFact("session", func(r *Refusal) string { return r.Session })
	factCategory  = textFact("category", func(r *Refusal) string { return r.Category })
	factPhase     = textFact("phase", func(r *Refusal) string { return r.Phase })
	factLimit     = numberFact("limit", func(r *Refusal) int { return r.Limit })
	factHeld      = numberFact("held", func(r *Refusal) int { return r.Held })
	factConfirmed = numberFact("confirmed", func(r *Refusal) int { return r.Confirmed })
	factRequested = numberFact("requested", func(r *Refusal) int { return r.Requested })
	factOpensAt   = timeFact("opens_at", func(r *Refusal) time.Time { return r.OpensAt })
	factClosesAt  = timeFact("closes_at", func(r *Refusal) time.Time { return r.ClosesAt })
	// Where may continue with a colon and what is wrong there.
	factWhere = textFact("where", func(r *Refusal) string { where, _, _ := strings.Cut(r.Where, ": "); return where })
)

const ledgerDetail = "it has %d held and %d confirmed, and requests %d more"

func always(detail string) func(*Refusal) string { return func(*Refusal) string { return detail } }

func noSession(r *Refusal) string { return fmt.Sprintf("the sale has no session %q", r.Session) }

func quoted(s string) string { return strconv.Quote(s) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Refusal is the error of a request that broke a rule. A refused request changes nothing. The code decides which fields
// are set: those that its rule reads.
//
// JournalUnavailable is the exception: where the call took effect before the journal failed, its outcome is unknown. A
// retry with the same id returns it.
type Refusal struct {
	Code      Code
	Where     string
	Phase     string
	Session   string
	Category  string
	Programme string
	Leader    string
	Table     string
	Reference string
	Limit     int
	Held      int // tickets; of NotAReduction: those of the line that the reservation has
	Confirmed int
	Requested int
	Available int
	OpensAt   time.Time
	ClosesAt  time.Time
	EndedAt   time.Time // of SalesEnded

	MaxExpiresAt time.Time // of HoldLimitExceeded
	CanTakeAgain bool      // of ReservationExpired

	offer offer // for the detail
}

// set makes r another refusal, and returns it.
func (r *Refusal) set(refusal Refusal) error {
	*r = refusal
	return r
}

func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail() }

// Detail describes in a sentence for people which rule was broken, and by what.
func (r *Refusal) Detail() string { return r.Rule().Detail(r) }

// Rule returns the row of the refusal's code. It panics for a code that the engine does not have.
func (r *Refusal) Rule() *Rule {
	i, known := r.Code.Index()
	if !known {
		panic("BUG: no rule has the code " + string(r.Code))
	}
	return &refusals[i]
}
