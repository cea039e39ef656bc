// Package rules judges requests: by the definition of a sale, the clock and a few facts about the account it decides
// whether a request may pass, and it words the refusals. All of it is pure functions over an immutable [Book].
// It has no stock, no ledgers, no draws and no journal. Of the inventory it uses the words alone: a line of a pool, and
// the limits of a reservation.
//
// Where several rules are broken, the first in this order is reported: shape of the request, phase, access, pauses,
// what is on sale, pack shape, limits and caps, stock. [Book.CheckShape] has the first; [Book.Judge] the others up to
// the pack shape; the inventory has the rest, and the engine reports it. [Rules] is the table of all refusals, of
// those too that other packages decide.
package rules

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Book is a sale definition in the form in which requests are judged by it. It is immutable and may be shared by any
// number of goroutines. Nothing that it does allocates, except for the texts of refusals, which are made when they are
// read.
type Book struct {
	Sale   *catalog.Sale
	Paused Pauses
	Since  uint64 // sequence of the record that put the book into force; 0 for a sale that nothing has changed

	ttl     time.Duration
	ttlRule string
	windows []window // by phase
	ends    []int64  // by session: when its sales end, in ms; math.MaxInt64 if never
	limits  inventory.Limits

	leaving   membership // that ends: nothing passes that needs it
	restocked int        // a pool of which nothing is returned and withheld meanwhile; -1 for none

	next *Book // of a book between two others: the later one; the rest is the earlier one's but for the limits
}

// window is the time in which a phase is open: [opens, closes), in ms.
type window struct{ opens, closes int64 }

func (w window) open(now int64) bool { return now >= w.opens && now < w.closes }

// NewBook returns the book of a sale in which a hold lasts the TTL at most, in whole seconds. Since is the sequence of
// the record that put the sale, its stock or its pauses into force last.
func NewBook(sale *catalog.Sale, ttl time.Duration, paused Pauses, since uint64) *Book {
	b := &Book{Sale: sale, Paused: paused, Since: since, ttl: ttl, restocked: -1,
		ttlRule: fmt.Sprintf("ttl_seconds: a whole number from 1 to %d", ttl/time.Second)}
	for i := range sale.Phases {
		w := window{} // a removed phase is never open
		if p := &sale.Phases[i]; !p.Removed {
			w = window{opens: p.OpensAt.UnixMilli(), closes: p.ClosesAt.UnixMilli()}
		}
		b.windows = append(b.windows, w)
	}
	b.limits = LimitsOf(sale)
	for i := range sale.Sessions {
		end := int64(math.MaxInt64)
		if at := sale.Sessions[i].SalesEndAt; !at.IsZero() {
			end = at.UnixMilli()
		}
		b.ends = append(b.ends, end)
	}
	return b
}

// LimitsOf returns the caps and limits of a sale.
func LimitsOf(sale *catalog.Sale) (l inventory.Limits) {
	for i := range sale.Programmes {
		l.Caps = append(l.Caps, sale.Programmes[i].AccountCap)
	}
	for i := range sale.Sessions {
		l.Sessions = append(l.Sessions, sale.Sessions[i].Limit)
	}
	return l
}

// Changing refuses what a book between two others does not pass. The engine judges again by the next book, so it is no
// refusal for callers: it has no row in the table, is not counted and is not exported by package engine.
const Changing Code = "changing"

// Between returns the book for the time in which a sale is replaced by another one that has the same numbers, and more
// (catalog.Continue). Some callers judge by it while others judge by the old book still, or by the next one already.
// So it passes only what both pass in the same phase, and its limits are the lower ones of both: a request that it
// passes could have come before the change and after it. A refusal would be one that perhaps neither book gives. It is
// therefore always Changing, which no caller outside may see: the engine waits until another book is in force, and
// judges again.
//
// Nor does it pass a session that gets another programme: the inventory counts its tickets in one programme at a time,
// and nobody may have any while that changes. The same is true of a session in a phase that gets places of it (Gains).
//
// Lines are resolved in the old sale. A name that only the next one has is refused with Changing too.
func Between(old, next *Book) *Book {
	b := *old
	b.next = next
	b.limits = inventory.Limits{
		Caps:     lower(old.limits.Caps, next.limits.Caps),
		Sessions: lower(old.limits.Sessions, next.limits.Sessions),
	}
	return &b
}

// membership is that of an account in a group, by its index. The zero value is nobody's.
type membership struct {
	account string
	group   int
}

func (m membership) is(account string, group int) bool {
	return m.account == account && m.group == group
}

// Leaving returns the book for the time in which an account leaves a group, by its index. It refuses with Changing what
// the account requests as a member. It judges everything else like b: whether that passes does not depend on the
// membership.
func (b *Book) Leaving(account string, group int) *Book {
	next := *b
	next.leaving = membership{account, group}
	return &next
}

// Leaves reports whether b is the book for the time in which an account leaves a group.
func (b *Book) Leaves() bool { return b.leaving != membership{} }

// Restocking returns b, a book between two others, for the time in which a pool gets another stock. Nothing is returned
// then whose places of the pool would be withheld: the record of the stock counts them, and is in the journal before
// or after each such return.
func (b *Book) Restocking(pool int) *Book {
	next := *b
	next.restocked = pool
	return &next
}

// moves reports whether a session of the lines has another programme in the next sale.
func (b *Book) moves(lines []inventory.Line) bool {
	for _, l := range lines {
		session := b.Sale.Pools[l.Pool].Session
		if b.Sale.Sessions[session].Programme != b.next.Sale.Sessions[session].Programme {
			return true
		}
	}
	return false
}

// lacks reports whether the sale lacks the phase or a pool of a reservation, by their numbers. A book between two
// others may meet reservations that the next one has accepted, of what is new in its sale.
func (b *Book) lacks(phase int, lines []inventory.Line) bool {
	if phase >= len(b.Sale.Phases) {
		return true
	}
	for _, l := range lines {
		if int(l.Pool) >= len(b.Sale.Pools) {
			return true
		}
	}
	return false
}

// lower returns the lower ones of two lists of limits, and of what only next has the limits there.
func lower(old, next []int) []int {
	all := slices.Clone(next)
	for i, limit := range old {
		all[i] = min(all[i], limit)
	}
	return all
}

// Changes reports whether b is a book between two others. A refusal by limits, caps or stock does not hold then: see
// Between.
func (b *Book) Changes() bool { return b.next != nil }

// Limits returns the caps and limits by which the inventory judges a request that passed. They do not change.
func (b *Book) Limits() *inventory.Limits { return &b.limits }

// WithholdsReturned reports whether the places of a returned reservation with the lines are withheld. alike is false
// if b is between two books that do not agree, or the places are of a pool that gets another stock: then nothing may be
// returned until another book is in force.
func (b *Book) WithholdsReturned(lines []inventory.Line) (withholds, alike bool) {
	if b.next == nil {
		return b.withholds(lines), true
	}
	if b.lacks(0, lines) {
		return false, false
	}
	withholds = b.withholds(lines)
	return withholds, b.next.withholds(lines) == withholds && !(withholds && b.restocks(lines))
}

// restocks reports whether a line is of the pool that gets another stock.
func (b *Book) restocks(lines []inventory.Line) bool {
	return slices.ContainsFunc(lines, func(l inventory.Line) bool { return int(l.Pool) == b.restocked })
}

// withholds decides by the first line: a reservation is made in one programme.
func (b *Book) withholds(lines []inventory.Line) bool {
	session := b.Sale.Pools[lines[0].Pool].Session
	return b.Sale.Programmes[b.Sale.Sessions[session].Programme].WithholdReturned
}

// PhaseOpen reports whether a phase, by its index in Sale.Phases, is open at an instant (ms).
func (b *Book) PhaseOpen(phase int, now int64) bool { return b.windows[phase].open(now) }
