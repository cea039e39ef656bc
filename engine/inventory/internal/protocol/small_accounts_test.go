package protocol

import "testing"

// An account is used again when it has no row in its ledger, no row names it, and nothing outside of its ledger keeps
// it. The reclaimer goes over all rows and all accounts, pass by pass, with a grace period after each. In each pass an
// account goes one stage further: its head is closed by compare-and-swap, if no row names it; its entry in the index
// becomes a tombstone; it is free, if no row names it then. Look-ups and insertions pass over closed accounts, so no
// call waits for the reclaimer. A call that has found the account before meets the closed head, and looks the name up
// again.
//
// The recycling of rows is explored elsewhere, so a walk of a ledger is one step here, and each call has a row of its
// own. All names have the same hash.

const (
	smallAccountRows = 3 // account rows 1 to 3
	smallHoldRows    = 4 // reservations: row 1 is there from the beginning in some cases, the others are the calls'
	smallTombstone   = 0xff
	smallClosed      = 0xff // a successor word
	smallNobody      = 0xff // no account
)

// smallHead is the head of an account.
type smallHead struct {
	version, row uint8
	mark         uint8
}

const (
	smallOpen    = uint8(iota)
	smallKept    // the account has something outside its ledger
	smallShut    // closed, in the first pass
	smallRemoved // in the second: the index does not lead to it
	smallFree    // in the third
)

func (h smallHead) closed() bool { return h.mark >= smallShut }

type smallAccount struct {
	head     smallHead
	name     byte
	tenant   uint8 // how often the row came back, so that a check notices who still stands on it
	register bool  // a draw entry
}

type smallHold struct {
	state     string // "" before it is published; pending, held, expired, released, superseded, void, forgotten, free
	name      byte   // of the account that it was made for
	account   uint8
	next      uint8
	entered   bool
	successor uint8
}

// smallAccounts is the state of all.
type smallAccounts struct {
	accounts  [smallAccountRows + 1]smallAccount
	used      uint8 // account rows handed out that were never used before
	freed     uint8 // set of account rows that are free again
	index     [8]uint8
	rows      [smallHoldRows + 1]smallHold
	indexed   bool // the index of ids leads to row 1
	calls     [3]smallAccountCall
	reclaimer smallAccountReclaimer
	came      bool // an account row came back, and another name has it
	wrong     string
}

// smallAccountCase is what the calls do, and what is there before.
type smallAccountCase struct {
	name   string
	calls  []smallAccountProgram
	row    string // the state of row 1, of account 1; "" for none
	none   bool   // account 1 is not there yet
	cap    int
	limit  uint8 // of account rows
	leaves uint8 // passes in which the reclaimer may leave dead rows
	reused bool  // an account row comes back to another name
}

// smallAccountProgram is a call: reserve, again, extend, release, draw, list or read, for an account of a name.
type smallAccountProgram struct {
	kind string
	name byte
	ends bool  // what it reserves is released by the same call
	old  uint8 // the row that it changes, ends or reads; 1 if it is 0
}

// smallAccountModel is the case, without a rule or with all of them.
func smallAccountModel(c smallAccountCase, without string) smallModel[smallAccounts] {
	m := smallModel[smallAccounts]{}
	s := &m.start
	s.reclaimer.at = "begin"
	if !c.none {
		s.used, s.accounts[1].name, s.index[0] = 1, 'a', 1
	}
	if c.row != "" {
		s.indexed = true
		s.rows[1] = smallHold{state: c.row, name: 'a', account: 1}
		if c.row == "held" {
			s.rows[1].entered, s.accounts[1].head.row, s.accounts[1].head.version = true, 1, 1
		}
	}
	for i, p := range c.calls {
		s.calls[i].at = "begin"
		m.processes = append(m.processes, p.kind+" "+string(p.name))
	}
	m.processes = append(m.processes, "reclaimer")
	n := len(c.calls)
	m.step = func(s smallAccounts, process int, to func(smallAccounts)) {
		switch process {
		case n:
			s.reclaim(c, without, to)
		default:
			if s.calls[process].at != "done" {
				s.call(process, c, without)
				to(s)
			}
		}
	}
	m.check = func(s smallAccounts, over bool) string {
		if s.wrong != "" {
			return s.wrong
		}
		if wrong := s.check(c); wrong != "" || !over {
			return wrong
		}
		return s.checkEnd(n)
	}
	m.at = func(s smallAccounts, process int) string {
		if process == n {
			return s.reclaimer.at
		}
		return s.calls[process].at
	}
	if c.reused {
		m.reached = func(s smallAccounts) bool { return s.came }
	}
	return m
}

// find returns how many open accounts of the name the index leads to, and one of them.
func (s *smallAccounts) find(name byte) (n int, found uint8) {
	for _, row := range s.index {
		if row == 0 || row == smallTombstone {
			continue
		}
		if a := &s.accounts[row]; a.name == name && !a.head.closed() {
			n, found = n+1, row
		}
	}
	return n, found
}

// live returns how many live rows are in the ledger of an account.
func (s *smallAccounts) live(account uint8) (n int) {
	for row := s.accounts[account].head.row; row != 0; row = s.rows[row].next {
		if s.rows[row].state == "pending" || s.rows[row].state == "held" {
			n++
		}
	}
	return n
}

func (s *smallAccounts) inLedger(account, row uint8) bool {
	for at := s.accounts[account].head.row; at != 0; at = s.rows[at].next {
		if at == row {
			return true
		}
	}
	return false
}

func (s *smallAccounts) check(c smallAccountCase) string {
	for _, name := range "ab" {
		if n, _ := s.find(byte(name)); n > 1 {
			return "a look-up can find two accounts of one name"
		}
	}
	for _, row := range s.index {
		if row != 0 && row != smallTombstone && s.accounts[row].head.mark == smallFree {
			return "the index leads to a free account"
		}
	}
	held := map[byte]int{}
	for row, r := range s.rows {
		if r.state == "held" {
			held[r.name]++
		}
		if r.names() && s.accounts[r.account].name != r.name {
			return "a reservation's account is another's"
		}
		if !r.entered || r.state != "pending" && r.state != "held" {
			continue
		}
		if _, found := s.find(r.name); found != r.account || !s.inLedger(found, uint8(row)) {
			return "a live row is not in the ledger that a look-up finds"
		}
	}
	if held['a'] > c.cap || held['b'] > c.cap {
		return "an account has more than the cap allows (I2)"
	}
	return ""
}

func (s *smallAccounts) checkEnd(calls int) string {
	for _, call := range s.calls[:calls] {
		if call.at != "done" {
			return "a call is stuck"
		}
	}
	if s.reclaimer.at != "begin" {
		return "the reclaimer is stuck"
	}
	for row := uint8(1); row <= s.used; row++ {
		a, named := &s.accounts[row], false
		for _, r := range s.rows {
			named = named || r.names() && r.account == row
		}
		if !named && a.head.row == 0 && a.head.mark != smallKept && a.head.mark != smallFree {
			return "an empty account never comes back"
		}
	}
	return ""
}

// names reports whether the account may be read through the row. No process reads whose a pending row is.
func (r *smallHold) names() bool { return r.state != "" && r.state != "pending" && r.state != "free" }

var (
	smallReserveA = smallAccountProgram{kind: "reserve", name: 'a'}
	smallReserveB = smallAccountProgram{kind: "reserve", name: 'b'}
)

var smallAccountCases = []smallAccountCase{
	{name: "two reserves of one name, one of another", cap: 1, limit: 2, reused: true,
		calls: []smallAccountProgram{{kind: "reserve", name: 'a', ends: true}, smallReserveA, smallReserveB}},
	{name: "two reserves make an account", cap: 1, limit: 2, none: true, reused: true,
		calls: []smallAccountProgram{{kind: "reserve", name: 'a', ends: true}, smallReserveA, smallReserveB}},
	{name: "an expired reservation is confirmed again", cap: 1, limit: 2, row: "expired", leaves: 1, reused: true,
		calls: []smallAccountProgram{{kind: "again", name: 'a', ends: true}, smallReserveB}},
	{name: "the same beside a reserve of the name", cap: 1, limit: 2, row: "expired", leaves: 1,
		calls: []smallAccountProgram{{kind: "again", name: 'a'}, {kind: "reserve", name: 'a', ends: true}}},
	{name: "the account of a remembered reservation is read", cap: 1, limit: 2, row: "released", leaves: 1, reused: true,
		calls: []smallAccountProgram{{kind: "read", name: 'a'}, smallReserveA, smallReserveB}},
	{name: "a reserve fails while its account is closed", cap: 1, limit: 2, leaves: 2,
		calls: []smallAccountProgram{smallReserveA, smallReserveA}},
	{name: "a draw entry", cap: 1, limit: 2,
		calls: []smallAccountProgram{{kind: "draw", name: 'a'}, {kind: "reserve", name: 'a', ends: true}}},
	{name: "a list", cap: 1, limit: 2, reused: true,
		calls: []smallAccountProgram{{kind: "list", name: 'a'}, {kind: "reserve", name: 'a', ends: true}, smallReserveB}},
	{name: "a reserve makes an account", cap: 1, limit: 1, none: true,
		calls: []smallAccountProgram{{kind: "reserve", name: 'a', ends: true}}},
	{name: "a hold is extended while it is released", cap: 1, limit: 2, row: "held", reused: true,
		calls: []smallAccountProgram{{kind: "extend", name: 'a'}, {kind: "release", name: 'a'}, smallReserveB}},
	{name: "a new hold is extended while it is released", cap: 1, limit: 1,
		calls: []smallAccountProgram{{kind: "reserve", name: 'a', ends: true}, {kind: "extend", name: 'a', old: 2}}},
}

func TestSmallAccounts(t *testing.T) {
	var cases, faults []smallCase[smallAccounts]
	named := map[string]smallAccountCase{}
	for _, c := range smallAccountCases {
		named[c.name] = c
		cases = append(cases, smallCase[smallAccounts]{c.name, smallAccountModel(c, "")})
	}
	for _, fault := range [][2]string{
		{"a grace period after the closing", "a reserve makes an account"},
		{"a grace period after the removal", "two reserves of one name, one of another"},
		{"a closed account is removed from the index", "two reserves of one name, one of another"},
		{"an account that a row names is not freed", "a reserve fails while its account is closed"},
		{"closing by compare-and-swap", "two reserves of one name, one of another"},
		{"closed accounts are passed over", "two reserves of one name, one of another"},
		{"insertions pass over closed accounts", "two reserves of one name, one of another"},
		{"a closed head is not entered", "two reserves of one name, one of another"},
		{"the pending row names the new account", "two reserves of one name, one of another"},
		{"free accounts are closed", "a reserve makes an account"},
		{"the bit kept", "a draw entry"},
		{"kept before the entry is made", "a draw entry"},
		{"kept accounts stay", "a draw entry"},
		{"an insertion leaves kept as it is", "a draw entry"},
	} {
		faults = append(faults, smallCase[smallAccounts]{fault[0], smallAccountModel(named[fault[1]], fault[0])})
	}
	exploreSmall(t, cases, faults)
}
