//go:build seathold_yield

package inventory

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/epoch"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// recycled is the part of the explorer that is about rows that are used again.
//
// A use of a row is its number and how often it was freed. Records, ledgers and answers are about uses. A call that
// touches a row in two uses fails the schedule: between its first load and its last, no row may change its meaning.
type recycled struct {
	recycles  bool // a program has the reclaimer
	reclaimer *Reclaimer
	freed     [exploredRows]uint32 // by row
	rings     []table.Ring         // of all tables with a free row
	none      []toldNone
	moves     *table.Moves // of the index of ids; nil if no program has one
	homes     map[int]bool // slots to which ids of the plan come
}

// touched are the uses of rows that a call has touched: one more than how often each was freed.
type touched struct {
	none bool // the call is the reclaimer's, which frees them
	rows [exploredRows]uint32
}

// use returns the use of a row that has begun.
func (e *explorer) use(row uint32) uint32 {
	if row == 0 {
		return 0
	}
	return e.freed[row]<<16 | row
}

func (e *explorer) startRecycling() {
	for _, program := range append(slices.Clone(e.programs), e.before) {
		e.recycles = e.recycles || slices.ContainsFunc(program, func(op do) bool { return op.kind == "reclaim" })
	}
	if slices.ContainsFunc(slices.Concat(e.programs...), func(op do) bool { return op.kind == "grow" }) {
		e.startMoves()
	}
	e.reclaimer = e.v.NewReclaimer()
	short, long := e.v.texts.Rings()
	e.rings = []table.Ring{e.v.reservations.Ring(), e.v.overflows.Ring(), e.v.accounts.Ring(), short, long}
}

// startMoves lets the index move. Callers decide at the slots to which an id comes, and those of all ids are in the
// stripe that is copied first. The copies of other slots commute.
func (e *explorer) startMoves() {
	e.moves = e.v.byID.Moves()
	for inFirst := false; !inFirst; {
		e.v.seed, e.homes, inFirst = maphash.MakeSeed(), map[int]bool{}, true
		for name := range e.reservations {
			id := e.id(name)
			home := e.moves.Home(e.v.hashID(&id))
			e.homes[home], e.homes[home+1] = true, true
			inFirst = inFirst && home < 1000
		}
		inFirst = inFirst && len(e.homes) == 2*len(e.reservations)
	}
}

func (e *explorer) resetRecycling() {
	if e.moves != nil {
		e.moves.Reset()
	}
	*e.reclaimer = *e.v.NewReclaimer()
	e.freed, e.none = [exploredRows]uint32{}, e.none[:0]
	e.v.freeing.Store(0)
}

// spread is that of the call that runs: each caller has its own, or all have one.
func (e *explorer) spread() uint32 {
	if e.running == nil || e.oneSpread {
		return 0
	}
	return uint32(e.running.number)
}

// reclaim is a pass of the reclaimer. What is over before an instant may be forgotten; 0 is the end of time.
func (e *explorer) reclaim(before int64) {
	if before == 0 {
		before = 1 << 40
	}
	rec, steps := e.reclaimer, 0
	for passes := rec.passes; rec.passes == passes || rec.busy; {
		durable := e.v.placed.Drained.Peek()
		terms := Terms{Before: before, Durable: durable, All: rec.passes == passes}
		if c := e.running; c == nil {
			rec.Step(terms)
		} else if past := c.past; !rec.Step(terms) && rec.busy {
			// The step has found that it has to wait, and nothing else.
			c.past = past
			e.rest()
		} else if c.saw(durable, 5); e.moves != nil && e.moves.Running() {
			// While another caller is about to say that it has copied the last stripe, the reclaimer looks for one.
			if steps++; steps > 6 {
				e.rest()
			}
		}
	}
}

// rest makes the caller wait for a step of another one, as pause does.
func (e *explorer) rest() {
	if c := e.running; c != nil {
		c.waiting, c.backed = true, true
		c.pass()
	}
}

// forgetTouched is called where a call ends that is part of an operation, so that rows may change their meaning.
func (e *explorer) forgetTouched() {
	if e.running != nil {
		e.running.touched = touched{}
	}
}

// touch is called before each access to a word.
func (e *explorer) touch(c *coroutine, word unsafe.Pointer, writes bool) {
	if rows := e.rings[0]; writes && (*table.Word64)(word) == rows.Filled() {
		row := rows.Next()
		e.freed[row]++
		return
	}
	if c == nil || c.touched.none {
		return
	}
	row := rowOf(word, e.v.reservations.At(0))
	if row == 0 {
		row = rowOf(word, e.v.details.At(0))
	}
	if row == 0 {
		return
	}
	use := e.freed[row] + 1
	e.must(c.touched.rows[row] == 0 || c.touched.rows[row] == use, "row %d was freed while a call stands on it: %v", row,
		e.programs[c.number])
	c.touched.rows[row] = use
}

// rowOf returns the row to which a word belongs; 0 for none.
func rowOf[T any](word unsafe.Pointer, first *T) uint32 {
	if at := (uintptr(word) - uintptr(unsafe.Pointer(first))) / unsafe.Sizeof(*first); at < exploredRows {
		return uint32(at)
	}
	return 0
}

// decidesNothing reports whether no choice is needed at an access: at a place of a ring of free rows, since other words
// decide whether there is a free row, and who takes it; at a stripe that no call uses; at a slot to which no id comes.
func (e *explorer) decidesNothing(c *coroutine, word unsafe.Pointer, writes bool) bool {
	if at := uintptr(word) - uintptr(unsafe.Pointer(&e.v.calls)); at < unsafe.Sizeof(epoch.Epoch{}) {
		return at > exploredSpreads*64
	}
	if e.moves != nil {
		if slot, ok := e.moves.Slot(word); ok {
			return !e.homes[slot]
		}
	}
	for _, r := range e.rings {
		switch {
		case (*table.Word64)(word) == r.Taken() && !writes:
			c.saw(r.Taken().Peek(), 4)
			return true
		case r.IsPlace(word):
			return true
		}
	}
	return false
}

// exploredSpreads are more than the calls of a schedule have.
const exploredSpreads = 24

// own makes the texts of a snapshot its own.
func own(s *Snapshot) {
	s.Account, s.Reference = strings.Clone(s.Account), strings.Clone(s.Reference)
}

// mayForget reports whether a reservation may be forgotten once its last record is durable.
func (e *explorer) mayForget(s *Snapshot) bool {
	return e.recycles && (s.State == Released || s.State == Expired || s.State == Returned && s.Flags&FlagWithheld == 0)
}

// forgetting returns the states in which an operation may find what is known, if the reclaimer is at work: it may have
// forgotten each reservation that ended. When the reclaimer's pass ends, that is so for all of them.
func (e *explorer) forgetting(s sequential, h answered, left []answered, first int) []sequential {
	all := []sequential{s}
	if !slices.ContainsFunc(left, func(h answered) bool { return h.kind == "reclaim" && h.call <= first }) {
		return all
	}
	for id, now := range s {
		if e.mayForget(&now) && (h.kind == "reclaim" || id == e.id(h.name) || id == e.id(h.with)) {
			for _, known := range slices.Clone(all) {
				without := maps.Clone(known)
				delete(without, id)
				all = append(all, without)
			}
		}
	}
	return all
}

// toldNone is an id of which a caller was told that there is no reservation, although nothing is awaited for it.
type toldNone struct {
	id        ID
	before    uint64 // what was placed when the call began
	durable   uint64 // what was durable when it returned
	explained bool
}

// answered notes the answer of a call, at whose beginning so much was placed.
func (e *explorer) answered(h answered, placed uint64) {
	switch {
	case h.kind == "sweep":
		for name := range e.reservations {
			h.kind, h.name, h.answer = "expire", name, "looked"
			e.history = append(e.history, h)
		}
	case h.answer != "":
		e.history = append(e.history, h)
	}
	if h.answer == "none" && h.kind != "replace" {
		e.none = append(e.none, toldNone{id: e.id(h.name), before: placed, durable: e.v.placed.Drained.Peek()})
	}
}

// explainNone notes who was rightly told that there is no reservation: by a prefix of the journal that was durable, and
// has all that the call may not miss. It may miss an end.
func (e *explorer) explainNone(known entries, prefix uint64) {
	for i := range e.none {
		n := &e.none[i]
		if prefix >= min(n.before, n.durable) && prefix <= n.durable {
			was := known.of(n.id)
			n.explained = n.explained || was == nil || e.mayForget(&was.Snapshot)
		}
	}
}
