package engine

import (
	"context"
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Extend moves the end of a held reservation to an instant, and fills r. The instant is rounded down to a millisecond.
// It is after now on the sale clock, and at most Options.MaxHold after CreatedAt: otherwise the call is refused with
// MalformedRequest or HoldLimitExceeded. It may be earlier than the present end. Extending to the present end changes
// nothing and sets r.Repeated.
//
// From its ExpiresAt on, a reservation cannot be extended, whether or not a sweep has ended it. Errors are as for
// Reserve.
func (e *Engine) Extend(ctx context.Context, id ID, expiresAt time.Time, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideExtend(ctx, id, expiresAt, r)
	return e.counts.end(callExtend, began, r, e.answer(ctx, callExtend, seq, err, r))
}

func (e *Engine) decideExtend(ctx context.Context, id ID, expiresAt time.Time, r *Reservation) (seq uint64, err error) {
	expires := expiresAt.UnixMilli()
	return e.change(ctx, id, r, func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error) {
		latest := r.snapshot.CreatedMs + e.o.MaxHold.Milliseconds()
		switch {
		case found.State != Held:
			return e.refuseState(book, found, now, r)
		case expires == r.snapshot.ExpiresMs:
			return repeated, nil
		case expires <= max(now, r.snapshot.CreatedMs): // it may have been made since the clock was read
			return refused(r, Refusal{Code: MalformedRequest, Where: endRule})
		case expires > latest:
			return refused(r, Refusal{Code: HoldLimitExceeded, MaxExpiresAt: instant(latest)})
		}
		return e.inventory.Extend(found, now, expires), nil
	})
}

const endRule = "expires_at: an instant after now on the sale clock"

// Reduce makes a held or confirmed reservation keep only the given lines, and fills r. Each has at most the quantity
// that the reservation has, or the call is refused with NotAReduction. The other tickets are on sale again. Reducing
// to the present lines changes nothing and sets r.Repeated. A pack keeps all its sessions, and equal quantities of
// them if they were equal: otherwise the call is refused with PackShape.
//
// r.Lines are then in the order given. Errors are as for Reserve.
func (e *Engine) Reduce(ctx context.Context, id ID, keep []Line, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideReduce(ctx, id, keep, r)
	return e.counts.end(callReduce, began, r, e.answer(ctx, callReduce, seq, err, r))
}

func (e *Engine) decideReduce(ctx context.Context, id ID, keep []Line, r *Reservation) (seq uint64, err error) {
	if err := rules.CheckLines(keep, &r.refusal); err != nil {
		return 0, err
	}
	return e.change(ctx, id, r, func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error) {
		if found.State != Held && found.State != Confirmed {
			return e.refuseState(book, found, now, r)
		}
		s := &r.snapshot
		kept, err := book.Keep(keep, int(s.Phase), s.Lines, r.lines[:0], &r.refusal)
		if err != nil {
			return inventory.Result{}, err
		}
		if r.lines = kept.Pools; kept.Equal(s.Lines) {
			return repeated, nil
		}
		return e.inventory.Reduce(found, now, r.lines), nil
	})
}

// Return gives back all tickets of a confirmed reservation, and fills r. Its room in the account is free at once. The
// tickets are on sale again, or withheld if that is the rule of the programme. The reference has the limits of
// Confirm's. It replaces that of the confirmation, unless it is "". Returning a returned reservation again changes
// nothing and sets r.Repeated, whatever the reference. A held one is refused with ReservationHeld. Errors are as for
// Reserve.
func (e *Engine) Return(ctx context.Context, id ID, reference string, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideReturn(ctx, id, reference, r)
	return e.counts.end(callReturn, began, r, e.answer(ctx, callReturn, seq, err, r))
}

func (e *Engine) decideReturn(ctx context.Context, id ID, reference string, r *Reservation) (seq uint64, err error) {
	if err := checkReference(reference, r); err != nil {
		return 0, err
	}
	return e.change(ctx, id, r, func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error) {
		switch found.State {
		case Returned:
			return repeated, nil
		case Confirmed:
			withhold, alike := book.WithholdsReturned(r.snapshot.Lines)
			if !alike {
				return refused(r, Refusal{Code: rules.Changing})
			}
			return e.inventory.Return(found, now, reference, withhold), nil
		}
		return e.refuseState(book, found, now, r)
	})
}

// ConfirmAgain is Confirm for a payment that came late. The lines of an expired reservation are taken once more and
// confirmed in one step, under the rules and limits of a new reservation: in its phase, or if that does not sell them
// now and the request did not name it, in the only open phase that fits. If they cannot be taken, the call is refused
// as a new reservation would be. CreatedAt and ExpiresAt stay. Any other reservation is confirmed or refused as by
// Confirm. Errors are as for Reserve.
func (e *Engine) ConfirmAgain(ctx context.Context, id ID, reference string, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideConfirmAgain(ctx, id, reference, r)
	return e.counts.end(callConfirm, began, r, e.answer(ctx, callConfirm, seq, err, r))
}

func (e *Engine) decideConfirmAgain(ctx context.Context, id ID, reference string, r *Reservation) (
	seq uint64, err error) {
	seq, err = e.decideConfirm(ctx, id, reference, r)
	if refusal, ok := err.(*Refusal); !ok || refusal.Code != ReservationExpired {
		return seq, err
	}
	return e.change(ctx, id, r, func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error) {
		switch {
		case found.State == Confirmed && (reference == "" || reference == r.snapshot.Reference):
			return repeated, nil // another call has taken it again
		case found.State != Expired:
			return e.refuseState(book, found, now, r)
		}
		request, err := e.judgeAgain(book, now, r)
		if err != nil {
			return inventory.Result{}, err
		}
		return e.inventory.ConfirmAgain(&request, found, now, reference), nil
	})
}

// judgeAgain applies the rules of a new reservation, but for limits, caps and stock, to an expired one whose content
// the snapshot has. It returns the request that takes its lines again.
func (e *Engine) judgeAgain(book *rules.Book, now int64, r *Reservation) (inventory.Request, error) {
	s := &r.snapshot
	phase, err := book.JudgeAgain(s.Account, int(s.Phase), s.Flags&record.FlagPhaseGiven != 0, s.Lines, e.facts(now),
		&r.refusal)
	return inventory.Request{ID: s.ID, Account: s.Account, Lines: s.Lines, Phase: uint16(phase), Flags: s.Flags,
		Created: s.CreatedMs, Expires: s.ExpiresMs, Wait: &r.wait, Limits: book.Limits()}, err
}

// repeated is the result of an attempt that found nothing to change.
var repeated = inventory.Result{Verdict: inventory.AlreadyDone}

func refused(r *Reservation, refusal Refusal) (inventory.Result, error) {
	return inventory.Result{}, r.refuse(refusal)
}

// change decides a change of a reservation without waiting for the journal, like reserve. attempt judges the
// reservation as it was found, with its content in r.snapshot, and tries to change it. It is called again if another
// call changed the reservation first. Its refusals are true of the reservation as it was found.
func (e *Engine) change(ctx context.Context, id ID, r *Reservation,
	attempt func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error)) (seq uint64, err error) {
	if err := e.admit(ctx, r); err != nil {
		return 0, err
	}
	return e.judged(r, func(book *rules.Book) (uint64, bool, error) { return e.changeBy(book, id, r, attempt) })
}

// changeBy is an attempt of change.
func (e *Engine) changeBy(book *rules.Book, id ID, r *Reservation,
	attempt func(book *rules.Book, found inventory.Decided, now int64) (inventory.Result, error)) (
	seq uint64, again bool, err error) {
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return 0, false, r.refuse(Refusal{Code: ReservationNotFound})
	}
	for now := e.nowMs(); ; {
		found, verdict := e.inventory.Decide(row, now, &r.wait)
		if verdict != inventory.Done {
			return 0, false, refuseVerdict(verdict, r)
		}
		e.inventory.ReadAs(found, &r.snapshot)
		seen := r.snapshot.Seq
		if (found.State == Held || found.State == Confirmed) && book.Gains(int(r.snapshot.Phase), r.snapshot.Lines) {
			return 0, true, nil
		}
		res, err := attempt(book, found, now)
		if err != nil {
			return e.refuseBy(book, seen, r.snapshot.Account, r, err)
		}
		switch res.Verdict {
		case inventory.Done:
			e.inventory.ReadNew(res.Row, &r.snapshot)
			r.fill(e.named())
			return res.Seq, false, nil
		case inventory.AlreadyDone:
			r.fill(e.named())
			r.Repeated = true
			return seen, false, nil
		case inventory.Moved, inventory.Known:
			if !e.waits.Again(&r.wait) {
				return 0, false, r.refuse(Refusal{Code: Overloaded})
			}
			row = found.Row
		default:
			return e.refuseBy(book, seen, r.snapshot.Account, r, errorOf(book, &res, r.snapshot.Lines, r))
		}
	}
}

// refuseVerdict refuses a call whose reservation could not be found in a decided state.
func refuseVerdict(verdict inventory.Verdict, r *Reservation) error {
	if verdict == inventory.Overloaded {
		return r.refuse(Refusal{Code: Overloaded})
	}
	return r.refuse(Refusal{Code: ReservationNotFound})
}

// refuseState refuses a call that the reservation's state does not permit. The snapshot has its content. While the
// definition changes, it refuses one whose reservation perhaps cannot be taken again with Changing: the change may be
// given up.
func (e *Engine) refuseState(book *rules.Book, found inventory.Decided, now int64, r *Reservation) (
	inventory.Result, error) {
	switch found.State {
	case Held:
		return refused(r, Refusal{Code: ReservationHeld})
	case Confirmed:
		reference := r.texts.keep(r, r.refusal.Reference, r.snapshot.Reference)
		return refused(r, Refusal{Code: ReservationConfirmed, Reference: reference})
	case Released:
		return refused(r, Refusal{Code: ReservationReleased})
	case Returned:
		return refused(r, Refusal{Code: ReservationReturned})
	}
	request, err := e.judgeAgain(book, now, r)
	can := err == nil && e.inventory.CanTake(&request)
	if !can && (book.Changes() || err != nil && r.refusal.Code == rules.Changing) {
		return refused(r, Refusal{Code: rules.Changing})
	}
	return refused(r, Refusal{Code: ReservationExpired, CanTakeAgain: can})
}
