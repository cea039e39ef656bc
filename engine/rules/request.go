package rules

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/inventory"
)

// ID is a reservation's id: a UUID that the client chooses. If the client leaves it zero, the engine chooses one. The
// same id with the same content has one effect and one answer, however often it is sent (I9).
type ID = uuid.UUID

// Line is one (session, category, quantity) of a reservation.
type Line struct {
	Session  string // `ATH10`
	Category string // `First`, `A` … `E`
	Quantity int    // tickets, 1 to inventory.MaxQuantity
}

// Request is a request to hold tickets.
type Request struct {
	ID      ID            // zero: the engine creates a UUIDv7
	Account string        // [A-Za-z0-9._:@-]{1,64}
	Phase   string        // empty: the only open phase that matches the lines
	TTL     time.Duration // how long the hold lasts, in whole seconds, at most that of the book; 0: as long as that
	Lines   []Line        // 1 to inventory.MaxLines, of different session and category

	// Replaces is the id of a held reservation of the account that is released in the same step; zero: none.
	Replaces ID
}

// MaxTTL bounds every hold; no payment takes a year.
const MaxTTL = 366 * 24 * time.Hour

// CheckShape refuses a request that no sale accepts. Like every refusal of this package, its error is a *Refusal: the
// caller's, so that it costs no allocation.
func (b *Book) CheckShape(q *Request, into *Refusal) error {
	if !ValidAccount(q.Account) {
		return into.set(Refusal{Code: MalformedRequest, Where: AccountRule})
	}
	if q.TTL < 0 || q.TTL > MaxTTL || q.TTL%time.Second != 0 {
		return b.badTTL(into)
	}
	if q.Replaces != (ID{}) && q.Replaces == q.ID {
		return into.set(Refusal{Code: MalformedRequest,
			Where: "replaces: another reservation than the one of the request"})
	}
	return CheckLines(q.Lines, into)
}

func (b *Book) badTTL(into *Refusal) error {
	return into.set(Refusal{Code: MalformedRequest, Where: b.ttlRule})
}

// AccountRule is the fact of a refusal for the name of an account.
const AccountRule = "account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"

// ValidAccount reports whether the text is an account name: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -
func ValidAccount(account string) bool {
	if len(account) < 1 || len(account) > inventory.MaxAccount {
		return false
	}
	for i := range len(account) {
		switch c := account[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}

// CheckLines refuses lines that no sale accepts.
func CheckLines(lines []Line, into *Refusal) error {
	if len(lines) == 0 {
		return into.set(Refusal{Code: MalformedRequest, Where: "lines: at least one"})
	}
	if len(lines) > inventory.MaxLines {
		return into.set(Refusal{Code: TooManyLines, Limit: inventory.MaxLines, Requested: len(lines)})
	}
	for i := range lines {
		l := &lines[i]
		if l.Quantity < 1 || l.Quantity > inventory.MaxQuantity {
			return into.set(Refusal{Code: InvalidQuantity, Where: quantityFields[i]})
		}
		for j := range lines[:i] {
			if lines[j].Session == l.Session && lines[j].Category == l.Category {
				return into.set(Refusal{Code: DuplicateLine, Session: l.Session, Category: l.Category})
			}
		}
	}
	return nil
}

// quantityFields names the quantity of each line. The texts are made once, so that a refusal allocates nothing.
var quantityFields = func() (fields [inventory.MaxLines]string) {
	for i := range fields {
		fields[i] = fmt.Sprintf("lines[%d].quantity", i)
	}
	return fields
}()
