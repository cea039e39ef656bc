package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Answer is the answer to a call. If it is a refusal, only Refusal is set.
type Answer struct {
	Refusal
	Repeated    bool        // the call changed nothing: one with this id had the same effect, or the sale was in force
	Reservation Reservation // of all calls but those below
	Account     Account     // of ReadAccount
	Stock       []Stock     // of ReadStock, in the order of the sale's pools; of SetStock that of the pool alone
	Places      []Places    // of ReadPlaces, in any order
	Ended       int         // of Sweep: number of holds it expired

	short []Refusal // with sold_out, in the model's answers: one for each line with too few tickets
}

// Refusal is a violated rule and its facts. An empty code means no refusal.
type Refusal struct {
	Code      string
	Phase     string
	Session   string
	Category  string
	Programme string
	Reference string
	Limit     int
	Held      int // tickets; of not_a_reduction: those that the reservation has
	Confirmed int
	Requested int
	Available int
	Taken     int // of stock_taken
	OpensAt   time.Time
	ClosesAt  time.Time
	EndedAt   time.Time // of sales_ended

	MaxExpiresAt time.Time // of hold_limit_exceeded
	CanTakeAgain bool      // of reservation_expired
}

// Codes that do not follow from the rules. Concurrent calls may get them.
const (
	Overloaded = "overloaded"          // the call had no effect
	Unknown    = "journal_unavailable" // it is unknown whether the call took effect
)

// Reservation is a reservation in an answer.
type Reservation struct {
	ID          string
	Account     string
	Phase       string
	State       string // held, confirmed, released, returned, expired
	Lines       []Line // in the order of the request
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ConfirmedAt time.Time // zero unless confirmed or returned
	Reference   string
}

// Tickets returns the number of tickets in all lines.
func (r *Reservation) Tickets() int {
	n := 0
	for _, l := range r.Lines {
		n += l.Quantity
	}
	return n
}

// Account is an account's ledger in an answer.
type Account struct {
	Account      string
	Programmes   []ProgrammeTickets
	Reservations []Reservation // held and confirmed, by the time of creation, then by id, the last one first
}

// ProgrammeTickets are an account's tickets in one programme.
type ProgrammeTickets struct {
	Programme       string
	Cap             int
	Held, Confirmed int
}

// Stock is the stock of one pool, in tickets.
type Stock struct{ Capacity, Available, Held, Sold, Withheld int }

// Places are the tickets that a phase sells of a session.
type Places struct {
	Phase, Session    string
	Places, Available int
}

// OK reports whether the call succeeded.
func (a *Answer) OK() bool { return a.Code == "" }

// Diff describes how the answer differs from the expected one, a; empty if it does not.
func (a Answer) Diff(b Answer) string {
	if x, y := a.String(), b.String(); x != y {
		return fmt.Sprintf("want %s\n got %s", x, y)
	}
	return ""
}

// String formats everything that is compared.
func (a Answer) String() string {
	b := &strings.Builder{}
	if !a.OK() {
		a.Refusal.write(b)
		return b.String()
	}
	if a.Reservation.ID != "" {
		a.Reservation.write(b)
	}
	if a.Repeated {
		b.WriteString(" repeated")
	}
	if a.Account.Account != "" {
		b.WriteString("account " + a.Account.Account)
		for _, p := range a.Account.Programmes {
			fmt.Fprintf(b, " %s=%d+%d/%d", p.Programme, p.Held, p.Confirmed, p.Cap)
		}
		for i := range a.Account.Reservations {
			b.WriteString(" ; ")
			a.Account.Reservations[i].write(b)
		}
	}
	for i, s := range a.Stock {
		fmt.Fprintf(b, " %d:%d/%d+%d+%d+%d", i, s.Capacity, s.Available, s.Held, s.Sold, s.Withheld)
	}
	for _, p := range sorted(a.Places) {
		fmt.Fprintf(b, " %s,%s:%d/%d", p.Phase, p.Session, p.Places, p.Available)
	}
	if a.Ended > 0 {
		fmt.Fprintf(b, "ended=%d", a.Ended)
	}
	return b.String()
}

func sorted(all []Places) []Places {
	return slices.SortedFunc(slices.Values(all), func(p, q Places) int {
		return cmp.Or(cmp.Compare(p.Phase, q.Phase), cmp.Compare(p.Session, q.Session))
	})
}

func (r *Refusal) write(b *strings.Builder) {
	b.WriteString(r.Code)
	writeFacts(b, "phase", r.Phase, "session", r.Session, "category", r.Category, "programme", r.Programme,
		"reference", r.Reference, "opens_at", stamp(r.OpensAt), "closes_at", stamp(r.ClosesAt),
		"ended_at", stamp(r.EndedAt), "max_expires_at", stamp(r.MaxExpiresAt))
	switch r.Code {
	case "sold_out":
		fmt.Fprintf(b, " requested=%d available=%d", r.Requested, r.Available)
	case "session_limit_exceeded", "account_cap_exceeded":
		fmt.Fprintf(b, " limit=%d held=%d confirmed=%d requested=%d", r.Limit, r.Held, r.Confirmed, r.Requested)
	case "not_a_reduction":
		fmt.Fprintf(b, " has=%d requested=%d", r.Held, r.Requested)
	case "stock_taken":
		fmt.Fprintf(b, " taken=%d", r.Taken)
	case "reservation_expired":
		fmt.Fprintf(b, " can_take_again=%t", r.CanTakeAgain)
	case "pack_shape", "too_many_lines":
		fmt.Fprintf(b, " limit=%d requested=%d", r.Limit, r.Requested)
	}
}

func (r *Reservation) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s id=%s account=%s phase=%s tickets=%d", r.State, r.ID, r.Account, r.Phase, r.Tickets())
	writeLines(b, r.Lines)
	writeFacts(b, "created", stamp(r.CreatedAt), "expires", stamp(r.ExpiresAt), "confirmed", stamp(r.ConfirmedAt),
		"reference", r.Reference)
}

// writeFacts writes name=value pairs, without those whose value is empty.
func writeFacts(b *strings.Builder, pairs ...string) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			fmt.Fprintf(b, " %s=%s", pair[0], pair[1])
		}
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z")
}
