package engine

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/seathold/seathold/engine/inventory"
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
	err := checkReference(reference, r)
	if err == nil {
		err = e.end(ctx, callConfirm, id, r, func(row uint32, now int64) inventory.Result {
			return e.inventory.Confirm(row, now, reference, &r.wait)
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
	return e.counts.end(callRelease, began, r, e.end(ctx, callRelease, id, r,
		func(row uint32, now int64) inventory.Result { return e.inventory.Release(row, now, &r.wait) }))
}

// decide is the inventory's method that ends a reservation.
type decide func(row uint32, now int64) inventory.Result

func (e *Engine) end(ctx context.Context, of call, id ID, r *Reservation, d decide) error {
	seq, refusal := e.decideEnd(ctx, id, r, d)
	return e.answer(ctx, of, seq, refusal, r)
}

// decideEnd decides the end of a reservation without waiting for the journal, like reserve.
func (e *Engine) decideEnd(ctx context.Context, id ID, r *Reservation, d decide) (seq uint64, err error) {
	if err := e.admit(ctx, r); err != nil {
		return 0, err
	}
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return 0, r.refuse(Refusal{Code: ReservationNotFound})
	}
	switch res := d(row, e.nowMs()); res.Verdict {
	case inventory.Done, inventory.AlreadyDone:
		e.fillEnded(row, &res, r) // an end is final, and the row is in the cache now
		return res.Seq, nil
	case inventory.WasConfirmed:
		return res.Seq, r.refuse(Refusal{Code: ReservationConfirmed, Reference: e.inventory.Reference(row)})
	case inventory.WasReleased:
		return res.Seq, r.refuse(Refusal{Code: ReservationReleased})
	case inventory.WasExpired:
		return res.Seq, r.refuse(Refusal{Code: ReservationExpired})
	case inventory.NotFound:
		return 0, r.refuse(Refusal{Code: ReservationNotFound})
	case inventory.Overloaded:
		return 0, r.refuse(Refusal{Code: Overloaded})
	default:
		panic(fmt.Sprintf("BUG: the end of a reservation has the verdict %d", res.Verdict))
	}
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

func (e *Engine) fillEnded(row uint32, res *inventory.Result, r *Reservation) {
	if !e.inventory.Read(row, &r.snapshot) {
		panic("BUG: an ended reservation cannot be read")
	}
	e.fill(r)
	r.Repeated = res.Verdict == inventory.AlreadyDone
}
