package protocol

// The reclaimer. It takes a batch of dead rows through all stages before it looks for more.

// batch is what the reclaimer keeps. Rows of one chain follow one another in it, front first.
type batch struct {
	rows   [mostRows]uint8
	noted  [mostRows]uint8 // the successor word of each when it became a candidate
	linked [mostRows]bool  // the row before it names it
	size   uint8
	at     uint8
	head   [2]uint8 // of the ledger's walk
	before uint8
	cur    uint8
	next   uint8 // after cur
}

var reclaimerSteps = [...]struct {
	name string
	do   stepFunc
}{
	start:         {"reclaim: scan", scan},
	waitA:         {"reclaim: grace A is over", afterGraceA},
	closeRow:      {"reclaim: CAS successor to closed", closeNext},
	leadIndex:     {"reclaim: CAS index slot", leadSlot},
	reclaimHead:   {"reclaim: load head", reclaimLedger},
	reclaimVisit:  {"reclaim: load next", reclaimRow},
	reclaimState:  {"reclaim: load state", reclaimItsState},
	reclaimFreeze: {"reclaim: freeze link", reclaimFreezeLink},
	reclaimUnlink: {"reclaim: CAS link or head", reclaimMove},
	hideRow:       {"reclaim: logged 0, forgotten", hide},
	waitB:         {"reclaim: grace B is over", afterGraceB},
	freeRow:       {"reclaim: free", freeNext},
}

// scan makes a batch of the dead rows that no word names but the index, and of the dead rows that follow them.
func scan(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	*b = batch{}
	for n := uint8(1); n <= m.rows; n++ {
		linked := false
		for at := n; at != 0 && at != closed && m.ripe(w, at, linked); at = w.rows[at].successor {
			b.rows[b.size], b.noted[b.size], b.linked[b.size] = at, w.rows[at].successor, linked
			b.size++
			linked = true
		}
	}
	if b.size == 0 {
		return false
	}
	if m.without("grace A") {
		return x.then(closeRow)
	}
	m.beginGrace(w)
	return x.then(waitA)
}

func (m *combined) ripe(w *world, n uint8, linked bool) bool {
	r := &w.rows[n]
	if !r.state.dead() || r.named && !linked {
		return false
	}
	if m.without("named") && !linked { // to look for a word that names the row is not enough
		for i := range w.rows {
			if w.rows[i].state != free && w.rows[i].successor == n {
				return false
			}
		}
	}
	return m.isDrained(w, r)
}

// isDrained reports whether all records about the row are written. The end of an id must be durable before it is free.
func (m *combined) isDrained(w *world, r *row) bool {
	if m.without("drained") {
		return true
	}
	if r.successor == 0 && !m.without("durable") {
		return w.durable >= r.seq
	}
	return w.drained >= r.seq
}

// beginGrace begins a grace period: it is over when every call, and every visit of the dump, that runs now has ended.
// The counters that say so are in the model of recycling.
func (m *combined) beginGrace(w *world) {
	w.waiting = 0
	for n := range m.processes() {
		x := &w.procs[n]
		if n < len(m.programs) && x.pc != start || m.isDumper(n) && x.pc == copyRow {
			w.waiting |= 1 << n
		}
	}
}

func afterGraceA(_ *combined, w *world, x *process, _ *call) bool {
	return w.waiting == 0 && x.then(closeRow)
}

// closeNext decides which row follows under the id: the one that did already when grace period A began, or none. If one
// has followed since, or a record about the row is not drained, the row and those after it wait for another batch.
func closeNext(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	r := &w.rows[b.rows[b.at]]
	came := r.successor != b.noted[b.at] && !m.without("start over")
	if came || !m.without("drained again") && !m.isDrained(w, r) {
		m.leaveOut(b)
	} else {
		if r.successor == 0 {
			r.successor = closed
			if r.state.ended() {
				w.history.forget(r.id)
			}
		}
		b.at++
	}
	if b.at < b.size {
		return true
	}
	b.at = 0
	if b.size == 0 {
		*b = batch{}
		return x.then(start)
	}
	return x.then(leadIndex)
}

// leaveOut takes the row at hand out of the batch, with those that follow it in its chain.
func (m *combined) leaveOut(b *batch) {
	end := b.at + 1
	for end < b.size && b.linked[end] {
		end++
	}
	left := *b
	b.size = b.at
	for i := end; i < left.size; i++ {
		b.rows[b.size], b.noted[b.size], b.linked[b.size] = left.rows[i], left.noted[i], left.linked[i]
		b.size++
	}
	for i := b.size; i < left.size; i++ {
		b.rows[i], b.noted[i], b.linked[i] = 0, 0, false
	}
}

// leadSlot leads the index past the rows of a chain all at once: to the row that follows the last one, which no word
// names any more but the slot; or it makes a tombstone.
func leadSlot(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	front := b.rows[b.at]
	last := b.at
	for last+1 < b.size && b.linked[last+1] {
		last++
	}
	to := w.rows[b.rows[last]].successor
	if m.without("past the whole chain") {
		to = w.rows[front].successor
	}
	if to == closed || m.without("lead") {
		to = tombstone
	}
	for i := range w.index {
		if w.index[i] == front {
			w.index[i] = to
		}
	}
	if to != tombstone {
		w.rows[to].named = false
	}
	b.at = last + 1
	if b.at < b.size {
		return true
	}
	b.at = 0
	return x.then(reclaimHead)
}

// ---- The ledger: the reclaimer leads the head past dead rows and unlinks the others.

func reclaimLedger(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	b.head, b.before, b.cur = w.head, 0, w.head[1]
	return x.then(reclaimVisit)
}

func reclaimRow(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	if b.cur == 0 {
		b.head, b.before = [2]uint8{}, 0
		return x.then(hideRow)
	}
	b.next = w.rows[b.cur].next &^ frozen
	return x.then(reclaimState)
}

func reclaimItsState(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	switch {
	case !w.rows[b.cur].state.dead():
		b.before, b.cur, b.next = b.cur, b.next, 0
	case b.before == 0:
		return x.then(reclaimUnlink)
	default:
		return x.then(reclaimFreeze)
	}
	return x.then(reclaimVisit)
}

func reclaimFreezeLink(m *combined, w *world, x *process, _ *call) bool {
	if b := &w.batch; !m.without("the reclaimer freezes") {
		w.rows[b.cur].next |= frozen
		b.next = w.rows[b.cur].next &^ frozen
	}
	return x.then(reclaimUnlink)
}

// reclaimMove does not change the version of the head: the word cannot come back, since the row in it would have to
// enter again.
func reclaimMove(_ *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	if b.before == 0 {
		if w.head != b.head {
			return x.then(reclaimHead)
		}
		w.head[1] = b.next
		b.head = w.head
	} else {
		before := &w.rows[b.before]
		if before.next != b.cur {
			return x.then(reclaimHead)
		}
		before.next = b.next
	}
	b.cur, b.next = b.next, 0
	return x.then(reclaimVisit)
}

// hide makes visitors by number pass over the row.
func hide(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	r := &w.rows[b.rows[b.at]]
	if !m.without("hide") {
		r.logged, r.loggedAs = 0, free
	}
	r.state = forgotten
	if b.at++; b.at < b.size {
		return true
	}
	b.at = 0
	if m.without("grace B") {
		return x.then(freeRow)
	}
	m.beginGrace(w)
	return x.then(waitB)
}

func afterGraceB(_ *combined, w *world, x *process, _ *call) bool {
	return w.waiting == 0 && x.then(freeRow)
}

// freeNext frees a row and its text, unless the row that follows it has the same one. Fronts of chains come
// first, so that the row that follows is still there.
func freeNext(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	n := b.rows[b.at]
	if m.without("front first") {
		n = b.rows[b.size-1-b.at]
	}
	r := &w.rows[n]
	passed := r.successor != closed && r.successor != 0 && w.rows[r.successor].reference == r.reference
	switch {
	case m.without("passed text"):
		passed = false
	case m.without("own text"):
		passed = r.successor != closed && r.successor != 0
	}
	if r.reference != 0 && !passed {
		w.drop(r.reference)
	}
	w.rows[n] = row{tenant: r.tenant + 1}
	w.free |= 1 << n
	m.freed++
	if b.at++; b.at < b.size {
		return true
	}
	*b = batch{}
	return x.then(start)
}
