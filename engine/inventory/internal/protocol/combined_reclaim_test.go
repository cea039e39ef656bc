package protocol

// The reclaimer. It takes a batch of dead rows through all stages before it looks for more. In the real code a batch
// may be any of the rows that may go; here it is all of them, at whatever time the scan comes.

// batch is what the reclaimer keeps. Rows of one chain follow one another in it, front first.
type batch struct {
	rows    [mostRows]uint8 // 0: it begins anew
	leads   [mostRows]uint8 // the successor word of each when it became a candidate
	follows [mostRows]bool  // the row before it names it
	size    uint8
	at      uint8
	root    uint8 // of the index, when grace period A began
	ledger  bool  // a row of the batch is forgotten
	head    [2]uint8
	before  uint8 // of the ledger's walk
	cur     uint8
	next    uint8 // after cur
}

var reclaimerSteps = [...]struct {
	name string
	do   stepFunc
}{
	start:             {"look: consider each row", scan},
	waitA:             {"grace A is over", afterGraceA},
	closeRow:          {"forgetChain: stillSettled, CAS successor to closed", closeChain},
	leadIndex:         {"forgetChain: Change", leadSlot},
	hideRow:           {"forgetChain: logged 0, forgotten", hide},
	reclaimHead:       {"passDead: load head", reclaimLedger},
	reclaimFront:      {"passDead: load state of the first row", reclaimFirst},
	reclaimFreezeHead: {"passDead: freeze the first row's link", reclaimFreezeFirst},
	reclaimCASHead:    {"passDead: CAS head", reclaimMoveHead},
	reclaimVisit:      {"passDead: load link of a live row", reclaimNext},
	reclaimState:      {"passDead: load state", reclaimItsState},
	reclaimFreeze:     {"passDead: freeze link", reclaimFreezeLink},
	reclaimUnlink:     {"passDead: CAS link", reclaimMoveLink},
	waitB:             {"grace B is over", afterGraceB},
	freeRow:           {"freeRow", freeNext},
}

// scan makes a batch of the dead rows that no successor word names, and of the dead rows that follow them and have
// passed their id on. Grace period A begins.
func scan(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	*b = batch{}
	for n := uint8(1); n <= m.rows; n++ {
		if r := &w.rows[n]; r.state.dead() && !m.isNamed(w, n) && m.isSettled(w, r) {
			b.add(n, r.successor, false)
			m.addFollowers(w, r.successor)
		}
	}
	if b.size == 0 {
		return false
	}
	if m.without("grace A") {
		return x.then(closeRow)
	}
	m.beginGrace(w)
	b.root = w.root
	return x.then(waitA)
}

func (b *batch) add(row, leads uint8, follows bool) {
	b.rows[b.size], b.leads[b.size], b.follows[b.size] = row, leads, follows
	b.size++
}

func (m *combined) addFollowers(w *world, n uint8) {
	for n != 0 && n != closed {
		r := &w.rows[n]
		if !r.state.dead() || r.successor == 0 || !m.isSettled(w, r) {
			return
		}
		w.batch.add(n, r.successor, true)
		n = r.successor
	}
}

func (m *combined) isNamed(w *world, n uint8) bool {
	if !m.without("named") {
		return w.rows[n].named
	}
	for i := range w.rows { // to look for a word that names the row is not enough
		if w.rows[i].state != free && w.rows[i].successor == n {
			return true
		}
	}
	return false
}

// isSettled reports whether the last outcome of a dead row is durable. Then the drainer does not come to the row
// again, and it may be told that the id is free.
func (m *combined) isSettled(w *world, r *row) bool {
	switch {
	case m.without("drained"):
		return true
	case m.without("durable"):
		return w.drained >= r.seq
	}
	return w.durable >= r.seq
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

// closeChain looks at the rows of the next chain once more: those whose last outcome is not durable any more begin
// anew, with those after them. If nothing follows the others, it decides that nothing will: from then on the id is
// free.
func closeChain(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	from, to := b.at, b.chainEnd()
	if from == b.size {
		b.at = 0
		return x.then(reclaimHead)
	}
	for b.at < to && (m.without("drained again") || m.isSettled(w, &w.rows[b.rows[b.at]])) {
		b.at++
	}
	b.drop(b.at, to)
	if b.at == from {
		b.at = to
		return true
	}
	front, last := &w.rows[b.rows[from]], b.at-1
	b.at = from
	if b.leads[last] != 0 {
		return x.then(leadIndex)
	}
	switch {
	case front.successor == 0:
		front.successor = closed
		if front.state.ended() {
			w.history.forget(front.id)
		}
	case m.without("start over"):
		b.leads[last] = front.successor
	default: // another row has followed meanwhile
		b.drop(from, to)
		b.at = to
		return true
	}
	return x.then(leadIndex)
}

// chainEnd returns the index after the chain at hand.
func (b *batch) chainEnd() uint8 {
	end := min(b.at+1, b.size)
	for end < b.size && b.follows[end] {
		end++
	}
	return end
}

// drop makes rows begin anew.
func (b *batch) drop(from, to uint8) {
	for i := from; i < to; i++ {
		b.rows[i] = 0
	}
}

// leadSlot leads the index past the rows of a chain all at once: to the row that follows the last one, which no word
// names any more but the slot; or it makes a tombstone. If the table has moved since grace period A began, the rows
// begin anew, perhaps with a word that is closed already.
func leadSlot(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	end := b.chainEnd()
	if w.root != b.root {
		if to := w.rows[b.rows[b.at]].successor; to != closed && m.without("named until the slot is led") {
			w.rows[to].named = false
		}
		b.drop(b.at, end)
		b.at = end
		return x.then(closeRow)
	}
	front, last := b.rows[b.at], b.at
	for last+1 < end && b.rows[last+1] != 0 {
		last++
	}
	to := b.leads[last]
	if m.without("past the whole chain") {
		to = w.rows[front].successor
	}
	if to == 0 || to == closed || m.without("lead") {
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
	return x.then(hideRow)
}

// hide makes visitors by number pass over the rows of the chain. No process reads both words.
func hide(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	end := b.chainEnd()
	r := &w.rows[b.rows[b.at]]
	if !m.without("hide") {
		r.logged, r.loggedAs = 0, free
	}
	r.state, b.ledger = forgotten, true
	if b.at++; b.at < end && b.rows[b.at] != 0 {
		return true
	}
	b.at = end
	return x.then(closeRow)
}

// freeNext frees a row and its text, unless the row that follows it has the same one. Fronts of chains come
// first, so that the row that follows is still there.
func freeNext(m *combined, w *world, x *process, _ *call) bool {
	b := &w.batch
	n := b.rows[b.at]
	if m.without("front first") {
		n = b.rows[b.size-1-b.at]
	}
	if n != 0 {
		m.free(w, n)
	}
	if b.at++; b.at < b.size {
		return true
	}
	*b = batch{}
	return x.then(start)
}

func (m *combined) free(w *world, n uint8) {
	r := &w.rows[n]
	follows := r.successor != closed && r.successor != 0
	passed := follows && w.rows[r.successor].reference == r.reference
	switch {
	case m.without("passed text"):
		passed = false
	case m.without("own text"):
		passed = follows
	}
	if r.reference != 0 && !passed {
		w.drop(r.reference)
	}
	w.rows[n] = row{tenant: r.tenant + 1}
	w.free |= 1 << n
	m.freed++
}
