package protocol

// The helpers of the recycling model: the drainer, the dump of a checkpoint and the reclaimer.

var cycleHelpers = map[string][]cycleStep{
	"drainer": {
		{"Drain: swap the top", cycleTakeStack},
		{"Drain: follow a link", cycleFollow},
		{"log: store logged", cycleLog},
		{"visit", cycleWrite},
	},
	"dumper": {
		{"checkpoint: begin", cycleBeginDump},
		{"begin: load parity", cycleDumpParity},
		{"begin: add to the counter", cycleDumpAnnounce},
		{"ReadLogged: load logged", cycleDumpRead},
		{"ReadLogged: content", cycleDumpRow},
	},
	"reclaimer": {
		{"look: consider each row", cycleScan},
		{"Passed: load unused counter of a stripe", cycleWaitUnused},
		{"Passed: change the parity", cycleTurn},
		{"Passed: load other counter of a stripe", cycleWaitOther},
		{"forgetChain: CAS successor to closed", cycleClose},
		{"forgetChain: Change", cycleLead},
		{"forgetChain: logged 0, forgotten", cycleHide},
		{"passDead: load head", cycleReclaimHead},
		{"passDead: load state of the first row", cycleReclaimFirst},
		{"passDead: freeze the first row's link", cycleReclaimFreezeFirst},
		{"passDead: CAS head", cycleReclaimMoveHead},
		{"passDead: load link of a live row", cycleReclaimNext},
		{"passDead: load state", cycleReclaimState},
		{"passDead: freeze link", cycleReclaimFreeze},
		{"passDead: CAS link", cycleReclaimMove},
		{"freeRow", cycleFree},
	},
}

const (
	drainFollow = iota + 1
	drainLog
	drainWrite
)

func cycleTakeStack(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.end, w.top = w.top, outlink{}
	return x.end.row != 0 && x.then(drainFollow)
}

func cycleFollow(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.order[x.size] = x.end
	x.size++
	breakIf(x.size == cycleEvents, "the stack runs in a circle")
	if x.end = w.rows[x.end.row].below[x.end.ended]; x.end.row != 0 {
		return true
	}
	return x.then(drainLog)
}

func cycleLog(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	o := x.order[x.size-1]
	r := &w.rows[o.row]
	r.logged, r.loggedAs = w.journal+1, held
	if o.ended != 0 {
		r.loggedAs = released
	}
	return x.then(drainWrite)
}

func cycleWrite(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	o := x.order[x.size-1]
	r := &w.rows[o.row]
	breakIf(w.placed[w.journal] != cycleRecord{o.ended, r.id, r.tenant}, "the journal holds what was never placed")
	w.journal++
	x.size--
	if x.order[x.size] = (outlink{}); x.size > 0 {
		return x.then(drainLog)
	}
	w.drained = w.journal
	return x.then(0)
}

// ---- dump

const (
	dumpParity = iota + 1
	dumpAnnounce
	dumpRead
	dumpContent
)

// dumpStripe is the stripe of the dump.
const dumpStripe = 0

func cycleBeginDump(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	w.start, x.slot = w.drained, 1
	return w.over == 0 && w.drained > 0 && x.then(dumpParity)
}

func cycleDumpParity(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.parity = w.parity
	return x.then(dumpAnnounce)
}

func cycleDumpAnnounce(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if !m.without("dump announced") {
		w.inside[dumpStripe][x.parity]++
	}
	return x.then(dumpRead)
}

func cycleDumpRead(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := &w.rows[x.slot]
	x.row, x.logged, x.state = ref{x.slot, r.tenant}, r.logged, r.loggedAs
	return x.then(dumpContent)
}

func cycleDumpRow(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if x.logged != 0 {
		r := w.at(x.row)
		w.dump[w.dumped] = cycleEntry{r.id, r.tenant, x.logged, x.state}
		w.dumped++
	}
	if !m.without("dump announced") {
		w.inside[dumpStripe][x.parity]--
	}
	*x = cycleProc{slot: x.slot + 1, pc: dumpParity}
	if x.slot > m.rows {
		*x = cycleProc{}
		w.over = w.pushes
	}
	return true
}

// ---- reclaimer: one row at a time

const (
	graceUnused = iota + 1
	graceTurn
	graceOther
	reclaimClose
	reclaimLead
	reclaimHide
	reclaimLedgerHead
	reclaimLedgerFirst
	reclaimLedgerFreezeFirst
	reclaimLedgerMoveHead
	reclaimLedgerNext
	reclaimLedgerState
	reclaimLedgerFreeze
	reclaimLedgerMove
	reclaimFree
)

// cycleScan finds a dead row that no successor word names.
func cycleScan(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	for n := uint8(1); n <= m.rows; n++ {
		r := &w.rows[n]
		isNamed := false
		for i := range w.rows {
			isNamed = isNamed || w.rows[i].state != free && w.rows[i].successor == n
		}
		isDrained := r.state == void || w.drained >= r.seq || m.without("drained")
		if !r.state.dead() || isNamed || !isDrained {
			continue
		}
		x.row, x.noted = w.ref(n), r.successor
		if m.without("grace A") {
			return x.then(reclaimClose)
		}
		return x.grace(reclaimClose)
	}
	return false
}

// grace begins a grace period, after which comes the step next. The reclaimer looks at one stripe after the other.
func (x *cycleProc) grace(next uint8) bool {
	x.waitFor, x.stripe = next, 0
	return x.then(graceUnused)
}

func cycleWaitUnused(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if w.inside[x.stripe][1-w.parity] != 0 && !m.without("both counters") {
		return false
	}
	if x.stripe++; x.stripe < mostStripes && !m.without("all stripes") {
		return true
	}
	return x.then(graceTurn)
}

func cycleTurn(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	w.parity, x.stripe = 1-w.parity, 0
	return x.then(graceOther)
}

func cycleWaitOther(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if w.inside[x.stripe][1-w.parity] != 0 {
		return false
	}
	if x.stripe++; x.stripe < mostStripes && !m.without("all stripes") {
		return true
	}
	x.stripe = 0
	x.pc, x.waitFor = x.waitFor, 0
	return true
}

func cycleClose(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	if r.successor != x.noted {
		*x = cycleProc{}
		return true
	}
	x.noted = 0
	if r.successor == 0 {
		r.successor = closed
		if r.state == released {
			w.history.forget(r.id)
		}
	}
	return x.then(reclaimLead)
}

func cycleLead(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	to := r.successor
	if to == closed || m.without("chain") {
		to = tombstone
	}
	for i := range w.index {
		if w.index[i] == x.row.row && !m.without("index") {
			w.index[i] = to
		}
	}
	return x.then(reclaimHide)
}

func cycleHide(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	if !m.without("hide") {
		r.logged, r.loggedAs = 0, 0
	}
	r.state = forgotten
	return x.then(reclaimLedgerHead)
}

// ---- the ledger: passDead

func cycleReclaimHead(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.head = w.heads[w.at(x.row).account]
	if x.cur = w.ref(x.head[1]); x.cur.row == 0 {
		return m.passedOver(x)
	}
	return x.then(reclaimLedgerFirst)
}

func cycleReclaimFirst(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if w.at(x.cur).state.dead() {
		return x.then(reclaimLedgerFreezeFirst)
	}
	x.head = [2]uint8{}
	return x.then(reclaimLedgerNext)
}

func cycleReclaimFreezeFirst(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.freeze(w)
	return x.then(reclaimLedgerMoveHead)
}

// freeze makes the link of the row final, and keeps it.
func (x *cycleProc) freeze(w *cycleWorld) {
	r := w.at(x.cur)
	r.next |= frozen
	x.next = w.ref(r.next &^ frozen)
}

// cycleReclaimMoveHead leads the head past a dead row without another version.
func cycleReclaimMoveHead(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if head := &w.heads[w.at(x.row).account]; *head == x.head {
		head[1] = x.next.row
	}
	x.next = ref{}
	return x.then(reclaimLedgerHead)
}

func cycleReclaimNext(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.before, x.cur = x.cur, w.ref(w.at(x.cur).next&^frozen)
	if x.cur.row == 0 {
		return m.passedOver(x)
	}
	return x.then(reclaimLedgerState)
}

func cycleReclaimState(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if w.at(x.cur).state.dead() {
		return x.then(reclaimLedgerFreeze)
	}
	return x.then(reclaimLedgerNext)
}

func cycleReclaimFreeze(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.freeze(w)
	return x.then(reclaimLedgerMove)
}

func cycleReclaimMove(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	before, next := w.at(x.before), x.next
	x.next = ref{}
	if before.next != x.cur.row {
		return x.then(reclaimLedgerHead)
	}
	before.next = next.row
	if x.cur = next; next.row == 0 {
		return m.passedOver(x)
	}
	return x.then(reclaimLedgerState)
}

// passedOver ends the walk.
func (m *recycle) passedOver(x *cycleProc) bool {
	x.head, x.before, x.cur = [2]uint8{}, ref{}, ref{}
	if m.without("grace B") {
		return x.then(reclaimFree)
	}
	return x.grace(reclaimFree)
}

func cycleFree(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	n := x.row.row
	w.rows[n] = cycleRow{tenant: w.rows[n].tenant + 1}
	at := 0
	for w.free[at] != 0 {
		at++
	}
	w.free[at] = n
	m.freed++
	*x = cycleProc{}
	return true
}
