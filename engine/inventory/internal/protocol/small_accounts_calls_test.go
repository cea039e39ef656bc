package protocol

// The calls of the model of accounts. A call announces itself in one step with its first access and withdraws in one
// step with its last.

type smallAccountCall struct {
	at        string
	slot      uint8     // of the index
	own       uint8     // the account of the row to make
	account   uint8     // that the call stands on
	tenant    uint8     // of that account when the call found it
	head      smallHead // as it was loaded
	mine      uint8     // an account row that the call has claimed
	waited    bool      // the grace period waits for this call
	foreseen  bool      // the ledger was found within the cap
	published bool
	held      uint8 // set of rows of its account that were held when the call began
}

func (c *smallAccountCall) announced() bool { return c.at != "begin" && c.at != "done" && c.at != "" }

// end ends the call.
func (c *smallAccountCall) end() { *c = smallAccountCall{at: "done"} }

// stand notes that the call has found the account.
func (s *smallAccounts) stand(c *smallAccountCall, account uint8, at string) {
	c.account, c.tenant, c.at = account, s.accounts[account].tenant, at
}

// touch returns the account that the call stands on.
func (s *smallAccounts) touch(c *smallAccountCall) *smallAccount {
	a := &s.accounts[c.account]
	if a.tenant != c.tenant {
		s.wrong = "a call stands on an account that came back meanwhile"
	}
	return a
}

// again makes the call look up the name from the first slot.
func (c *smallAccountCall) again() { c.at, c.slot = "find", 0 }

// call makes a step of a call.
func (s *smallAccounts) call(process int, cs smallAccountCase, without string) {
	c, program := &s.calls[process], cs.calls[process]
	row := uint8(process + 2)
	if c.at == "begin" {
		c.again()
		c.held = s.held(program.name)
		switch program.kind {
		case "again", "read", "extend", "release":
			c.at = "find row"
		}
	}
	switch c.at {
	case "find row", "look at row", "its account", "name", "fill next", "push load", "push", "release":
		s.callByRow(c, row, program)
	case "find", "compare", "claim", "insert", "compare inserted", "lose":
		s.callEnsures(c, row, program, cs.limit, without)
	case "keep load":
		if c.head = s.touch(c).head; c.head.closed() {
			c.again()
		} else {
			c.at = "keep"
		}
	case "keep":
		c.at = "keep load"
		if a := s.touch(c); a.head == c.head {
			a.head.mark = smallKept
			c.at = "register"
			if without == "kept before the entry is made" {
				c.end()
			}
		}
	case "register":
		s.touch(c).register = true
		if without == "kept before the entry is made" {
			c.at = "keep load"
		} else {
			c.end()
		}
	case "list": // a closed ledger counts as an empty one: it was empty when it was closed, during this call
		if a := s.touch(c); a.head.closed() {
			s.listed(c, 0)
		} else {
			s.listed(c, c.account)
		}
	case "load head", "refuse", "publish", "name the account", "enter":
		s.callEnters(c, row, program, cs, without)
	case "follow": // decides who has the id after the expired row
		if old := &s.rows[program.row()]; old.successor == 0 {
			old.successor, c.at = row, "settle"
		} else {
			s.fail(c, row)
		}
	case "decide": // the compare-and-swap of the old row's state
		if old := &s.rows[program.row()]; old.state == "held" {
			old.state, c.at = "superseded", "settle"
		} else {
			s.fail(c, row)
		}
	case "settle":
		s.rows[row].state, c.at = "held", "end"
		s.came = s.came || s.accounts[s.rows[row].account].tenant > 0
		if !program.ends {
			c.end()
		}
	case "end":
		s.rows[row].state = "released"
		c.end()
	default:
		panic(c.at)
	}
}

// held returns the rows of the name that are held.
func (s *smallAccounts) held(name byte) (set uint8) {
	for row, r := range s.rows {
		if r.state == "held" && r.name == name {
			set |= 1 << row
		}
	}
	return set
}

// listed ends a call that lists an account, 0 for one that it has not found.
func (s *smallAccounts) listed(c *smallAccountCall, account uint8) {
	for row, r := range s.rows {
		if c.held&(1<<row) != 0 && r.state == "held" && (account == 0 || !s.inLedger(account, uint8(row))) {
			s.wrong = "a list lacks a hold that was there from its beginning to its end"
		}
	}
	c.end()
}

// callEnsures makes a step of EnsureAccount.
func (s *smallAccounts) callEnsures(c *smallAccountCall, row uint8, program smallAccountProgram, limit uint8,
	without string) {
	if int(c.slot) == len(s.index) {
		s.wrong = "the index is too small for the case"
		return
	}
	switch c.at {
	case "find":
		switch slot := s.index[c.slot]; slot {
		case 0:
			s.absent(c, program)
		case smallTombstone:
			c.slot++
		default:
			s.stand(c, slot, "compare")
		}
	case "compare":
		a := s.touch(c)
		switch {
		case a.name != program.name:
			c.slot, c.at = c.slot+1, "find"
		case !a.head.closed():
			s.found(c, row, program, without)
		case without == "closed accounts are passed over":
			s.wrong = "a call waits for the reclaimer"
		default:
			c.slot, c.at = c.slot+1, "find"
		}
	case "claim":
		if c.mine = s.claimAccount(limit); c.mine == 0 {
			s.fail(c, row) // the table is full
			return
		}
		a := &s.accounts[c.mine] // the call's alone, but for the reclaimer's look
		a.name, a.head = program.name, smallHead{}
		c.at, c.slot = "insert", 0
	case "insert":
		switch slot := s.index[c.slot]; slot {
		case 0:
			s.index[c.slot] = c.mine
			s.stand(c, c.mine, "")
			c.mine = 0
			s.found(c, row, program, without)
		case smallTombstone:
			c.slot++
		default:
			s.stand(c, slot, "compare inserted")
		}
	case "compare inserted":
		a := s.touch(c)
		switch {
		case a.name != program.name:
			c.slot, c.at = c.slot+1, "insert"
		case !a.head.closed():
			c.at = "lose"
		case without == "insertions pass over closed accounts":
			s.wrong = "a call waits for the reclaimer"
		default:
			c.slot, c.at = c.slot+1, "insert"
		}
	case "lose": // the row stays as it is: an open account that no look-up finds, which the reclaimer will close
		c.mine = 0
		s.found(c, row, program, without)
	}
}

// absent leads a call that has not found its account to its next step. A look-up before the account is needed does not
// make it.
func (s *smallAccounts) absent(c *smallAccountCall, program smallAccountProgram) {
	switch c.slot = 0; {
	case program.kind == "list":
		s.listed(c, 0)
	case program.kind == "draw", c.foreseen:
		c.at = "claim"
	default: // an account that is not there has nothing
		c.foresee(program, smallHead{})
	}
}

// foresee notes that the ledger with this head is within the cap. An account that was not found at first is made now.
func (c *smallAccountCall) foresee(program smallAccountProgram, head smallHead) {
	c.foreseen, c.head = true, head
	if c.at = "publish"; c.own == 0 || program.kind == "again" {
		c.again()
	}
}

// found leads a call that has found its account, or has made it, to its next step.
func (s *smallAccounts) found(c *smallAccountCall, row uint8, program smallAccountProgram, without string) {
	c.slot = 0
	switch {
	case program.kind == "list":
		c.at = "list"
	case program.kind == "draw":
		if c.at = "keep load"; without == "the bit kept" || without == "kept before the entry is made" {
			c.at = "register"
		}
	case c.published && s.rows[row].account != c.account && without != "the pending row names the new account":
		c.at = "name the account"
	case c.published:
		c.at = "load head"
	case c.foreseen:
		c.own, c.at = c.account, "publish"
	default:
		c.at = "load head"
		if c.own == 0 && program.kind == "reserve" {
			c.own = c.account
		}
	}
}

func (s *smallAccounts) claimAccount(limit uint8) uint8 {
	for account := uint8(1); account <= smallAccountRows; account++ {
		if s.freed&(1<<account) != 0 {
			s.freed &^= 1 << account
			return account
		}
	}
	if s.used == limit {
		return 0
	}
	s.used++
	return s.used
}

// fail ends a call that has not done what it wanted to. The row that it has published is void.
func (s *smallAccounts) fail(c *smallAccountCall, row uint8) {
	if c.published {
		s.rows[row].state = "void"
	}
	c.end()
}

// callEnters makes a step of foresee, publish or enter.
func (s *smallAccounts) callEnters(c *smallAccountCall, row uint8, program smallAccountProgram, cs smallAccountCase,
	without string) {
	switch c.at {
	case "load head": // and the walk
		head := s.touch(c).head
		switch {
		case head.closed() && without != "a closed head is not entered":
			c.again()
		case s.live(c.account) >= cs.cap:
			c.head, c.at = head, "refuse"
		case c.published:
			c.head, c.at = head, "enter"
		default:
			c.foresee(program, head)
		}
	case "refuse":
		if s.touch(c).head != c.head {
			c.at = "load head"
			return
		}
		s.fail(c, row)
	case "publish":
		s.stand(c, c.own, "enter")
		s.rows[row] = smallHold{state: "pending", name: program.name, account: c.own}
		c.published = true
	case "name the account":
		s.rows[row].account, c.at = c.account, "load head"
	case "enter":
		a := s.touch(c)
		if a.head != c.head {
			c.at = "load head"
			return
		}
		mark := a.head.mark
		if without == "an insertion leaves kept as it is" {
			mark = smallOpen
		}
		s.enter(c, row, mark)
		c.at = "settle"
		if program.kind == "again" {
			c.at = "follow"
		}
	}
}

// enter puts the row at the head of the ledger.
func (s *smallAccounts) enter(c *smallAccountCall, row, mark uint8) {
	a := s.touch(c)
	s.rows[row].next, s.rows[row].entered = a.head.row, true
	a.head = smallHead{a.head.version + 1, row, mark}
}

// row returns the row that the call is about.
func (p smallAccountProgram) row() uint8 { return max(p.old, 1) }

// callByRow makes a step of a call that comes by a row: it reads, confirms again, extends or releases.
func (s *smallAccounts) callByRow(c *smallAccountCall, row uint8, program smallAccountProgram) {
	old, waited := &s.rows[program.row()], c.waited
	switch c.at {
	case "find row":
		c.at = "look at row"
		if !s.indexed && program.row() == 1 {
			c.end()
		}
	case "look at row":
		c.at = "its account"
		switch {
		case program.kind == "release":
			c.at = "release"
		case program.kind == "extend" && old.state != "held", program.kind == "again" && old.successor != 0,
			old.successor == smallClosed:
			c.end()
		}
	case "release":
		if old.state == "held" {
			old.state = "released"
		}
		c.end()
	case "its account":
		s.stand(c, old.account, "name")
		if program.kind == "extend" {
			c.at = "fill next"
		}
	case "name": // a plain read
		if s.touch(c).name != old.name {
			s.wrong = "the name of another account is read"
		}
		if c.end(); program.kind == "again" { // the account may be closed
			*c = smallAccountCall{at: "find", waited: waited}
		}
	case "fill next":
		s.rows[row] = smallHold{state: "pending", name: old.name, account: c.account}
		c.published, c.at = true, "push load"
	case "push load": // it is not closed: in each pass since this call began, the old row is in the ledger or names it
		if c.head, c.at = s.touch(c).head, "push"; c.head.closed() {
			s.wrong = "a change meets a closed head"
		}
	case "push":
		if a := s.touch(c); a.head != c.head {
			c.at = "push load"
			return
		}
		s.enter(c, row, c.head.mark)
		c.at = "decide"
	}
}
