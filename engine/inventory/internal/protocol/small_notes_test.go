package protocol

import (
	"fmt"
	"testing"
)

// Notes and the stack of free rows. A call pops a note from the free stack, or claims one that was never used, fills it
// and places it. The drainer takes what is placed, visits it, and pushes it to the stack of visited notes. The
// reclaimer takes that stack whole, waits for a grace period, and pushes the notes to the free stack as one chain. All
// links are in the notes themselves: a tenant overwrites the link of the free stack with its own.

const smallNoteRows = 2

// smallNoteWord is the top of the free stack: count | row.
type smallNoteWord struct{ count, row uint8 }

type smallNotes struct {
	top             smallNoteWord
	placed, visited uint8                    // tops of the other two stacks, rows
	link            [smallNoteRows + 1]uint8 // below
	free            [smallNoteRows + 1]bool  // whether the free stack has it, for checks alone
	content         [smallNoteRows + 1]uint8 // what its tenant wrote
	calls           [3]smallNoteCall         //
	drainer         smallNoteHelper          // order: notes to visit, the next one last
	reclaimer       smallNoteHelper          // order[0]: the chain's first note
	came            [smallNoteRows + 1]uint8 // how often the row came back
	inUse           bool                     // a pop read the link of a row that another call had already
	wrong           string
}

type smallNoteCall struct {
	at     string
	left   uint8 // notes still to make
	word   smallNoteWord
	link   uint8
	row    uint8
	waited bool // the present grace period waits for this call
}

type smallNoteHelper struct {
	at    string
	order [smallNoteRows]uint8
	n     uint8
	top   uint8
	last  uint8
}

// smallNoteRules are the rules of a variant.
type smallNoteRules struct {
	counted     bool // the word counts the pops and pushes
	announced   bool // a pop is made while announced
	grace       bool // the reclaimer waits before it pushes
	direct      bool // the drainer pushes to the free stack itself
	visitsFirst bool // the drainer visits a note before it pushes it
}

func smallNoteModel(r smallNoteRules, notes ...uint8) smallModel[smallNotes] {
	start := smallNotes{top: smallNoteWord{row: 1}, drainer: smallNoteHelper{at: "take"},
		reclaimer: smallNoteHelper{at: "take"}}
	for row := 1; row <= smallNoteRows; row++ {
		start.free[row], start.link[row] = true, uint8(row+1)%(smallNoteRows+1)
	}
	m := smallModel[smallNotes]{}
	for i, n := range notes {
		start.calls[i] = smallNoteCall{at: "announce", left: n}
		m.processes = append(m.processes, fmt.Sprintf("call %d", i))
	}
	m.start, m.processes = start, append(m.processes, "drainer", "reclaimer")
	drainer := len(notes)
	m.step = func(s smallNotes, process int, to func(smallNotes)) {
		switch process {
		case drainer:
			smallNoteDrains(s, r, to)
		case drainer + 1:
			smallNoteReclaims(s, r, to)
		default:
			smallNoteCalls(s, process, r, to)
		}
	}
	m.check = func(s smallNotes, over bool) string {
		if s.wrong != "" || !over {
			return s.wrong
		}
		for _, c := range s.calls[:len(notes)] {
			if c.at != "done" {
				return "a call is stuck"
			}
		}
		count := 0
		for row := s.top.row; row != 0; row = s.link[row] {
			if count++; count > smallNoteRows {
				return "the free stack runs in a circle"
			}
		}
		if count < smallNoteRows {
			return "a note does not come back"
		}
		return ""
	}
	m.at = func(s smallNotes, process int) string {
		switch process {
		case drainer:
			return s.drainer.at
		case drainer + 1:
			return s.reclaimer.at
		}
		return s.calls[process].at
	}
	m.reached = func(s smallNotes) bool { return s.came[1] > 0 && s.came[2] > 0 }
	return m
}

// smallNoteCalls makes a step of a call that makes a note.
func smallNoteCalls(s smallNotes, process int, r smallNoteRules, to func(smallNotes)) {
	c := &s.calls[process]
	switch c.at {
	case "announce":
		c.at = "load top"
	case "load top":
		c.word, c.at = s.top, "load link"
		if c.word.row == 0 {
			c.at = "withdraw" // the table is full
		}
	case "load link": // of a row that may have a tenant by now: an atomic word, although the value is of no use then
		c.link, c.at = s.link[c.word.row], "pop"
		s.inUse = s.inUse || !s.free[c.word.row]
	case "pop":
		c.at = "load top"
		if s.top == c.word {
			s.pop(c, r)
		}
	case "fill":
		s.content[c.row], c.at = uint8(process+1), "link"
	case "link":
		s.link[c.row], c.at = s.placed, "place"
	case "place":
		c.at = "link"
		if s.placed == s.link[c.row] {
			s.placed, c.at = c.row, "withdraw"
		}
	case "withdraw":
		*c = smallNoteCall{at: "announce", left: c.left - 1}
		if c.left == 0 {
			c.at = "done"
		}
	case "done":
		return
	}
	to(s)
}

// pop leads the free stack past the row, which is the call's from here on.
func (s *smallNotes) pop(c *smallNoteCall, r smallNoteRules) {
	s.top.row = c.link
	if r.counted {
		s.top.count++
	}
	if !s.free[c.word.row] {
		s.wrong = "a note has two tenants"
	}
	s.free[c.word.row] = false
	*c = smallNoteCall{at: "fill", left: c.left, row: c.word.row, waited: c.waited}
}

// smallNoteDrains makes a step of the drainer.
func smallNoteDrains(s smallNotes, r smallNoteRules, to func(smallNotes)) {
	d := &s.drainer
	pushAt := "load visited"
	if r.direct {
		pushAt = "load free"
	}
	switch d.at {
	case "take":
		if s.placed == 0 {
			return
		}
		d.top, s.placed, d.at = s.placed, 0, "follow"
	case "follow":
		if d.n == smallNoteRows {
			s.wrong = "what is placed runs in a circle"
			break
		}
		d.order[d.n], d.top = d.top, s.link[d.top]
		if d.n++; d.top == 0 {
			d.at = "visit"
			if !r.visitsFirst {
				d.at = pushAt
			}
		}
	case "visit":
		row := d.order[d.n-1]
		if s.content[row] == 0 {
			s.wrong = "the drainer reads a note that is not placed"
		}
		s.content[row] = 0
		d.at = pushAt
		if !r.visitsFirst {
			d.next("take", pushAt)
		}
	case "load visited":
		d.top, d.at = s.visited, "link visited"
	case "link visited":
		s.link[d.order[d.n-1]], d.at = d.top, "push visited"
	case "push visited":
		d.at = "load visited"
		if s.visited == d.top {
			s.visited = d.order[d.n-1]
			d.pushed(r, "visit")
		}
	case "load free":
		d.top, d.last, d.at = s.top.row, s.top.count, "link free"
	case "link free":
		s.link[d.order[d.n-1]], d.at = d.top, "push free"
	case "push free":
		d.at = "load free"
		if s.top == (smallNoteWord{d.last, d.top}) {
			s.pushFree(d.order[d.n-1], d.order[d.n-1], r)
			d.pushed(r, "visit")
		}
	}
	to(s)
}

// pushed leads the drainer to its next step after a note was pushed.
func (d *smallNoteHelper) pushed(r smallNoteRules, visit string) {
	d.top, d.last = 0, 0
	if !r.visitsFirst {
		d.at = visit
		return
	}
	d.next("take", visit)
}

func (d *smallNoteHelper) next(end, more string) {
	d.n--
	d.order[d.n], d.at = 0, more
	if d.n == 0 {
		d.at = end
	}
}

// pushFree puts a chain, whose last note leads to the top already, on the free stack.
func (s *smallNotes) pushFree(first, last uint8, r smallNoteRules) {
	s.top.row = first
	if r.counted {
		s.top.count++
	}
	for row := first; ; row = s.link[row] {
		if row == 0 || s.free[row] {
			s.wrong = "a note is free twice"
			return
		}
		s.free[row] = true
		s.came[row] = 1
		if row == last {
			return
		}
	}
}

// smallNoteReclaims makes a step of the reclaimer.
func smallNoteReclaims(s smallNotes, r smallNoteRules, to func(smallNotes)) {
	x := &s.reclaimer
	switch x.at {
	case "take": // the whole stack, by one exchange
		if s.visited == 0 {
			return
		}
		x.order[0], s.visited, x.at = s.visited, 0, "begin grace"
		if !r.grace {
			x.at, x.last = "to the end", x.order[0]
		}
	case "begin grace":
		for i := range s.calls {
			s.calls[i].waited = r.announced && s.calls[i].at != "announce" && s.calls[i].at != "done" && s.calls[i].at != ""
		}
		x.at = "grace"
	case "grace":
		for _, c := range s.calls {
			if c.waited {
				return
			}
		}
		x.at, x.last = "to the end", x.order[0]
	case "to the end":
		if below := s.link[x.last]; below != 0 {
			x.last = below
		} else {
			x.at = "load free"
		}
	case "load free":
		x.top, x.n, x.at = s.top.row, s.top.count, "link"
	case "link":
		s.link[x.last], x.at = x.top, "push"
	case "push":
		x.at = "load free"
		if s.top == (smallNoteWord{x.n, x.top}) {
			s.pushFree(x.order[0], x.last, r)
			*x = smallNoteHelper{at: "take"}
		}
	}
	to(s)
}

func TestSmallNotes(t *testing.T) {
	protocol := smallNoteRules{announced: true, grace: true, visitsFirst: true}
	for _, notes := range [][]uint8{{1, 3}, {2, 2}, {1, 1, 1}} {
		smallNoteModel(protocol, notes...).explore().holds(t, fmt.Sprint("calls that make notes ", notes), true)
	}
	m := smallNoteModel(protocol, 1, 3)
	m.reached = func(s smallNotes) bool { return s.inUse }
	m.explore().holds(t, "a pop reads the link of a note in use, so it is an atomic word", true)

	// A count in the word does what the announcement does: one of them is enough.
	counted := smallNoteRules{counted: true, visitsFirst: true}
	smallNoteModel(counted, 1, 3).explore().holds(t, "a count, and no grace period", true)
	counted.direct = true
	smallNoteModel(counted, 1, 3).explore().holds(t, "a count, and the drainer frees what it has visited", true)

	fault := func(name string, change func(*smallNoteRules)) {
		r := protocol
		change(&r)
		smallNoteModel(r, 1, 3).explore().caught(t, name)
	}
	fault("a pop that is not announced", func(r *smallNoteRules) { r.announced = false })
	fault("no grace period", func(r *smallNoteRules) { r.grace = false })
	fault("the drainer frees", func(r *smallNoteRules) { r.direct = true })
	fault("a note is pushed before it is visited", func(r *smallNoteRules) { r.visitsFirst = false })
}
