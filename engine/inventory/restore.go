package inventory

import (
	"errors"
	"fmt"
)

// The Restore methods rebuild an inventory from a journal. A checkpoint that was written during the sale is not
// consistent until the records after it are replayed too. So rows are restored first, and CountStock counts the stock
// once it must be right. After that, restoring continues one legal step at a time, as on a standby.

// A row keeps the sequence of its last outcome, so a record applies only if it is newer than what the row has, and then
// it must be a legal step. A row that comes from a journal of version 1 has no sequence until a record applies to it.
// It is judged by its state alone: an outcome that it has already changes nothing.

// Restored is an outcome as the journal has it. Of a reservation's end only the id of the request is used.
type Restored struct {
	Request   *Request
	State     State
	AtMs      int64
	Reference string
	Seq       uint64 // 0 if it is not known
}

// RestoreTaken restores a reservation that was taken, or the row of a checkpoint in whatever state it has. One whose
// row has this outcome or a later one already stays as it is.
func (v *Inventory) RestoreTaken(o Restored) error {
	q := o.Request
	hash := v.hashID(&q.ID)
	if row := v.find(hash, &q.ID); row != 0 {
		again, err := v.takenAgain(row, &o)
		if !again || err != nil {
			return err
		}
		// A void row passes its id on to the one that follows.
		v.details.at(row).logged.Store(0)
		v.reservations.at(row).state.Store(uint32(void))
	}
	accountRow, ok := v.EnsureAccount(q.Account)
	if !ok {
		return fmt.Errorf("no room for more than %d accounts", v.accounts.limit-1)
	}
	row, other, ok := v.publish(q, hash, accountRow)
	if !ok || other != 0 {
		return fmt.Errorf("no room for more than %d reservations", v.reservations.limit-1)
	}
	// It enters the ledger, without a check of the caps: the journal's prefixes are legal (I6), and what was taken before
	// a cap was lowered stays (I2).
	r := v.reservations.at(row)
	for _, l := range q.Lines[1:] {
		if v.programmeOf(l.Pool) != r.programme {
			r.programme = severalProgrammes
			break
		}
	}
	head := &v.accounts.at(accountRow).head
	v.unlinkDead(head)
	r.next.Store(uint32(head.Load()))
	head.Store((head.Load()>>32+1)<<32 | uint64(row))
	if v.counted {
		if res, took := v.takeAll(q.Lines, &Wait{}); !took {
			units := int(v.pools[res.Pool].units)
			return &OversoldError{Pool: int(res.Pool), Units: units, Taken: units - res.Available + res.Requested}
		}
		for _, l := range q.Lines {
			if len(q.Lines) > 1 {
				v.stock[l.Pool].settle(l.Quantity)
			}
		}
	}
	if o.State == Held {
		v.restored(row, o.Seq, Held)
		return nil
	}
	v.restored(row, 0, Held)
	return v.restoreEnd(row, &o)
}

// restored sets the state of a row, and the sequence of the outcome that led to it.
func (v *Inventory) restored(row uint32, seq uint64, s State) {
	d := v.details.at(row)
	d.seq.Store(seq)
	d.logged.Store(packLogged(seq, s))
	v.reservations.at(row).state.Store(uint32(s))
}

// takenAgain reports whether the outcome is a new reservation under the id of the one in the row, which ended and was
// forgotten. An older checkpoint that has to be used still contains that one.
func (v *Inventory) takenAgain(row uint32, o *Restored) (bool, error) {
	r, d := v.reservations.at(row), v.details.at(row)
	state, seq := State(r.state.Load()), d.seq.Load()
	ended := state == Released || state == Expired
	switch {
	case seq == 0 || o.Seq == 0:
		return ended && o.Request.Created > r.expires, nil
	case o.Seq <= seq:
		return false, nil
	case !ended:
		return false, fmt.Errorf("reservation %x is taken again while it is %s", o.Request.ID, state)
	}
	return true, nil
}

// unlinkDead removes dead reservations from the head of a ledger, so that ended ones do not lengthen it. The plain
// store is safe because restoring is one goroutine.
func (v *Inventory) unlinkDead(head *word64) {
	w := head.Load()
	row := uint32(w)
	for row != 0 && State(v.reservations.at(row).state.Load()).dead() {
		row = v.reservations.at(row).next.Load()
	}
	head.Store(w>>32<<32 | uint64(row))
}

// ErrNeverTaken is returned for the end of a reservation that was never taken, or that was forgotten.
var ErrNeverTaken = errors.New("was never taken")

// RestoreEnded restores the end of a reservation. One whose row has this outcome already stays as it is. The error is
// ErrNeverTaken if there is no row.
func (v *Inventory) RestoreEnded(o Restored) error {
	row := v.Find(o.Request.ID)
	if row == 0 {
		return fmt.Errorf("reservation %x is %s but %w", o.Request.ID, o.State, ErrNeverTaken)
	}
	return v.restoreEnd(row, &o)
}

// restoreEnd is RestoreEnded for a row that was found.
func (v *Inventory) restoreEnd(row uint32, o *Restored) error {
	r, d := v.reservations.at(row), v.details.at(row)
	state, seq := State(r.state.Load()), d.seq.Load()
	switch {
	case seq != 0 && o.Seq != 0 && o.Seq <= seq:
		return nil
	case state != Held && seq != 0 && o.Seq != 0:
		return fmt.Errorf("reservation %x is %s and then %s", o.Request.ID, state, o.State)
	case state != Held:
		v.restored(row, max(seq, o.Seq), state)
		return nil
	}
	if o.State == Confirmed {
		d.reference = v.texts.put(o.Reference)
	}
	d.ended = o.AtMs
	for i := range int(r.count) {
		if l := v.lineAt(r, i); v.counted && o.State == Confirmed {
			v.stock[l.Pool].sold.Add(uint64(l.Quantity))
		} else if v.counted {
			v.stock[l.Pool].word.Add(packPool(l.Quantity, 0))
		}
	}
	v.restored(row, max(seq, o.Seq), o.State)
	return nil
}

// CountStock counts the stock from the restored reservations and checks that no pool is oversold (I1).
func (v *Inventory) CountStock() error {
	taken, sold := make([]uint64, len(v.pools)), make([]uint64, len(v.pools))
	for row := uint32(1); row < v.reservations.end(); row++ {
		r := v.reservations.at(row)
		state := State(r.state.Load())
		if state != Held && state != Confirmed {
			continue
		}
		for i := range int(r.count) {
			l := v.lineAt(r, i)
			taken[l.Pool] += uint64(l.Quantity)
			if state == Confirmed {
				sold[l.Pool] += uint64(l.Quantity)
			}
		}
	}
	for i := range v.pools {
		units := uint64(v.pools[i].units)
		if taken[i] > units {
			return &OversoldError{Pool: i, Units: int(units), Taken: int(taken[i])}
		}
		v.stock[i].word.Store(packPool(uint32(units-taken[i]), 0))
		v.stock[i].sold.Store(sold[i])
	}
	v.counted = true
	return nil
}

// OversoldError is returned when the reservations of a journal take more units of a pool than it has.
type OversoldError struct{ Pool, Units, Taken int }

func (e *OversoldError) Error() string {
	return fmt.Sprintf("pool %d has %d units, but %d are taken", e.Pool, e.Units, e.Taken)
}

// String returns the state's name in the API; undecided between two of them.
func (s State) String() string {
	switch s {
	case Held:
		return "held"
	case Confirmed:
		return "confirmed"
	case Released:
		return "released"
	case Returned:
		return "returned"
	case Expired:
		return "expired"
	}
	return "undecided"
}
