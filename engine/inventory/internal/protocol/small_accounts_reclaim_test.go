package protocol

import (
	"slices"
	"testing"
)

// The reclaimer of accounts, and that of rows. In the real code they are one goroutine; here each may be anywhere while
// the other makes a step, so the order of their stages does not matter.

type smallAccountReclaimer struct {
	at      string
	batch   uint8 // set of account rows
	account uint8 // of the batch, the next one to close or to unlink
	row     uint8 // of the scan
	seen    [smallAccountRows + 1]smallHead
	tried   uint8 // set of accounts that a row named at the last scan, and still does
}

type smallRowReclaimer struct {
	at    string
	batch uint8 // set of rows
}

// beginGrace makes the grace period of a reclaimer wait for all calls that are running.
func (s *smallAccounts) beginGrace(reclaimer int) {
	for i := range s.calls {
		s.calls[i].waited[reclaimer] = s.calls[i].announced()
	}
}

// grace reports whether the grace period is over.
func (s *smallAccounts) grace(reclaimer int) bool {
	for _, c := range s.calls {
		if c.waited[reclaimer] {
			return false
		}
	}
	return true
}

// candidate reports whether the reclaimer may take up an account.
func (s *smallAccounts) candidate(account uint8) bool {
	head := s.accounts[account].head
	return s.accountR.tried&(1<<account) == 0 && (head.mark == smallOpen && head.row == 0 || head.mark == smallShut)
}

// smallAccountOrders are the stages of the reclaimer in the protocol, and in other orders.
var smallAccountOrders = map[string][]string{
	"scan first":  {"scan", "grace A", "close", "tombstone", "grace B", "free"},
	"close first": {"grace A", "close", "tombstone", "scan", "grace B", "free"},
	"scan last":   {"grace A", "close", "tombstone", "grace B", "scan", "free"},
	"close last":  {"scan", "grace A", "tombstone", "close", "grace B", "free"},
}

// reclaimAccounts makes a step of the reclaimer of accounts. It takes up all candidates together.
func (s smallAccounts) reclaimAccounts(r smallAccountRules, to func(smallAccounts)) {
	x := &s.accountR
	switch x.at {
	case "look":
		for account := uint8(1); account <= s.used; account++ {
			if s.candidate(account) {
				x.batch |= 1 << account
				x.seen[account] = s.accounts[account].head
			}
		}
		if x.batch == 0 {
			return
		}
		s.nextStage(r)
	case "grace A", "grace B":
		if !s.grace(0) {
			return
		}
		s.nextStage(r)
	case "close":
		if x.batch&(1<<x.account) != 0 {
			s.closeAccount(r)
		}
		if x.account++; x.account > s.used {
			s.nextStage(r)
		}
	case "tombstone":
		for i, slot := range s.index {
			if slot == x.account && x.batch&(1<<x.account) != 0 {
				s.index[i] = smallTombstone
			}
		}
		if x.account++; x.account > s.used {
			s.nextStage(r)
		}
	case "scan":
		if row := &s.rows[x.row]; row.names() || r.counts && row.state == "forgotten" {
			x.tried |= x.batch & (1 << row.account)
			x.batch &^= 1 << row.account
		}
		if x.row++; x.row > smallHoldRows {
			s.nextStage(r)
		}
	case "free":
		s.freeAccounts(r)
	}
	to(s)
}

// nextStage leads the reclaimer of accounts to its next stage that is not left out.
func (s *smallAccounts) nextStage(r smallAccountRules) {
	x := &s.accountR
	stages := smallAccountOrders[r.order]
	at := slices.Index(stages, x.at) + 1
	for stages[at] == r.without {
		at++
	}
	x.at, x.account, x.row = stages[at], 1, 1
	switch {
	case x.batch == 0:
		*x = smallAccountReclaimer{at: "look", tried: x.tried}
	case x.at == "grace A" || x.at == "grace B":
		s.beginGrace(0)
	}
}

// closeAccount closes the head of an account of the batch, unless it has changed since it was seen empty.
func (s *smallAccounts) closeAccount(r smallAccountRules) {
	x := &s.accountR
	head := &s.accounts[x.account].head
	switch {
	case *head == x.seen[x.account], r.without == "closing the head as it was seen" && head.row == 0,
		r.without == "kept accounts stay" && head.row == 0 && head.version == x.seen[x.account].version:
		head.mark = smallShut
	default:
		x.batch &^= 1 << x.account
	}
}

// leadHead leads a head past a row that is dead and still remembered.
func (s *smallAccounts) leadHead() bool {
	for account := range s.accounts {
		head := &s.accounts[account].head
		if row := &s.rows[head.row]; head.row != 0 && row.state != "pending" && row.state != "held" {
			head.row = row.next
			return true
		}
	}
	return false
}

func (s *smallAccounts) freeAccounts(r smallAccountRules) {
	x := &s.accountR
	for account := range s.accounts {
		if x.batch&(1<<account) == 0 {
			continue
		}
		a := &s.accounts[account]
		if a.register {
			s.wrong = "the next account has another's entry in the draw"
		}
		if s.freed&(1<<account) != 0 {
			s.wrong = "an account is free twice"
		}
		*a = smallAccount{head: smallHead{mark: smallFree}, tenant: a.tenant + 1}
		if r.without == "free accounts are marked" {
			a.head.mark = smallOpen
		}
	}
	s.freed |= x.batch
	*x = smallAccountReclaimer{at: "look", tried: x.tried &^ x.batch}
}

// reclaimRows makes a step of the reclaimer of rows. It takes up all dead rows together. At any time it may lead a head
// past rows that are dead and still remembered.
func (s smallAccounts) reclaimRows(to func(smallAccounts)) {
	if led := s; led.leadHead() {
		to(led)
	}
	x := &s.rowR
	switch x.at {
	case "look":
		for row := range s.rows {
			switch s.rows[row].state {
			case "released", "expired", "superseded", "void":
				x.batch |= 1 << row
			}
		}
		if x.batch == 0 {
			return
		}
		x.at = "grace before forgetting"
		s.beginGrace(1)
	case "grace before forgetting":
		if !s.grace(1) {
			return
		}
		x.at = "forget"
	case "forget": // the successor word, the index of ids, the ledger, the state
		for row := uint8(1); row <= smallHoldRows; row++ {
			if x.batch&(1<<row) == 0 {
				continue
			}
			if s.rows[row].successor == 0 {
				s.rows[row].successor = smallClosed
			}
			s.indexed = s.indexed && row != 1
			s.unlink(row)
			s.rows[row].state = "forgotten"
		}
		s.accountR.tried, x.at = 0, "grace before reuse"
		s.beginGrace(1)
	case "grace before reuse":
		if !s.grace(1) {
			return
		}
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row] = smallHold{state: "free"}
			}
		}
		s.accountR.tried = 0
		*x = smallRowReclaimer{at: "look"}
	}
	to(s)
}

// unlink leads the ledger of the row's account past the row.
func (s *smallAccounts) unlink(row uint8) {
	word := &s.accounts[s.rows[row].account].head.row
	for *word != 0 {
		if *word == row {
			*word = s.rows[row].next
			return
		}
		word = &s.rows[*word].next
	}
}

func TestSmallAccountRules(t *testing.T) {
	for _, c := range [][2]string{
		{"grace A", "a reserve makes an account"},
		{"grace B", "two reserves of one name, one of another"},
		{"tombstone", "two reserves of one name, one of another"},
		{"scan", "the account of a remembered reservation is read"},
		{"closing the head as it was seen", "a new hold is extended while it is released"},
		{"closed accounts are passed over", "two reserves of one name, one of another"},
		{"insertions pass over closed accounts", "two reserves of one name, one of another"},
		{"a closed head is not entered", "two reserves of one name, one of another"},
		{"the pending row names the new account", "two reserves of one name, one of another"},
		{"a loser's row waits for a grace period", "two reserves make an account"},
		{"free accounts are marked", "a reserve makes an account"},
		{"the bit kept", "a draw entry"},
		{"kept before the entry is made", "a draw entry"},
		{"kept accounts stay", "a draw entry"},
		{"an insertion leaves kept as it is", "a draw entry"},
	} {
		rules := smallAccountRules{without: c[0], order: "scan first"}
		smallAccountModel(smallAccountCaseOf(c[1]), rules).explore().caught(t, "without "+c[0])
	}
}

// TestSmallAccountOrders explores other orders of the same stages, and another rule for a confirmation of an expired
// row.
func TestSmallAccountOrders(t *testing.T) {
	read := smallAccountCaseOf("the account of a remembered reservation is read")
	again := smallAccountCaseOf("an expired reservation is confirmed again")
	for _, c := range []smallAccountCase{read, again} {
		rules := smallAccountRules{order: "close first"}
		smallAccountModel(c, rules).explore().holds(t, "close first: "+c.name, true)
		rules = smallAccountRules{order: "scan last", counts: true}
		smallAccountModel(c, rules).explore().holds(t, "scan last, forgotten rows count until they are free: "+c.name, true)
	}
	rules := smallAccountRules{order: "scan last"}
	smallAccountModel(read, rules).explore().caught(t, "scan last, forgotten rows are passed over")
	two := smallAccountCaseOf("two reserves of one name, one of another")
	smallAccountModel(two, smallAccountRules{order: "close last"}).explore().caught(t, "close last")
	rules = smallAccountRules{order: "scan first", again: "name"}
	smallAccountModel(again, rules).explore().holds(t, "a confirmation looks the name up at first", true)
}
