package inventory

import "fmt"

// The Restore methods rebuild an inventory from a journal. A checkpoint that was written during the sale is not
// consistent until the records after it are replayed too. So rows are restored first, and CountStock counts the stock
// once it must be right. After that, restoring continues one legal step at a time, as on a standby.

// RestoreTaken restores a reservation as held. One that is there already stays as it is: replay is idempotent.
func (v *Inventory) RestoreTaken(q *Request) (row uint32, err error) {
	hash := v.hashID(&q.ID)
	if row := v.find(hash, &q.ID); row != 0 {
		if !v.forgotten(row, q) {
			return row, nil
		}
		// A void row passes its id on to the one that follows.
		v.details.at(row).logged.Store(0)
		v.reservations.at(row).state.Store(uint32(void))
	}
	accountRow, ok := v.EnsureAccount(q.Account)
	if !ok {
		return 0, fmt.Errorf("no room for more than %d accounts", v.accounts.limit-1)
	}
	row, other, ok := v.publish(q, hash, accountRow)
	if !ok || other != 0 {
		return 0, fmt.Errorf("no room for more than %d reservations", v.reservations.limit-1)
	}
	// It enters the ledger, without a check of the caps: the journal's prefixes are legal (I6).
	r := v.reservations.at(row)
	head := &v.accounts.at(accountRow).head
	v.unlinkDead(head)
	r.next.Store(uint32(head.Load()))
	head.Store((head.Load()>>32+1)<<32 | uint64(row))
	if v.counted {
		if res, took := v.takeAll(q.Lines); !took {
			units := int(v.pools[res.Pool].units)
			return 0, &OversoldError{Pool: int(res.Pool), Units: units, Taken: units - res.Available + res.Requested}
		}
		for _, l := range q.Lines {
			if len(q.Lines) > 1 {
				v.stock[l.Pool].settle(l.Quantity)
			}
		}
	}
	v.details.at(row).logged.Store(uint32(Took) + 1)
	r.state.Store(uint32(Held))
	return row, nil
}

// forgotten reports whether the request is a second reservation under the id in the row: the first one ended and was
// forgotten. An older checkpoint that has to be used still contains the first one.
func (v *Inventory) forgotten(row uint32, q *Request) bool {
	r := v.reservations.at(row)
	state := State(r.state.Load())
	return (state == Released || state == Expired) && q.Created > r.expires
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

// RestoreEnded restores the end of a reservation. One that has ended already stays as it is.
func (v *Inventory) RestoreEnded(id ID, to State, confirmedMs int64, reference string) error {
	row := v.Find(id)
	if row == 0 {
		return fmt.Errorf("a reservation is %s but was never taken", to)
	}
	r, d := v.reservations.at(row), v.details.at(row)
	if State(r.state.Load()) != Held {
		return nil
	}
	if to == Confirmed {
		d.confirmed, d.reference = confirmedMs, v.texts.put(reference)
	}
	for i := range int(r.count) {
		if l := v.lineAt(r, i); v.counted && to == Confirmed {
			v.stock[l.Pool].sold.Add(uint64(l.Quantity))
		} else if v.counted {
			v.stock[l.Pool].word.Add(packPool(l.Quantity, 0))
		}
	}
	d.logged.Store(uint32(Ended) + 1)
	r.state.Store(uint32(to))
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
	case Expired:
		return "expired"
	}
	return "undecided"
}
