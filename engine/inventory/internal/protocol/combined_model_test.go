package protocol

import "fmt"

// combined is the model of rows that are used again while reservations change: the index (every id has one hash), the
// chain of successor words, the ledger of one account, one pool, the texts, the stack with its drainer, the dump of a
// checkpoint, a sweep that comes by number, and the reclaimer.
//
// Left to the other models are the counters of a grace period, the ring of free rows, the move of the index, and
// the accounts. Left to the exploration of the real code are several pools, sessions, and the clock: an expiry may come
// at any time.
type combined struct {
	rows, units, cap uint8
	programs         [][]call
	helpers          []string // drainer, reclaimer, dumper, mover
	alone            bool     // there are rows for all, and in each state each call can end while all others stall
	failed           uint8    // id that the last row has, which is void: its reservation failed before; 0 for none
	rule             string   // that is left out; "" for none

	now    int   // process that makes a step
	first  []int // event of each caller's first call
	calls  []call
	freed  int // rows that came back, counted over all steps
	judges judge[facts]
}

func (m *combined) without(rule string) bool { return m.rule == rule }

func (m *combined) processes() int      { return len(m.programs) + len(m.helpers) }
func (m *combined) isDumper(n int) bool { return m.isHelper(n, "dumper") }
func (m *combined) isHelper(n int, name string) bool {
	return n >= len(m.programs) && m.helpers[n-len(m.programs)] == name
}

func (m *combined) step(w *world, n int) bool {
	m.now = n
	x := &w.procs[n]
	if n < len(m.programs) {
		if int(x.at) == len(m.programs[n]) {
			return false
		}
		return callSteps[x.pc].do(m, w, x, &m.programs[n][x.at])
	}
	return m.helper(n, x.pc).do(m, w, x, nil)
}

func (m *combined) helper(n int, at pc) (step struct {
	name string
	do   stepFunc
}) {
	switch m.helpers[n-len(m.programs)] {
	case "drainer":
		return drainerSteps[at]
	case "dumper":
		return dumperSteps[at]
	case "mover":
		return moverSteps[at]
	}
	return reclaimerSteps[at]
}

func (m *combined) label(w *world, n int) string {
	x := &w.procs[n]
	if n >= len(m.programs) {
		return fmt.Sprintf("%s: %s", m.helpers[n-len(m.programs)], m.helper(n, x.pc).name)
	}
	return fmt.Sprintf("caller %d, %v: %s (found %d, old %d, mine %d)", n, m.programs[n][x.at], callSteps[x.pc].name,
		x.row.row, x.old.row, x.mine.row)
}

var moverSteps = [...]struct {
	name string
	do   stepFunc
}{
	start: {"the index has moved", moveIndex},
}

// moveIndex ends a move of the index, once.
func moveIndex(_ *combined, w *world, _ *process, _ *call) bool {
	w.root++
	return w.root == 1
}

// begin returns the first state: before is how many calls each caller has made, one caller after the other, all of
// them drained.
func (m *combined) begin(before []int) world {
	var w world
	w.free, w.available = uint8(1<<(m.rows+1)-2), m.units
	m.judges = m.judge()
	if m.failed != 0 {
		w.rows[m.rows] = row{state: void, id: m.failed, qty: 1, origin: reserve, tenant: 1}
		w.index[0], w.free = m.rows, w.free&^(1<<m.rows)
	}
	for _, p := range m.programs {
		m.first = append(m.first, len(m.calls))
		m.calls = append(m.calls, p...)
	}
	for n, calls := range before {
		for int(w.procs[n].at) < calls {
			if !m.step(&w, n) {
				panic("a call that comes first has to wait")
			}
		}
	}
	for n := range m.processes() {
		for len(before) > 0 && m.isHelper(n, "drainer") {
			after := w
			if !m.step(&after, n) {
				break
			}
			w = after
		}
	}
	m.freed = 0
	return w
}

// over ends a call, and its announcement.
func (m *combined) over(w *world, x *process, e event) {
	w.history.add(m.first[m.now]+int(x.at), e)
	w.waiting &^= 1 << m.now
	*x = process{at: x.at + 1}
}

// check is what must hold in every state: no free row can be reached, no text is lost.
func (m *combined) check(w *world) {
	reached := uint8(0)
	for _, at := range w.index {
		if at != tombstone {
			reached |= 1 << at
		}
	}
	used := uint8(0)
	for i := range w.rows {
		if r := &w.rows[i]; r.state != free {
			if r.successor != closed {
				reached |= 1 << r.successor
			}
			used |= 1 << r.reference
		}
	}
	rows := 0
	for at := w.head[1]; at != 0; at = w.rows[at].next &^ frozen {
		reached |= 1 << at
		rows++
		breakIf(rows > mostRows, "the ledger runs in a circle")
	}
	breakIf(reached&w.free&^1 != 0, "a free row can still be reached")
	for n := range m.programs {
		if m.alone && w.procs[n].pc != start && m.spins(*w, n) {
			panic(broken("loops while all others stall: " + m.label(w, n)))
		}
	}
	for c := 1; c <= mostCells; c++ {
		breakIf(w.cells[c] != 0 && used>>c&1 == 0, "a cell of texts is leaked")
		breakIf(w.cells[c] == 0 && used>>c&1 != 0, "a row names a cell of texts that is free")
	}
}

// spins reports whether a call does not end although no other process makes a step. To wait for a row that
// another call has to decide is allowed: the real code answers Overloaded in the end.
func (m *combined) spins(w world, n int) bool {
	at := w.procs[n].at
	for range 200 {
		if !m.step(&w, n) || w.procs[n].at != at {
			return false
		}
	}
	return true
}

// end is what must hold where no process can step: all calls are over, memory is what the journal says, all dead rows
// have come back, and the answers fit one order.
func (m *combined) end(w *world) {
	for n := range m.processes() {
		x := &w.procs[n]
		if x.pc != start || n < len(m.programs) && int(x.at) < len(m.programs[n]) {
			panic(broken("stuck: " + m.label(w, n)))
		}
	}
	f := m.replay(w.placed[:w.count])
	breakIf(w.unsettled != 0 || w.available != f.available, "memory has another stock than the journal")
	for n := uint8(1); n <= m.rows; n++ {
		breakIf(w.rows[n].state.dead(), "row %d, which is %v, has not come back", n, w.rows[n].state)
	}
	m.judges.check(&w.history, facts{available: m.units})
}
