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
		{"reclaim: scan", cycleScan},
		{"grace: unused counter of a stripe", cycleWaitUnused},
		{"grace: change the parity", cycleTurn},
		{"grace: other counter of a stripe", cycleWaitOther},
		{"reclaim: CAS successor to closed", cycleClose},
		{"reclaim: index slot", cycleLead},
		{"reclaim: load head", cycleReclaimHead},
		{"reclaim: load next", cycleReclaimVisit},
		{"reclaim: load state", cycleReclaimState},
		{"reclaim: freeze", cycleReclaimFreeze},
		{"reclaim: CAS link or head", cycleReclaimMove},
		{"reclaim: logged 0, forgotten", cycleHide},
		{"free: store link", cycleFreeLink},
		{"free: CAS top", cycleFreeCAS},
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
	reclaimLedgerHead
	reclaimLedgerVisit
	reclaimLedgerState
	reclaimLedgerFreeze
	reclaimLedgerMove
	reclaimHide
	freeLink
	freeCAS
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
	return x.then(reclaimLedgerHead)
}

func cycleReclaimHead(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	x.head = w.heads[w.at(x.row).account]
	x.before, x.cur = ref{}, w.ref(x.head[1])
	return x.then(reclaimLedgerVisit)
}

func cycleReclaimVisit(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if x.cur.row == 0 {
		x.head, x.before = [2]uint8{}, ref{}
		return x.then(reclaimHide)
	}
	m.visit(w, x, true)
	return x.then(reclaimLedgerState)
}

func cycleReclaimState(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	m.visit(w, x, false)
	s := x.state
	x.state = 0
	switch {
	case !s.dead():
		x.before, x.cur, x.next = x.cur, x.next, ref{}
	case x.before.row == 0 || m.noFreeze() || m.without("the reclaimer freezes"):
		return x.then(reclaimLedgerMove)
	default:
		return x.then(reclaimLedgerFreeze)
	}
	return x.then(reclaimLedgerVisit)
}

func cycleReclaimFreeze(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.cur)
	r.next |= frozen
	x.next = w.ref(r.next &^ frozen)
	return x.then(reclaimLedgerMove)
}

// cycleReclaimMove leads the head past a dead row without another version.
func cycleReclaimMove(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	head := &w.heads[w.at(x.row).account]
	if x.before.row == 0 {
		if *head != x.head {
			return x.then(reclaimLedgerHead)
		}
		head[1] = x.next.row
		x.head = *head
	} else {
		before := w.at(x.before)
		if before.next != x.cur.row {
			return x.then(reclaimLedgerHead)
		}
		before.next = x.next.row
	}
	x.cur, x.next = x.next, ref{}
	return x.then(reclaimLedgerVisit)
}

func cycleHide(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := w.at(x.row)
	if !m.without("hide") {
		r.logged, r.loggedAs = 0, 0
	}
	r.state = forgotten
	if m.without("grace B") {
		return x.then(freeLink)
	}
	return x.grace(freeLink)
}

// cycleFreeLink clears the row and links it to the top of the free stack.
func cycleFreeLink(_ *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	r := &w.rows[x.row.row]
	*r = cycleRow{next: w.free, tenant: r.tenant + 1}
	x.row = w.ref(x.row.row)
	return x.then(freeCAS)
}

func cycleFreeCAS(m *recycle, w *cycleWorld, x *cycleProc, _ *cycleCall) bool {
	if r := w.at(x.row); w.free != r.next {
		r.next = w.free
		return true
	}
	w.free = x.row.row
	m.freed++
	*x = cycleProc{}
	return true
}
