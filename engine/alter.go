package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// A definition, a pause and the stock of a pool change in one way while calls go on. Each change is one record; calls
// placed before it were accepted by the old definition, and calls placed after it by the new one, so every prefix of
// the journal is legal (I6):
//
//  1. All that takes time is done first: the change is prepared, and its record is encoded.
//  2. A transition is published: a book that passes what both books pass, with the lower limits of both. A call that
//     it refuses waits for the next book (see judged.go). So does a return whose places would be withheld in a pool
//     that gets another stock.
//  3. A grace period passes. A call announces itself before it loads the book, so from here on no call is judged by
//     the old one alone.
//  4. What stands against the change is looked for once more. The units that are to go are taken like those of a
//     reservation, all or nothing, so stock never falls below what is taken (I1). A pool's new stock is worked out only
//     now: how many of its returned tickets are withheld does not change until the record has its place.
//  5. The record gets its place in the journal. From here on the change is in force.
//  6. The stock follows, and then the new book is published. In this order, no call that was accepted by the new book
//     precedes one that was refused for the old stock (I7).
//  7. The writer shows the change to readers when its record is durable (I5), in its place among the outcomes.
//
// Until step 5 the change can be given up: the old book is published again. A caller that stalls between its
// announcement and its end therefore delays the change, and of the buyers only those whom one of the two definitions
// refuses. A lock for all calls was rejected, since there a stalled caller would stop every buyer.

// alteration is a change that is prepared.
type alteration struct {
	outcomes.Change
	stands  func() error      // returns what stands against it, now that no call is judged by the old book alone
	lines   []string          // what changes, for the log
	restock *outcomes.Restock // which stands completes; nil if it is no stock
}

// errUnchanged is what alteration.stands returns if nothing has to change.
var errUnchanged = errors.New("all is right as it is")

// alter makes the change that prepare returns for what is in force; nil if that is all right as it is. It returns what
// is in force then, once that is durable. One change is made at a time.
func (e *Engine) alter(ctx context.Context, prepare func(was *outcomes.InForce) (*alteration, error)) (
	now *outcomes.InForce, err error) {
	var r Reservation
	now, changed, err := e.alterOnce(ctx, &r, prepare)
	switch {
	case err == nil:
		err = e.awaitDurable(ctx, now.Since.Seq, &r)
	case errors.Is(err, errUnchanged): // by outcomes before it (I5)
		err = e.awaitDurable(ctx, e.inventory.Placed(), &r)
	case ctx.Err() == nil && restsOnSale(err): // it reveals changes, holds and entries before it (I5)
		if failure := e.awaitDurable(ctx, e.inventory.Placed(), &r); failure != nil {
			err = failure
		}
	}
	return now, e.changes.end(changed, err)
}

// restsOnSale reports whether a change is refused for what is in force or taken.
func restsOnSale(err error) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return true
	}
	switch refusal.Code {
	case Overloaded, Full, JournalUnavailable, NotLeader:
		return false
	}
	return true
}

// alterOnce is alter without waiting for the journal.
func (e *Engine) alterOnce(ctx context.Context, r *Reservation,
	prepare func(was *outcomes.InForce) (*alteration, error)) (now *outcomes.InForce, changed bool, err error) {
	select {
	case e.altering <- struct{}{}:
		defer func() { <-e.altering }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	if err := e.admit(ctx, r); err != nil {
		return nil, false, err
	}
	was := e.memory.Judging()
	a, err := prepare(was)
	if err != nil {
		return nil, false, err
	}
	if a == nil {
		return was, false, nil
	}
	if now, err = e.replace(ctx, was, a, r); err != nil {
		return nil, false, err
	}
	e.logChanges(now.Definition.Version, a.lines)
	return now, true, nil
}

// mostLogged is how many changes of one call, or of a start, get a line in the log.
const mostLogged = 50

func (e *Engine) logChanges(version int, lines []string) {
	for i, line := range lines {
		if i == mostLogged {
			e.o.Log.Info("the sale has changed", "version", version, "changes", len(lines)-i)
			break
		}
		e.o.Log.Info("the sale has changed", "version", version, "change", line)
	}
}

// replace makes a change, from step 2 to step 6.
func (e *Engine) replace(ctx context.Context, was *outcomes.InForce, a *alteration, r *Reservation) (
	now *outcomes.InForce, err error) {
	old, next := e.book.Load(), a.On(was, record.Stamp{})
	between := rules.Between(old, e.bookOf(next))
	if a.restock != nil {
		between = between.Restocking(a.Stock.Pool)
	}
	e.book.Store(between)
	defer func() {
		if err != nil {
			e.book.Store(old)
		}
	}()
	w := inventory.Wait{Limit: e.o.JournalTimeout}
	if err := e.awaitPast(ctx, e.inventory.NewGrace().Passed, &w, r); err != nil {
		return nil, err
	}
	if err := a.stands(); err != nil {
		return nil, err
	}
	if a.restock != nil {
		next = a.On(was, record.Stamp{}) // with the numbers of now
	}
	if err := e.memory.List(next.Sale); err != nil {
		return nil, err
	}
	change, err := e.inventory.ChangeStock(e.memory.Units(next), &w)
	if err == nil {
		if now, err = e.memory.Place(a.Change, e.nowMs()); err != nil {
			change.Abort()
		}
	}
	if err != nil {
		if unlisted := e.memory.List(was.Sale); unlisted != nil {
			panic("BUG: the pools that were there have no room: " + unlisted.Error())
		}
		return nil, e.refuseChange(a, next, err, r)
	}
	// From here on the change is in force.
	change.Commit()
	if a.Version != nil {
		if err := e.ballots.Announce(); err != nil { // a draw without a secret gets one before its first entry
			e.o.Log.Error("a new draw has no secret yet", "error", err)
		}
	}
	e.judgeBy(now)
	return now, nil
}

// awaitPast waits until something has passed: a grace period.
func (e *Engine) awaitPast(ctx context.Context, passed func() bool, w *inventory.Wait, r *Reservation) error {
	for !passed() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.waits.Again(w) {
			return r.refuse(Refusal{Code: Overloaded})
		}
	}
	return nil
}

// takenOf returns how many tickets of a pool are taken, also of returned ones that are withheld. It begins to withhold
// all that is left, and gives up at once: so it counts no reservation that fails a moment later (I7). The caller has
// filled e.altering.
func (e *Engine) takenOf(pool int) (int, error) {
	change, err := e.inventory.ChangeStock([]inventory.Units{{Pool: uint32(pool)}}, nil)
	taken, isTaken := errors.AsType[*inventory.TakenError](err)
	switch {
	case isTaken:
		return taken.Taken, nil
	case err != nil:
		return 0, &Refusal{Code: Overloaded}
	}
	change.Abort()
	return 0, nil
}

// refuseChange is the error of a change to a sale that neither the stock nor the journal has taken.
func (e *Engine) refuseChange(a *alteration, next *outcomes.InForce, err error, r *Reservation) error {
	taken, isTaken := errors.AsType[*inventory.TakenError](err)
	switch {
	case isTaken && a.restock != nil:
		return stockTaken(next.Sale, a.restock, taken.Taken)
	case isTaken: // of a pool that was sold meanwhile
		return &ChangeRefused{Objections: []string{e.memory.TooFew(next, taken.Pool, taken.Taken)}}
	case errors.Is(err, inventory.ErrUndecided):
		return r.refuse(Refusal{Code: Overloaded})
	case errors.Is(err, ballot.ErrNotesFull):
		return r.refuse(Refusal{Code: Full, Table: inventory.Notes.String()})
	case errors.Is(err, ballot.ErrTermsStand):
		return &ChangeRefused{Objections: []string{err.Error()}}
	}
	return fmt.Errorf("the sale cannot be changed: %w", err)
}
