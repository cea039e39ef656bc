package engine

import (
	"context"
	"unicode/utf8"

	"github.com/seathold/seathold/engine/inventory"
)

// Confirm sells a held reservation, keeps the reference with it, and fills r. The reference is at most MaxReference bytes
// of UTF-8 without control characters. Confirming a confirmed reservation again changes nothing, whatever the reference.
//
// A reservation past its time cannot be confirmed, whether or not a sweep has ended it. Errors are as for Reserve.
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
		return r.refuse(Refusal{Code: MalformedRequest, Where: "reference: at most 64 bytes of UTF-8 without control characters"})
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

// Release gives a held reservation's tickets back and fills r. Releasing a released reservation again changes nothing; one
// past its time has expired instead. Errors are as for Reserve.
func (e *Engine) Release(ctx context.Context, id ID, r *Reservation) error {
	began := e.counts.begin(r)
	return e.counts.end(callRelease, began, r, e.end(ctx, callRelease, id, r, e.inventory.Release))
}

func (e *Engine) end(ctx context.Context, of call, id ID, r *Reservation, decide func(row uint32, now int64) inventory.Result) error {
	res, err := e.decideEnd(id, r, decide)
	if err != nil {
		return err
	}
	return e.answerEnd(ctx, of, &res, r)
}

// decideEnd decides the end of a reservation, and fills r where it ends or had ended so. Where there is no error, answerEnd has
// the answer.
func (e *Engine) decideEnd(id ID, r *Reservation, decide func(row uint32, now int64) inventory.Result) (res inventory.Result, err error) {
	if err := e.admit(r); err != nil {
		return res, err
	}
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return res, r.refuse(Refusal{Code: ReservationNotFound})
	}
	switch res = decide(row, e.nowMs()); res.Verdict {
	case inventory.Done, inventory.AlreadyDone:
		e.fillEnded(row, &res, r) // now, while it is in the cache: an end is for good
	case inventory.NotFound:
		return res, r.refuse(Refusal{Code: ReservationNotFound})
	case inventory.Overloaded, inventory.Full:
		return res, r.refuse(Refusal{Code: Overloaded})
	}
	return res, nil
}

// answerEnd gives the answer when it may be told.
func (e *Engine) answerEnd(ctx context.Context, of call, res *inventory.Result, r *Reservation) error {
	// A refusal, too, tells of an outcome here: it waits for it (I5).
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
		panic("BUG: a reservation that ended cannot be read")
	}
	e.fill(r)
	r.Repeated = res.Verdict == inventory.AlreadyDone
}
