package engine

import "github.com/seathold/seathold/engine/rules"

// Refusal is the error of a request that broke a rule, and of one that the engine could not serve. A refused request
// changes nothing; JournalUnavailable is the exception.
type Refusal = rules.Refusal

// Code names the rule that a refused request broke. The words are those of the HTTP contract; [Rules] returns a row for
// each.
type Code = rules.Code

// Rule is what a code means: its row in the table of refusals.
type Rule = rules.Rule

// Fact is one fact of a refusal, by its name in the HTTP contract.
type Fact = rules.Fact

// Rules returns a copy of the table of refusals: the rule of every code that a Refusal of the engine can have.
func Rules() []Rule { return rules.Rules() }

// Shape of the request.
const (
	MalformedRequest = rules.MalformedRequest
	InvalidQuantity  = rules.InvalidQuantity
	DuplicateLine    = rules.DuplicateLine
	TooManyLines     = rules.TooManyLines
)

// Identity of the reservation.
const (
	ReservationNotFound  = rules.ReservationNotFound
	IDReused             = rules.IDReused
	ReservationConfirmed = rules.ReservationConfirmed
	ReservationReleased  = rules.ReservationReleased
	ReservationExpired   = rules.ReservationExpired
	ReservationReturned  = rules.ReservationReturned
	ReservationHeld      = rules.ReservationHeld
	HoldLimitExceeded    = rules.HoldLimitExceeded
	NotAReduction        = rules.NotAReduction
)

// Phase and access.
const (
	UnknownPhase  = rules.UnknownPhase
	PhaseRequired = rules.PhaseRequired
	PhaseNotOpen  = rules.PhaseNotOpen
	NoAccessSlot  = rules.NoAccessSlot
	SlotNotOpen   = rules.SlotNotOpen
	SlotEnded     = rules.SlotEnded
)

// What is on sale, and the shape of packs.
const (
	UnknownSession  = rules.UnknownSession
	UnknownCategory = rules.UnknownCategory
	NotOnSale       = rules.NotOnSale
	SalesEnded      = rules.SalesEnded
	Paused          = rules.Paused
	PackShape       = rules.PackShape
	SessionNotFound = rules.SessionNotFound
)

// Limits, caps and stock.
const (
	SessionLimitExceeded = rules.SessionLimitExceeded
	AccountCapExceeded   = rules.AccountCapExceeded
	SoldOut              = rules.SoldOut
)

// Draws.
const (
	DrawNotFound       = rules.DrawNotFound
	EntryNotFound      = rules.EntryNotFound
	RegistrationClosed = rules.RegistrationClosed
	DrawNotRun         = rules.DrawNotRun
)

// Temporary. The caller retries after a moment, with the same id; after Full, at long intervals.
const (
	Overloaded         = rules.Overloaded
	Full               = rules.Full
	JournalUnavailable = rules.JournalUnavailable
	NotLeader          = rules.NotLeader
)
