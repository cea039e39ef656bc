//go:build seathold_yield

package inventory

import (
	"fmt"
	"slices"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// redefined is the part of the explorer that is about changes of the definition while calls run: of the units of
// pools, and of the account cap. Their records are notes.
type redefined struct {
	book table.Word32 // the number of the book in force

	most       []uint32 // units of pools in any definition of the plan, or abandoned
	wanted     []uint32 // by all wishes
	units      []uint32 // by the journal, up to the record that is judged
	accountCap int      // likewise
}

// The books of a plan with a recap: before it, while it is under way, and after it.
const bookBefore, bookBetween, bookAfter = 0, 1, 2

func (e *explorer) startDefinition() {
	e.most, e.wanted = slices.Clone(e.pools), make([]uint32, len(e.pools))
	for _, w := range e.reservations {
		for pool := range e.pools {
			if w.account != "" {
				e.wanted[pool] += uint32(e.takenBy(w.phase, w.lines, uint32(pool)))
			}
		}
	}
	for _, op := range slices.Concat(e.programs...) {
		if op.kind == "restock" || op.kind == "abandon" || op.kind == "places" { // what is to come is unsettled before
			for _, l := range e.reservations[op.name].lines {
				e.most[l.Pool] = max(e.most[l.Pool], l.Quantity)
			}
		}
	}
}

func (e *explorer) resetDefinition() { e.book.Store(bookBefore) }

// limitsOf returns the limits of a book.
func (e *explorer) limitsOf(book uint32) *Limits {
	accountCap := [...]int{bookBefore: exploredCap, bookBetween: min(exploredCap, e.recap), bookAfter: e.recap}[book]
	return &Limits{Caps: []int{accountCap}, Sessions: slices.Repeat([]int{exploredLimit}, len(e.pools))}
}

// reserveByBook is a call that is judged by the book in force. What the one between refuses waits for the next.
func (e *explorer) reserveByBook(op do) string {
	for w := (Wait{}); ; w, _ = e.pause(w) {
		book, answer := e.reserveOnce(op)
		if book != bookBetween || answer == "done" {
			return answer
		}
	}
}

func (e *explorer) reserveOnce(op do) (book uint32, answer string) {
	defer e.v.Begin(e.spread()).End()
	book = e.book.Load()
	return book, e.reserve(op, e.limitsOf(book))
}

// awaitGrace waits until every call that runs now has returned.
func (e *explorer) awaitGrace() {
	for grace := e.v.NewGrace(); ; {
		past := e.running.past
		if grace.Passed() {
			return
		}
		e.running.past = past
		e.rest()
	}
}

// changeCap puts another account cap into force.
func (e *explorer) changeCap() string {
	e.book.Store(bookBetween)
	e.awaitGrace()
	_, ok := e.v.Note(Note{Subject: uint32(e.recap), What: noteCap})
	e.must(ok, "no room for a note")
	e.book.Store(bookAfter)
	return "done"
}

const noteCap, noteStock = 1, 2

// restock changes the units of pools to those of a wish; or begins to, and abandons it.
func (e *explorer) restock(op do) string {
	var to []Units
	for _, l := range e.reservations[op.name].lines {
		to = append(to, Units{Pool: l.Pool, Units: l.Quantity})
	}
	change, err := e.v.ChangeStock(to, nil)
	if err != nil {
		return err.Error()
	}
	if op.kind == "abandon" {
		change.Abort()
		return "abandoned"
	}
	_, ok := e.v.Note(Note{Subject: e.numberOf(op.name), What: noteStock})
	e.must(ok, "no room for a note")
	change.Commit()
	return "done"
}

// numberOf returns the place of a wish in the order of their names.
func (e *explorer) numberOf(name string) uint32 {
	at, _ := slices.BinarySearch(e.names(), name)
	return uint32(at)
}

func (e *explorer) names() (all []string) {
	for name := range e.reservations {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// redefine applies the record of a change to what is legal, and checks that no pool has more taken than it then has.
func (e *explorer) redefine(known entries, n Note, at int) {
	if n.What == noteCap {
		e.accountCap = int(n.Subject)
		return
	}
	for _, l := range e.reservations[e.names()[n.Subject]].lines {
		taken, _, _ := e.unitsOf(known, l.Pool)
		e.must(e.units[l.Pool] != unbounded || taken == 0, "I6: record %d of %v bounds a phase that has %d", at, e.order,
			taken)
		e.units[l.Pool] = l.Quantity
		e.must(taken <= int(l.Quantity), "I6: after record %d of %v pool %d has %d of %d taken", at, e.order, l.Pool, taken,
			l.Quantity)
	}
}

// mayHave reports whether a pool has so many units in some definition of the plan.
func (e *explorer) mayHave(pool, units int) bool {
	if units == int(e.pools[pool]) {
		return true
	}
	for _, op := range slices.Concat(e.programs...) {
		if op.kind != "restock" && op.kind != "places" {
			continue
		}
		for _, l := range e.reservations[op.name].lines {
			if int(l.Pool) == pool && int(l.Quantity) == units {
				return true
			}
		}
	}
	return false
}

// The sequential rules keep the definition beside the reservations, as a snapshot that is none: its lines are the
// units of pools, and its time is the cap.
var definitionID = ID{0xff}

func (s sequential) accountCap() int {
	if d, ok := s[definitionID]; ok && d.AtMs != 0 {
		return int(d.AtMs)
	}
	return exploredCap
}

func (e *explorer) unitsIn(s sequential, pool uint32) int {
	for _, l := range s[definitionID].Lines {
		if l.Pool == pool {
			return int(l.Quantity)
		}
	}
	if e.isLate(pool) {
		return unbounded
	}
	return int(e.pools[pool])
}

func (e *explorer) applyRedefinition(s sequential, h answered) []sequential {
	d := s[definitionID]
	d.ID = definitionID
	if h.kind == "recap" {
		d.AtMs = int64(e.recap)
		return []sequential{s.with(d)}
	}
	to := slices.Clone(e.reservations[h.name].lines)
	slices.SortFunc(to, func(a, b Line) int { return int(a.Pool) - int(b.Pool) })
	for _, l := range to {
		taken := 0
		for _, r := range s {
			if r.State == Held || r.State == Confirmed || r.State == Returned && r.Flags&FlagWithheld != 0 {
				taken += e.takenBy(r.Phase, r.Lines, l.Pool)
			}
		}
		if h.kind == "places" && taken > 0 {
			return only(s, h.answer == "taken")
		}
		if lowers := int(l.Quantity) < e.unitsIn(s, l.Pool); lowers && taken > int(l.Quantity) {
			return only(s, h.answer == fmt.Sprintf("pool %d cannot have %d units: %d are taken", l.Pool, l.Quantity, taken))
		}
	}
	if h.kind == "abandon" {
		return only(s, h.answer == "abandoned")
	}
	for pool := range e.pools {
		if quantity(to, uint32(pool)) == 0 && !slices.ContainsFunc(to, func(l Line) bool { return int(l.Pool) == pool }) {
			to = append(to, Line{Pool: uint32(pool), Quantity: uint32(e.unitsIn(s, uint32(pool)))})
		}
	}
	d.Lines = to
	return only(s.with(d), h.answer == "done")
}

// redefinitions are cases of changes of the definition.
func redefinitions() []exploredCase {
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	reserve := func(name string) do { return of("reserve", name) }
	one := func(account string, pool, quantity uint32) wish {
		return wish{account: account, expires: 5, lines: lines(pool, quantity)}
	}
	pack := func(account string) wish { return wish{account: account, expires: 5, lines: lines(0, 1, 1, 1)} }
	stock := func(poolsAndUnits ...uint32) wish { return wish{lines: lines(poolsAndUnits...)} }
	return []exploredCase{
		{"a pool is lowered beside two buyers", plan{pools: []uint32{2},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "s": stock(0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("restock", "s")}}}},
		{"a lowering is abandoned beside buyers", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A"), "b": one("B", 1, 1), "s": stock(0, 0, 1, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("abandon", "s")}}}},
		{"two pools are lowered beside a buyer and a release", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A"), "b": one("B", 1, 1), "s": stock(0, 0, 1, 0)},
			before:       []do{reserve("a")},
			programs:     [][]do{{of("release", "a")}, {reserve("b")}, {of("restock", "s")}}}},
		{"a pool is raised, and bought", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("B", 1, 1), "s": stock(0, 2, 1, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("restock", "s")}}}},
		{"a pool is lowered beside a confirmation, a return and a reader", plan{pools: []uint32{3},
			reservations: map[string]wish{"a": one("A", 0, 1), "s": stock(0, 1)}, before: []do{reserve("a")},
			programs:    [][]do{{of("confirm", "a"), of("return", "a")}, {of("restock", "s")}, {{kind: "stock"}}},
			preemptions: 2}},
		{"a lowering is abandoned beside a buyer and a reader", plan{pools: []uint32{3},
			reservations: map[string]wish{"a": one("A", 0, 1), "s": stock(0, 1)},
			programs:     [][]do{{reserve("a")}, {of("abandon", "s")}, {{kind: "stock"}}}}},
		{"a lowering beside expiry and the census", plan{pools: []uint32{2},
			reservations: map[string]wish{"a": one("A", 0, 1), "s": stock(0, 1)}, before: []do{reserve("a")},
			programs:    [][]do{{{kind: "expire", name: "a", now: 10}}, {of("restock", "s")}, {{kind: "census"}}},
			preemptions: 2}},
		{"a pool is lowered beside a replacement and a release", plan{pools: []uint32{2, 1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "c": one("A", 1, 1), "s": stock(0, 0)},
			before:       []do{reserve("a"), reserve("b")},
			programs: [][]do{{{kind: "replace", name: "c", with: "a"}}, {of("release", "b")},
				{of("restock", "s")}}, preemptions: 2}},
		{"a pool is lowered beside an expiry and a buyer", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "s": stock(0, 0)},
			before:       []do{reserve("a")},
			programs:     [][]do{{{kind: "expire", name: "a", now: 10}}, {reserve("b")}, {of("restock", "s")}}}},
		{"one pool is raised and one lowered beside packs", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A"), "b": pack("B"), "s": stock(1, 2, 0, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("restock", "s")}}, preemptions: 3}},
		{"a raise and a lowering are abandoned beside packs", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A"), "b": pack("B"), "s": stock(0, 2, 1, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("abandon", "s")}}, preemptions: 3}},
		{"one pool is raised and one lowered beside a pack and a reader", plan{pools: []uint32{1, 2},
			reservations: map[string]wish{"a": pack("A"), "s": stock(0, 2, 1, 1)},
			programs:     [][]do{{reserve("a")}, {of("restock", "s")}, {{kind: "stock"}}}, preemptions: 2}},
		{"one pool is raised and one lowered beside a buyer and the census", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": one("A", 0, 2), "s": stock(0, 2, 1, 0)},
			programs:     [][]do{{reserve("a")}, {of("restock", "s")}, {{kind: "census"}}}, preemptions: 2}},
		{"a pool is lowered and raised again beside a release and a reader", plan{pools: []uint32{2},
			reservations: map[string]wish{"a": one("A", 0, 1), "s": stock(0, 1), "u": stock(0, 3)},
			before:       []do{reserve("a")},
			programs: [][]do{{of("release", "a")}, {of("restock", "s"), of("restock", "u")},
				{{kind: "stock"}}}, preemptions: 2}},
		{"a pool is lowered and raised again beside a reader", plan{pools: []uint32{3},
			reservations: map[string]wish{"s": stock(0, 1), "u": stock(0, 2)},
			programs:     [][]do{{of("restock", "s"), of("restock", "u")}, {{kind: "stock"}}}, preemptions: every}},
		{"the cap is lowered beside buyers", plan{pools: []uint32{9, 9}, recap: 2,
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 2)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {{kind: "recap"}}}, preemptions: 2}},
		{"the cap is raised beside buyers", plan{pools: []uint32{9, 9}, recap: 6,
			reservations: map[string]wish{"a": one("A", 0, 3), "b": one("A", 1, 3)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {{kind: "recap"}}}, preemptions: 2}},
		{"the cap is lowered beside the reclaimer", plan{pools: []uint32{9, 9}, recap: 2,
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 3), "c": one("B", 1, 1)},
			before:       []do{reserve("a"), of("release", "a"), {kind: "drain"}},
			programs:     [][]do{{reserve("b"), reserve("c")}, {{kind: "recap"}}, {{kind: "reclaim"}}}, preemptions: 2}},
	}
}
