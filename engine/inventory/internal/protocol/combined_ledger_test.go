package protocol

// The reclaimer at the ledger. It leads the head past dead rows and unlinks the others. A row that is forgotten is
// still linked until then.

func reclaimLedger(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	b.head, b.before, b.cur = w.head, 0, w.head[1]
	if b.cur == 0 || !b.ledger || m.without("ledger") {
		return m.passedOver(w, x)
	}
	return x.then(reclaimFront)
}

func reclaimFirst(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	if w.rows[b.cur].state.dead() {
		return x.then(reclaimFreezeHead)
	}
	b.head = [2]uint8{}
	return x.then(reclaimVisit)
}

func reclaimFreezeFirst(_ *combined, w *world, x *process, _ *call) bool {
	w.batch.freeze(w)
	return x.then(reclaimCASHead)
}

// reclaimMoveHead does not change the version of the head: the word cannot come back, since the row in it would have
// to enter again.
func reclaimMoveHead(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	if w.head == b.head {
		w.head[1] = b.next
	}
	b.next = 0
	return x.then(reclaimHead)
}

// reclaimNext leaves a live row for the next one.
func reclaimNext(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	b.before = b.cur
	if b.cur = w.rows[b.before].next &^ frozen; b.cur == 0 {
		return m.passedOver(w, x)
	}
	return x.then(reclaimState)
}

func reclaimItsState(_ *combined, w *world, x *process, _ *call) bool {
	if w.rows[w.batch.cur].state.dead() {
		return x.then(reclaimFreeze)
	}
	return x.then(reclaimVisit)
}

func reclaimFreezeLink(_ *combined, w *world, x *process, _ *call) bool {
	w.batch.freeze(w)
	return x.then(reclaimUnlink)
}

// freeze makes the link of the row final, and keeps it.
func (b *batch) freeze(w *world) {
	w.rows[b.cur].next |= frozen
	b.next = w.rows[b.cur].next &^ frozen
}

func reclaimMoveLink(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	before, next := &w.rows[b.before], b.next
	b.next = 0
	if before.next != b.cur {
		return x.then(reclaimHead)
	}
	before.next = next
	if b.cur = next; next == 0 {
		return m.passedOver(w, x)
	}
	return x.then(reclaimState)
}

// passedOver ends the walk. Grace period B begins.
func (m *combined) passedOver(w *world, x *process) bool {
	b := &w.batch
	b.head, b.before, b.cur, b.ledger = [2]uint8{}, 0, 0, false
	if m.without("grace B") {
		return x.then(freeRow)
	}
	m.beginGrace(w)
	return x.then(waitB)
}

func afterGraceB(_ *combined, w *world, x *process, _ *call) bool {
	return w.waiting == 0 && x.then(freeRow)
}
