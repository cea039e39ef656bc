package protocol

// The calls that make a row: reserve and the changes. The steps of the ledger are those of package inventory, with the
// frozen bit.

// walk begins a walk of the ledger. The one of foresee comes before the row is made.
func walk(_ *combined, w *world, x *process, _ *call) bool {
	x.head = w.head
	x.before, x.live, x.doubt, x.sum = ref{}, ref{}, ref{}, 0
	x.cur = w.ref(w.head[1])
	return x.then(visitRow)
}

func visit(m *combined, w *world, x *process, c *call) bool {
	if x.cur.row == 0 {
		return judgeSum(m, w, x, c)
	}
	x.next = w.ref(w.at(x.cur).next &^ frozen)
	return x.then(visitState)
}

func visitItsState(_ *combined, w *world, x *process, _ *call) bool {
	r, next := w.at(x.cur), x.next
	x.next = ref{}
	switch {
	case r.state.dead() && x.before.row != 0:
		return x.then(freezeDead)
	case r.state.dead():
		return x.then(skipDead)
	}
	if x.cur != x.old {
		x.sum += r.qty
		if r.state.doubtful() {
			x.doubt = x.cur
		}
	}
	if x.live.row == 0 {
		x.live = x.cur
	}
	x.before, x.cur = x.cur, next
	return x.then(visitRow)
}

// skip passes over a dead row without a live one before it.
func skip(_ *combined, w *world, x *process, _ *call) bool {
	x.cur = w.ref(w.at(x.cur).next &^ frozen)
	return x.then(visitRow)
}

// freeze makes the link of a dead row final, before a live row's link leads past it.
func freeze(_ *combined, w *world, x *process, _ *call) bool {
	dead := w.at(x.cur)
	dead.next |= frozen
	x.next = w.ref(dead.next &^ frozen)
	return x.then(unlinkDead)
}

func unlink(_ *combined, w *world, x *process, _ *call) bool {
	if before := w.at(x.before); before.next == x.cur.row {
		before.next = x.next.row
	}
	x.cur, x.next = x.next, ref{}
	return x.then(visitRow)
}

// judgeSum is the check of the caps at the end of a walk.
func judgeSum(m *combined, w *world, x *process, c *call) bool {
	qty := c.qty
	if c.kind == again {
		qty = w.at(x.old).qty
	}
	x.before = ref{}
	switch {
	case x.sum+qty <= m.cap:
		x.doubt, x.sum = ref{}, 0
		if x.flags&entering != 0 {
			return x.then(casHead)
		}
		return x.then(checkStock)
	case x.doubt.row != 0:
		return x.then(awaitDoubt)
	}
	x.sum = 0
	return m.refuse(w, x, c, atCap)
}

func backOff(_ *combined, w *world, x *process, _ *call) bool {
	return !w.at(x.doubt).state.doubtful() && x.then(walkHead)
}

func foreseeStock(m *combined, w *world, x *process, c *call) bool {
	switch need := m.need(w, x, c); {
	case w.available >= need:
		return x.then(claim)
	case w.unsettled > 0:
		return false
	}
	return m.refuse(w, x, c, soldOut)
}

// refuse is a refusal by caps or stock. Its row, if there is one, is void. It was true only if the old row is still as
// it was found, and if the ledger is as it was and the id is free afterwards (I7).
func (m *combined) refuse(w *world, x *process, c *call, why answer) bool {
	x.why, x.live = why, ref{}
	if x.flags&entering == 0 {
		if x.old.row != 0 {
			return x.then(checkOld)
		}
		return x.then(unchanged)
	}
	if why == atCap && w.head != x.head {
		return x.then(walkHead)
	}
	m.fail(w, x, c)
	if x.old.row != 0 {
		return x.then(checkOld)
	}
	return x.answers(why)
}

func recheck(_ *combined, w *world, x *process, c *call) bool {
	if old := w.at(x.old); old.state != x.seen || x.seen == expired && old.successor != 0 {
		return x.startOver(c)
	}
	if x.flags&entering != 0 {
		return x.answers(x.why)
	}
	return x.then(unchanged)
}

func sameHead(_ *combined, w *world, x *process, c *call) bool {
	if w.head != x.head {
		return x.then(walkHead)
	}
	x.flags |= refusing
	if c.kind == replace {
		return x.lookFor(c.new)
	}
	return x.lookFor(c.id)
}

// claimRow claims a row and fills it. claimNext sets the named bit at once: a successor word is about to name the row,
// and before it does, a sweep, which visits rows by number, may end the row.
func claimRow(m *combined, w *world, x *process, c *call) bool {
	n := uint8(1)
	for n <= m.rows && w.free>>n&1 == 0 {
		n++
	}
	if n > m.rows {
		breakIf(m.alone, "a call has used up all rows")
		return x.answers(full)
	}
	w.free &^= 1 << n
	w.rows[n] = row{state: pending, id: c.id, qty: c.qty, origin: c.kind, tenant: w.rows[n].tenant + 1}
	r := &w.rows[n]
	x.mine = w.ref(n)
	if x.old.row != 0 {
		r.old, r.oldTenant = x.old.row, x.old.tenant
	}
	if c.kind.follows() {
		old := w.at(x.old)
		r.named = !m.without("named")
		if c.kind != reduce {
			r.qty = old.qty
		}
		if x.seen == confirmed {
			r.reference = old.reference
			if c.kind == reduce {
				r.origin = reduceSold
			}
		}
		if c.ref != 0 && c.kind != reduce {
			r.reference = w.put(c.ref)
		}
	}
	x.flags |= entering
	switch c.kind {
	case reduce:
		return x.then(pushHead)
	case refund: // it never counts, and is in no ledger
		return x.then(casOld)
	case again:
		return x.then(casHead)
	case replace:
		r.id = c.new
	}
	x.slot = 0
	return x.then(insertIndex)
}

// ---- publish

func insert(_ *combined, w *world, x *process, _ *call) bool {
	boundIf(x.slot == mostSlots, "the index is too small for the case")
	mine := w.at(x.mine)
	switch at := w.index[x.slot]; {
	case at == 0: // from here on the id is this row's (I9)
		w.index[x.slot] = x.mine.row
		return x.then(casHead)
	case at == tombstone || w.rows[at].id != mine.id:
		x.slot++
	default:
		x.row = w.ref(at)
		return x.then(takeOver)
	}
	return true
}

// publish looks at the row that has the id. A chain that ends in closed does not have it any more. If publish took
// that for Known, its caller would look the id up, not find it, and claim another row each time until the slot is led
// on.
func publish(m *combined, w *world, x *process, c *call) bool {
	other, mine := w.at(x.row), w.at(x.mine)
	switch {
	case other.state.dead() && other.successor == closed && !m.without("publish passes closed"):
		x.row = ref{}
		x.slot++
		return x.then(insertIndex)
	case other.state != void: // Known
		mine.named, mine.state = false, void
		return x.startOver(c)
	}
	mine.named = !m.without("named") && !m.without("publish names")
	return x.then(casVoid)
}

// takeID decides which row has the id after one that failed (I9).
func takeID(_ *combined, w *world, x *process, _ *call) bool {
	other, mine := w.at(x.row), w.at(x.mine)
	if other.successor != 0 {
		mine.named = false
		if other.successor != closed {
			x.row = w.ref(other.successor)
		}
		return x.then(takeOver)
	}
	other.successor = x.mine.row
	x.row = ref{}
	return x.then(casHead)
}

// ---- ledger and pool

// enter decides that the row counts: no other has entered since the walk (I2).
func enter(_ *combined, w *world, x *process, _ *call) bool {
	if w.head != x.head {
		return x.then(walkHead)
	}
	w.at(x.mine).next = x.live.row
	w.head = [2]uint8{w.head[0] + 1, x.mine.row}
	x.live, x.head = ref{}, [2]uint8{}
	return x.then(takePool)
}

func push(_ *combined, w *world, x *process, _ *call) bool {
	w.at(x.mine).next = w.head[1]
	w.head = [2]uint8{w.head[0] + 1, x.mine.row}
	return x.then(casOld)
}

// need is what the row takes beyond the old one, surplus what the old one has beyond it.
func (m *combined) need(w *world, x *process, c *call) uint8 {
	switch c.kind {
	case reserve:
		return c.qty
	case again:
		return w.at(x.old).qty
	case replace:
		return uint8(max(0, int(c.qty)-int(w.at(x.old).qty)))
	}
	return 0
}

func (m *combined) surplus(w *world, x *process, c *call) uint8 {
	switch c.kind {
	case refund:
		return w.at(x.old).qty
	case reduce, replace:
		return uint8(max(0, int(w.at(x.old).qty)-int(c.qty)))
	}
	return 0
}

func take(m *combined, w *world, x *process, c *call) bool {
	need := m.need(w, x, c)
	if w.available < need {
		if w.unsettled > 0 {
			return false
		}
		return m.refuse(w, x, c, soldOut)
	}
	if c.kind == reserve {
		w.move(-int(need), 0)
		return x.then(placeTook)
	}
	w.move(-int(need), int(need))
	return x.then(casOld)
}

// fail makes the row void. A change clears the named bit of its row, since no word names it, and the reference that it
// has copied from the old row, which still owns that text.
func (m *combined) fail(w *world, x *process, c *call) {
	mine := w.at(x.mine)
	if c.kind.follows() {
		if !m.without("named is cleared") {
			mine.named = false
		}
		if mine.reference == w.at(x.old).reference && !m.without("a failed change keeps no copy") {
			mine.reference = 0
		}
	}
	mine.state = void
	x.mine = ref{}
}

// decide is the one step by which the change happens, or fails (I3).
func decide(m *combined, w *world, x *process, c *call) bool {
	old := w.at(x.old)
	var lost bool
	if c.kind == again {
		if lost = old.successor != 0 && !(m.without("closed") && old.successor == closed); !lost {
			old.successor = x.mine.row
		}
	} else if lost = old.state != x.seen; !lost {
		old.state = yielding
	}
	if lost { // Moved
		need := int(m.need(w, x, c))
		w.move(need, -need)
		m.fail(w, x, c)
		return x.startOver(c)
	}
	w.move(0, int(m.surplus(w, x, c)))
	return x.then(placeTook)
}

func place(m *combined, w *world, x *process, _ *call) bool {
	m.place(w, outcome{false, x.mine}, m.recordOf(w, w.at(x.mine)))
	x.seq = w.count
	return x.then(setSequences)
}

func tell(m *combined, w *world, x *process, c *call) bool {
	w.at(x.mine).seq = x.seq
	if c.kind == reserve {
		return x.then(storeNew)
	}
	if !m.without("seq of both") {
		w.at(x.old).seq = x.seq
	}
	return x.then(settle)
}

func settleUnits(m *combined, w *world, x *process, c *call) bool {
	need, surplus := int(m.need(w, x, c)), int(m.surplus(w, x, c))
	w.move(surplus, -need-surplus)
	return x.then(storeNew)
}

func finishNew(_ *combined, w *world, x *process, c *call) bool {
	mine := w.at(x.mine)
	mine.state = mine.origin.begins()
	x.row = x.mine
	switch c.kind {
	case reduce, refund:
		return x.then(storeSuccessor)
	case replace:
		return x.then(storeOld)
	}
	x.seen = mine.state
	return x.answers(ok)
}

func passOn(_ *combined, w *world, x *process, _ *call) bool {
	w.at(x.old).successor = x.mine.row
	return x.then(storeOld)
}

func finishOld(_ *combined, w *world, x *process, c *call) bool {
	if c.kind == replace {
		w.at(x.old).state = released
	} else {
		w.at(x.old).state = superseded
	}
	if c.kind == refund { // its row is in no ledger
		x.seen = returned
		return x.answers(ok)
	}
	return x.then(freezeOld)
}

// freezePassed and unlinkPassed unlink the old row at once if it is the next one in the ledger.
func freezePassed(_ *combined, w *world, x *process, _ *call) bool {
	w.at(x.old).next |= frozen
	return x.then(unlinkOld)
}

func unlinkPassed(_ *combined, w *world, x *process, _ *call) bool {
	if mine := w.at(x.mine); mine.next == x.old.row {
		mine.next = w.at(x.old).next &^ frozen
	}
	x.seen = w.at(x.mine).origin.begins()
	return x.answers(ok)
}
