package inventory

import (
	"errors"
	"fmt"
)

// The Restore methods rebuild an inventory from a journal. A checkpoint that was written during the sale is not
// consistent until the records after it are replayed too. So rows are restored first, and CountStock counts the stock
// once it must be right. After that, restoring continues one legal step at a time, as on a standby.

// A row keeps the sequence of its last outcome, so a record applies only if it is newer than what the row has, and
// then it must be a legal step. A row that comes from a journal of version 1 has no sequence until a record applies to
// it. It is judged by its state alone: an outcome that it has already changes nothing.

// Restored is an outcome as the journal has it. Of a reservation's end only the id of the request is used.
type Restored struct {
	Request   *Request
	State     State
	AtMs      int64
	Reference string
	Seq       uint64 // 0 if it is not known

	// Checkpointed marks a row of a checkpoint. Those of one id are in any order: that of a reservation that has
	// ended since, and whose row was used again, may still be held.
	Checkpointed bool

	// Of RestoreChanged.
	Origin      Origin
	ConfirmedMs int64
	Replaces    ID // zero if it is not known
}

// RestoreTaken restores a reservation that was taken, or the row of a checkpoint in whatever state it has. One whose
// row has this outcome or a later one already stays as it is.
func (v *Inventory) RestoreTaken(o Restored) error {
	old := v.Find(o.Request.ID)
	if old != 0 {
		if again, err := v.takenAgain(old, &o); !again || err != nil {
			return err
		}
	}
	row, err := v.restoreRow(&o, old)
	if err != nil {
		return err
	}
	seq := o.Seq
	if o.State != Held {
		seq = 0
	}
	if err := v.appear(row, seq, Held, old, superseded); err != nil || o.State == Held {
		return err
	}
	return v.restoreEnd(row, &o)
}

// RestoreReplaced restores a reservation that was taken in the place of another one, and the end of that one. Readers
// of a standby see both or neither. What a row has already stays as it is. The error is ErrNeverTaken if the replaced
// one has no row; then nothing was restored.
func (v *Inventory) RestoreReplaced(o Restored) error {
	v.spare(!v.counted)
	replaced := Restored{Request: &Request{ID: o.Replaces}, State: Released, AtMs: o.AtMs, Seq: o.Seq}
	old := v.Find(o.Replaces)
	if old == 0 || v.Find(o.Request.ID) != 0 || v.details.At(old).seq.Load() >= o.Seq ||
		State(v.reservations.At(old).state.Load()) != Held {
		if err := v.roomFor(o.Request.Account); err != nil {
			return err
		}
		if err := v.RestoreEnded(replaced); err != nil {
			return err
		}
		return v.RestoreTaken(o)
	}
	row, err := v.restoreRow(&o, 0)
	if err != nil {
		return err
	}
	v.details.At(old).ended = o.AtMs
	return v.appear(row, o.Seq, Held, old, Released)
}

// RestoreChanged restores a reservation as a change left it: with all of its content, so nothing needs to be known
// before it. One whose row has this outcome or a later one already stays as it is. The error states what an outcome of
// the journal cannot change. With OriginReserve it is a row of a checkpoint, which is right whatever is known.
func (v *Inventory) RestoreChanged(o Restored) error {
	old := v.Find(o.Request.ID)
	if old != 0 {
		state, seq := State(v.reservations.At(old).state.Load()), v.details.At(old).seq.Load()
		if seq != 0 && o.Seq <= seq {
			return nil
		}
		if o.Origin != OriginReserve && seq != 0 && state != o.Origin.From() {
			return fmt.Errorf("reservation %x is %s, and changes as if it were %s", o.Request.ID, state, o.Origin.From())
		}
	}
	row, err := v.restoreRow(&o, old)
	if err != nil {
		return err
	}
	r, d := v.reservations.At(row), v.details.At(row)
	r.origin = o.Origin
	if o.Origin == OriginReserve && o.State == Confirmed && o.AtMs != o.ConfirmedMs {
		r.origin = OriginReduceSold // see ending
	}
	if o.State == Returned {
		r.origin = OriginReturn
	}
	d.began, d.ended = o.AtMs, o.AtMs
	if o.State == Confirmed || o.State == Returned {
		d.ended, d.reference = o.ConfirmedMs, v.texts.Put(o.Reference)
	}
	return v.appear(row, o.Seq, o.State, old, superseded)
}

// appear gives a pending row its state, with the sequence of the outcome that led to it. The old row that it follows,
// 0 for none, ends. To readers of a standby both happen at once: as during the change itself, they wait while the old
// row is yielding.
func (v *Inventory) appear(row uint32, seq uint64, state State, old uint32, oldEnds State) error {
	r, was := v.reservations.At(row), free
	if old != 0 {
		from := v.reservations.At(old)
		if was = State(from.state.Load()); !was.Dead() {
			from.state.Store(uint32(yielding))
		}
	}
	if v.counted {
		if err := v.retake(old, was, r, state); err != nil {
			return err
		}
	}
	v.restored(row, seq, state)
	switch {
	case old == 0:
	case oldEnds == superseded:
		d := v.details.At(old)
		d.successor.Store(row)
		d.logged.Store(0)
		v.reservations.At(old).state.Store(uint32(superseded))
	default:
		v.restored(old, seq, oldEnds)
	}
	return nil
}

// restoreRow makes the pending row of an outcome: under its id, or for one that follows an old row, ready to follow
// it.
func (v *Inventory) restoreRow(o *Restored, old uint32) (row uint32, err error) {
	v.spare(!v.counted)
	q := *o.Request
	q.replaces = o.Replaces
	account, ok := v.EnsureAccount(q.Account)
	if !ok {
		return 0, v.NoRoom(Accounts)
	}
	if old == 0 {
		var other uint32
		row, other, ok = v.publish(&q, v.hashID(&q.ID), account)
		ok = ok && other == 0
	} else if row, ok = v.claim(); ok {
		v.fill(row, account, &q)
		v.details.At(row).old.Store(named)
		v.pend(v.reservations.At(row), row)
	}
	if !ok {
		return 0, v.NoRoom(Reservations)
	}
	r := v.reservations.At(row)
	r.programme = v.programmeOfAll(q.Lines)
	// It enters the ledger, without a check of the caps: the journal's prefixes are legal (I6), and what was taken before
	// a cap was lowered stays (I2).
	v.unlinkDead(account)
	v.push(r, row)
	return row, nil
}

// retake moves the units of the old row, 0 for none, to the new one, in the states that they have. For a moment
// readers of a standby may find them available.
func (v *Inventory) retake(old uint32, was State, now *reservation, state State) error {
	if old != 0 {
		v.countRow(v.reservations.At(old), was, -1)
	}
	v.countRow(now, state, 1)
	var room [2 * MaxLines]Line
	for _, l := range v.takes(room[:0], now) {
		if err := v.oversold(int(l.Pool)); err != nil {
			return err
		}
	}
	return nil
}

// oversold returns an error if more units of the pool are taken than it has.
func (v *Inventory) oversold(pool int) error {
	if available, units, _ := v.stock[pool].Read(); int32(available) < 0 {
		return &OversoldError{Pool: pool, Units: int(units), Taken: int(units) - int(int32(available))}
	}
	return nil
}

// RestoreUnits sets the units of a pool. What is taken stays so: the error is an *OversoldError if that is more, once
// the stock is counted.
func (v *Inventory) RestoreUnits(pool int, units uint32) error {
	v.stock[pool].SetUnits(units)
	if !v.counted {
		return nil
	}
	return v.oversold(pool)
}

// countRow adds what a row takes in a state to the stock, times sign. Units leave available before they are gone, and
// are no longer gone before they are available again: see Stock.
func (v *Inventory) countRow(r *reservation, state State, sign int64) {
	var room [2 * MaxLines]Line
	taken, gone, withheld := state.Takes(r.flags)
	for _, l := range v.takes(room[:0], r) {
		p, q := &v.stock[l.Pool], sign*int64(l.Quantity)
		if taken && sign > 0 {
			p.Add(-q)
		}
		switch {
		case gone && sign > 0:
			p.Sold.Add(uint64(q))
		case gone:
			p.Returned.Add(uint64(-q))
		}
		if withheld {
			p.Withheld.Add(uint64(q))
		}
		if taken && sign < 0 {
			p.Add(-q)
		}
	}
}

// restored sets the state of a row, and the sequence of the outcome that led to it.
func (v *Inventory) restored(row uint32, seq uint64, s State) {
	d := v.details.At(row)
	d.seq.Store(seq)
	d.logged.Store(packLogged(seq, s))
	v.reservations.At(row).state.Store(uint32(s))
}

// takenAgain reports whether the outcome is a new reservation under the id of the one in the row, which ended and was
// forgotten. An older checkpoint that has to be used still contains that one.
func (v *Inventory) takenAgain(row uint32, o *Restored) (bool, error) {
	r, d := v.reservations.At(row), v.details.At(row)
	state, seq := State(r.state.Load()), d.seq.Load()
	ended := state == Released || state == Returned || state == Expired
	switch {
	case seq == 0 || o.Seq == 0:
		return ended && o.Request.Created > d.over(state, r.expires), nil
	case o.Seq <= seq:
		return false, nil
	case !ended && !o.Checkpointed:
		return false, fmt.Errorf("reservation %x is taken again while it is %s", o.Request.ID, state)
	}
	return true, nil
}

// ErrNoRoom is returned for an outcome that needs a row of a table that is full. Then nothing was restored: it may be
// restored again once there is room.
var ErrNoRoom = errors.New("no room")

// NoRoom returns ErrNoRoom with the limit of the table.
func (v *Inventory) NoRoom(of Table) error {
	return fmt.Errorf("%w for more than %d %s: what is alive needs a higher limit (max-%[3]s)", ErrNoRoom,
		v.Fills()[of-1].Limit, of)
}

// spare sets whether the restore may use spare rows.
func (v *Inventory) spare(use bool) { v.sparing, v.accounts.Sparing = use, use }

// DropSpare ends the use of spare rows, once the stock is counted and what may go is free. The error is ErrNoRoom if
// more rows are in use than the limits allow.
func (v *Inventory) DropSpare() error {
	switch {
	case !v.reservations.DropSpare():
		return v.NoRoom(Reservations)
	case !v.accounts.DropSpare():
		return v.NoRoom(Accounts)
	}
	return nil
}

// roomFor makes sure that a reservation of the account can be restored.
func (v *Inventory) roomFor(account string) error {
	if _, ok := v.EnsureAccount(account); !ok {
		return v.NoRoom(Accounts)
	}
	if v.reservations.Full(v.sparing) {
		return v.NoRoom(Reservations)
	}
	return nil
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
	r, d := v.reservations.At(row), v.details.At(row)
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
		d.reference = v.texts.Put(o.Reference)
	}
	d.ended = o.AtMs
	if v.counted {
		v.countEnd(r, o.State)
	}
	v.restored(row, max(seq, o.Seq), o.State)
	return nil
}

// countEnd counts the end of a held row in the stock.
func (v *Inventory) countEnd(r *reservation, end State) {
	var room [2 * MaxLines]Line
	for _, l := range v.takes(room[:0], r) {
		if end == Confirmed {
			v.stock[l.Pool].Sold.Add(uint64(l.Quantity))
		} else {
			v.stock[l.Pool].Add(int64(l.Quantity))
		}
	}
}

// CountStock counts the stock from the restored reservations and checks that no pool is oversold (I1).
func (v *Inventory) CountStock() error {
	var room [2 * MaxLines]Line
	counts := make([]struct{ taken, gone, withheld uint64 }, len(v.stock))
	for row := uint32(1); row < v.reservations.End(); row++ {
		r := v.reservations.At(row)
		taken, gone, withheld := State(r.state.Load()).Takes(r.flags)
		if !taken {
			continue
		}
		for _, l := range v.takes(room[:0], r) {
			c, q := &counts[l.Pool], uint64(l.Quantity)
			c.taken += q
			if gone {
				c.gone += q
			}
			if withheld {
				c.withheld += q
			}
		}
	}
	for i, c := range counts {
		_, units, _ := v.stock[i].Read()
		if units == 0 && c.taken == 0 {
			continue // most numbers have no pool yet
		}
		if c.taken > uint64(units) {
			return &OversoldError{Pool: i, Units: int(units), Taken: int(c.taken)}
		}
		v.stock[i].Fill(units, units-uint32(c.taken), c.gone, c.withheld)
	}
	v.counted = true
	v.spare(false)
	return nil
}

// OversoldError is returned when the reservations of a journal take more units of a pool than it has.
type OversoldError struct{ Pool, Units, Taken int }

func (e *OversoldError) Error() string {
	return fmt.Sprintf("pool %d has %d units, but %d are taken", e.Pool, e.Units, e.Taken)
}
