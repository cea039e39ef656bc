package outcomes

import (
	"fmt"

	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Restock is another stock of a pool, in the words of readers: what is withheld includes the places of returned tickets
// that a programme withholds. The inventory counts such tickets as taken for ever, and their number only grows. If
// fewer places are to be withheld than these have, some are freed: the pool then has as many units more. So more of its
// tickets can be taken than it has places, by as many as are taken without one.
type Restock struct {
	Stock    record.Stock // complete after Count
	Withheld int          // in all, perhaps more than the capacity
	Returned int          // tickets that are withheld after a return, also those whose places are freed

	was                *InForce
	capacity, withheld *int
}

// maxCapacity is the most tickets that a pool may have.
const maxCapacity = 1<<31 - 1

// RestockOf returns the change that gives a pool the numbers that are not nil. A session that was removed is not found:
// it comes back with the stock that its definition states then. The error is *rules.Refusal with SessionNotFound,
// UnknownCategory or MalformedRequest.
func (f *InForce) RestockOf(session, category string, capacity, withheld *int) (*Restock, error) {
	i, found := f.Sale.SessionByID(session)
	if !found || f.Sale.Sessions[i].Removed {
		return nil, &rules.Refusal{Code: rules.SessionNotFound, Session: session}
	}
	pool, found := f.Sale.PoolOf(i, category)
	if !found {
		return nil, &rules.Refusal{Code: rules.UnknownCategory, Session: session, Category: category}
	}
	outside := func(n *int) bool { return n != nil && (*n < 0 || *n > maxCapacity) }
	switch {
	case outside(capacity):
		return nil, malformed("capacity: a whole number from 0 to %d", maxCapacity)
	case outside(withheld):
		return nil, malformed("withheld: a whole number from 0 to %d", maxCapacity)
	case capacity != nil && withheld != nil && *withheld > *capacity:
		return nil, malformed("withheld: a whole number from 0 to the capacity, %d", *capacity)
	}
	p := &f.Sale.Pools[pool]
	return &Restock{was: f, capacity: capacity, withheld: withheld, Stock: record.Stock{Pool: pool, Capacity: p.Capacity,
		Withheld: p.Withheld, Freed: f.Freed(pool)}}, nil
}

// malformed refuses a number of a pool, and says which numbers it may be.
func malformed(where string, most int) error {
	return &rules.Refusal{Code: rules.MalformedRequest, Where: fmt.Sprintf(where, most)}
}

// Count completes the change, where so many tickets of the pool are withheld after a return. Their number must not
// change until the record has its place in the journal. What is to be withheld beyond them is withheld as by a
// definition.
func (r *Restock) Count(returned int) {
	r.Returned, r.Withheld = returned, r.was.Withheld(r.Stock.Pool, returned)
	if r.capacity != nil {
		r.Stock.Capacity = *r.capacity
	}
	if r.withheld != nil {
		r.Withheld = *r.withheld
		r.Stock.Withheld, r.Stock.Freed = max(r.Withheld-returned, 0), max(returned-r.Withheld, 0)
	}
}

// Same reports whether the pool has these numbers.
func (r *Restock) Same() bool {
	return r.Stock.Capacity == r.was.Sale.Pools[r.Stock.Pool].Capacity &&
		r.Withheld == r.was.Withheld(r.Stock.Pool, r.Returned)
}

// String returns what changes, for people.
func (r *Restock) String() string {
	p := &r.was.Sale.Pools[r.Stock.Pool]
	return fmt.Sprintf("session %s, category %s: capacity %d → %d, withheld %d → %d", r.was.Sale.Sessions[p.Session].ID,
		p.Category, p.Capacity, r.Stock.Capacity, r.was.Withheld(r.Stock.Pool, r.Returned), r.Withheld)
}
