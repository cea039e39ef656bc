package client

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Line is one session and price category of a reservation.
type Line struct {
	Session  string `json:"session"`
	Category string `json:"category"`
	Quantity int    `json:"quantity"` // tickets
}

// Request asks for a hold.
type Request struct {
	ID         string `json:"id,omitempty"` // a UUID; "": Reserve makes one
	Account    string `json:"account,omitempty"`
	Phase      string `json:"phase,omitempty"`      // "": the only open phase that fits
	TTLSeconds int    `json:"ttl_seconds,omitzero"` // how long to hold; 0: as long as the server does
	Replaces   string `json:"replaces,omitempty"`   // a hold of the account that is released in the same step; "": none
	Lines      []Line `json:"lines,omitempty"`
}

func (r *Request) identify() {
	if r.ID == "" {
		r.ID = uuid.Must(uuid.NewV7()).String()
	}
}

type confirmation struct {
	Reference string `json:"reference,omitempty"`
	Again     bool   `json:"again,omitzero"`
}

type extension struct {
	ExpiresAt time.Time `json:"expires_at"`
}

type reduction struct {
	Lines []Line `json:"lines"`
}

// Reservation is the claim of an account on tickets.
type Reservation struct {
	ID          string    `json:"id"`
	Account     string    `json:"account"`
	Phase       string    `json:"phase"`
	State       string    `json:"state"` // held, then confirmed, released or expired; after confirmed, returned
	Lines       []Line    `json:"lines"`
	Tickets     int       `json:"tickets"` // sum of the lines
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	ConfirmedAt time.Time `json:"confirmed_at"` // zero unless it is or was confirmed
	Reference   string    `json:"reference"`    // of the return, or of the confirmation

	Repeated bool `json:"-"` // Reserve found it: an earlier request, perhaps a retry, had made it
}

// Kinds of operations in a batch.
const (
	Reserve = "reserve"
	Confirm = "confirm" // takes ID, Reference and Again
	Release = "release" // takes ID
	Extend  = "extend"  // takes ID and ExpiresAt
	Reduce  = "reduce"  // takes ID and Lines: what the reservation keeps
	Return  = "return"  // takes ID and Reference
)

// Operation is one call in a batch.
type Operation struct {
	Op string `json:"op"` // Reserve, Confirm, Release, Extend, Reduce or Return
	Request
	Reference string    `json:"reference,omitempty"`
	Again     bool      `json:"again,omitzero"` // the operation is like Client.ConfirmAgain
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Result is the outcome of an operation in a batch: a reservation or a refusal, and the status that a call of its own
// would have had.
type Result struct {
	Status      int          `json:"status"`
	Reservation *Reservation `json:"reservation"`
	Problem     *Error       `json:"problem"`
}

// Filter selects sessions: those for which all fields hold. A zero field selects any.
type Filter struct {
	Phase      string // sells the session
	Programme  string
	Discipline string
	Venue      string
	Day        string // on which the session begins, at its venue: "2024-08-03"
	Available  int    // tickets that are available in one category, at least
}

// query returns the filter as a query with its question mark, "" if it selects everything.
func (f Filter) query() string {
	values := url.Values{}
	for name, value := range map[string]string{"phase": f.Phase, "programme": f.Programme, "discipline": f.Discipline,
		"venue": f.Venue, "day": f.Day} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if f.Available != 0 {
		values.Set("available", strconv.Itoa(f.Available))
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + strings.ReplaceAll(values.Encode(), "+", "%20") // the API does not decode a plus as a space
}

// SessionList is sessions with their stock.
type SessionList struct {
	Sessions []Session `json:"sessions"`
	Currency Currency  `json:"currency"` // of all prices
	tag      string
}

// Currency is the currency of a sale's prices, which are in its minor unit. It is zero if the sale has no prices.
type Currency struct {
	Code   string `json:"code"`   // of ISO 4217: "EUR"
	Digits int    `json:"digits"` // decimals of an amount: 2 in EUR, 0 in JPY, 3 in KWD
}

// Stock is what is available of sessions.
type Stock struct {
	Available map[string]map[string]int `json:"stock"` // tickets, by session and category
	// States has the sessions that cannot be bought now, whatever is available, and why, such as "not_on_sale" or
	// "sales_ended".
	States map[string]string `json:"states"`
	tag    string
}

// Session is a session of the sale with its stock.
type Session struct {
	Session    string    `json:"session"`
	Programme  string    `json:"programme"`
	Discipline string    `json:"discipline"`
	Venue      string    `json:"venue"`
	StartsAt   time.Time `json:"starts_at"`
	SalesEndAt time.Time `json:"sales_end_at"` // nothing is sold from then on; zero if it is only listed
	OnSale     bool      `json:"on_sale"`
	Pools      []Pool    `json:"pools"`
	Currency   Currency  `json:"currency"` // of the prices
}

// Pool is the stock of one price category: capacity = available + held + sold + withheld, in tickets.
type Pool struct {
	Category   string `json:"category"`
	PriceCents *int   `json:"price_cents"` // in minor units of the currency; nil if there is no price
	Capacity   int    `json:"capacity"`
	Available  int    `json:"available"`
	Held       int    `json:"held"`
	Sold       int    `json:"sold"`
	Withheld   int    `json:"withheld"`
}

// Account is an account's ledger.
type Account struct {
	Account    string `json:"account"`
	Programmes []struct {
		Programme string `json:"programme"`
		Cap       int    `json:"cap"` // of held + confirmed tickets
		Held      int    `json:"held"`
		Confirmed int    `json:"confirmed"`
	} `json:"programmes"`
	Reservations []Reservation `json:"reservations"` // held and confirmed, by created_at, then by id, the last one first
	Access       []Slot        `json:"access"`
}

// Slot is the window in which a drawn account may buy in a phase.
type Slot struct {
	Phase    string    `json:"phase"`
	OpensAt  time.Time `json:"opens_at"`
	ClosesAt time.Time `json:"closes_at"` // the first instant after the slot
	Priority bool      `json:"priority"`  // reserved for the priority group
}

// Phase is a sale period.
type Phase struct {
	Phase        string `json:"phase"`
	Programme    string `json:"programme"`
	Title        string `json:"title"`
	Kind         string `json:"kind"`          // single or pack
	PackSessions int    `json:"pack_sessions"` // of a pack
	// PackEqual is whether a pack has equally many tickets for each session.
	PackEqual bool      `json:"pack_equal_quantities"`
	Access    string    `json:"access"` // open, slots or group
	Draw      string    `json:"draw"`   // that decides the slots
	Group     string    `json:"group"`  // whose members may buy
	OpensAt   time.Time `json:"opens_at"`
	ClosesAt  time.Time `json:"closes_at"`
	Open      bool      `json:"open"`
	// Places are the sessions of which the phase sells a bounded number of tickets.
	Places []PhasePlaces `json:"places"`
}

// PhasePlaces is how many tickets a phase sells of a session, in all categories.
type PhasePlaces struct {
	Session   string `json:"session"`
	Places    int    `json:"places"`
	Available int    `json:"available"` // of the places; the session may have fewer tickets
}

// Draw is how far a draw has come, and what is published of it.
type Draw struct {
	Draw               string    `json:"draw"`
	Title              string    `json:"title"`
	Phase              string    `json:"phase"`  // whose slots are drawn
	Status             string    `json:"status"` // announced, registration, closed, frozen, drawn or void
	RegistrationOpens  time.Time `json:"registration_opens_at"`
	RegistrationCloses time.Time `json:"registration_closes_at"`
	Entries            int       `json:"entries"`
	Beacon             struct {
		Chain       string    `json:"chain"`
		ChainHash   string    `json:"chain_hash"`
		PublicKey   string    `json:"public_key"`
		Round       uint64    `json:"round"` // that decides, the last one if it was postponed
		PublishedAt time.Time `json:"published_at"`
		StandIn     bool      `json:"stand_in"` // the round was known before the draw was defined
		Randomness  string    `json:"randomness"`
		Signature   string    `json:"signature"`
	} `json:"beacon"`
	PublishWithinSeconds int `json:"publish_within_seconds"` // from the close or a postponement to the round, at least
	Postponed            []struct {
		Round       uint64    `json:"round"`
		PublishedAt time.Time `json:"published_at"`
		At          time.Time `json:"at"` // when it was named
	} `json:"postponed"`
	SecretCommitment string    `json:"secret_commitment"` // the SHA-256 of the secret that hides the accounts
	Terms            string    `json:"terms"`             // the SHA-256 of terms.json in the export, once frozen
	FrozenAt         time.Time `json:"frozen_at"`         // zero before
	Slots            struct {
		OpensAt       time.Time `json:"opens_at"`
		ClosesAt      time.Time `json:"closes_at"`
		Count         int       `json:"count"`
		Places        int       `json:"places"` // winners of each
		LengthSeconds int       `json:"length_seconds"`
		StepSeconds   int       `json:"step_seconds"` // from one slot's opening to the next
		PriorityGroup string    `json:"priority_group"`
		PriorityCount int       `json:"priority_count"` // the first slots, reserved for the group
	} `json:"slots"`
	Digest string `json:"digest"` // of the entries, once frozen
	Seed   string `json:"seed"`   // once drawn
}

type entryRequest struct {
	Account string `json:"account"`
	Group   string `json:"priority_group,omitempty"`
}

// Entry is an account's registration for a draw. Rank and what follows are known once the draw was run.
type Entry struct {
	Draw    string `json:"draw"`
	Account string `json:"account"`
	Group   string `json:"priority_group"` // "" for none
	Rank    int    `json:"rank"`           // from 1
	Slot    *Slot  `json:"slot"`           // nil if the places did not reach this rank
	Handle  string `json:"handle"`         // stands for the account in the export
	Salt    string `json:"salt"`           // shows whose handle it is; for the account only
	Digest  string `json:"digest"`
	Seed    string `json:"seed"`
	Proof   struct {
		Leaf uint64   `json:"leaf"`
		Size uint64   `json:"size"`
		Path []string `json:"path"`
	} `json:"proof"` // that the entry is in the digest

	Repeated bool `json:"-"` // Enter found it: the account had entered before
}
