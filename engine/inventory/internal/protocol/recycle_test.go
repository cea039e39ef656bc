package protocol

import "fmt"

// recycle is the model of the memory under the rows, with as little as possible on top: reserve takes one ticket under
// an id, release gives it back, and walk walks a ledger. Calls announce themselves on stripes of counters, and
// outcomes lie on the stack by links in their rows. So a grace period is what the reclaimer finds by the counters.
// What is left out here is in the combined model. Claim is one step: the model of the ring shows that it may be.
type recycle struct {
	rows, cap uint8
	programs  [][]cycleCall
	stripes   []uint8 // of each caller
	helpers   []string
	rule      string // that is left out; "" for none
	stand     []stand

	now    int
	freed  int
	judges judge[cycleFacts]
}

type cycleCall struct {
	kind    cycleKind
	id      uint8
	account uint8
}

type cycleKind uint8

const (
	take1 cycleKind = iota // reserve
	drop1                  // release
	walk1
)

func (k cycleKind) String() string { return [...]string{"reserve", "release", "walk"}[k] }

// stand leads a process to a step before the exploration begins, since all interleavings from the first step are too
// many.
type stand struct {
	process int
	at      string // name of the step that the process makes next
}

const (
	cycleRows   = 4
	cycleProcs  = 6
	cycleEvents = 8
	cycleSlots  = 4
	mostStripes = 2
)

type cycleRow struct {
	state     state
	id        uint8
	account   uint8
	next      uint8 // link of the ledger, with the bit frozen
	successor uint8
	below     [2]outlink // links of the stack for the two outcomes
	seq       uint8
	logged    uint8
	loggedAs  state
	tenant    uint8
}

// outlink is the stack's name for an outcome: the kind and the row.
type outlink struct{ ended, row uint8 }

type cycleRecord struct{ ended, id, tenant uint8 }

type cycleEntry struct {
	id, tenant, seq uint8
	state           state
}

type cycleWorld struct {
	parity  uint8
	inside  [mostStripes][2]uint8
	rows    [cycleRows + 1]cycleRow
	index   [cycleSlots]uint8
	heads   [2][2]uint8      // version, row
	top     outlink          // of the stack
	pushes  uint8            // its count
	free    [cycleRows]uint8 // rows that came back, the oldest first
	used    uint8            // rows ever claimed
	placed  [cycleEvents]cycleRecord
	journal uint8
	drained uint8
	dump    [cycleRows]cycleEntry
	dumped  uint8
	start   uint8 // of the dump, 0 before it begins
	over    uint8 // 0 before it is complete
	_       uint8
	procs   [cycleProcs]cycleProc
	history history
}

type cycleProc struct {
	at      uint8
	pc      uint8
	parity  uint8
	slot    uint8
	row     ref
	mine    ref
	cur     ref
	next    ref
	before  ref
	live    ref
	doubt   ref
	head    [2]uint8
	sum     uint8
	flags   cycleFlags
	answer  answer
	end     outlink // outcome that is being placed
	order   [cycleEvents]outlink
	size    uint8
	logged  uint8
	state   state
	noted   uint8
	waitFor uint8
	stripe  uint8
	_       uint8
	began   uint16
}

type cycleFlags uint8

const (
	cycleEntering cycleFlags = 1 << iota
	cycleRefused
	cycleOutside // has withdrawn in the middle of its call (a fault)
)

func (w *cycleWorld) ref(row uint8) ref {
	if row == 0 || row == closed {
		return ref{}
	}
	return ref{row, w.rows[row].tenant}
}

func (w *cycleWorld) at(r ref) *cycleRow {
	if r.row == 0 || w.rows[r.row].tenant != r.tenant {
		panic(broken(fmt.Sprintf("a process uses row %d, which another reservation has now", r.row)))
	}
	return &w.rows[r.row]
}

func (m *recycle) without(rule string) bool { return m.rule == rule }
func (m *recycle) processes() int           { return len(m.programs) + len(m.helpers) }

func (m *recycle) step(w *cycleWorld, n int) bool {
	m.now = n
	x := &w.procs[n]
	if n >= len(m.programs) {
		return cycleHelpers[m.helpers[n-len(m.programs)]][x.pc].do(m, w, x, nil)
	}
	if int(x.at) == len(m.programs[n]) {
		return false
	}
	return cycleSteps[x.pc].do(m, w, x, &m.programs[n][x.at])
}

func (m *recycle) label(w *cycleWorld, n int) string {
	x := &w.procs[n]
	if n >= len(m.programs) {
		name := m.helpers[n-len(m.programs)]
		return name + ": " + cycleHelpers[name][x.pc].name
	}
	c := m.programs[n][x.at]
	return fmt.Sprintf("caller %d, %v %c: %s (found %d, mine %d)", n, c.kind,
		max(c.id, ' '), cycleSteps[x.pc].name, x.row.row, x.mine.row)
}

// begin returns the first state, in which each caller has made so many calls, one caller after the other, and all of
// them are drained. failed is an id whose first reservation failed, so that a void row has it; 0 for none.
func (m *recycle) begin(before []int, failed uint8) cycleWorld {
	var w cycleWorld
	if failed != 0 {
		w.rows[1] = cycleRow{state: void, id: failed, tenant: 1}
		w.index[0], w.used = 1, 1
	}
	must := func(n int) {
		if !m.step(&w, n) {
			panic("a process that leads to the first state has to wait")
		}
	}
	for n, calls := range before {
		for int(w.procs[n].at) < calls {
			must(n)
		}
	}
	for n := range m.helpers {
		for len(before) > 0 && m.helpers[n] == "drainer" {
			after := w
			if !m.step(&after, n+len(m.programs)) {
				break
			}
			w = after
		}
	}
	for _, s := range m.stand {
		for must(s.process); m.nameOf(&w, s.process) != s.at; must(s.process) {
		}
	}
	m.freed = 0
	m.judges = m.judge()
	return w
}

func (m *recycle) nameOf(w *cycleWorld, n int) string {
	if n >= len(m.programs) {
		return cycleHelpers[m.helpers[n-len(m.programs)]][w.procs[n].pc].name
	}
	return cycleSteps[w.procs[n].pc].name
}

// ---- What must hold.

func (m *recycle) check(w *cycleWorld) {
	reached, isFree := uint8(0), uint8(0)
	for _, at := range w.index {
		if at != tombstone {
			reached |= 1 << at
		}
	}
	counted := [2]uint8{}
	for i := range w.rows {
		if r := &w.rows[i]; r.state != free {
			if r.successor != closed {
				reached |= 1 << r.successor
			}
			if r.state == held || r.state == releasing {
				counted[r.account]++
			}
		}
	}
	if counted[0] > m.cap || counted[1] > m.cap {
		panic(broken("the cap is exceeded (I2)"))
	}
	for _, head := range w.heads {
		rows := 0
		for at := head[1]; at != 0; at = w.rows[at].next &^ frozen {
			reached |= 1 << at
			rows++
			breakIf(rows > cycleRows, "a ledger runs in a circle")
		}
	}
	for _, at := range w.free {
		if at != 0 {
			breakIf(isFree>>at&1 != 0, "a row is free twice")
			isFree |= 1 << at
		}
	}
	breakIf(reached&isFree&^1 != 0, "a free row can still be reached")
}

func (m *recycle) end(w *cycleWorld) {
	for n := range m.processes() {
		x := &w.procs[n]
		if x.pc != 0 || n < len(m.programs) && int(x.at) < len(m.programs[n]) {
			panic(broken("stuck: " + m.label(w, n)))
		}
	}
	for stripe := range w.inside {
		breakIf(w.inside[stripe] != [2]uint8{}, "a counter of calls is not zero when all have returned")
	}
	rows := uint8(0)
	for _, at := range w.free {
		if at != 0 {
			rows++
		}
	}
	for i := range w.rows {
		breakIf(w.rows[i].state.dead(), "row %d has not come back", i)
		if w.rows[i].state == held {
			rows++
		}
	}
	breakIf(rows != w.used, "a row is lost: neither in use nor free")
	m.judges.check(&w.history, cycleFacts{})
	if w.over != 0 {
		m.checkRestart(w)
	}
}

// cycleFacts is what is known of the ids k, l and so on.
type cycleFacts struct {
	state   [5]state
	account [5]uint8
}

func cycleID(id uint8) int { return int(id-'a') % 5 }

func (m *recycle) judge() judge[cycleFacts] {
	calls := map[int]cycleCall{}
	for n, p := range m.programs {
		for i, c := range p {
			calls[m.event(n, uint8(i))] = c
		}
	}
	return judge[cycleFacts]{
		apply: func(f *cycleFacts, n int, e event) bool {
			if n >= firstForget {
				id := cycleID(e.id)
				ended := f.state[id] == released
				f.state[id] = free
				return ended
			}
			c := calls[n]
			return c.kind == walk1 || e.answer == full || e.answer == m.alone(f, c)
		},
		name: func(n int, e event) string { return fmt.Sprintf("%v %c", calls[n].kind, max(calls[n].id, e.id, ' ')) },
	}
}

// event numbers the calls.
func (m *recycle) event(caller int, at uint8) int {
	n := int(at)
	for _, p := range m.programs[:caller] {
		n += len(p)
	}
	return n
}

// alone makes a call alone.
func (m *recycle) alone(f *cycleFacts, c cycleCall) answer {
	s := &f.state[cycleID(c.id)]
	switch {
	case c.kind == drop1 && *s == free:
		return none
	case c.kind == drop1 && *s == released:
		return was + answer(released)
	case c.kind == drop1:
		*s = released
		return ok
	case *s != free:
		return known + answer(*s)
	}
	taken := uint8(0)
	for i, s := range f.state {
		if s == held && f.account[i] == c.account {
			taken++
		}
	}
	if taken == m.cap {
		return atCap
	}
	*s, f.account[cycleID(c.id)] = held, c.account
	return ok
}

// checkRestart compares what dump and journal make with what the whole journal makes. The higher sequence wins.
func (m *recycle) checkRestart(w *cycleWorld) {
	type fact struct{ tenant, seq uint8 }
	whole, partly := map[uint8]fact{}, map[uint8]fact{} // of the living; seq also of the others
	last := map[uint8]uint8{}
	for _, e := range w.dump[:w.dumped] {
		if e.seq < last[e.id] && !m.without("sequence") {
			continue
		}
		last[e.id] = e.seq
		if partly[e.id] = (fact{e.tenant, e.seq}); e.state != held {
			delete(partly, e.id)
		}
	}
	apply := func(to map[uint8]fact, r cycleRecord, seq uint8) {
		if r.ended != 0 {
			delete(to, r.id)
		} else {
			to[r.id] = fact{r.tenant, seq}
		}
	}
	for i := range w.journal {
		r, seq := w.placed[i], i+1
		apply(whole, r, seq)
		if seq <= w.start || seq <= last[r.id] && !m.without("sequence") {
			continue
		}
		_, isKnown := last[r.id]
		if r.ended != 0 && !isKnown && seq > w.over {
			panic(broken("a checkpoint lacks a reservation that ended after it"))
		}
		if r.ended == 0 && isKnown && m.without("sequence") {
			continue
		}
		apply(partly, r, seq)
		last[r.id] = seq
	}
	for id, f := range whole {
		breakIf(partly[id].tenant != f.tenant, "a restart does not find what is alive")
	}
	breakIf(len(partly) != len(whole), "a restart finds alive what is not")
}
