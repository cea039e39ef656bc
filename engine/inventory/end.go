package inventory

import "github.com/seathold/seathold/engine/inventory/internal/stock"

// Confirm makes a held reservation sold, unless its time is over at now (ms). The reference, at most MaxReference
// bytes, is kept with it. Confirming again changes nothing: the verdict is AlreadyDone if the reference is the one that
// was kept, or is empty, and WasConfirmed otherwise. The caller has waited as w says; w may be nil.
func (v *Inventory) Confirm(row uint32, now int64, reference string, w *Wait) Result {
	w = begun(w)
	for {
		found := v.decided(row, now, w)
		if found.State != Held {
			res := v.tooLate(found, Confirmed)
			if res.Verdict == AlreadyDone && reference != "" && reference != v.texts.Text(v.details.At(found.Row).reference) {
				res.Verdict = WasConfirmed
			}
			return res
		}
		r := v.reservations.At(found.Row)
		// From here on this is the one outcome of the reservation (I3).
		if r.state.CompareAndSwap(uint32(Held), uint32(confirming)) {
			return Result{Verdict: Done, Row: found.Row, Seq: v.confirm(r, found.Row, now, reference)}
		}
	}
}

// decided returns the row that has the reservation now, once its state is decided: Held only while its time is not over
// at now. The state is pending when another caller's step stays undecided too long, and void when no row has the id.
func (v *Inventory) decided(row uint32, now int64, w *Wait) Decided {
	for {
		if row = v.current(row); row == 0 {
			return Decided{0, void}
		}
		r := v.reservations.At(row)
		switch state := State(r.state.Load()); state {
		case Held:
			if now < r.expires {
				return Decided{row, Held}
			}
			v.expire(r, row, now)
		case Confirmed, Released, Returned:
			return Decided{row, state}
		case Expired:
			if found := (Decided{row, Expired}); v.stands(found) {
				return found
			}
		case void, superseded, forgotten: // it passed its id on after current read its state
		default:
			if !v.backOff(w) {
				return Decided{row, pending}
			}
		}
	}
}

// Decide returns the row that has a reservation now, and its state. One whose time is over at now (ms) expires first.
// The verdict is Done, NotFound or Overloaded. The caller has waited as w says.
func (v *Inventory) Decide(row uint32, now int64, w *Wait) (Decided, Verdict) {
	found := v.decided(row, now, w)
	switch found.State {
	case void:
		return found, NotFound
	case pending:
		return found, Overloaded
	}
	return found, Done
}

// tooLate is the answer to a caller that wanted to end a reservation that is not held.
func (v *Inventory) tooLate(found Decided, wanted State) Result {
	var verdict Verdict
	switch found.State {
	case wanted:
		verdict = AlreadyDone
	case Confirmed:
		verdict = WasConfirmed
	case Released:
		verdict = WasReleased
	case Returned:
		verdict = WasReturned
	case Expired:
		verdict = WasExpired
	case pending:
		return Result{Verdict: Overloaded}
	default:
		return Result{Verdict: NotFound}
	}
	return Result{Verdict: verdict, Row: found.Row, Seq: v.details.At(found.Row).seq.Load()}
}

// confirm completes a confirmation that is decided. The reference is stored only now, so a caller that lost the race
// has stored nothing.
func (v *Inventory) confirm(r *reservation, row uint32, now int64, reference string) (seq uint64) {
	d := v.details.At(row)
	d.ended, d.reference = now, v.texts.Put(reference)
	seq = v.place(Outcome{Kind: Ended, Index: row})
	v.setSequence(row, seq)
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		v.stock[l.Pool].Sold.Add(uint64(l.Quantity))
	}
	if v.listing.Quotas().Has(r.phase) {
		v.eachQuota(r, sell)
	}
	r.state.Store(uint32(Confirmed))
	return seq
}

// Release gives a held reservation's tickets back. One whose time is over at now (ms) expires instead. The caller has
// waited as w says; w may be nil.
func (v *Inventory) Release(row uint32, now int64, w *Wait) Result {
	w = begun(w)
	for {
		found := v.decided(row, now, w)
		if found.State != Held {
			return v.tooLate(found, Released)
		}
		r := v.reservations.At(found.Row)
		// From here on this is the one outcome of the reservation (I3).
		if r.state.CompareAndSwap(uint32(Held), uint32(releasing)) {
			return Result{Verdict: Done, Row: found.Row, Seq: v.giveAllBack(r, found.Row, now, Released)}
		}
	}
}

// Expire ends a held reservation whose time is over at now (ms) and reports whether it did.
func (v *Inventory) Expire(row uint32, now int64) bool {
	r := v.reservations.At(row)
	return State(r.state.Load()) == Held && now >= r.expires && v.expire(r, row, now)
}

func (v *Inventory) expire(r *reservation, row uint32, now int64) bool {
	// From here on this is the one outcome of the reservation (I3).
	if !r.state.CompareAndSwap(uint32(Held), uint32(expiring)) {
		return false
	}
	v.giveAllBack(r, row, now, Expired)
	v.ended.expired.Add(1)
	return true
}

// giveAllBack returns the units of a reservation whose end is decided. They are unsettled in every pool before the
// record is placed (I7: no request is refused over them meanwhile), and available only after it (I6: give back after
// logging). now is the instant of the end.
func (v *Inventory) giveAllBack(r *reservation, row uint32, now int64, to State) uint64 {
	v.details.At(row).ended = now
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		v.stock[l.Pool].Mark(l.Quantity)
	}
	hasQuotas := v.listing.Quotas().Has(r.phase)
	if hasQuotas {
		v.eachQuota(r, (*stock.Pool).Mark)
	}
	seq := v.place(Outcome{Kind: Ended, Index: row})
	v.setSequence(row, seq)
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		v.stock[l.Pool].GiveBack(l.Quantity)
	}
	if hasQuotas {
		v.eachQuota(r, (*stock.Pool).GiveBack)
	}
	r.state.Store(uint32(to))
	return seq
}

// setSequence stores the sequence of the outcome placed last. It precedes the state that shows the outcome, so a
// reader of that state knows what it must await.
func (v *Inventory) setSequence(row uint32, seq uint64) {
	if v.journalled {
		v.details.At(row).seq.Store(seq)
	}
}
