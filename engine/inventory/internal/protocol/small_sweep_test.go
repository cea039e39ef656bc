package protocol

import (
	"fmt"
	"testing"
)

// The sweep remembers when the next row of a chunk is due, in a word of the chunk: earliest. A row of the chunk may be
// published at any time, also one that is used again. A caller that publishes a row stores pending, then loads the
// word, and stores 0 if it is not 0. The sweep stores looking, loads the end of the rows that were ever claimed, looks
// at the rows before it, and remembers the result by a compare-and-swap of looking. It passes over free and forgotten
// rows.

const (
	smallSweepRows    = 2
	smallSweepNever   = 100 // nothing in the chunk is due at any time
	smallSweepLooking = 101
)

type smallSweep struct {
	rows     [smallSweepRows]smallSweepRow
	end      uint8 // after the last row that was ever claimed
	earliest uint8 // 0: it is not known, so the next sweep looks
	calls    [2]smallSweepCall
	sweep    smallSweeper
	reused   bool // a row was used again, and a sweep came after that
	early    bool // a hold ended before its time
}

type smallSweepRow struct {
	state   string // free, claimed, pending, held, dead
	expires uint8
	again   bool // a tenant came before this one
}

type smallSweepCall struct {
	at   string
	left uint8 // reservations still to make
	row  uint8
	word uint8 // earliest, as it was loaded
}

type smallSweeper struct {
	at      string
	now     uint8
	end     uint8 // as it was loaded
	row     uint8
	result  uint8
	expired uint8
	loaded  uint8
}

// smallSweepModel is a case: callers that make so many reservations, a reclaimer that frees dead rows, and a sweep at
// each of the instants 1 to 3, which ends at most so many holds.
func smallSweepModel(without string, most uint8, reservations ...uint8) smallModel[smallSweep] {
	m := smallModel[smallSweep]{}
	for row := range m.start.rows {
		m.start.rows[row].state = "free"
	}
	for i, n := range reservations {
		m.start.calls[i] = smallSweepCall{at: "claim", left: n}
		m.processes = append(m.processes, fmt.Sprintf("call %d", i))
	}
	m.start.sweep = smallSweeper{at: "load", now: 1}
	m.processes = append(m.processes, "sweep", "reclaimer")
	calls := len(reservations)
	m.step = func(s smallSweep, process int, to func(smallSweep)) {
		switch process {
		case calls:
			smallSweeps(s, without, most, to)
		case calls + 1:
			for row := range s.rows { // two grace periods are over, at some time
				stands := s.sweep.at == "expire" && int(s.sweep.row) == row && without != "being announced while it looks at a row"
				if s.rows[row].state == "dead" && !stands {
					freed := s
					freed.rows[row] = smallSweepRow{state: "free", again: true}
					if without == "a claim that stores 0: freeing stores it" {
						freed.earliest = 0 // what the reclaimer does instead
					}
					to(freed)
				}
			}
		default:
			smallSweepCalls(s, process, without, to)
		}
	}
	m.check = func(s smallSweep, over bool) string {
		if s.early {
			return "the sweep ends a hold before its time"
		}
		if over && s.sweep.at != "done" {
			return "the sweep is stuck"
		}
		if s.sweep.at != "load" && s.sweep.at != "done" {
			return ""
		}
		for row, r := range s.rows {
			if r.state != "held" || r.expires >= s.earliest || s.earliest == 0 || s.publishes(row) {
				continue
			}
			return "a hold that no sweep will look at"
		}
		return ""
	}
	m.at = func(s smallSweep, process int) string {
		switch process {
		case calls:
			return s.sweep.at
		case calls + 1:
			return "free"
		}
		return s.calls[process].at
	}
	m.reached = func(s smallSweep) bool { return s.reused }
	return m
}

// publishes reports whether a call has still to make the row known to the sweep.
func (s *smallSweep) publishes(row int) bool {
	for _, c := range s.calls {
		if int(c.row) == row && (c.at == "load earliest" || c.at == "store 0") {
			return true
		}
	}
	return false
}

// smallSweepCalls makes a step of a call that reserves.
func smallSweepCalls(s smallSweep, process int, without string, to func(smallSweep)) {
	c := &s.calls[process]
	r := &s.rows[c.row]
	switch c.at {
	case "claim": // a free row, or else a new one
		s.claimNew()
		for row := range s.rows[:s.end] {
			if s.rows[row].state == "free" {
				claimed := s
				claimed.rows[row].state = "claimed"
				claimed.calls[process].row, claimed.calls[process].at = uint8(row), "store pending"
				if without == "pending before the word is loaded" {
					claimed.calls[process].at = "load earliest"
				}
				if without == "pending before 0 is stored" {
					claimed.calls[process].at = "store 0"
				}
				to(claimed)
			}
		}
		return
	case "store pending":
		r.state, c.at = "pending", "load earliest"
		switch without {
		case "pending before the word is loaded":
			c.at = "hold"
			if c.word != 0 {
				c.at = "store 0"
			}
		case "pending before 0 is stored", "a claim that stores 0: freeing stores it":
			c.at = "hold"
		}
	case "load earliest":
		c.word, c.at = s.earliest, "hold"
		if c.word != 0 && (c.word != smallSweepLooking || without != "0 is stored over looking, too") {
			c.at = "store 0"
		}
		if without == "pending before the word is loaded" {
			c.at = "store pending"
		}
	case "store 0":
		s.earliest, c.at = 0, "hold"
		if without == "pending before 0 is stored" {
			c.at = "store pending"
		}
	case "hold": // it has one of two ends, both later than the first sweep
		for expires := uint8(2); expires <= 3; expires++ {
			held := s
			held.rows[c.row].state, held.rows[c.row].expires = "held", expires
			held.calls[process].at, held.calls[process].word = "end", 0
			to(held)
		}
		return
	case "end": // by a release, or not by this call
		if r.state == "held" {
			released := s
			released.rows[c.row].state, released.rows[c.row].expires = "dead", 0
			released.calls[process].next()
			to(released)
		}
		c.next()
	case "done":
		return
	}
	to(s)
}

// claimNew adds a new row to the free ones if there is none.
func (s *smallSweep) claimNew() {
	for _, r := range s.rows[:s.end] {
		if r.state == "free" {
			return
		}
	}
	s.end = min(s.end+1, smallSweepRows)
}

func (c *smallSweepCall) next() {
	*c = smallSweepCall{at: "claim", left: c.left - 1}
	if c.left == 0 {
		c.at = "done"
	}
}

// smallSweeps makes a step of the sweep.
func smallSweeps(s smallSweep, without string, most uint8, to func(smallSweep)) {
	w := &s.sweep
	switch w.at {
	case "load":
		w.loaded, w.end, w.at = s.earliest, s.end, "store looking"
		if w.loaded > w.now {
			w.turn()
		} else if without == "saying that it looks" {
			w.at, w.result = "load end", smallSweepNever
		}
	case "store looking":
		s.earliest, w.at, w.result = smallSweepLooking, "load end", smallSweepNever
	case "load end":
		if without != "the end is loaded after looking is stored" {
			w.end = s.end
		}
		if w.at = "look"; w.end == 0 {
			w.at = "remember"
		}
	case "look":
		if s.look(without); w.at == "look" {
			w.nextRow(most)
		}
	case "expire":
		if r := &s.rows[w.row]; r.state == "held" {
			s.early = s.early || r.expires > w.now
			r.state, r.expires = "dead", 0
			w.expired++
		}
		w.nextRow(most)
	case "remember":
		expected := uint8(smallSweepLooking)
		if without == "saying that it looks" {
			expected = w.loaded
		}
		if s.earliest == expected || without == "remembering by compare-and-swap" {
			s.earliest = w.result
		}
		w.turn()
	case "done":
		return
	}
	to(s)
}

// nextRow leads to the next row, or to the end of the visit.
func (w *smallSweeper) nextRow(most uint8) {
	switch {
	case w.expired == most:
		w.at, w.result = "remember", 0 // the rest comes later
	case w.row+1 == w.end:
		w.at = "remember"
	default:
		w.at = "look"
		w.row++
	}
}

// look looks at the state of one row.
func (s *smallSweep) look(without string) {
	w, r := &s.sweep, &s.rows[s.sweep.row]
	s.reused = s.reused || r.again && r.state == "held"
	switch {
	case r.state == "pending" && without != "looking again at pending rows":
		w.result = 0
	case r.state == "held" && r.expires <= w.now:
		w.at = "expire"
	case r.state == "held":
		w.result = min(w.result, r.expires)
	}
}

// turn ends a visit of the chunk. The next sweep comes later.
func (w *smallSweeper) turn() {
	*w = smallSweeper{at: "load", now: w.now + 1}
	if w.now > 3 {
		w.at = "done"
	}
}

func TestSmallSweep(t *testing.T) {
	var cases, faults []smallCase[smallSweep]
	for _, c := range []struct {
		most         uint8
		reservations []uint8
	}{{2, []uint8{2, 2}}, {1, []uint8{2, 1}}, {1, []uint8{3}}} {
		name := fmt.Sprintf("reservations %v, at most %d expire at a time", c.reservations, c.most)
		cases = append(cases, smallCase[smallSweep]{name, smallSweepModel("", c.most, c.reservations...)})
	}
	for _, rule := range []string{
		"pending before the word is loaded", "pending before 0 is stored", "0 is stored over looking, too",
		"the end is loaded after looking is stored", "a claim that stores 0: freeing stores it", "saying that it looks",
		"remembering by compare-and-swap", "looking again at pending rows", "being announced while it looks at a row",
	} {
		faults = append(faults, smallCase[smallSweep]{rule, smallSweepModel(rule, 2, 2, 1)})
	}
	exploreSmall(t, cases, faults)
}
