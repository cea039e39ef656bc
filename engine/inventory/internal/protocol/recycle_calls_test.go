package protocol

type cycleStep struct {
	name string
	do   func(m *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool
}

// The steps of a call.
const (
	cycleBegin uint8 = iota
	cycleAnnounce
	cycleProbe
	cycleLoadState
	cycleLoadSuccessor
	cycleRelease
	cycleWalk
	cycleVisit
	cycleVisitState
	cycleSkip
	cycleFreeze
	cycleUnlink
	cycleBackOff
	cycleUnchanged
	cycleClaim
	cycleInsert
	cycleTakeOver
	cycleEnter
	cycleLink
	cyclePlace
	cycleStore
	cycleReturn
)

var cycleSteps = [...]cycleStep{
	cycleBegin:         {"begin: load parity", cycleDoBegin},
	cycleAnnounce:      {"begin: add to the counter", cycleDoAnnounce},
	cycleProbe:         {"byID.Find: load slot", cycleDoProbe},
	cycleLoadState:     {"current: load state", cycleDoState},
	cycleLoadSuccessor: {"follow: load successor", cycleDoSuccessor},
	cycleRelease:       {"Release: CAS state", cycleDoRelease},
	cycleWalk:          {"walk: load head", cycleDoWalk},
	cycleVisit:         {"walk: load link or state", cycleDoVisit},
	cycleVisitState:    {"walk: load the other", cycleDoVisitState},
	cycleSkip:          {"unlink: load link", cycleDoSkip},
	cycleFreeze:        {"unlink: freeze", cycleDoFreeze},
	cycleUnlink:        {"unlink: CAS", cycleDoUnlink},
	cycleBackOff:       {"backOff", cycleDoBackOff},
	cycleUnchanged:     {"foresee: load head", cycleDoUnchanged},
	cycleClaim:         {"Claim", cycleDoClaim},
	cycleInsert:        {"byID.Insert: CAS slot", cycleDoInsert},
	cycleTakeOver:      {"publish: CAS successor", cycleDoTakeOver},
	cycleEnter:         {"enter: CAS head", cycleDoEnter},
	cycleLink:          {"place: store below", cycleDoLink},
	cyclePlace:         {"place: CAS top", cycleDoPlace},
	cycleStore:         {"store state", cycleDoStore},
	cycleReturn:        {"end: subtract from the counter", cycleDoReturn},
}

func (x *cycleProc) then(pc uint8) bool {
	x.pc = pc
	return true
}

func (x *cycleProc) probe(slot uint8) bool {
	x.slot, x.row = slot, ref{}
	return x.then(cycleProbe)
}

// answers ends a call. Only what its return needs is kept.
func (x *cycleProc) answers(a answer) bool {
	*x = cycleProc{at: x.at, parity: x.parity, flags: x.flags & cycleOutside, began: x.began, answer: a, pc: cycleReturn}
	return true
}

func cycleDoBegin(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.began = w.history.done
	x.parity = w.parity
	if m.without("announce first") {
		x.row = w.ref(w.index[0])
	}
	return x.then(cycleAnnounce)
}

func cycleDoAnnounce(m *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	w.inside[m.stripes[m.now]][x.parity]++
	switch {
	case c.kind == walk1:
		return x.then(cycleWalk)
	case x.row.row != 0 && w.at(x.row).id == c.id:
		return x.then(cycleLoadState)
	}
	return x.probe(0)
}

func cycleDoProbe(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	boundIf(x.slot == cycleSlots, "the index is too small for the case")
	switch at := w.index[x.slot]; {
	case at == 0:
		return cycleAbsent(x, c)
	case at == tombstone || w.rows[at].id != c.id:
		return x.probe(x.slot + 1)
	default:
		x.row = w.ref(at)
		return x.then(cycleLoadState)
	}
}

func cycleAbsent(x *cycleProc, c *cycleCall) bool {
	x.row = ref{}
	switch {
	case c.kind == drop1:
		return x.answers(none)
	case x.flags&cycleRefused != 0:
		return x.answers(atCap)
	}
	return x.then(cycleWalk)
}

func cycleDoState(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	r := w.at(x.row)
	switch {
	case r.state.undecided():
		return false
	case r.state.dead():
		x.state = r.state
		return x.then(cycleLoadSuccessor)
	case c.kind == take1:
		return x.answers(known + answer(r.state))
	}
	return x.then(cycleRelease)
}

func cycleDoSuccessor(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	r := w.at(x.row)
	s := x.state
	x.state = 0
	switch {
	case r.successor == closed:
		return x.probe(x.slot + 1)
	case r.successor != 0: // whatever the state is: it may be forgotten by now
		x.row = w.ref(r.successor)
		return x.then(cycleLoadState)
	case s == void:
		return cycleAbsent(x, c)
	case c.kind == take1:
		return x.answers(known + answer(released))
	}
	return x.answers(was + answer(released))
}

func cycleDoRelease(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	if r.state != held {
		return x.then(cycleLoadState)
	}
	r.state = releasing
	x.end = outlink{1, x.row.row}
	return x.then(cycleLink)
}

// ---- ledger

func cycleDoWalk(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	x.head = w.heads[c.account]
	x.before, x.live, x.doubt, x.sum = ref{}, ref{}, ref{}, 0
	x.cur = w.ref(x.head[1])
	return x.then(cycleVisit)
}

func cycleDoVisit(m *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	if x.cur.row == 0 {
		return m.judgeWalk(w, x, c)
	}
	m.visit(w, x, true)
	return x.then(cycleVisitState)
}

// visit makes the first or the second load of a row on the way: of its link and of its state. To load the state first
// would not serve instead of the frozen bit: after a walker has loaded the link of a dead row, another one that saw
// the row alive may lead that link past the next row.
func (m *recycle) visit(w *cycleWorld, x *cycleProc, first bool) {
	r := w.at(x.cur)
	if first == m.without("freeze, but load the state first") {
		x.state = r.state
	} else {
		x.next = w.ref(r.next &^ frozen)
	}
}

func cycleDoVisitState(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	m.visit(w, x, false)
	s := x.state
	x.state = 0
	if s.dead() {
		return m.pass(x)
	}
	x.sum++
	if s.doubtful() {
		x.doubt = x.cur
	}
	if x.live.row == 0 {
		x.live = x.cur
	}
	x.before, x.cur, x.next = x.cur, x.next, ref{}
	return x.then(cycleVisit)
}

// pass passes over a dead row.
func (m *recycle) pass(x *cycleProc) bool {
	switch {
	case x.before.row == 0:
		x.next = ref{}
		return x.then(cycleSkip)
	case m.noFreeze():
		return x.then(cycleUnlink)
	}
	x.next = ref{}
	return x.then(cycleFreeze)
}

func cycleDoSkip(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.cur = w.ref(w.at(x.cur).next &^ frozen)
	return x.then(cycleVisit)
}

func (m *recycle) noFreeze() bool {
	return m.without("freeze") || m.without("freeze, but load the state first")
}

func cycleDoFreeze(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.cur)
	r.next |= frozen
	x.next = w.ref(r.next &^ frozen)
	return x.then(cycleUnlink)
}

func cycleDoUnlink(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if before := w.at(x.before); before.next == x.cur.row {
		before.next = x.next.row
	}
	x.cur, x.next = x.next, ref{}
	return x.then(cycleVisit)
}

func (m *recycle) judgeWalk(w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	sum := x.sum
	x.before, x.sum = ref{}, 0
	entering := x.flags&cycleEntering != 0
	switch {
	case c.kind == walk1:
		return x.answers(ok)
	case sum < m.cap:
		x.doubt = ref{}
		if entering {
			return x.then(cycleEnter)
		}
		if m.without("one call") && x.flags&cycleOutside == 0 { // it withdraws between its walk and its entry
			x.flags |= cycleOutside
			w.inside[m.stripes[m.now]][x.parity]--
		}
		return x.then(cycleClaim)
	case x.doubt.row != 0:
		return x.then(cycleBackOff)
	}
	return x.then(cycleUnchanged)
}

func cycleDoBackOff(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	return !w.at(x.doubt).state.doubtful() && x.then(cycleWalk)
}

// cycleDoUnchanged: a refusal is true if no reservation has entered since the walk, and the id is free afterwards.
func cycleDoUnchanged(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	x.live = ref{}
	switch {
	case w.heads[c.account] != x.head:
		return x.then(cycleWalk)
	case x.flags&cycleEntering != 0:
		w.at(x.mine).state = void
		return x.answers(atCap)
	}
	x.flags |= cycleRefused
	return x.probe(0)
}

// cycleDoClaim takes the oldest free row, or else a new one.
func cycleDoClaim(m *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	x.mine.row = w.free[0]
	switch {
	case x.mine.row != 0:
		copy(w.free[:], w.free[1:])
		w.free[cycleRows-1] = 0
	case w.used == m.rows:
		return x.answers(full)
	default:
		w.used++
		x.mine.row = w.used
	}
	breakIf(w.rows[x.mine.row].state != free, "a row that is in use is claimed")
	return m.fill(w, x, c)
}

// fill fills the row before it is published.
func (m *recycle) fill(w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	r := &w.rows[x.mine.row]
	*r = cycleRow{state: pending, id: c.id, account: c.account, tenant: r.tenant + 1}
	x.mine = w.ref(x.mine.row)
	x.flags |= cycleEntering
	x.slot = 0
	return x.then(cycleInsert)
}

func cycleDoInsert(_ *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	boundIf(x.slot == cycleSlots, "the index is too small for the case")
	switch at := w.index[x.slot]; {
	case at == 0:
		w.index[x.slot] = x.mine.row
		return x.then(cycleEnter)
	case at == tombstone || w.rows[at].id != c.id:
		x.slot++
		return true
	default:
		x.row = w.ref(at)
		return x.then(cycleTakeOver)
	}
}

func cycleDoTakeOver(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	switch {
	case r.state.dead() && r.successor == closed:
		x.row = ref{}
		x.slot++
		return x.then(cycleInsert)
	case r.successor != 0:
		x.row = w.ref(r.successor)
		return true
	case r.state != void:
		w.at(x.mine).state = void
		*x = cycleProc{at: x.at, parity: x.parity, flags: x.flags & cycleOutside, began: x.began}
		return x.probe(0)
	}
	r.successor = x.mine.row
	x.row = ref{}
	return x.then(cycleEnter)
}

func cycleDoEnter(m *recycle, w *cycleWorld, x *cycleProc, c *cycleCall) bool {
	head := &w.heads[c.account]
	if *head != x.head && !(m.without("one call") && head[1] == x.head[1]) {
		return x.then(cycleWalk)
	}
	w.at(x.mine).next = x.live.row
	*head = [2]uint8{head[0] + 1, x.mine.row}
	*x = cycleProc{at: x.at, parity: x.parity, flags: x.flags & cycleOutside, began: x.began, row: x.mine,
		end: outlink{0, x.mine.row}}
	return x.then(cycleLink)
}

// ---- the stack of outcomes

func cycleDoLink(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	w.at(x.row).below[x.end.ended] = w.top
	x.slot = w.pushes
	return x.then(cyclePlace)
}

func cycleDoPlace(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	if w.top != r.below[x.end.ended] || w.pushes != x.slot {
		return x.then(cycleLink)
	}
	w.top = x.end
	w.placed[w.pushes] = cycleRecord{x.end.ended, r.id, r.tenant}
	w.pushes++
	r.seq, x.slot = w.pushes, 0
	return x.then(cycleStore)
}

func cycleDoStore(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if x.end.ended != 0 {
		w.at(x.row).state = released
	} else {
		w.at(x.row).state = held
	}
	return x.answers(ok)
}

func cycleDoReturn(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	parity := x.parity
	if m.without("same counter") {
		parity = w.parity
	}
	if x.flags&cycleOutside == 0 {
		counter := &w.inside[m.stripes[m.now]][parity]
		breakIf(*counter == 0, "a counter of calls is below zero")
		*counter--
	}
	w.history.add(m.event(m.now, x.at), event{answer: x.answer, began: x.began})
	*x = cycleProc{at: x.at + 1}
	return true
}
