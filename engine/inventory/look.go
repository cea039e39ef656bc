package inventory

// Rows and words as they are at one instant, decided or not, for engine/inventory/census, which counts them.

// Look looks at a row below Rows by its number. A row without a reservation shows nothing. While freeing is paused, a
// row that is over stays so, and one that has been taken shows LookWasTaken from then on, and likewise if it was gone.
func (v *Inventory) Look(row uint32) Look {
	r := v.reservations.Find(row)
	if r == nil {
		return 0
	}
	state := State(r.state.Load())
	if state == free {
		return 0 // its content may be written just now
	}
	return state.Look(r.origin, r.flags)
}

// AppendTakes appends what a row takes that has a reservation: its lines, and units of quotas by their pools.
func (v *Inventory) AppendTakes(to []Line, row uint32) []Line {
	return v.takes(to, v.reservations.At(row))
}

// AppendLines appends the lines of a row that has a reservation.
func (v *Inventory) AppendLines(to []Line, row uint32) []Line {
	return v.appendLines(to, v.reservations.At(row))
}

// PauseFreeing makes sure that no row is given back until ResumeFreeing. It returns false if rows are given back just
// now, which takes less than a millisecond, or if it was called before.
func (v *Inventory) PauseFreeing() bool { return v.freeing.CompareAndSwap(0, 1) }

// ResumeFreeing ends what PauseFreeing began.
func (v *Inventory) ResumeFreeing() { v.freeing.Store(0) }

// Words returns how many units a pool has, how many are not available, and how many of them are gone, as its words
// have it. Units whose reservation is being decided count in some of them. Those that are about to go by a ChangeStock
// count nowhere. A broken pool can have negative numbers.
func (v *Inventory) Words(pool int) (units, taken, gone int) {
	p := &v.stock[pool]
	returned := p.Returned.Load() // first: units are sold before they are returned
	gone = int(p.Sold.Load() - returned)
	available, all, _ := p.Read()
	return int(all), int(all) - int(int32(available)), gone
}

// Limits returns those of requests that have none of their own.
func (v *Inventory) Limits() *Limits { return &v.limits }

// Pools returns how many pools there are; see ExtendListing.
func (v *Inventory) Pools() int { return v.listing.Pools() }

// Sessions returns how many sessions there are; see ExtendListing.
func (v *Inventory) Sessions() int { return v.listing.Sessions() }

// SessionOf returns the session of a pool, and its programme.
func (v *Inventory) SessionOf(pool uint32) (session uint32, programme uint8) {
	session = v.listing.SessionOf(pool)
	return session, v.listing.ProgrammeOf(session)
}

// States counts the reservations by state. One whose end is decided but not yet visible counts as held.
func (v *Inventory) States() map[State]uint64 {
	found := map[State]uint64{}
	end := v.reservations.End()
	for row := uint32(1); row < end; row++ {
		r := v.reservations.Find(row)
		if r == nil {
			continue
		}
		switch state := State(r.state.Load()); state {
		case confirming, releasing, expiring, yielding:
			found[Held]++
		case Held, Confirmed, Released, Returned, Expired:
			if v.stands(Decided{row, state}) { // otherwise it was taken again, in another row
				found[state]++
			}
		}
	}
	return found
}
