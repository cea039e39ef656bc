package protocol

import (
	"fmt"
	"testing"
)

// The census looks at the state of every row, then at the word of the pool, then at every row again. It must not find
// a difference where there is none, although rows are forgotten, freed, claimed and taken meanwhile, and reservations
// move to successors. Nothing is freed between the looks: one word says whether the reclaimer frees rows or the census
// looks. So a number is one reservation's from the first look to the second, and its states only move forward. A row
// that is forgotten is dead to both looks: it may have counted when the word was read.

const smallCensusRows = 3

type smallCensus struct {
	rows      [smallCensusRows]smallCensusRow
	taken     uint8 // units, as the pool's word has them
	calls     [2]smallCensusCall
	reclaimer smallCensusReclaimer
	census    smallCensusLooks
	freeing   bool // the word: rows are given back, or none may be
}

type smallCensusRow struct {
	state string
	units uint8
	free  bool // in the ring
}

type smallCensusCall struct {
	at       string
	left     uint8 // reservations still to make or to end
	row, old uint8
}

type smallCensusReclaimer struct {
	at    string
	batch uint8 // set of rows
}

type smallCensusLooks struct {
	at        string
	row       uint8
	seen      [smallCensusRows]string
	word      uint8
	low, high uint8
	forgotten bool // a row was live at the first look, and forgotten at the second
}

// smallCensusModel has a call that changes and releases what the first row holds, and then reserves so often, and
// another call that reserves so often.
func smallCensusModel(without string, reservations ...uint8) smallModel[smallCensus] {
	m := smallModel[smallCensus]{processes: []string{"call 0", "call 1", "reclaimer", "census"}}
	m.start.rows = [smallCensusRows]smallCensusRow{{state: "held", units: 2}, {state: "released", units: 1},
		{state: "free", free: true}}
	m.start.taken = 2
	m.start.calls[0] = smallCensusCall{at: "claim next", left: 1 + reservations[0]}
	m.start.calls[1] = smallCensusCall{at: "claim", left: reservations[1]}
	m.start.reclaimer.at, m.start.census.at = "look", "begin"
	m.step = func(s smallCensus, process int, to func(smallCensus)) {
		switch process {
		case 2:
			s.reclaim(without, to)
		case 3:
			s.count(without, to)
		default:
			if s.calls[process].left > 0 {
				s.call(process, to)
			}
		}
	}
	m.check = func(s smallCensus, over bool) string {
		if s.census.at == "done" && (s.census.word < s.census.low || s.census.word > s.census.high) {
			return "the census finds a difference that is not there"
		}
		if over && (s.census.at != "done" || s.reclaimer.at != "look") {
			return "stuck"
		}
		return ""
	}
	m.at = func(s smallCensus, process int) string {
		return [...]string{s.calls[0].at, s.calls[1].at, s.reclaimer.at, s.census.at}[process]
	}
	m.reached = func(s smallCensus) bool { return s.census.forgotten && s.census.at == "done" }
	return m
}

// call makes a step of a call that reserves two units, keeps one of them in another row, and releases that. The second
// call releases its two units at once.
func (s smallCensus) call(process int, to func(smallCensus)) {
	c := &s.calls[process]
	r, old := &s.rows[c.row], &s.rows[c.old]
	switch c.at {
	case "claim", "claim next":
		found := false
		for row := range s.rows {
			if !s.rows[row].free {
				continue
			}
			found = true
			next := s
			next.rows[row].free = false
			next.calls[process].row, next.calls[process].at = uint8(row), "publish"
			if c.at == "claim next" {
				next.calls[process].old, next.calls[process].at = c.row, "publish next"
			}
			to(next)
		}
		if found {
			return
		}
		switch c.at { // the table is full
		case "claim":
			c.left = 0
		case "claim next":
			c.at = "release"
		}
	case "publish":
		*r, c.at = smallCensusRow{state: "pending", units: 2}, "take"
	case "take":
		s.taken, c.at = s.taken+r.units, "hold"
	case "hold":
		r.state, c.at = "held", "claim next"
		if process == 1 {
			c.at = "release"
		}
	case "publish next":
		*r, c.at = smallCensusRow{state: "pending", units: 1}, "yield"
	case "yield":
		old.state, c.at = "yielding", "give the surplus"
	case "give the surplus":
		s.taken, c.at = s.taken-1, "hold next"
	case "hold next":
		r.state, c.at = "held", "supersede"
	case "supersede":
		old.state, c.at = "superseded", "release"
	case "release":
		r.state, c.at = "releasing", "give back"
	case "give back":
		s.taken, c.at = s.taken-r.units, "end"
	case "end":
		r.state = "released"
		*c = smallCensusCall{at: "claim", left: c.left - 1}
	}
	to(s)
}

func smallCensusDead(state string) bool { return state == "released" || state == "superseded" }

// reclaim makes a step of the reclaimer. Its grace periods take no time here: calls could only make them longer, and
// the census is not announced.
func (s smallCensus) reclaim(without string, to func(smallCensus)) {
	x := &s.reclaimer
	switch x.at {
	case "look":
		for row := range s.rows {
			if smallCensusDead(s.rows[row].state) {
				x.batch |= 1 << row
			}
		}
		if x.batch == 0 {
			return
		}
		x.at = "forget"
	case "forget":
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row].state = "forgotten"
			}
		}
		x.at = "CAS freeing"
	case "CAS freeing":
		if s.freeing && without != "the reclaimer waits for the census" {
			return
		}
		s.freeing, x.at = true, "free"
	case "free": // row by row
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row] = smallCensusRow{state: "free", free: true}
				x.batch &^= 1 << row
				break
			}
		}
		if x.batch == 0 {
			x.at = "store freeing"
		}
	case "store freeing":
		s.freeing, x.at = false, "look"
	}
	to(s)
}

// count makes a step of the census.
func (s smallCensus) count(without string, to func(smallCensus)) {
	c := &s.census
	switch c.at {
	case "begin":
		if without != "the census waits for the reclaimer" {
			if s.freeing {
				return
			}
			s.freeing = true
		}
		c.at = "first look"
	case "first look":
		c.seen[c.row] = s.rows[c.row].state
		if c.row++; c.row == smallCensusRows {
			c.at, c.row = "load word", 0
			if without == "the word is held until the end" {
				s.freeing = false
			}
		}
	case "load word":
		c.word, c.at = s.taken, "second look"
	case "second look":
		c.add(s.rows[c.row], without)
		if c.row++; c.row == smallCensusRows {
			c.at = "done"
			if without != "the census waits for the reclaimer" && without != "the word is held until the end" {
				s.freeing = false
			}
		}
	case "done":
		return
	}
	to(s)
}

// add adds a row at the second look. Only what holds units at both looks is sure to have held them in between.
func (c *smallCensusLooks) add(row smallCensusRow, without string) {
	before := c.seen[c.row]
	switch {
	case row.state == "free", row.state == "forgotten" && without == "forgotten is dead, not free",
		smallCensusDead(before), before == "forgotten":
		return
	}
	c.forgotten = c.forgotten || row.state == "forgotten"
	c.high += row.units
	if before == "held" && row.state == "held" {
		c.low += row.units
	}
}

func TestSmallCensus(t *testing.T) {
	var cases, faults []smallCase[smallCensus]
	for _, reservations := range [][]uint8{{1, 0}, {0, 1}} {
		cases = append(cases, smallCase[smallCensus]{fmt.Sprint("reservations ", reservations),
			smallCensusModel("", reservations...)})
	}
	for _, rule := range []string{"the reclaimer waits for the census", "the census waits for the reclaimer",
		"the word is held until the end", "forgotten is dead, not free"} {
		faults = append(faults, smallCase[smallCensus]{rule, smallCensusModel(rule, 0, 1)})
	}
	exploreSmall(t, cases, faults)
}
