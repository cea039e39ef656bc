package audit

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// reservation is the state of a reservation in its simplest form.
type reservation struct {
	state     inventory.State
	flags     uint8
	phase     uint16 // row
	account   uint32 // row
	tickets   int32
	seq       uint64 // of its last outcome; 0 if it is not known
	created   int64
	expires   int64
	ended     int64 // when it was released or returned; 0 if not, or if it is not known
	confirmed int64 // of a confirmed or returned one
	reference string
	lines     []inventory.Line // by row of the pool
	replaces  uuid.UUID        // zero for none, or if a checkpoint does not have it
}

// reservationOf returns the reservation of a record that has it whole.
func (a *auditor) reservationOf(r *record.Record) *reservation {
	q := &r.Request
	phase := a.rules.sale.Phases[q.Phase].ID
	now := &reservation{state: r.State, flags: q.Flags, seq: r.Seq, created: q.Created, expires: q.Expires,
		confirmed: r.ConfirmedMs, reference: r.Reference, lines: a.rowsOf(q.Lines), replaces: uuid.UUID(r.Replaces),
		phase:   uint16(rowOf(a.phaseRows, &a.phases, phase, phase)),
		account: uint32(rowOf(a.accountRows, &a.accounts, q.Account, q.Account))}
	if now.state == inventory.Released || now.state == inventory.Returned {
		now.ended = r.AtMs
	}
	for _, l := range now.lines {
		now.tickets += int32(l.Quantity)
	}
	return now
}

// counts reports whether the reservation counts against the caps and limits.
func (r *reservation) counts() bool {
	return r.state == inventory.Held || r.state == inventory.Confirmed
}

// withheld reports whether the reservation was returned and its places are not on sale again.
func (r *reservation) withheld() bool {
	return r.state == inventory.Returned && r.flags&inventory.FlagWithheld != 0
}

// has reports whether the reservation's row in a checkpoint shows the outcome with the sequence already.
func (r *reservation) has(seq uint64) bool { return seq <= r.seq }

// set stores the present state of a reservation, and counts its tickets instead of those that it had.
func (a *auditor) set(id uuid.UUID, now *reservation) {
	if before := a.reservations[id]; before != nil {
		a.count(before, -1)
	}
	a.reservations[id] = now
	a.count(now, 1)
}

// count adds the reservation's tickets where they count, or takes them off.
func (a *auditor) count(r *reservation, sign int) {
	if !r.counts() && !r.withheld() {
		return
	}
	for _, l := range r.lines {
		pool := &a.pools[l.Pool]
		q := sign * int(l.Quantity)
		pool.taken += q
		if r.withheld() {
			pool.withheld += q
		}
		a.countPlaces(placesKey{int(r.phase), pool.session}, q)
		if r.counts() {
			a.tickets[byProgramme][keyOf(r.account, a.sessions[pool.session].programme)] += q
			a.tickets[bySession][keyOf(r.account, pool.session)] += q
		}
	}
}

// take adds a reservation that was just taken, or a row of a checkpoint.
func (a *auditor) take(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	if before := a.reservations[id]; before != nil && !before.mayBeForgotten(r) {
		if a.strict && !before.has(r.Seq) {
			a.problem("I9: reservation %s is taken twice", id)
		}
		return
	}
	now := a.reservationOf(r)
	a.set(id, now)
	if now.state != inventory.Held {
		a.checkEnd(now, r) // a row of a checkpoint
	}
	if now.counts() && a.strict {
		a.checkTaken(now, r)
	}
}

// mayBeForgotten reports whether the id is free again for the reservation that the record is about. An ended
// reservation is forgotten some time after its end, unless its places are withheld. A call reads the clock once it has
// announced itself, so one that gets the id has read it after that end.
func (r *reservation) mayBeForgotten(next *record.Record) bool {
	return !r.counts() && !r.withheld() && next.Request.Created > inventory.Over(r.state, r.expires, r.ended)
}

// checkTaken checks a reservation that was just taken.
func (a *auditor) checkTaken(now *reservation, r *record.Record) {
	a.check(now)
	a.checkPaused(r)
	a.checkPhase(r)
	a.checkAccess(r)
}

func (a *auditor) finish(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	now := a.reservations[id]
	switch {
	case now == nil && a.strict:
		a.problem("I6: reservation %s is %s but was never taken", id, r.State)
	case now == nil && r.State == inventory.Confirmed:
		a.missing[id] = r.Seq
	case now == nil || now.has(r.Seq):
	case now.state != inventory.Held && a.strict:
		a.problem("I3: reservation %s is %s and then %s", id, now.state, r.State)
	case now.state == inventory.Held:
		a.checkEnd(now, r)
		a.setEnded(now, r)
	}
}

// checkMissing checks that the checkpoint leaves no confirmed reservation out. It may leave one out that was changed
// after the checkpoint was begun, since the record of that change is after its start.
func (a *auditor) checkMissing() {
	var missing []uuid.UUID
	for id := range a.missing {
		if a.reservations[id] == nil {
			missing = append(missing, id)
		}
	}
	slices.SortFunc(missing, func(x, y uuid.UUID) int { return cmp.Compare(a.missing[x], a.missing[y]) })
	for _, id := range missing {
		a.problemAt(a.missing[id], "I6: reservation %s is confirmed but was never taken", id)
	}
}

// setEnded makes a held reservation one that is confirmed, released or expired.
func (a *auditor) setEnded(now *reservation, r *record.Record) {
	a.count(now, -1)
	if now.state, now.seq = inventory.Released, r.Seq; r.Kind != record.KindReplaced {
		now.state, now.confirmed, now.reference = r.State, r.ConfirmedMs, r.Reference
	}
	if now.state == inventory.Released {
		now.ended = r.AtMs
	}
	a.count(now, 1)
}

// checkEnd checks that the reservation ends on the right side of its expiry. Ends of version 1 have no instant, but for
// confirmations. The row of a changed reservation does not show whether it was taken again after its expiry.
func (a *auditor) checkEnd(now *reservation, r *record.Record) {
	if r.Kind == record.KindChanged && (r.State == inventory.Confirmed || r.State == inventory.Returned) {
		return
	}
	over := r.AtMs >= now.expires
	if r.AtMs != 0 && over != (r.State == inventory.Expired) {
		a.problem("I3: reservation %s is %s at %s; its time is over at %s", uuid.UUID(r.Request.ID), r.State,
			precise(r.AtMs), precise(now.expires))
	}
}
