package engine

import (
	"context"
	"unicode/utf8"

	"github.com/seathold/seathold/engine/inventory"
)

// Confirm sells a held reservation, stores the reference with it, and fills r. The reference is at most MaxReference
// bytes of UTF-8 without control characters. Confirming a confirmed reservation again changes nothing, whatever the
// reference, and sets r.Repeated.
//
// A reservation cannot be confirmed from its ExpiresAt on, whether or not a sweep has ended it. Errors are as for
// Reserve.
func (e *Engine) Confirm(ctx context.Context, id ID, reference string, r *Reservation) error {
	began := e.counts.begin(r)
	err := checkReference(reference, r)
	if err == nil {
		err = e.end(ctx, callConfirm, id, r, func(row uint32, now int64) inventory.Result {
			return e.inventory.Confirm(row, now, reference)
		})
	}
	return e.counts.end(callConfirm, began, r, err)
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
	return e.counts.end(callRelease, began, r, e.end(ctx, callRelease, id, r, e.inventory.Release))
}

// decide is the inventory's method that ends a reservation.
type decide func(row uint32, now int64) inventory.Result

func (e *Engine) end(ctx context.Context, of call, id ID, r *Reservation, d decide) error {
	res, err := e.decideEnd(ctx, id, r, d)
	if err != nil {
		return err
	}
	return e.answerEnd(ctx, of, &res, r)
}

// decideEnd decides the end of a reservation without waiting for the journal. It fills r if the reservation has now, or
// had already, ended in this way. If err is nil, answerEnd returns the answer.
func (e *Engine) decideEnd(ctx context.Context, id ID, r *Reservation, d decide) (res inventory.Result, err error) {
	if err := e.admit(ctx, r); err != nil {
		return res, err
	}
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return res, r.refuse(Refusal{Code: ReservationNotFound})
	}
	switch res = d(row, e.nowMs()); res.Verdict {
	case inventory.Done, inventory.AlreadyDone:
		e.fillEnded(row, &res, r) // an end is final, and the row is in the cache now
	case inventory.NotFound:
		return res, r.refuse(Refusal{Code: ReservationNotFound})
	case inventory.Overloaded:
		return res, r.refuse(Refusal{Code: Overloaded})
	}
	return res, nil
}

// answerEnd returns the answer once it may be shown.
func (e *Engine) answerEnd(ctx context.Context, of call, res *inventory.Result, r *Reservation) error {
	// A refusal reveals an outcome too, the earlier end. It waits for that (I5).
	if err := e.awaitDurable(ctx, res.Seq, r); err != nil {
		if res.Verdict == inventory.Done {
			e.counts.unacknowledged[of].Add(1)
		}
		return err
	}
	switch res.Verdict {
	case inventory.WasConfirmed:
		return r.refuse(Refusal{Code: ReservationConfirmed})
	case inventory.WasReleased:
		return r.refuse(Refusal{Code: ReservationReleased})
	case inventory.WasExpired:
		return r.refuse(Refusal{Code: ReservationExpired})
	}
	return nil
}

func (e *Engine) fillEnded(row uint32, res *inventory.Result, r *Reservation) {
	if !e.inventory.Read(row, &r.snapshot) {
		panic("BUG: an ended reservation cannot be read")
	}
	e.fill(r)
	r.Repeated = res.Verdict == inventory.AlreadyDone
}
