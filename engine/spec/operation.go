package spec

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Kind is the kind of an operation.
type Kind uint8

const (
	Reserve         Kind = iota
	Confirm              //
	Release              //
	Extend               //
	Reduce               //
	Return               //
	ReadReservation      //
	ReadAccount          //
	ReadStock            // of every pool of the sale
	ReadPlaces           // of all phases
	Sweep                // expire every overdue hold
	Apply                // puts Sale into force
	Pause                // of Phase, of Session, or of the whole sale; its end if Paused is false
	SetStock             // of one pool
	Join                 // makes Account a member of Group
	Leave                // ends that
)

// kindNames are the words for the kinds, as in scenarios.
var kindNames = []string{"reserve", "confirm", "release", "extend", "reduce", "return", "read", "account", "stock",
	"places", "sweep", "apply", "pause", "set", "join", "leave"}

func (k Kind) String() string { return kindNames[k] }

// Line is one (session, category, quantity) of a request.
type Line struct {
	Session  string
	Category string
	Quantity int
}

// Operation is one call at one instant of the sale clock. Its kind determines which fields it uses.
type Operation struct {
	Kind      Kind
	At        time.Time // UTC, to the millisecond
	ID        string    // a UUID; the model does not generate ids
	Account   string
	Phase     string        // empty for the only open phase that fits
	TTL       time.Duration // 0 for the sale's
	Replaces  string        // the id of the reservation that Reserve replaces; empty for none
	Lines     []Line        // of Reserve; for Reduce what the reservation keeps
	Reference string        // of Confirm and Return
	Again     bool          // Confirm takes an expired reservation once more
	ExpiresAt time.Time     // of Extend
	Sale      *catalog.Sale // of Apply, as it was loaded
	Session   string        // of Pause and SetStock
	Group     string        // of Join and Leave
	Category  string        // of SetStock
	Paused    bool          // of Pause
	Capacity  *int          // of SetStock; nil leaves it as it is
	Withheld  *int          // likewise
}

// IDOf derives a UUID from a short name, so that tests can name a reservation r1.
func IDOf(name string) string {
	h := sha256.Sum256([]byte(name))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Instant truncates a time to the engine's precision, a millisecond.
func Instant(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func (o Operation) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s", o.Kind)
	switch o.Kind {
	case Reserve:
		fmt.Fprintf(b, " %.8s %s", o.ID, o.Account)
		writeLines(b, o.Lines)
		if o.Phase != "" {
			fmt.Fprintf(b, " phase=%s", o.Phase)
		}
		if o.TTL != 0 {
			fmt.Fprintf(b, " ttl=%s", o.TTL)
		}
		if o.Replaces != "" {
			fmt.Fprintf(b, " replaces=%.8s", o.Replaces)
		}
	case Confirm, Release, Extend, Reduce, Return, ReadReservation:
		fmt.Fprintf(b, " %.8s", o.ID)
		if o.Again {
			b.WriteString(" again")
		}
		if o.Reference != "" {
			fmt.Fprintf(b, " reference=%q", o.Reference)
		}
		if !o.ExpiresAt.IsZero() {
			fmt.Fprintf(b, " expires=%s", stamp(o.ExpiresAt))
		}
		writeLines(b, o.Lines)
	case ReadAccount:
		fmt.Fprintf(b, " %s", o.Account)
	case Join, Leave:
		fmt.Fprintf(b, " %s %s", o.Group, o.Account)
	case Apply:
		if o.Sale != nil && o.Sale.Files != nil {
			digest := o.Sale.Files.Digest()
			fmt.Fprintf(b, " %x", digest[:4])
		}
	case Pause:
		writeFacts(b, "phase", o.Phase, "session", o.Session)
		fmt.Fprintf(b, " %t", o.Paused)
	case SetStock:
		fmt.Fprintf(b, " %s/%s", o.Session, o.Category)
		if o.Capacity != nil {
			fmt.Fprintf(b, " capacity=%d", *o.Capacity)
		}
		if o.Withheld != nil {
			fmt.Fprintf(b, " withheld=%d", *o.Withheld)
		}
	}
	return b.String()
}

func writeLines(b *strings.Builder, lines []Line) {
	for _, l := range lines {
		fmt.Fprintf(b, " %s/%s:%d", l.Session, l.Category, l.Quantity)
	}
}

// sameLines reports whether two requests have the same lines, in any order.
func sameLines(a, b []Line) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(l Line) bool { return !slices.Contains(b, l) })
}
