package protocol

import (
	"fmt"
)

// moves is the model of the index while its entries move to another table, of whatever size, and while ids are
// forgotten and reserved again.
//
// A slot goes from empty to an entry or to moved; an entry may be led to the row that follows, may become frozen, and
// unless it is frozen, a tombstone. A mover freezes an entry before it copies it, and does not copy tombstones. The
// reclaimer changes entries of the root alone that are not frozen, and only if that table has been the root since
// before its grace period began: every mover of an older table has returned then. Where it finds a move under way it
// copies itself. A tombstone is never filled again.
type moves struct {
	sizes   []uint8    // slots of each table, in their order
	made    uint8      // tables that are there at the beginning
	rows    []movesRow // row 1 and so on; those of the callers come last
	first   []uint8    // rows that are in the first table, in the order of their insertion
	second  []uint8    // rows that are in the second one
	stripes uint8      // of each table
	callers int
	finders int // that look for the row sought, or one that follows it
	sought  uint8
	movers  int  // calls that only help to move
	starter bool // a call makes the second table during the run
	rule    string
	freed   int // rows that came back, counted over all steps
}

// movesRow is a row with its id. Row 1 and others may be dead from the beginning.
type movesRow struct {
	id        uint8
	hash      uint8 // 0 to 7: where a look-up begins
	dead      bool
	successor uint8
}

const (
	movesTables = 3
	movesSlots  = 8
	movesProcs  = 7
	movedSlot   = 0xfe
)

type movesWorld struct {
	tables [movesTables][movesSlots]uint8 // a row with the bit frozen; 0, tombstone or movedSlot
	made   uint8
	root   uint8
	turns  [movesTables]uint8 // stripes handed out
	copied [movesTables]uint8 // mask of the stripes that are copied
	closed uint8              // masks of rows
	gone   uint8
	wait   uint8 // processes that a grace period waits for
	procs  [movesProcs]movesProc
	r      movesReclaimer
}

type movesProc struct {
	pc    movesPC
	table uint8 // that is searched or copied
	slot  uint8 // visited in it
	left  uint8 // slots not yet visited, in the table or the stripe
	to    uint8 // table to which the entry is copied
	at    uint8 // slot visited there
	room  uint8 // slots there not yet visited
	entry uint8
	found uint8
}

type movesReclaimer struct {
	row  uint8
	root uint8 // as it was before the grace period
}

type movesPC uint8

const (
	movesLoadRoot movesPC = iota
	movesLoadNext
	movesClaimStripe
	movesFreeze
	movesCopy
	movesCopied
	movesSwapRoot
	movesPut
	movesDone
	movesMake

	movesScan
	movesGraceA
	movesClose
	movesTombstone
	movesGraceB
	movesAwaitRoot // without the rule that the reclaimer copies
)

var movesNames = [...]string{"load root", "load next", "move: claim a stripe", "copyStripe: freeze slot",
	"copyStripe: put in the next table", "move: the stripe is copied", "move: CAS root", "put: CAS slot", "done",
	"make the next table", "reclaim: note root", "reclaim: grace A is over",
	"reclaim: close", "reclaim: CAS slot", "reclaim: grace B is over", "reclaim: wait for the move"}

func (m *moves) without(rule string) bool { return m.rule == rule }

// The processes are the callers, the finders, the movers, perhaps the starter, and the reclaimer.
func (m *moves) processes() int { return m.reclaimer() + 1 }
func (m *moves) reclaimer() int {
	if m.starter {
		return m.callers + m.finders + m.movers + 1
	}
	return m.callers + m.finders + m.movers
}

func (m *moves) label(w *movesWorld, n int) string {
	kind := "mover"
	switch {
	case n < m.callers:
		kind = "caller"
	case n < m.callers+m.finders:
		kind = "finder"
	case n == m.reclaimer():
		kind = "reclaimer"
	}
	x := &w.procs[n]
	return fmt.Sprintf("%s %d: %s (table %d slot %d, to table %d slot %d)", kind, n, movesNames[x.pc],
		x.table, x.slot, x.to, x.at)
}

// begin fills the first table by plain insertion.
func (m *moves) begin() movesWorld {
	w := movesWorld{made: m.made}
	for table, rows := range [][]uint8{m.first, m.second} {
		for _, row := range rows {
			i := m.home(uint8(table), row)
			for w.tables[table][i] != 0 {
				i = (i + 1) % m.sizes[table]
			}
			w.tables[table][i] = row
		}
	}
	w.procs[m.reclaimer()].pc = movesScan
	for n := m.callers + m.finders + m.movers; n < m.reclaimer(); n++ {
		w.procs[n].pc = movesMake
	}
	return w
}

func (m *moves) row(n uint8) *movesRow { return &m.rows[n-1] }

// home is the slot where a look-up of the row's id begins.
func (m *moves) home(table, row uint8) uint8 { return m.row(row).hash * m.sizes[table] / 8 }

// wanted is the row that the process inserts, or looks for.
func (m *moves) wanted(n int) uint8 {
	if n < m.callers {
		return uint8(len(m.rows) - m.callers + n + 1)
	}
	return m.sought
}

func (m *moves) step(w *movesWorld, n int) bool {
	x := &w.procs[n]
	switch x.pc {
	case movesLoadRoot:
		x.table = w.root
		x.pc = movesLoadNext
		if n >= m.callers && n < m.callers+m.finders {
			m.search(x, n)
		}
	case movesLoadNext:
		if x.pc = movesClaimStripe; x.table+1 == w.made {
			m.search(x, n)
		}
	case movesClaimStripe:
		m.claimStripe(w, x)
	case movesFreeze:
		m.freezeSlot(w, x, n)
	case movesCopy:
		m.copyEntry(w, x)
	case movesCopied:
		w.copied[x.table] |= 1 << x.found
		x.found, x.pc = 0, movesSwapRoot
	case movesSwapRoot:
		if w.root == x.table && m.allCopied(w, x.table) {
			w.root++
		}
		m.search(x, n)
	case movesPut:
		return m.put(w, x, n)
	case movesMake:
		w.made = max(w.made, w.root+2)
		m.finish(w, x, n, 0)
	case movesDone:
		return false
	default:
		return m.reclaim(w, x, n)
	}
	return true
}

// search begins with the table's slots; a mover has nothing to look for.
func (m *moves) search(x *movesProc, n int) {
	switch {
	case n == m.reclaimer(): // it has copied, and tries again with another grace period
		*x = movesProc{pc: movesScan}
	case n >= m.callers+m.finders:
		*x = movesProc{pc: movesPut}
	default:
		*x = movesProc{pc: movesPut, table: x.table, slot: m.home(x.table, m.wanted(n)), left: m.sizes[x.table]}
	}
}

func (m *moves) finish(w *movesWorld, x *movesProc, n int, found uint8) {
	*x = movesProc{pc: movesDone, found: found}
	w.wait &^= 1 << n
}

// put is a look-up, and the insertion at the first slot that is empty (I9).
func (m *moves) put(w *movesWorld, x *movesProc, n int) bool {
	if n >= m.callers+m.finders {
		m.finish(w, x, n, 0)
		return true
	}
	row, inserts := m.wanted(n), n < m.callers
	if x.left == 0 { // the table is full to its last slot
		return m.nextTable(w, x, n)
	}
	s := w.tables[x.table][x.slot]
	switch {
	case s == 0 || s == tombstone && m.without("a tombstone is never filled"):
		if inserts {
			w.tables[x.table][x.slot] = row
			m.finish(w, x, n, row)
			return true
		}
		panic(broken("a living row is not found"))
	case s == movedSlot:
		return m.nextTable(w, x, n)
	case s != tombstone:
		if found := s &^ frozen; m.has(w, found, row) {
			m.finish(w, x, n, found)
			return true
		}
	}
	x.slot = (x.slot + 1) % m.sizes[x.table]
	x.left--
	return true
}

// has reports whether the row that a slot names, or one that follows it, has the id of the other row.
func (m *moves) has(w *movesWorld, found, row uint8) bool {
	if w.gone>>found&1 != 0 {
		panic(broken("a call uses a row that was freed"))
	}
	for ; m.row(found).id == m.row(row).id; found = m.row(found).successor {
		if !m.row(found).dead {
			return true
		}
		if m.row(found).successor == 0 {
			return w.closed>>found&1 == 0
		}
	}
	return false
}

func (m *moves) nextTable(w *movesWorld, x *movesProc, n int) bool {
	if x.table+1 == w.made {
		if n >= m.callers {
			panic(broken("a living row is not found"))
		}
		m.enlarge(w)
	}
	x.table++
	m.search(x, n)
	return true
}

func (m *moves) enlarge(w *movesWorld) {
	boundIf(int(w.made) == len(m.sizes), "the case needs more tables")
	w.made++
}

// ---- the move

func (m *moves) allCopied(w *movesWorld, table uint8) bool { return w.copied[table] == 1<<m.stripes-1 }

// claimStripe takes the next stripe that is to be copied. Stripes are handed out in a circle until each is copied.
func (m *moves) claimStripe(w *movesWorld, x *movesProc) {
	if m.allCopied(w, x.table) {
		x.pc = movesSwapRoot
		return
	}
	stripe := w.turns[x.table] % m.stripes
	w.turns[x.table] = (stripe + 1) % m.stripes
	if w.copied[x.table]>>stripe&1 != 0 {
		x.pc = movesSwapRoot
		return
	}
	x.pc, x.found, x.left = movesFreeze, stripe, m.sizes[x.table]/m.stripes
	x.slot = stripe * x.left
}

// freezeSlot makes an empty slot moved, or freezes its entry.
func (m *moves) freezeSlot(w *movesWorld, x *movesProc, _ int) {
	if x.left == 0 {
		*x = movesProc{pc: movesCopied, table: x.table, found: x.found}
		return
	}
	s := &w.tables[x.table][x.slot]
	switch *s {
	case 0:
		*s = movedSlot
	case movedSlot, tombstone:
	default:
		x.entry = *s &^ frozen
		if !m.without("freeze before copying") {
			*s |= frozen
		}
		x.pc, x.to = movesCopy, x.table+1
		x.at, x.room = m.home(x.to, x.entry), m.sizes[x.to]
		return
	}
	x.slot++
	x.left--
}

// copyEntry puts the entry into the next table that has room.
func (m *moves) copyEntry(w *movesWorld, x *movesProc) {
	s := &w.tables[x.to][x.at]
	switch {
	case x.room == 0 || *s == movedSlot:
		if x.to+1 == w.made {
			m.enlarge(w)
		}
		x.to++
		x.at, x.room = m.home(x.to, x.entry), m.sizes[x.to]
		return
	case *s == 0 || *s&^frozen == x.entry && *s != tombstone:
		if *s == 0 {
			*s = x.entry
		}
		*x = movesProc{pc: movesFreeze, table: x.table, slot: x.slot + 1, left: x.left - 1, found: x.found}
		return
	}
	x.at = (x.at + 1) % m.sizes[x.to]
	x.room--
}

// ---- the reclaimer

func (m *moves) beginGrace(w *movesWorld) {
	w.wait = 0
	for n := range m.reclaimer() {
		if pc := w.procs[n].pc; pc != movesLoadRoot && pc != movesDone && pc != movesMake {
			w.wait |= 1 << n
		}
	}
}

func (m *moves) reclaim(w *movesWorld, x *movesProc, _ int) bool {
	r := &w.r
	switch x.pc {
	case movesScan: // it takes dead rows in their order, so that the front of a chain comes first
		if w.root+1 < w.made { // MoveOn
			m.help(w, x)
			return true
		}
		r.row = 0
		for i := range m.rows {
			if row := uint8(i + 1); m.rows[i].dead && w.gone>>row&1 == 0 {
				r.row = row
				break
			}
		}
		r.root = w.root
		m.beginGrace(w)
		if m.without("root since before grace A") {
			w.wait = 0
		}
		x.pc = movesGraceA
		return r.row != 0
	case movesGraceA:
		x.pc = movesClose
		return w.wait == 0
	case movesClose:
		if m.row(r.row).successor == 0 {
			w.closed |= 1 << r.row
		}
		x.pc = movesTombstone
		x.table, x.slot, x.left = w.root, m.home(w.root, r.row), m.sizes[w.root]
		if w.root != r.root && !m.without("root since before grace A") {
			*x = movesProc{pc: movesScan}
		}
	case movesTombstone:
		m.makeTombstone(w, x)
	case movesAwaitRoot:
		if w.root == x.table {
			return false
		}
		*x = movesProc{pc: movesScan}
	case movesGraceB:
		if w.wait != 0 {
			return false
		}
		w.gone |= 1 << r.row
		m.freed++
		*r = movesReclaimer{}
		*x = movesProc{pc: movesScan}
	}
	return true
}

// makeTombstone looks for the entry and leads it to the row that follows, or makes it a tombstone: Change. A frozen
// entry waits for the move. So does one that is not in the root: where that was full, the entry is in a later table.
func (m *moves) makeTombstone(w *movesWorld, x *movesProc) {
	r, s := &w.r, &w.tables[x.table][x.slot]
	if *s == r.row|frozen && m.without("a frozen entry stays") {
		*s = r.row
	}
	switch {
	case x.left == 0 || *s == movedSlot || *s == r.row|frozen && *s != tombstone:
		*x = movesProc{pc: movesScan} // it is in the next table, or about to be copied there
	case *s == 0:
		panic(broken("the reclaimer does not find an entry"))
	case *s == r.row:
		if *s = m.row(r.row).successor; *s == 0 {
			*s = tombstone
		}
		m.toGraceB(w, x)
	default:
		x.slot = (x.slot + 1) % m.sizes[x.table]
		x.left--
	}
}

func (m *moves) toGraceB(w *movesWorld, x *movesProc) {
	m.beginGrace(w)
	*x = movesProc{pc: movesGraceB}
}

// help copies a stripe: MoveOn. Then it begins again, since the root may be another one.
func (m *moves) help(w *movesWorld, x *movesProc) {
	*x = movesProc{table: w.root, pc: movesClaimStripe}
	if m.without("the reclaimer copies") {
		*x = movesProc{table: w.root, pc: movesAwaitRoot}
	}
}

// ---- what must hold

func (m *moves) check(w *movesWorld) {
	var inserted [8]uint8
	for n := range m.callers {
		x := &w.procs[n]
		if row := m.wanted(n); x.pc == movesDone && x.found == row {
			id := m.row(row).id % 8
			breakIf(inserted[id] != 0, "two reservations have one id (I9)")
			inserted[id] = row
		}
	}
	for table := w.root; table < w.made; table++ {
		for _, s := range w.tables[table] {
			if s != 0 && s != movedSlot && s != tombstone && w.gone>>(s&^frozen)&1 != 0 {
				panic(broken("a freed row is in the index"))
			}
		}
	}
}

func (m *moves) end(w *movesWorld) {
	for n := range m.reclaimer() {
		if w.procs[n].pc != movesDone {
			panic(broken("stuck: " + m.label(w, n)))
		}
	}
	for i, r := range m.rows {
		breakIf(r.dead && w.gone>>(i+1)&1 == 0, "row %d has not come back", i+1)
	}
}
