package protocol

import (
	"fmt"
	"testing"
)

// On a standby one goroutine applies records and makes the reclaimer's steps between two of them. It is not announced.
// Readers are. They walk ledgers and unlink dead rows after live ones, but they write no head and no state. So the
// goroutine may store states plainly. The model has the ledger of one account. Records take an id or end it.

const smallStandbyRows = 3

type smallStandby struct {
	head      uint8 // without its version: no reader writes the word
	rows      [smallStandbyRows + 1]smallStandbyRow
	applier   smallApplier
	reclaimer smallStandbyReclaimer
	walk      smallStandbyWalk
	readers   [2]smallStandbyReader
	ended     uint8 // ends whose units were given back
	came      bool  // a row came back and was taken again
	wrong     string
}

type smallStandbyRow struct {
	state  string // free, pending, held, dead, forgotten
	id     byte
	next   uint8
	frozen bool
	tenant uint8
}

// smallRecords are the records of a case: + takes an id, - ends it.
type smallRecords []string

type smallApplier struct {
	at     string
	record uint8
	row    uint8 // of the record
	tenant uint8
	head   uint8
}

type smallStandbyReclaimer struct {
	at    string
	batch uint8 // set of rows
	waits [2]bool
}

// smallStandbyWalk is unlinkDead: of the applier, or of the reclaimer. at is "" between two of them.
type smallStandbyWalk struct {
	at                   string
	before, cursor, next uint8
}

type smallStandbyReader struct {
	at             string
	left           uint8
	cursor, before smallStandbyRef
	after          smallStandbyRef
}

// smallStandbyRef is a row with the tenant that it had when it was found.
type smallStandbyRef struct{ row, tenant uint8 }

// touch returns the row that a reference names.
func (s *smallStandby) touch(r smallStandbyRef) *smallStandbyRow {
	if s.rows[r.row].tenant != r.tenant {
		s.wrong = "a row is another's while somebody stands on it"
	}
	return &s.rows[r.row]
}

func (s *smallStandby) ref(row uint8) smallStandbyRef {
	return smallStandbyRef{row, s.rows[row].tenant}
}

func smallStandbyModel(rule string, readers int, records smallRecords) smallModel[smallStandby] {
	m := smallModel[smallStandby]{processes: []string{"applier", "reclaimer", "reader 0", "reader 1"}[:2+readers]}
	m.start.head = 3
	for row, id := range map[uint8]byte{1: 'a', 2: 'b', 3: 'c'} {
		m.start.rows[row] = smallStandbyRow{state: "held", id: id, next: row - 1}
	}
	m.start.applier.at, m.start.reclaimer.at = "between", "look"
	for i := range readers {
		m.start.readers[i] = smallStandbyReader{at: "begin", left: 1}
	}
	m.step = func(s smallStandby, process int, to func(smallStandby)) {
		switch process {
		case 0:
			if s.reclaimer.rests() {
				s.apply(records, to)
			}
		case 1:
			middle := s.applier.at == "load end" || s.applier.at == "store end"
			if s.applier.at == "between" || middle && rule == "the reclaimer's steps come between two records" {
				s.reclaim(rule, to)
			}
		default:
			s.read(process-2, rule, to)
		}
	}
	m.check = func(s smallStandby, over bool) string {
		if s.wrong != "" {
			return s.wrong
		}
		return s.check(over, readers, records)
	}
	m.at = func(s smallStandby, process int) string {
		return [...]string{s.applier.at, s.reclaimer.at, s.readers[0].at, s.readers[1].at}[process] + " " + s.walk.at
	}
	m.reached = func(s smallStandby) bool { return s.came }
	return m
}

func (s *smallStandby) check(over bool, readers int, records smallRecords) string {
	var linked [smallStandbyRows + 1]bool
	for row := s.head; row != 0; row = s.rows[row].next {
		if linked[row] {
			return "the ledger runs in a circle"
		}
		linked[row] = true
		if s.rows[row].state == "free" {
			return "a free row is in the ledger"
		}
	}
	ends := uint8(0)
	for row, r := range s.rows {
		if r.state == "held" && !linked[row] {
			return "a live row is lost from the ledger"
		}
	}
	for _, record := range records {
		if record[0] == '-' {
			ends++
		}
	}
	if s.ended > ends {
		return "units are given back twice"
	}
	if !over {
		return ""
	}
	for _, r := range s.readers[:readers] {
		if r.at != "done" {
			return "a reader is stuck"
		}
	}
	for _, r := range s.rows {
		if r.state == "dead" || r.state == "forgotten" {
			return "a row does not come back"
		}
	}
	if int(s.applier.record) != len(records) {
		return "a record is not applied"
	}
	return ""
}

func (s *smallStandby) find(id byte) uint8 {
	for row, r := range s.rows {
		if r.id == id && (r.state == "held" || r.state == "dead") {
			return uint8(row)
		}
	}
	return 0
}

// apply makes a step of restoreRow and appear, or of restoreEnd.
func (s smallStandby) apply(records smallRecords, to func(smallStandby)) {
	a := &s.applier
	r := &s.rows[a.row]
	switch a.at {
	case "between":
		if int(a.record) == len(records) {
			return
		}
		if record := records[a.record]; record[0] == '-' {
			if a.row = s.find(record[1]); a.row == 0 { // never taken, or forgotten
				a.record++
				break
			}
			a.tenant, a.at = s.rows[a.row].tenant, "load end"
			break
		}
		s.claim(records[a.record][1])
		if a.row == 0 {
			return // the case has too few rows, until one comes back
		}
	case "load end":
		a.at = "store end"
		if r.state == "held" {
			s.ended++
		}
	case "store end":
		if r.tenant != a.tenant {
			s.wrong = "the state of another's row is stored"
		}
		r.state = "dead"
		a.next()
	case "unlink dead":
		if s.unlinkDead() {
			a.at = "load head"
		}
	case "load head":
		a.head, a.at = s.head, "store link"
	case "store link":
		r.next, a.at = a.head, "CAS head"
	case "CAS head":
		if a.at = "load head"; s.head == a.head {
			s.head, a.at = a.row, "hold"
		}
	case "hold":
		r.state = "held"
		s.came = s.came || r.tenant > 0
		a.next()
	}
	to(s)
}

// next ends a record.
func (a *smallApplier) next() { *a = smallApplier{at: "between", record: a.record + 1} }

// claim makes the pending row of a record that takes an id.
func (s *smallStandby) claim(id byte) {
	for row := uint8(1); row <= smallStandbyRows; row++ {
		if r := &s.rows[row]; r.state == "free" {
			*r = smallStandbyRow{state: "pending", id: id, tenant: r.tenant}
			s.applier.row, s.applier.at = row, "unlink dead"
			return
		}
	}
}

// rests reports whether the reclaimer is between two of its steps.
func (x *smallStandbyReclaimer) rests() bool {
	return x.at == "look" || x.at == "grace A" || x.at == "grace B"
}

func (s *smallStandby) beginGrace(rule string) {
	for i, r := range s.readers {
		s.reclaimer.waits[i] = r.at != "begin" && r.at != "done" && r.at != "" && rule != "readers are announced"
	}
}

// reclaim makes an access of the reclaimer.
func (s smallStandby) reclaim(rule string, to func(smallStandby)) {
	x := &s.reclaimer
	switch x.at {
	case "look":
		for row, r := range s.rows {
			if r.state == "dead" {
				x.batch |= 1 << row
			}
		}
		if x.batch == 0 {
			return
		}
		x.at = "grace A"
		s.beginGrace(rule)
	case "grace A", "grace B":
		if x.waits[0] || x.waits[1] {
			return
		}
		if x.at == "grace B" {
			x.at = "free"
		} else {
			x.at = "forget"
		}
	case "forget":
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row].state = "forgotten"
			}
		}
		x.at = "unlink dead"
	case "unlink dead":
		if s.unlinkDead() {
			x.at = "grace B"
			s.beginGrace(rule)
		}
	case "free":
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row] = smallStandbyRow{state: "free", tenant: s.rows[row].tenant + 1}
			}
		}
		*x = smallStandbyReclaimer{at: "look"}
	}
	to(s)
}

func (r *smallStandbyRow) dead() bool { return r.state == "dead" || r.state == "forgotten" }

// unlinkDead makes a step of unlinkDead, and reports whether it was the last one.
func (s *smallStandby) unlinkDead() (over bool) {
	w := &s.walk
	r := &s.rows[w.cursor]
	switch w.at {
	case "":
		w.cursor, w.at = s.head, "load first state"
		over = s.head == 0
	case "load first state":
		if w.at = "load link"; r.dead() {
			w.at = "freeze first"
		}
	case "freeze first":
		r.frozen, w.next, w.at = true, r.next, "lead head"
	case "lead head":
		if s.head == w.cursor {
			s.head = w.next
		}
		*w = smallStandbyWalk{}
	case "load link":
		w.before, w.cursor, w.at = w.cursor, r.next, "load state"
		over = w.cursor == 0
	case "load state":
		if w.at = "load link"; r.dead() {
			w.at = "freeze"
		}
	case "freeze":
		r.frozen, w.next, w.at = true, r.next, "CAS link"
	case "CAS link":
		before := &s.rows[w.before]
		if before.next != w.cursor || before.frozen {
			*w = smallStandbyWalk{}
			return false
		}
		before.next = w.next
		w.cursor, w.next, w.at = w.next, 0, "load state"
		over = w.cursor == 0
	}
	if over {
		*w = smallStandbyWalk{}
	}
	return over
}

// read makes a step of a reader, which walks the ledger.
func (s smallStandby) read(reader int, rule string, to func(smallStandby)) {
	r := &s.readers[reader]
	switch r.at {
	case "begin":
		r.cursor, r.at = s.ref(s.head), "load next"
	case "load next":
		if r.cursor.row == 0 {
			s.endRead(reader)
			break
		}
		r.after, r.at = s.ref(s.touch(r.cursor).next), "load state"
	case "load state":
		s.lookAtState(r, rule)
	case "freeze":
		row := s.touch(r.cursor)
		row.frozen = true
		r.after, r.at = s.ref(row.next), "unlink"
	case "unlink":
		before := s.touch(r.before)
		if before.next == r.cursor.row && !before.frozen {
			before.next = r.after.row
		}
		r.cursor, r.at = r.after, "load next"
	case "skip": // a dead row without a live one before it
		r.cursor, r.at = s.ref(s.touch(r.cursor).next), "load next"
	case "expire": // no reader does
		row := s.touch(r.cursor)
		if row.state == "held" {
			row.state = "dead"
			s.ended++
		}
		r.before, r.cursor, r.at = r.cursor, r.after, "load next"
	default:
		return
	}
	to(s)
}

func (s *smallStandby) lookAtState(r *smallStandbyReader, rule string) {
	r.at = "load next"
	switch row := s.touch(r.cursor); {
	case row.state == "pending" || row.state == "held":
		if rule == "readers write no state" && row.state == "held" {
			r.at = "expire"
			return
		}
		r.before, r.cursor = r.cursor, r.after
	case r.before.row != 0:
		r.at = "freeze"
		if rule == "links are frozen" {
			r.at = "unlink"
		}
	default:
		r.at = "skip"
	}
}

func (s *smallStandby) endRead(reader int) {
	r := &s.readers[reader]
	*r = smallStandbyReader{at: "begin", left: r.left - 1}
	if r.left == 0 {
		r.at = "done"
	}
	s.reclaimer.waits[reader] = false
}

func TestSmallStandby(t *testing.T) {
	var cases, faults []smallCase[smallStandby]
	one, other := smallRecords{"-a", "-a", "-b", "+d", "-c", "+e"}, smallRecords{"-a", "-c", "+d", "-b", "+e"}
	for _, records := range []smallRecords{one, other} {
		cases = append(cases, smallCase[smallStandby]{fmt.Sprint("two readers beside records ", records),
			smallStandbyModel("", 2, records)})
	}
	for _, rule := range []string{"the reclaimer's steps come between two records", "readers are announced",
		"links are frozen", "readers write no state"} {
		faults = append(faults, smallCase[smallStandby]{rule, smallStandbyModel(rule, 2, one)})
	}
	exploreSmall(t, cases, faults)
}
