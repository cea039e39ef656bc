package protocol

import (
	"fmt"
	"testing"
)

// The rows of a slab: a ring has those that were given back, and a count hands out new ones. A claim looks at the
// ring, then at the count, then at the ring once more. It reads the row at the next position of the ring, then decides
// by a compare-and-swap of the position. Positions only rise, so a claim that was delayed between the two fails. One
// goroutine gives rows back. Others read how many rows are in use, and how many were claimed so far.
//
// No row is claimed twice or lost. A claim finds the slab full only if no row was free at some instant of it. The
// number of rows in use is what it was at some instant, or more, and at most the number of rows.

const (
	smallRingRows  = 2 // at most
	smallRingCalls = 3
)

type smallRing struct {
	taken, filled uint8 // positions
	place         [smallRingRows]uint8
	used          uint8                        // new rows handed out; may run past the limit
	state         [smallRingRows + 1]smallSlot // of the rows
	calls         [smallRingCalls]smallClaim
	putter        smallPutter
	reader        smallCount
	again         bool // a row that came back was claimed
	wrong         string
}

// smallSlot is what has happened to a row, for checks alone.
type smallSlot string

type smallClaim struct {
	at       string
	left     uint8 // claims still to make
	position uint8 // of the ring, as it was loaded
	row      uint8 // read there, or claimed
	last     bool  // the count was at its end: this is the last look at the ring
	wasFull  bool  // no row was free at an instant of this claim
}

// smallPutter gives rows back.
type smallPutter struct {
	at  string
	row uint8
}

// smallCount reads InUse, then Claims.
type smallCount struct {
	at            string
	taken, filled uint8
	end           uint8
	free          uint8
	least         int8 // rows in use at some instant of the call
	before        uint8
}

// smallRingCase is how many rows there are, and how often each call claims one and gives it up.
type smallRingCase struct {
	rows   uint8
	claims []uint8
	back   bool // all rows were claimed and given back before
	reads  bool // there is a reader
}

type smallRingRules struct {
	smallRingCase
	without string
}

func smallRingModel(c smallRingCase, without string) smallModel[smallRing] {
	r := smallRingRules{c, without}
	m := smallModel[smallRing]{}
	m.start.putter.at, m.start.reader.at = "wait", "begin"
	for i, n := range c.claims {
		m.start.calls[i] = smallClaim{at: "begin", left: n}
		m.processes = append(m.processes, fmt.Sprintf("call %d", i))
	}
	m.processes = append(m.processes, "putter")
	if c.reads {
		m.processes = append(m.processes, "reader")
	}
	if c.back {
		m.start.used, m.start.filled = c.rows, c.rows
		for i := range c.rows {
			m.start.place[i], m.start.state[i+1] = i+1, "free"
		}
	}
	calls := len(c.claims)
	m.step = func(s smallRing, process int, to func(smallRing)) {
		moved := false
		switch process {
		case calls:
			moved = s.put(r)
		case calls + 1:
			moved = s.count(r)
		default:
			moved = s.claim(process, r)
		}
		if moved {
			s.note(r)
			to(s)
		}
	}
	m.check = func(s smallRing, over bool) string {
		if s.wrong != "" {
			return s.wrong
		}
		if wrong := s.checkRing(r); wrong != "" || !over {
			return wrong
		}
		if s.freeRows(r) != int8(r.rows) {
			return "a row is lost"
		}
		for _, x := range s.calls[:calls] {
			if x.at != "done" {
				return "a call is stuck"
			}
		}
		return ""
	}
	m.at = func(s smallRing, process int) string {
		switch process {
		case calls:
			return s.putter.at
		case calls + 1:
			return s.reader.at
		}
		return s.calls[process].at
	}
	m.reached = func(s smallRing) bool { return s.again }
	return m
}

// checkRing reports what is wrong with the rows in the ring.
func (s *smallRing) checkRing(r smallRingRules) string {
	found := [smallRingRows + 1]bool{}
	for at := s.taken; at < s.filled; at++ {
		row := s.place[r.room(at)]
		if row == 0 || s.state[row] != "free" || found[row] {
			return "the ring has a row that is not free, or has one twice"
		}
		found[row] = true
	}
	return ""
}

// freeRows returns how many rows are free at this instant.
func (s *smallRing) freeRows(r smallRingRules) int8 {
	return int8(s.filled-s.taken) + int8(r.rows-s.end(r))
}

func (s *smallRing) end(r smallRingRules) uint8 { return min(s.used, r.rows) }

// note notes what the calls and the reader may rely on at this instant.
func (s *smallRing) note(r smallRingRules) {
	free := s.freeRows(r)
	for i := range s.calls {
		if c := &s.calls[i]; c.claims() && free == 0 {
			c.wasFull = true
		}
	}
	if x := &s.reader; x.at != "begin" {
		x.least = min(x.least, int8(r.rows)-free)
	}
}

func (c *smallClaim) claims() bool {
	return c.at != "begin" && c.at != "give up" && c.at != "done" && c.at != ""
}

// room returns the place of a position of the ring.
func (r smallRingRules) room(position uint8) uint8 {
	if r.without == "the ring has room for every row" {
		return 0
	}
	return position % r.rows
}

// claim makes a step of Slab.Claim.
func (s *smallRing) claim(process int, r smallRingRules) (moved bool) {
	c := &s.calls[process]
	switch c.at {
	case "begin":
		c.at = "empty: load taken"
	case "empty: load taken":
		c.position, c.at = s.taken, "empty: load filled"
	case "empty: load filled":
		if c.at = "take: load taken"; c.position >= s.filled {
			c.at = "load used"
		}
		c.position = 0
	case "take: load taken":
		c.position, c.at = s.taken, "take: load filled"
	case "take: load filled":
		switch {
		case c.position < s.filled:
			c.at = "take: load row"
			if r.without == "the row is read before the position is taken" {
				c.at = "take: CAS taken"
			}
		case c.last:
			s.full(c)
		default:
			c.position, c.at = 0, "load used"
		}
	case "take: load row":
		c.row, c.at = s.place[r.room(c.position)], "take: CAS taken"
		if r.without == "the row is read before the position is taken" {
			s.got(c, c.row)
		}
	case "take: CAS taken":
		s.decide(c, r)
	case "load used":
		switch c.at = "add to used"; {
		case s.used < r.rows:
		case r.without == "the ring is looked at once more":
			s.full(c)
		default:
			c.at, c.last = "take: load taken", true
		}
	case "add to used":
		if s.used++; s.used <= r.rows || r.without == "the limit is looked at after the addition" {
			s.got(c, s.used)
		} else {
			c.at, c.last = "take: load taken", true
		}
	case "give up":
		if s.state[c.row] = "given"; r.without == "one goroutine gives rows back" {
			s.state[c.row], c.at, c.position = "claimed", "store row", s.filled
			return true
		}
		c.next()
	case "store row":
		s.place[r.room(c.position)], c.at = c.row, "store filled"
	case "store filled":
		s.state[c.row], s.filled = "free", c.position+1
		c.next()
	default:
		return false
	}
	return true
}

// decide decides who has the row at a position.
func (s *smallRing) decide(c *smallClaim, r smallRingRules) {
	same := s.taken == c.position
	switch r.without {
	case "the position is taken by compare-and-swap":
		same = true
	case "positions only rise":
		same = s.taken%r.rows == c.position%r.rows && s.taken < s.filled
		c.position = s.taken
	}
	switch {
	case !same:
		c.at, c.position, c.row = "take: load taken", 0, 0
	case r.without == "the row is read before the position is taken":
		s.taken, c.at = c.position+1, "take: load row"
	default:
		s.taken = c.position + 1
		s.got(c, c.row)
	}
}

// got gives a row to the call.
func (s *smallRing) got(c *smallClaim, row uint8) {
	switch {
	case int(row) >= len(s.state) || row == 0:
		s.wrong = "a claim returns a row that is not there"
		return
	case s.state[row] != "" && s.state[row] != "free":
		s.wrong = "a row is claimed twice"
	}
	s.again = s.again || s.state[row] == "free"
	s.state[row] = "claimed"
	*c = smallClaim{at: "give up", left: c.left, row: row}
}

// full ends a claim that found no row.
func (s *smallRing) full(c *smallClaim) {
	if !c.wasFull {
		s.wrong = "the slab is full, but a row was free all along"
	}
	c.next()
}

func (c *smallClaim) next() {
	*c = smallClaim{at: "begin", left: c.left - 1}
	if c.left == 0 {
		c.at = "done"
	}
}

// put makes a step of Slab.Free. Only the putter changes filled.
func (s *smallRing) put(r smallRingRules) (moved bool) {
	p := &s.putter
	switch p.at {
	case "wait":
		for row := range s.state {
			if s.state[row] == "given" {
				p.row, p.at = uint8(row), "store row"
				s.state[row] = "free"
				if r.without == "the row is stored before the position is filled" {
					p.at = "store filled"
				}
				return true
			}
		}
		return false
	case "store row":
		at := s.filled
		p.at = "store filled"
		if r.without == "the row is stored before the position is filled" {
			at, p.at = at-1, "wait"
		}
		s.place[r.room(at)] = p.row
	case "store filled":
		s.filled++
		p.at = "wait"
		if r.without == "the row is stored before the position is filled" {
			p.at = "store row"
		}
	}
	if p.at == "wait" {
		p.row = 0
	}
	return true
}

// count makes a step of Slab.InUse, then of Slab.Claims.
func (s *smallRing) count(r smallRingRules) (moved bool) {
	x := &s.reader
	switch x.at {
	case "begin":
		x.at, x.least = "count: load taken", int8(r.rows)-s.freeRows(r)
		if r.without == "the end is loaded after the free rows" {
			x.at = "load used"
		}
	case "count: load taken":
		x.taken, x.at = s.taken, "count: load filled"
	case "count: load filled":
		x.filled, x.at = s.filled, "count: load taken again"
		if r.without == "taken is loaded again" {
			s.counted(r)
		}
	case "count: load taken again":
		if x.at = "count: load taken"; x.taken == s.taken {
			s.counted(r)
		}
	case "load used":
		x.end = s.end(r)
		if x.at = "count: load taken"; r.without != "the end is loaded after the free rows" {
			s.inUse(r)
		}
	case "claims: load taken":
		x.taken, x.at = s.taken, "claims: load used"
	case "claims: load used":
		if n := x.taken + s.end(r); n < x.before || n > s.taken+s.end(r) {
			s.wrong = "the number of claims is not one of an instant of the call"
		}
		*x = smallCount{at: "done"}
	default:
		return false
	}
	return true
}

// counted ends the count of the free rows.
func (s *smallRing) counted(r smallRingRules) {
	x := &s.reader
	x.free, x.at = x.filled-x.taken, "load used"
	if x.taken, x.filled = 0, 0; r.without == "the end is loaded after the free rows" {
		s.inUse(r)
	}
}

// inUse ends InUse, and begins Claims.
func (s *smallRing) inUse(r smallRingRules) {
	x := &s.reader
	switch n := int8(x.end) - int8(x.free); {
	case n < 0:
		s.wrong = "the number of rows in use is negative"
	case n > int8(r.rows) || n < x.least:
		s.wrong = "the number of rows in use is wrong"
	}
	*x = smallCount{at: "claims: load taken", before: s.taken + s.end(r)}
}

var (
	smallRingTwo   = smallRingCase{rows: 2, claims: []uint8{2, 2}}
	smallRingThree = smallRingCase{rows: 2, claims: []uint8{1, 1, 1}}
	smallRingBack  = smallRingCase{rows: 2, claims: []uint8{1, 1, 1}, back: true}
	smallRingReads = smallRingCase{rows: 1, claims: []uint8{2, 1}, reads: true}
)

func TestSmallRing(t *testing.T) {
	var cases, faults []smallCase[smallRing]
	for _, c := range []smallRingCase{smallRingTwo, smallRingThree, smallRingBack, smallRingReads,
		{rows: 2, claims: []uint8{2, 2, 1}}, {rows: 2, claims: []uint8{2, 1}, back: true, reads: true}} {
		name := fmt.Sprintf("%d rows, given back before: %v, claims %v, read: %v", c.rows, c.back, c.claims, c.reads)
		cases = append(cases, smallCase[smallRing]{name, smallRingModel(c, "")})
	}
	for _, fault := range []struct {
		without string
		in      smallRingCase
	}{
		{"the position is taken by compare-and-swap", smallRingTwo},
		{"positions only rise", smallRingBack},
		{"the row is read before the position is taken", smallRingBack},
		{"the row is stored before the position is filled", smallRingTwo},
		{"the ring has room for every row", smallRingTwo},
		{"one goroutine gives rows back", smallRingTwo},
		{"the limit is looked at after the addition", smallRingThree},
		{"the ring is looked at once more", smallRingThree},
		{"taken is loaded again", smallRingReads},
		{"the end is loaded after the free rows", smallRingReads},
	} {
		faults = append(faults, smallCase[smallRing]{fault.without, smallRingModel(fault.in, fault.without)})
	}
	exploreSmall(t, cases, faults)
}
