package main

import (
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// sale is what is soaked, with its own background work.
type sale interface {
	// start begins the background work. It is called once, before any other call.
	start()
	// seller returns a seller for one goroutine.
	seller() seller
	// settle ends every hold whose time is over. No call runs.
	settle()
	stock(pool int) inventory.Stock
	// census counts the sale from its reservations, and returns by how many tickets it does not add up.
	census() (difference int, err error)
	usage() usage
	// forget waits until all is forgotten that may be, and reports whether accounts are too. No call runs.
	forget() (accounts bool, err error)
	close() error
}

// usage is how much of the tables is in use.
type usage struct {
	rows, accounts int
	freed          uint64 // rows so far; 0 if it is not known
}

// seller makes the calls.
type seller interface {
	// prefetch is called some calls before those about the id.
	prefetch(id inventory.ID)
	reserve(o *demand) (a answer, expires int64)
	confirm(id inventory.ID, reference string) answer
	confirmAgain(o *demand, reference string) answer
	release(id inventory.ID) answer
	giveBack(id inventory.ID) answer
	extend(id inventory.ID, expires int64) answer
	reduce(id inventory.ID, keep []inventory.Line) answer
	read(id inventory.ID, to *facts) answer
}

// demand asks for a reservation.
type demand struct {
	id       inventory.ID
	replaces inventory.ID // zero for none
	account  string
	pack     bool
	ttl      int64 // ms
	lines    []inventory.Line
}

// facts are what a read returns. The texts are the seller's until its next call.
type facts struct {
	state     inventory.State
	account   string
	lines     []inventory.Line
	expires   int64
	reference string
}

// answer is the result of a call.
type answer uint8

const (
	done answer = iota
	repeated
	notFound
	otherContent
	wasHeld
	wasConfirmed
	wasReleased
	wasReturned
	wasExpired
	overLimit
	overCap
	soldOut
	overloaded
	full
	unforeseen
	answers
)

func (a answer) String() string {
	return [...]string{"done", "repeated", "not found", "other content", "held", "confirmed", "released", "returned",
		"expired", "over the session limit", "over the cap", "sold out", "overloaded", "full", "unforeseen"}[a]
}

// clock is the sale clock. It never goes back.
type clock struct{ ms atomic.Int64 }

// saleStart is when the clock starts, in ms since 1970.
var saleStart = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func (c *clock) now() int64 { return saleStart + c.ms.Load() }

// raise sets the clock forward to so many ms after the start.
func (c *clock) raise(ms int64) {
	for {
		was := c.ms.Load()
		if was >= ms || c.ms.CompareAndSwap(was, ms) {
			return
		}
	}
}
