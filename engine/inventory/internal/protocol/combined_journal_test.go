package protocol

import "fmt"

// The journal: the order of the outcomes, the drainer that writes it, the dump of a checkpoint, and what a restart
// makes of both.

// place gives the outcome its position. The order so far must be legal at every instant, since a crash may cut it
// there (I6).
func (m *combined) place(w *world, o outcome, r record) {
	boundIf(w.count == mostRecords, "the case has too many records")
	w.stack[w.count], w.placed[w.count] = o, r
	w.count++
	m.replay(w.placed[:w.count])
}

// recordOf makes the record of a row that was taken.
func (m *combined) recordOf(w *world, r *row) record {
	made := record{kind: r.origin, id: r.id, qty: r.qty}
	if r.origin.begins() != held {
		made.ref = w.text(r)
	}
	if r.origin == replace {
		made.old = w.at(ref{r.old, r.oldTenant}).id
	}
	return made
}

// stateAfter is the state that an outcome led to. After its end is placed, the row's state shows which end it is.
func stateAfter(r *row, ended bool) state {
	switch {
	case !ended:
		return r.origin.begins()
	case r.state == releasing || r.state == released:
		return released
	case r.state == expiring || r.state == expired:
		return expired
	}
	return confirmed
}

var drainerSteps = [...]struct {
	name string
	do   stepFunc
}{
	start:        {"Drain: swap the top", takeTheStack},
	logNew:       {"log: store logged", log},
	logOld:       {"log: store logged of the old row", logBefore},
	writeRecord:  {"visit", write},
	storeDrained: {"Drain: store drained", finishDrain},
	syncJournal:  {"the group is durable", syncDisk},
}

func takeTheStack(_ *combined, w *world, x *process, _ *call) bool {
	x.seq = w.count
	return w.count > w.journal && x.then(logNew)
}

// log makes the record of the next outcome from its row, and notes in the row what is logged. The drainer is not
// announced: nothing that it reads is freed before it is drained.
func log(m *combined, w *world, x *process, _ *call) bool {
	o := w.stack[w.journal]
	r := w.at(o.row)
	r.logged, r.loggedAs = w.journal+1, stateAfter(r, o.ended)
	if !o.ended {
		x.record = m.recordOf(w, r)
		if r.origin != reserve && !m.without("logged of both") && !(m.without("logged of the expired") && r.origin == again) {
			return x.then(logOld)
		}
		return x.then(writeRecord)
	}
	x.record = record{kind: release, id: r.id}
	switch r.loggedAs {
	case expired:
		x.record.kind = expire
	case confirmed:
		x.record.kind, x.record.ref = confirm, w.text(r)
	}
	return x.then(writeRecord)
}

func logBefore(_ *combined, w *world, x *process, _ *call) bool {
	r := w.at(w.stack[w.journal].row)
	was := w.at(ref{r.old, r.oldTenant})
	was.logged, was.loggedAs = w.journal+1, superseded
	if r.origin == replace {
		was.loggedAs = released
	}
	return x.then(writeRecord)
}

func write(m *combined, w *world, x *process, _ *call) bool {
	if x.record != w.placed[w.journal] {
		panic(broken(fmt.Sprintf("the journal has %v where %v was placed", x.record, w.placed[w.journal])))
	}
	w.stack[w.journal] = outcome{}
	w.journal++
	x.record = record{}
	m.checkRestart(w)
	if w.journal < x.seq {
		return x.then(logNew)
	}
	return x.then(storeDrained)
}

func finishDrain(_ *combined, w *world, x *process, _ *call) bool {
	w.drained = x.seq
	return x.then(syncJournal)
}

func syncDisk(_ *combined, w *world, x *process, _ *call) bool {
	*x = process{}
	w.durable = w.drained
	return true
}

// ---- A dump walks by number and announces itself for each row. It begins once in a run.

var dumperSteps = [...]struct {
	name string
	do   stepFunc
}{
	start:      {"checkpoint: begin", beginDump},
	readLogged: {"ReadLogged: load logged", readRow},
	copyRow:    {"ReadLogged: content", dumpRow},
}

func beginDump(_ *combined, w *world, x *process, _ *call) bool {
	w.start, x.slot = w.durable, 1
	return w.over == 0 && w.durable > 0 && x.then(readLogged)
}

func readRow(_ *combined, w *world, x *process, _ *call) bool {
	r := &w.rows[x.slot]
	x.row, x.seq, x.seen = ref{x.slot, r.tenant}, r.logged, r.loggedAs
	return x.then(copyRow)
}

func dumpRow(m *combined, w *world, x *process, _ *call) bool {
	if x.seq != 0 {
		r := w.at(x.row)
		e := entry{id: r.id, seq: x.seq, qty: r.qty, state: x.seen}
		if m.without("what") { // the kind of the outcome, and the state of the row
			switch r.state {
			case releasing:
				e.state = released
			case expiring:
				e.state = expired
			case confirming, yielding:
				e.state = confirmed
			default:
				e.state = r.state
			}
		}
		if e.state == confirmed || e.state == returned {
			e.ref = w.text(r)
		}
		// A closed row is left out. Its id may be in use again by records before the start of the dump, and those rows may
		// be forgotten before the dump comes to them. Of a row that is closed later, such records follow the start.
		isForgotten := r.successor == closed && !m.without("closed rows are not dumped")
		if e.state != superseded && !isForgotten {
			w.dump[w.dumped] = e
			w.dumped++
		}
	}
	w.waiting &^= 1 << m.now
	*x = process{slot: x.slot + 1, pc: readLogged}
	if x.slot > m.rows {
		*x = process{}
		w.over = w.count
		m.checkRestart(w)
	}
	return true
}

// ---- What the records make.

// known is what is known of an id.
type knowledge struct {
	state    state // free: nothing
	qty, ref uint8
}

func (k knowledge) String() string { return fmt.Sprintf("%v %d ref %d", k.state, k.qty, k.ref) }

type facts struct {
	available uint8
	ids       [mostIDs]knowledge
}

func idOf(id uint8) int { return int(id - 'w') }

// replay returns what the records make. Each must be a legal step (I1 to I4).
func (m *combined) replay(records []record) facts {
	f := facts{available: m.units}
	for _, r := range records {
		k := &f.ids[idOf(r.id)]
		must := func(k *knowledge, s ...state) {
			for _, s := range s {
				if k.state == s {
					return
				}
			}
			breakIf(true, "illegal prefix: %v of what is %v (I3)", r.kind, k.state)
		}
		before := *k
		switch r.kind {
		case confirm, release, expire:
			must(k, held)
			k.state, k.ref = r.kind.to(), r.ref
		case reduce, reduceSold:
			must(k, r.kind.begins())
			k.qty, k.ref = r.qty, r.ref
		case refund:
			must(k, confirmed)
			*k = knowledge{returned, r.qty, r.ref}
		case again:
			must(k, expired)
			*k = knowledge{confirmed, r.qty, r.ref}
		default:
			breakIf(k.live(), "illegal prefix: an id is taken twice (I9)")
			*k = knowledge{held, r.qty, 0}
			if r.kind == replace {
				old := &f.ids[idOf(r.old)]
				must(old, held)
				old.state = released
				f.available += old.qty
			}
		}
		taken := int(f.available) + before.units() - k.units()
		breakIf(taken < 0, "illegal prefix: oversold (I1)")
		f.available = uint8(taken)
		breakIf(f.total() > int(m.cap), "illegal prefix: the cap is exceeded (I2)")
	}
	return f
}

func (k knowledge) live() bool { return k.state == held || k.state == confirmed }

func (k knowledge) units() int {
	if k.live() {
		return int(k.qty)
	}
	return 0
}

func (f *facts) total() (tickets int) {
	for _, k := range f.ids {
		tickets += k.units()
	}
	return tickets
}

// checkRestart compares what a restart makes of the dump and the records after its start with what the whole journal
// says. The higher sequence wins: the dump may have two rows of one id, and a record changes what is known of
// an id only if it is newer. Each of the two ids of a replace is judged for itself.
func (m *combined) checkRestart(w *world) {
	if w.over == 0 || w.journal < w.over {
		return
	}
	var now [mostIDs]knowledge
	var seqs [mostIDs]uint8
	for _, e := range w.dump[:w.dumped] {
		if id := idOf(e.id); seqs[id] < e.seq || m.without("sequence") {
			now[id], seqs[id] = knowledge{e.state, e.qty, e.ref}, e.seq
		}
	}
	for i := w.start; i < w.journal; i++ {
		r, seq := w.placed[i], i+1
		id := idOf(r.id)
		k, fresh := &now[id], seqs[id] < seq
		switch r.kind {
		case confirm, release, expire:
			breakIf(k.state == free && seq > w.over, "a checkpoint lacks a reservation that ended after it")
			if m.without("sequence") {
				fresh = k.live()
			}
			if k.state != free && fresh {
				k.state, k.ref, seqs[id] = r.kind.to(), r.ref, seq
			}
			continue
		case reserve:
			fresh = fresh && !(m.without("sequence") && k.state != free)
		case replace:
		default:
			fresh = fresh && !(m.without("absolute") && k.state == free)
		}
		if fresh {
			*k, seqs[id] = knowledge{r.kind.begins(), r.qty, r.ref}, seq
		}
		if r.kind == replace && (fresh || !m.without("each half")) {
			if old := idOf(r.old); now[old].state != free && seqs[old] < seq {
				now[old].state, seqs[old] = released, seq
			}
		}
	}
	whole := m.replay(w.placed[:w.journal])
	for id, k := range whole.ids {
		if got := now[id]; got != k && (got.state != free || k.live()) {
			panic(broken(fmt.Sprintf("a restart finds %c %v instead of %v", id+'w', got, k)))
		}
	}
}
