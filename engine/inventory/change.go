package inventory

import (
	"github.com/seathold/seathold/engine/inventory/internal/accounts"
	"github.com/seathold/seathold/engine/inventory/internal/stock"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// A reservation that changes gets another row. The content of a row never changes, so a caller that has read a row's
// state can rely on its lines and its end. extend, reduce, return and confirm again make a row that has the id after
// the old one; replace makes a row of another id. Each is one step to every other caller:
//
//  1. The new row is filled and pending. No other caller can find it yet, except the row of a replace by its id (I9).
//  2. It enters the ledger. A replace and a confirm again check the caps, without what the old row has; extend and
//     reduce need no check. The row of a return never counts, and enters no ledger.
//  3. It takes what it needs beyond the old row, in ascending order of the pools. These units are unsettled even in a
//     single line, since the next step may fail.
//  4. One compare-and-swap of the old row decides (I3): its state leaves held or confirmed for yielding; or, for one
//     that has expired, its successor becomes the new row. If another caller was first, what was taken goes back, the
//     new row is void, and the verdict is Moved. Until here the attempt is not visible to any reader.
//  5. What the old row has beyond the new one becomes unsettled.
//  6. One record gets its place in the journal. It is absolute and about both rows, so a crash finds the whole change
//     or nothing of it (I6). Its sequence belongs to both, before either state shows it (I5).
//  7. Units are settled and given back, the counters follow, and the new row has its state.
//  8. The old row passes its id on and is superseded; one that was replaced is released.
//
// From step 4 to 8 both rows count against the caps and both are undecided. So no reservation is accepted that the
// sequence of the records would make illegal (I6), and no request is refused because of units that are about to move
// (I7). A walk of the ledger cannot miss both rows: the new one enters before the old one yields, so a walk without it
// began at an older head.
//
// A refusal was true only if the old row was still as it was found, so its state is read once more afterwards (I7).
//
// Waiting stays acyclic: a change waits at its ledger, then at pools in ascending order, and at step 4 it wins or
// loses. After step 4 it waits for no other caller.

// endCounts are numbers of reservations that ended or changed here, without restored ones.
type endCounts struct {
	expired  table.Word64
	replaced table.Word64
	again    table.Word64
}

// Expired returns how many reservations ended because their time was over.
func (v *Inventory) Expired() uint64 { return v.ended.expired.Load() }

// Replacements returns how many reservations were released because another one took their place.
func (v *Inventory) Replacements() uint64 { return v.ended.replaced.Load() }

// TakenAgain returns how many reservations were confirmed after they had expired.
func (v *Inventory) TakenAgain() uint64 { return v.ended.again.Load() }

// stands reports whether the old row, if there is one, is still in the state in which it was found and has not passed
// its id on.
func (v *Inventory) stands(old Decided) bool {
	return old.Row == 0 || State(v.reservations.At(old.Row).state.Load()) == old.State &&
		(old.State != Expired || v.details.At(old.Row).successor.Load() == 0)
}

// Extend moves the end of a held reservation to expires (ms). The caller has found it held by Decide, at now (ms). The
// verdict is Done, Moved or Full.
func (v *Inventory) Extend(old Decided, now, expires int64) Result {
	row, ok := v.claimNext(old, OriginExtend, now)
	if !ok {
		return Result{Verdict: Full, Table: Reservations}
	}
	r := v.reservations.At(row)
	r.expires, r.flags = expires, r.flags|FlagExtended
	v.copyLines(r, v.reservations.At(old.Row))
	return v.pushAndSupersede(old, r, row)
}

// Reduce makes a reservation keep only these lines: each of a pool that it has, with at most as many units. The caller
// has found it held or confirmed by Decide, at now (ms). The verdict is Done, Moved or Full.
func (v *Inventory) Reduce(old Decided, now int64, keep []Line) Result {
	origin := OriginReduce
	if old.State == Confirmed {
		origin = OriginReduceSold
	}
	row, ok := v.claimNext(old, origin, now)
	if !ok {
		return Result{Verdict: Full, Table: Reservations}
	}
	r := v.reservations.At(row)
	r.flags |= FlagReduced
	v.fillLines(r, keep, v.replaced(v.reservations.At(old.Row)))
	r.programme = v.programmeOfAll(keep)
	return v.pushAndSupersede(old, r, row)
}

// pushAndSupersede completes a change that needs no check of the caps.
func (v *Inventory) pushAndSupersede(old Decided, r *reservation, row uint32) Result {
	v.pend(r, row)
	if !v.push(r, row) { // the account was closed, so the old row has ended
		v.fail(old, r, row, nil)
		return Result{Verdict: Moved}
	}
	return v.supersede(old, row, nil)
}

// Return gives a confirmed reservation back. A reference that is not empty, of at most MaxReference bytes, replaces
// that of the confirmation. withhold decides that its units are not for sale again. The caller has found it confirmed
// by Decide, at now (ms). The verdict is Done, Moved or Full.
func (v *Inventory) Return(old Decided, now int64, reference string, withhold bool) Result {
	row, ok := v.claimNext(old, OriginReturn, now)
	if !ok {
		return Result{Verdict: Full, Table: Reservations}
	}
	r := v.reservations.At(row)
	v.copyLines(r, v.reservations.At(old.Row))
	if withhold {
		r.flags |= FlagWithheld
	}
	if reference != "" {
		v.details.At(row).reference = v.texts.Put(reference)
	}
	v.pend(r, row)
	return v.supersede(old, row, nil)
}

// claimNext claims a row that follows the old one under its id, and fills in what every change keeps. The caller adds
// the lines.
func (v *Inventory) claimNext(old Decided, origin Origin, now int64) (row uint32, ok bool) {
	if row, ok = v.claim(); !ok {
		return 0, false
	}
	from, r := v.reservations.At(old.Row), v.reservations.At(row)
	r.id, r.account, r.expires, r.phase, r.flags, r.origin = from.id, from.account, from.expires, from.phase, from.flags,
		origin
	was, d := v.details.At(old.Row), v.details.At(row)
	d.created, d.began = was.created, now
	d.old.Store(old.Row | named)
	if old.State == Confirmed { // earlier, another caller may be writing these
		d.ended, d.reference = was.ended, was.reference
	}
	return row, true
}

// push puts the row at the head of its account's ledger; false if the account is closed.
func (v *Inventory) push(r *reservation, row uint32) bool {
	head := &v.accounts.At(r.account).Head
	for {
		w := head.Load()
		if w&headClosed != 0 {
			return false
		}
		r.next.Store(uint32(w & headRow))
		if head.CompareAndSwap(w, accounts.NewHead(w, row)) {
			return true
		}
	}
}

// supersede makes the new row follow the old one, from step 4 on. beyond are the lines that it has taken.
func (v *Inventory) supersede(old Decided, row uint32, beyond []Line) Result {
	from, r := v.reservations.At(old.Row), v.reservations.At(row)
	// From here on this is the one outcome of the old row (I3).
	if !from.state.CompareAndSwap(uint32(old.State), uint32(yielding)) {
		v.fail(old, r, row, beyond)
		return Result{Verdict: Moved}
	}
	var room [2 * MaxLines]Line
	surplus, gives := v.surplus(room[:0], from, r), r.flags&FlagWithheld == 0
	for _, l := range surplus {
		if gives {
			v.stock[l.Pool].Mark(l.Quantity)
		}
	}
	if r.origin == OriginReplace {
		v.details.At(old.Row).ended = v.details.At(row).began
	}
	seq := v.place(Outcome{Kind: Took, Index: row})
	v.setSequence(row, seq)
	v.setSequence(old.Row, seq)
	v.stock.Settle(beyond)
	for _, l := range surplus {
		p := &v.stock[l.Pool]
		if !gives {
			p.Withheld.Add(uint64(l.Quantity))
			continue
		}
		if old.State == Confirmed {
			p.Returned.Add(uint64(l.Quantity)) // before the units are available: see Stock
		}
		p.GiveBack(l.Quantity)
	}
	r.state.Store(uint32(r.origin.To()))
	if r.origin == OriginReplace {
		from.state.Store(uint32(Released))
		v.ended.replaced.Add(1)
	} else {
		v.details.At(old.Row).successor.Store(row)
		from.state.Store(uint32(superseded))
	}
	if r.origin != OriginReturn {
		unlink(r, from, old.Row) // so that a hold that is extended often does not lengthen its ledger
	}
	return Result{Verdict: Done, Row: row, Seq: seq}
}

// surplus appends what the old row takes beyond the new one.
func (v *Inventory) surplus(to []Line, old, now *reservation) []Line {
	to = v.takes(to, old)
	if now.origin == OriginReturn {
		return to
	}
	kept := to[:0]
	for _, l := range to {
		if l.Quantity -= min(l.Quantity, v.unitsOf(now, l.Pool)); l.Quantity > 0 {
			kept = append(kept, l)
		}
	}
	return kept
}

// unitsOf returns how many units of a pool the row takes.
func (v *Inventory) unitsOf(r *reservation, pool uint32) uint32 {
	if pool >= v.firstQuota {
		return v.unitsOfQuota(r, pool)
	}
	for i := range int(r.count) {
		if l := v.lineAt(r, i); l.Pool == pool {
			return l.Quantity
		}
	}
	return 0
}

// fail gives back what a change has taken, and makes its row void.
func (v *Inventory) fail(old Decided, r *reservation, row uint32, taken []Line) {
	v.stock.GiveBack(taken)
	if r.origin != OriginReplace { // no word came to name it, and the old row keeps its text
		d := v.details.At(row)
		d.old.Store(0)
		if old.State == Confirmed && d.reference == v.details.At(old.Row).reference { // otherwise it may be written just now
			d.reference = 0
		}
	}
	r.state.Store(uint32(void))
}

// Replace takes every line of the request or none, in place of a held reservation of the same account, which is
// released in the same step. Caps and stock are judged as if that one were already gone, and its units serve the new
// one. The caller has found it held by Decide, at q.Created (ms), and q.Flags has FlagReplaces. Verdicts are those of
// Reserve, and Moved. Unless it is Done, the old one is as it was.
func (v *Inventory) Replace(q *Request, old Decided) Result {
	own := *q
	own.origin, own.old, own.replaces = OriginReplace, old.Row, v.reservations.At(old.Row).id
	return v.takeInPlace(&own, old, q.Created, "")
}

// ConfirmAgain takes the lines of an expired reservation once more and confirms it with the reference, in one step.
// The request has its id, account and lines, with the phase and flags that it has from then on. The caller has found
// it expired by Decide, at now (ms). Verdicts are those of Reserve, and Moved.
func (v *Inventory) ConfirmAgain(q *Request, old Decided, now int64, reference string) Result {
	own := *q
	own.origin, own.old = OriginAgain, old.Row
	return v.takeInPlace(&own, old, now, reference)
}

// takeInPlace makes a change that has to take units, at now.
func (v *Inventory) takeInPlace(q *Request, old Decided, now int64, reference string) Result {
	var sessions [MaxLines]sessionSum
	var takes, lines [2 * MaxLines]Line
	s := sums{wait: begun(q.Wait), limits: v.limitsOf(q), old: old}
	hash, tickets, programme := v.hashID(&q.ID), 0, v.programmeOf(q.Lines[0].Pool)
	s.bySession, tickets = v.requested(q.Lines, sessions[:])
	// The sums will include the old row. So the request counts without what that has, and so do the facts of a refusal.
	for i := range s.bySession {
		s.bySession[i].requested -= int32(v.has(old, func(session uint32) bool { return session == s.bySession[i].session }))
	}
	tickets -= v.has(old, func(session uint32) bool { return v.listing.ProgrammeOf(session) == programme })
	beyond := v.beyond(lines[:0], v.withQuotas(append(takes[:0], q.Lines...), q.Phase), old)
	account := v.reservations.At(old.Row).account
	if q.origin == OriginAgain { // that one may be closed
		account = v.FindAccount(q.Account)
	}
	var res Result
	head, ok := v.foresee(q, beyond, &s, account, programme, tickets, hash, &res)
	if !ok {
		return v.refusedInPlace(res, old)
	}
	row, res := v.rowInPlace(q, old, hash, now, reference)
	if row == 0 {
		return res
	}
	r := v.reservations.At(row)
	if !v.enter(r, row, head, &s, programme, tickets, &res) {
		v.fail(old, r, row, nil)
		return v.refusedInPlace(res, old)
	}
	var room [2 * MaxLines]Line
	sorted := stock.Sort(room[:], beyond)
	if !v.takeSorted(sorted, true, s.wait, &res) {
		v.fail(old, r, row, nil)
		return v.refusedInPlace(res, old)
	}
	if q.origin == OriginReplace {
		return v.supersede(old, row, sorted)
	}
	return v.confirmAgain(old, row, sorted)
}

// has returns how many tickets the row to be replaced has in the sessions; none if it has expired.
func (v *Inventory) has(old Decided, in func(session uint32) bool) (tickets int) {
	if old.State == Expired {
		return 0
	}
	r := v.reservations.At(old.Row)
	for i := range int(r.count) {
		if l := v.lineAt(r, i); in(v.listing.SessionOf(l.Pool)) {
			tickets += int(l.Quantity)
		}
	}
	return tickets
}

// units returns how many units of a pool the row to be replaced takes; none if it has expired.
func (v *Inventory) units(old Decided, pool uint32) uint32 {
	if old.State == Expired {
		return 0
	}
	return v.unitsOf(v.reservations.At(old.Row), pool)
}

// beyond appends what a request takes beyond the units of the old row, in the same order.
func (v *Inventory) beyond(to, takes []Line, old Decided) []Line {
	for _, l := range takes {
		if has := v.units(old, l.Pool); l.Quantity > has {
			to = append(to, Line{Pool: l.Pool, Quantity: l.Quantity - has})
		}
	}
	return to
}

// refusedInPlace is the refusal of a change, with facts as if the old row were gone; or Moved, if that has changed.
func (v *Inventory) refusedInPlace(res Result, old Decided) Result {
	if !v.stands(old) {
		return Result{Verdict: Moved}
	}
	had := 0
	switch res.Verdict {
	case SoldOut:
		had = int(v.units(old, res.Pool))
		res.Available += had
	case SessionLimitExceeded:
		had = v.has(old, func(session uint32) bool { return session == res.Session })
		res.Held -= had
	case AccountCapExceeded:
		had = v.has(old, func(session uint32) bool { return v.listing.ProgrammeOf(session) == res.Programme })
		res.Held -= had
	}
	res.Requested += had
	return res
}

// rowInPlace makes the pending row of a change that takes units. Without a row, the result is why.
func (v *Inventory) rowInPlace(q *Request, old Decided, hash uint32, now int64, reference string) (uint32, Result) {
	if q.origin == OriginReplace {
		row, other, ok := v.publish(q, hash, v.reservations.At(old.Row).account)
		switch {
		case !ok:
			return 0, Result{Verdict: Full, Table: Reservations}
		case other != 0:
			return 0, Result{Verdict: Known, Row: other}
		}
		return row, Result{}
	}
	account, ok := v.EnsureAccount(q.Account)
	if !ok {
		return 0, Result{Verdict: Full, Table: Accounts}
	}
	row, ok := v.claimNext(old, OriginAgain, now)
	if !ok {
		return 0, Result{Verdict: Full, Table: Reservations}
	}
	r, d := v.reservations.At(row), v.details.At(row)
	r.account, r.phase, r.flags = account, q.Phase, q.Flags
	v.fillLines(r, q.Lines, v.replaced(v.reservations.At(old.Row)))
	r.programme = v.programmeOfAll(q.Lines)
	d.ended, d.reference = now, v.texts.Put(reference)
	v.pend(r, row)
	return row, Result{}
}

// confirmAgain makes the new row follow one that has expired, and confirmed, from step 4 on.
func (v *Inventory) confirmAgain(old Decided, row uint32, taken []Line) Result {
	r := v.reservations.At(row)
	// From here on the id is the new row's (I3).
	if !v.details.At(old.Row).successor.CompareAndSwap(0, row) {
		v.fail(old, r, row, taken)
		return Result{Verdict: Moved}
	}
	seq := v.place(Outcome{Kind: Took, Index: row})
	v.setSequence(row, seq)
	v.setSequence(old.Row, seq)
	v.stock.Settle(taken)
	for _, l := range taken {
		v.stock[l.Pool].Sold.Add(uint64(l.Quantity))
	}
	v.ended.again.Add(1)
	r.state.Store(uint32(Confirmed))
	return Result{Verdict: Done, Row: row, Seq: seq}
}

// CanTake reports whether Reserve would take the request's lines now. It does not wait for what is undecided, so under
// concurrency the answer is only a hint.
func (v *Inventory) CanTake(q *Request) bool {
	var room [MaxLines]sessionSum
	var takes [2 * MaxLines]Line
	var res Result
	s, tickets, head := sums{wait: begun(q.Wait), limits: v.limitsOf(q)}, 0, uint64(0)
	s.bySession, tickets = v.requested(q.Lines, room[:])
	if account := v.FindAccount(q.Account); account != 0 {
		head = v.accounts.At(account).Head.Load()
	}
	return v.checkCaps(&s, head, v.programmeOf(q.Lines[0].Pool), tickets, &res) == granted &&
		v.checkStock(v.withQuotas(append(takes[:0], q.Lines...), q.Phase), &res) == granted
}
