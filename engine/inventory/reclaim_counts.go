package inventory

import (
	"sync/atomic"
	"time"
)

// Reclaimed is what a reclaimer has made free since the inventory was made, and what it waits for.
type Reclaimed struct {
	FreedReservations uint64 // rows of reservations that were made free
	FreedAccounts     uint64 // rows of accounts that were made free

	// Waiting is how many rows of reservations wait for calls that may still access them. They are free after that.
	Waiting int
	// Grace is how long the reclaimer has waited for the calls that ran when it began to wait, as of its last step. It is
	// 0 if all of them have returned. It rises while one call stalls, and no row is made free meanwhile.
	Grace time.Duration
	// Closed is how many accounts are closed and their rows not free yet.
	Closed int
}

// reclaimCounts are plain atomics, since no step depends on them: an exploration need not stop at them.
type reclaimCounts struct {
	waiting atomic.Int64
	grace   atomic.Int64 // ns
}

// Reclaimed returns the counts. Any number of goroutines call it while the reclaimer works.
func (c *Reclaimer) Reclaimed() Reclaimed {
	accounts, closed := c.accounts.Counts()
	return Reclaimed{FreedReservations: c.Freed(), FreedAccounts: accounts, Waiting: int(c.counts.waiting.Load()),
		Grace: time.Duration(c.counts.grace.Load()), Closed: closed}
}
