package spec

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what an operation asks for.
type Kind uint8

const (
	Reserve         Kind = iota
	Confirm              //
	Release              //
	ReadReservation      //
	ReadAccount          //
	ReadStock            // of every pool of the sale
	Sweep                // end every hold whose time is over
)

func (k Kind) String() string {
	return [...]string{"reserve", "confirm", "release", "read", "account", "stock", "sweep"}[k]
}

// Line is one (session, category, quantity) of a request.
type Line struct {
	Session  string
	Category string
	Quantity int
}

// Operation is one call, at one instant of the sale clock. Which fields matter follows from the kind.
type Operation struct {
	Kind      Kind
	At        time.Time // UTC, to the millisecond
	ID        string    // a UUID; the model makes none
	Account   string
	Phase     string        // empty: the only open one that fits
	TTL       time.Duration // 0: the sale's
	Lines     []Line
	Reference string // for Confirm
}

// IDOf makes a UUID from a short name, so that tests can call a reservation r1.
func IDOf(name string) string {
	h := sha256.Sum256([]byte(name))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Instant rounds a time to what the engine keeps.
func Instant(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func (o Operation) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s", o.Kind)
	switch o.Kind {
	case Reserve:
		fmt.Fprintf(b, " %.8s %s", o.ID, o.Account)
		for _, l := range o.Lines {
			fmt.Fprintf(b, " %s/%s:%d", l.Session, l.Category, l.Quantity)
		}
		if o.Phase != "" {
			fmt.Fprintf(b, " phase=%s", o.Phase)
		}
		if o.TTL != 0 {
			fmt.Fprintf(b, " ttl=%s", o.TTL)
		}
	case Confirm, Release, ReadReservation:
		fmt.Fprintf(b, " %.8s", o.ID)
		if o.Reference != "" {
			fmt.Fprintf(b, " reference=%q", o.Reference)
		}
	case ReadAccount:
		fmt.Fprintf(b, " %s", o.Account)
	}
	return b.String()
}

// Answer is what a call was told. On a refusal only Refusal is set.
type Answer struct {
	Refusal
	Repeated    bool        // the call changed nothing: an earlier one with this id had the same effect
	Reservation Reservation // of Reserve, Confirm, Release, ReadReservation
	Account     Account     // of ReadAccount
	Stock       []Stock     // of ReadStock, in the order of the sale's pools
	Ended       int         // of Sweep: reservations it ended
}

// Refusal is a broken rule with its facts; an empty code is none.
type Refusal struct {
	Code      string
	Phase     string
	Session   string
	Category  string
	Programme string
	Limit     int
	Held      int // tickets
	Confirmed int
	Requested int
	Available int
	OpensAt   time.Time
	ClosesAt  time.Time
}

// Codes that an answer to a concurrent call may have without the rules saying so: nothing was done, or nobody knows.
const (
	Overloaded = "overloaded"          // nothing was done
	Unknown    = "journal_unavailable" // whether it took effect is not known
)

// Reservation is one as an answer shows it.
type Reservation struct {
	ID          string
	Account     string
	Phase       string
	State       string // held, confirmed, released, expired
	Lines       []Line // in the order of the request
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ConfirmedAt time.Time // zero unless confirmed
	Reference   string
}

// Tickets adds up the lines.
func (r *Reservation) Tickets() int {
	n := 0
	for _, l := range r.Lines {
		n += l.Quantity
	}
	return n
}

// Account is a ledger as an answer shows it.
type Account struct {
	Account      string
	Programmes   []ProgrammeTickets
	Reservations []Reservation // held and confirmed, newest first
}

// ProgrammeTickets are an account's tickets in one programme.
type ProgrammeTickets struct {
	Programme       string
	Cap             int
	Held, Confirmed int
}

// Stock is one pool.
type Stock struct{ Capacity, Available, Held, Sold, Withheld int }

// OK reports whether the call succeeded.
func (a *Answer) OK() bool { return a.Code == "" }

// Diff says how two answers to the operation differ; empty when they do not.
func (a Answer) Diff(b Answer) string {
	if x, y := a.String(), b.String(); x != y {
		return fmt.Sprintf("want %s\n got %s", x, y)
	}
	return ""
}

// String tells everything that is compared.
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
	if a.Ended > 0 {
		fmt.Fprintf(b, "ended=%d", a.Ended)
	}
	return b.String()
}

func (r *Refusal) write(b *strings.Builder) {
	b.WriteString(r.Code)
	for _, f := range []struct{ name, value string }{
		{"phase", r.Phase}, {"session", r.Session}, {"category", r.Category}, {"programme", r.Programme},
		{"opens_at", stamp(r.OpensAt)}, {"closes_at", stamp(r.ClosesAt)},
	} {
		if f.value != "" {
			fmt.Fprintf(b, " %s=%s", f.name, f.value)
		}
	}
	switch r.Code {
	case "sold_out":
		fmt.Fprintf(b, " requested=%d available=%d", r.Requested, r.Available)
	case "session_limit_exceeded", "account_cap_exceeded":
		fmt.Fprintf(b, " limit=%d held=%d confirmed=%d requested=%d", r.Limit, r.Held, r.Confirmed, r.Requested)
	case "pack_shape", "too_many_lines":
		fmt.Fprintf(b, " limit=%d requested=%d", r.Limit, r.Requested)
	}
}

func (r *Reservation) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s id=%s account=%s phase=%s tickets=%d", r.State, r.ID, r.Account, r.Phase, r.Tickets())
	for _, l := range r.Lines {
		fmt.Fprintf(b, " %s/%s:%d", l.Session, l.Category, l.Quantity)
	}
	for _, f := range []struct{ name, value string }{
		{"created", stamp(r.CreatedAt)}, {"expires", stamp(r.ExpiresAt)}, {"confirmed", stamp(r.ConfirmedAt)}, {"reference", r.Reference},
	} {
		if f.value != "" {
			fmt.Fprintf(b, " %s=%s", f.name, f.value)
		}
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z")
}

// sameLines reports whether two requests ask for the same, lines in any order.
func sameLines(a, b []Line) bool {
	if len(a) != len(b) {
		return false
	}
	for _, l := range a {
		if !slices.Contains(b, l) {
			return false
		}
	}
	return true
}
