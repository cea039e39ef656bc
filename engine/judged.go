package engine

import (
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// A call is judged by one book: the one in force when it had announced itself. So after a grace period no call is
// judged by a book that was replaced before. While the definition changes (see alter.go), the book in force is a
// transition: what it accepts, the definitions before and after it both accept. What it refuses, one of them may
// accept, so such a call withdraws its announcement, waits for the next book, and begins again. What became of a
// reservation does not depend on the definition: repeats, confirmations and releases wait only to say whether an
// expired reservation can be taken again. While an account leaves a group, what it requests as a member waits likewise.
//
// A call that has loaded the transition may stall, and meet what calls by the next book have done meanwhile. So its
// book may lack the phase and the sessions of a reservation that it finds: see named. No call has an older book, since
// each change has a grace period of its own.

// judged makes attempts at a call, each by one book, until one decides. An attempt finds rows and snapshots for
// itself, since they are meaningless after it. again is whether the book must be another one.
func (e *Engine) judged(r *Reservation, attempt func(book *rules.Book) (seq uint64, again bool, err error)) (
	uint64, error) {
	for {
		book, seq, again, err := e.judgeOnce(r, attempt)
		if !again {
			return seq, err
		}
		if !e.awaitOther(book, &r.wait) {
			return 0, r.refuse(Refusal{Code: Overloaded})
		}
	}
}

// judgeOnce makes one attempt. It is announced before it loads the book: see alter.go.
func (e *Engine) judgeOnce(r *Reservation, attempt func(book *rules.Book) (seq uint64, again bool, err error)) (
	book *rules.Book, seq uint64, again bool, err error) {
	defer e.inventory.Begin(r.spread()).End()
	book = e.book.Load()
	seq, again, err = attempt(book)
	return book, seq, again, err
}

// awaitOther waits until another book than this one is in force. It returns false once the call has waited for as long
// as it may.
func (e *Engine) awaitOther(book *rules.Book, w *inventory.Wait) bool {
	for e.book.Load() == book {
		if !e.waits.Again(w) {
			return false
		}
	}
	return true
}

// named returns the definition that names what a call has read of reservations. It has the numbers of all of them: it
// was in force before any call could use them. Numbers are never used again for other names.
func (e *Engine) named() *catalog.Sale { return e.memory.Judging().Sale }

// refuseBy returns the refusal of an attempt for an account, which r has. It reveals the book and the account's
// memberships, so it waits for their records, too (I5).
func (e *Engine) refuseBy(book *rules.Book, seq uint64, account string, r *Reservation, err error) (
	uint64, bool, error) {
	if r.refusal.Code == rules.Changing || book.Changes() && restsOnBook(r.refusal.Code) {
		return 0, true, nil
	}
	return max(seq, book.Since, e.memory.Members.Reveals(account)), false, err
}

// restsOnBook reports whether a refusal of a call that decides something depends on the definition.
func restsOnBook(c Code) bool {
	switch c {
	case ReservationNotFound, IDReused, ReservationConfirmed, ReservationReleased, ReservationExpired,
		ReservationReturned, ReservationHeld, HoldLimitExceeded, NotAReduction, MalformedRequest, Overloaded, Full:
		return false
	}
	return true
}
