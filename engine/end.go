package engine

import (
	"context"
	"unicode/utf8"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// Confirm sells a held reservation, stores the reference with it, and fills r. The reference is at most MaxReference
// bytes of UTF-8 without control characters; "" is none. Confirming a confirmed reservation again changes nothing. It
// sets r.Repeated if the reference is the one that was stored, or is "". Another reference is refused with
// ReservationConfirmed, so that two payments for one reservation are noticed.
//
// A reservation cannot be confirmed from its ExpiresAt on, whether or not a sweep has ended it. Errors are as for
// Reserve.
func (e *Engine) Confirm(ctx context.Context, id ID, reference string, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideConfirm(ctx, id, reference, r)
	return e.counts.end(callConfirm, began, r, e.answer(ctx, callConfirm, seq, err, r))
}

func (e *Engine) decideConfirm(ctx context.Context, id ID, reference string, r *Reservation) (seq uint64, err error) {
	if err := checkReference(reference, r); err != nil {
		return 0, err
	}
	r.Reference = reference // the text is there already, if it comes to be the reservation's
	return e.decideEnd(ctx, id, r, Confirmed, func(row uint32, now int64) inventory.Result {
		return e.inventory.Confirm(row, now, reference, &r.wait)
	})
}

func checkReference(reference string, r *Reservation) error {
	if !validReference(reference) {
		return r.refuse(Refusal{Code: MalformedRequest,
			Where: "reference: at most 64 bytes of UTF-8 without control characters"})
	}
	return nil
}

func validReference(s string) bool {
	if len(s) > MaxReference || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return false
		}
	}
	return true
}

// Release gives back the tickets of a held reservation, and fills r. Releasing a released reservation again changes
// nothing and sets r.Repeated. From its ExpiresAt on, a reservation is expired instead. Errors are as for Reserve.
func (e *Engine) Release(ctx context.Context, id ID, r *Reservation) error {
	began := e.counts.begin(r)
	seq, err := e.decideRelease(ctx, id, r)
	return e.counts.end(callRelease, began, r, e.answer(ctx, callRelease, seq, err, r))
}

func (e *Engine) decideRelease(ctx context.Context, id ID, r *Reservation) (seq uint64, err error) {
	return e.decideEnd(ctx, id, r, Released, func(row uint32, now int64) inventory.Result {
		return e.inventory.Release(row, now, &r.wait)
	})
}

// decideEnd decides the end of a reservation without waiting for the journal, like reserve. d is the inventory's method
// that leads to the state.
func (e *Engine) decideEnd(ctx context.Context, id ID, r *Reservation, to State,
	d func(row uint32, now int64) inventory.Result) (seq uint64, err error) {
	if err := e.admit(ctx, r); err != nil {
		return 0, err
	}
	return e.judged(r, func(book *rules.Book) (uint64, bool, error) { return e.endBy(book, id, r, to, d) })
}

// endBy is an attempt of decideEnd.
func (e *Engine) endBy(book *rules.Book, id ID, r *Reservation, to State,
	d func(row uint32, now int64) inventory.Result) (seq uint64, again bool, err error) {
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return 0, false, r.refuse(Refusal{Code: ReservationNotFound})
	}
	now := e.nowMs()
	res := d(row, now)
	found := inventory.Decided{Row: res.Row, State: to}
	switch res.Verdict {
	case inventory.Done, inventory.AlreadyDone:
		// The row is in the cache now. It may have changed again, so it is read as the call has found it.
		e.inventory.ReadAs(found, &r.snapshot)
		r.fill(e.named())
		r.Repeated = res.Verdict == inventory.AlreadyDone
		return res.Seq, false, nil
	case inventory.WasConfirmed:
		found.State = Confirmed
	case inventory.WasReleased:
		found.State = Released
	case inventory.WasReturned:
		found.State = Returned
	case inventory.WasExpired:
		found.State = Expired
	default:
		return 0, false, refuseVerdict(res.Verdict, r)
	}
	e.inventory.ReadAs(found, &r.snapshot)
	_, err = e.refuseState(book, found, now, r)
	return e.refuseBy(book, res.Seq, r.snapshot.Account, r, err)
}

// answer returns a decision once it may be shown: when the outcome with the sequence is durable, 0 for none. A refusal
// reveals an outcome too, such as an earlier end, and waits for that (I5).
func (e *Engine) answer(ctx context.Context, of call, seq uint64, refusal error, r *Reservation) error {
	if seq == 0 {
		return refusal
	}
	if err := e.awaitDurable(ctx, seq, r); err != nil {
		if refusal == nil && !r.Repeated {
			e.counts.unacknowledged[of].Add(1)
		}
		return err
	}
	return refusal
}
