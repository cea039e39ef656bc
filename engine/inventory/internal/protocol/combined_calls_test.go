package protocol

// pc is the next step of a process.
type pc uint8

const (
	start pc = iota
	probeIndex
	loadState
	loadSuccessor
	casEnd
	placeEnd
	setSequenceEnd
	giveAllBack
	storeEnd
	walkHead
	visitRow
	visitState
	skipDead
	freezeDead
	unlinkDead
	awaitDoubt
	checkStock
	claim
	insertIndex
	takeOver
	casVoid
	casHead
	pushHead
	takePool
	casOld
	placeTook
	setSequences
	settle
	storeNew
	storeSuccessor
	storeOld
	freezeOld
	unlinkOld
	checkOld
	unchanged
	leave

	takeStack
	logNew
	logOld
	writeRecord
	storeDrained
	syncJournal

	readLogged
	copyRow

	waitA
	closeRow
	leadIndex
	hideRow
	reclaimHead
	reclaimFront
	reclaimFreezeHead
	reclaimCASHead
	reclaimVisit
	reclaimState
	reclaimFreeze
	reclaimUnlink
	waitB
	freeRow
)

// step functions return false when the process has to wait. They set the next step.
type stepFunc func(m *combined, w *world, x *process, c *call) bool

var callSteps = [...]struct {
	name string
	do   stepFunc
}{
	start:          {"begin", begin},
	probeIndex:     {"byID.Find: load slot", probe},
	loadState:      {"current: load state", look},
	loadSuccessor:  {"follow: load successor", follow},
	casEnd:         {"end: CAS state", end},
	placeEnd:       {"end: place", placeTheEnd},
	setSequenceEnd: {"end: setSequence", tellEnd},
	giveAllBack:    {"giveAllBack", giveBack},
	storeEnd:       {"end: store state", finishEnd},
	walkHead:       {"walk: load head", walk},
	visitRow:       {"walk: load next", visit},
	visitState:     {"walk: load state", visitItsState},
	skipDead:       {"unlink: load the dead row's link", skip},
	freezeDead:     {"unlink: freeze the dead row's link", freeze},
	unlinkDead:     {"unlink: CAS the live row's link", unlink},
	awaitDoubt:     {"backOff", backOff},
	checkStock:     {"checkStock", foreseeStock},
	claim:          {"Claim", claimRow},
	insertIndex:    {"byID.Insert: CAS slot", insert},
	takeOver:       {"publish: load state of the other", publish},
	casVoid:        {"publish: CAS successor of the void row", takeID},
	casHead:        {"enter: CAS head", enter},
	pushHead:       {"push: CAS head", push},
	takePool:       {"take", take},
	casOld:         {"supersede: CAS", decide},
	placeTook:      {"place", place},
	setSequences:   {"setSequence of both", tell},
	settle:         {"settle", settleUnits},
	storeNew:       {"store state of the new row", finishNew},
	storeSuccessor: {"store successor of the old row", passOn},
	storeOld:       {"store state of the old row", finishOld},
	freezeOld:      {"freeze the old row's link", freezePassed},
	unlinkOld:      {"CAS the new row's link", unlinkPassed},
	checkOld:       {"stands", recheck},
	unchanged:      {"foresee: load head", sameHead},
	leave:          {"read the answer and return", returnAnswer},
}

// begin announces the call.
func begin(_ *combined, w *world, x *process, c *call) bool {
	x.began = w.history.done
	if c.kind == sweep {
		if w.rows[c.row].state != held {
			return x.answers(nothing)
		}
		x.row = w.ref(c.row)
		return x.then(casEnd)
	}
	if c.kind == replace {
		return x.lookFor(c.new)
	}
	return x.lookFor(c.id)
}

func (x *process) then(next pc) bool {
	x.pc = next
	return true
}

// answers ends the call. It drops what the call has found, so that states that differ in nothing else are one.
func (x *process) answers(a answer) bool {
	*x = process{at: x.at, began: x.began, row: x.row, seen: x.seen, answer: a, pc: leave}
	return true
}

func (x *process) lookFor(id uint8) bool {
	x.target, x.slot, x.row = id, 0, ref{}
	return x.then(probeIndex)
}

// startOver is Moved: another call changed the reservation first. A change continues from the row that it has found.
func (x *process) startOver(c *call) bool {
	if c.kind.follows() {
		*x = process{at: x.at, began: x.began, row: x.old, flags: foundBefore, pc: loadState}
		return true
	}
	*x = process{at: x.at, began: x.began}
	if c.kind == replace {
		return x.lookFor(c.new)
	}
	return x.lookFor(c.id)
}

func probe(m *combined, w *world, x *process, c *call) bool {
	boundIf(x.slot == mostSlots, "the index is too small for the case")
	at := w.index[x.slot]
	if at == 0 {
		return absent(m, x, c)
	}
	if at == tombstone || w.rows[at].id != x.target {
		x.slot++
		return true
	}
	x.row = w.ref(at)
	if m.without("no shortening") {
		x.first, x.second = x.row, 0
	}
	return x.then(loadState)
}

// look reads the state of the row that was found. The call waits while it is undecided.
func look(m *combined, w *world, x *process, c *call) bool {
	x.seen = w.at(x.row).state
	switch {
	case x.flags&refusing != 0 && !x.seen.dead():
		return refuseFree(x, c)
	case x.seen.undecided():
		return false
	case x.seen.dead():
		return x.then(loadSuccessor)
	}
	return judgeFound(m, w, x, c)
}

// follow leads from a dead row to the one that has the id now.
func follow(m *combined, w *world, x *process, c *call) bool {
	r := w.at(x.row)
	switch {
	case r.successor == closed:
		breakIf(r.seq > w.durable, "a call finds an id free before its end is durable (I5)")
		x.row, x.seen = ref{}, free
		if x.flags&foundBefore != 0 { // it was closed during this call, so the id was free at an instant of it
			return x.answers(none)
		}
		// It may have been closed long ago, and the id in use in a later slot.
		x.slot++
		return x.then(probeIndex)
	case r.successor == 0 && x.seen == void:
		return absent(m, x, c)
	case r.successor == 0:
		breakIf(x.seen == superseded, "a superseded row leads nowhere")
		return judgeFound(m, w, x, c)
	}
	if m.without("no shortening") { // the row that a shortened word names has its bit cleared too early
		shorten(w, x, r.successor)
	}
	x.seen = free
	x.row = w.ref(r.successor)
	return x.then(loadState)
}

// shorten leads the first row of a chain past those in between.
func shorten(w *world, x *process, to uint8) {
	first := w.at(x.first)
	if x.second == 0 {
		x.second = to
	} else if first.successor == x.second {
		first.successor, x.second = to, to
	}
}

// absent is the look-up of an id that is free.
func absent(m *combined, x *process, c *call) bool {
	x.row, x.seen = ref{}, free
	switch {
	case x.flags&refusing != 0: // unchanged and free afterwards: the refusal was true (I7)
		return x.answers(x.why)
	case c.kind == reserve:
		return x.then(walkHead)
	case c.kind != replace:
		return x.answers(none)
	case x.target == c.new:
		if x.why != 0 {
			return x.answers(x.why)
		}
		return x.lookFor(c.id)
	case x.flags&twice == 0 && !m.without("repeat"): // this request, sent twice, may have released the old one
		x.why, x.flags = none, x.flags|twice
		return x.lookFor(c.new)
	}
	return x.answers(none)
}

// judgeFound continues with a reservation that was found in a decided state.
func judgeFound(m *combined, w *world, x *process, c *call) bool {
	s := x.seen
	if x.flags&refusing != 0 {
		return refuseFree(x, c)
	}
	if c.kind == reserve || c.kind == replace && x.target == c.new {
		return x.answers(known + answer(s))
	}
	possible := s == held
	switch c.kind {
	case again:
		possible = s == expired
	case reduce:
		possible = s == held || s == confirmed
	case refund:
		possible = s == confirmed
	}
	switch {
	case !possible && c.kind == replace && !m.without("repeat"):
		x.why = was + answer(s)
		return x.lookFor(c.new)
	case !possible:
		return x.answers(was + answer(s))
	case c.kind == confirm || c.kind == release || c.kind == expire:
		return x.then(casEnd)
	case c.kind == reduce && c.qty > w.at(x.row).qty:
		return x.answers(notReduction)
	}
	x.old, x.row, x.slot, x.target = x.row, ref{}, 0, 0
	if c.kind == replace || c.kind == again {
		return x.then(walkHead)
	}
	return x.then(claim)
}

// refuseFree ends the look-up that a refusal of foresee makes. The id was free if it is the old row's.
func refuseFree(x *process, c *call) bool {
	if x.row != x.old {
		return x.startOver(c) // Known
	}
	x.row = ref{}
	return x.answers(x.why)
}

// ---- Ends of held reservations.

func endOf(c *call) kind {
	if c.kind == sweep {
		return expire
	}
	return c.kind
}

// end decides: it is the one outcome of the row (I3). The units become unsettled.
func end(_ *combined, w *world, x *process, c *call) bool {
	r := w.at(x.row)
	if r.state != held {
		if c.kind == sweep {
			x.row = ref{}
			return x.answers(nothing)
		}
		x.flags |= foundBefore
		return x.then(loadState)
	}
	r.state = endOf(c).during()
	if c.kind != confirm {
		w.move(0, int(r.qty))
	}
	return x.then(placeEnd)
}

func placeTheEnd(m *combined, w *world, x *process, c *call) bool {
	r := w.at(x.row)
	if c.kind == confirm {
		r.reference = w.put(c.ref)
	}
	m.place(w, outcome{true, x.row}, record{kind: endOf(c), id: r.id, ref: c.ref})
	x.seq = w.count
	return x.then(setSequenceEnd)
}

func tellEnd(_ *combined, w *world, x *process, c *call) bool {
	w.at(x.row).seq = x.seq
	if c.kind == confirm {
		return x.then(storeEnd)
	}
	return x.then(giveAllBack)
}

func giveBack(_ *combined, w *world, x *process, _ *call) bool {
	q := int(w.at(x.row).qty)
	w.move(q, -q)
	return x.then(storeEnd)
}

func finishEnd(_ *combined, w *world, x *process, c *call) bool {
	x.seen = endOf(c).to()
	w.at(x.row).state = x.seen
	return x.answers(ok)
}

// returnAnswer reads the reservation of the answer, and ends the announcement.
func returnAnswer(m *combined, w *world, x *process, _ *call) bool {
	e := event{answer: x.answer, began: x.began}
	if x.row.row != 0 {
		r := w.at(x.row)
		if e.id = r.id; x.seen == confirmed || x.seen == returned {
			e.ref = w.text(r)
		}
	}
	m.over(w, x, e)
	return true
}
