package protocol

// The reclaimer, pass by pass. It looks at all rows, and takes those that are dead through its stages; in some cases
// it leaves them in a pass or two, as if they had to be remembered. Then it looks at all accounts.

type smallAccountReclaimer struct {
	at      string
	row     uint8 // to look at
	batch   uint8 // set of dead rows
	marked  uint8 // set of accounts that a row names, as the pass has found
	account uint8 // to look at
	end     uint8 // after the last account
	head    smallHead
	went    uint8 // set of stages that an account has reached in this pass
	freed   bool  // a row came back in this pass
	tried   uint8 // set of accounts that a row named in the last pass, and still does
	left    uint8 // passes in which dead rows were left
}

// beginGrace makes the grace period wait for all calls that are running.
func (s *smallAccounts) beginGrace(at string) {
	s.reclaimer.at = at
	for i := range s.calls {
		s.calls[i].waited = s.calls[i].announced()
	}
}

// grace reports whether the grace period is over.
func (s *smallAccounts) grace() bool {
	for _, c := range s.calls {
		if c.waited {
			return false
		}
	}
	return true
}

// idle reports whether a pass would do nothing.
func (s *smallAccounts) idle() bool {
	for _, r := range s.rows {
		if r.dead() {
			return false
		}
	}
	for account := uint8(1); account <= s.used; account++ {
		tried := s.reclaimer.tried&(1<<account) != 0
		switch head := s.accounts[account].head; {
		case head.mark == smallShut, head.mark == smallOpen && head.row == 0 && !tried, head.mark == smallRemoved && !tried:
			return false
		}
	}
	return true
}

func (r *smallHold) dead() bool {
	switch r.state {
	case "released", "expired", "superseded", "void":
		return true
	}
	return false
}

// reclaim makes a step of the reclaimer.
func (s smallAccounts) reclaim(c smallAccountCase, without string, to func(smallAccounts)) {
	x := &s.reclaimer
	switch x.at {
	case "begin":
		if s.idle() {
			return
		}
		x.at, x.row = "consider", 1
	case "consider":
		s.consider(c, to)
		return
	case "grace A", "grace B", "grace":
		if !s.grace() {
			return
		}
		s.afterGrace()
	case "forget":
		s.forget()
		s.beginGrace("grace B")
	case "free":
		for row := range s.rows {
			if x.batch&(1<<row) != 0 {
				s.rows[row] = smallHold{state: "free"}
			}
		}
		x.batch, x.freed = 0, true
		s.toAccounts()
	case "load head": // its result counts only if the head is still the same: one step, but for one fault
		x.head, x.at = s.accounts[x.account].head, "advance"
		if without != "closing by compare-and-swap" {
			s.advanceNext(without)
		}
	case "advance":
		s.advanceNext(without)
	}
	to(s)
}

// advanceNext takes the account at hand one stage further. A grace period ends the pass.
func (s *smallAccounts) advanceNext(without string) {
	x := &s.reclaimer
	s.advance(without)
	if x.account++; x.account <= x.end {
		x.at = "load head"
		return
	}
	skips := without == "a grace period after the closing" && x.went&(1<<smallShut) != 0 ||
		without == "a grace period after the removal" && x.went&(1<<smallRemoved) != 0
	if s.beginGrace("grace"); skips {
		s.endPass()
	}
}

// consider looks at a row.
func (s smallAccounts) consider(c smallAccountCase, to func(smallAccounts)) {
	x := &s.reclaimer
	row := &s.rows[x.row]
	if row.names() {
		x.marked |= 1 << row.account
	}
	if row.dead() {
		x.batch |= 1 << x.row
	}
	if x.row++; int(x.row) <= len(c.calls)+1 {
		to(s)
		return
	}
	x.row = 0
	if leaves := s; x.batch != 0 && x.left < c.leaves {
		leaves.reclaimer.batch, leaves.reclaimer.left = 0, x.left+1
		leaves.toAccounts()
		to(leaves)
	}
	if x.batch == 0 {
		s.toAccounts()
	} else {
		s.beginGrace("grace A")
	}
	to(s)
}

func (s *smallAccounts) toAccounts() {
	x := &s.reclaimer
	if x.account, x.end = 1, s.used; s.used == 0 {
		s.endPass()
		return
	}
	x.at = "load head"
}

func (s *smallAccounts) afterGrace() {
	switch x := &s.reclaimer; x.at {
	case "grace A":
		x.at = "forget"
	case "grace B":
		x.at = "free"
	default:
		s.endPass()
	}
}

func (s *smallAccounts) endPass() {
	x := &s.reclaimer
	if x.freed {
		x.tried = 0
	}
	*x = smallAccountReclaimer{at: "begin", tried: x.tried, left: x.left}
}

// forget ends the batch's rows: the successor word, the index of ids, the state. Their ledgers are led past all rows
// that are dead now.
func (s *smallAccounts) forget() {
	for row := uint8(1); row <= smallHoldRows; row++ {
		if s.reclaimer.batch&(1<<row) == 0 {
			continue
		}
		if s.rows[row].successor == 0 {
			s.rows[row].successor = smallClosed
		}
		s.indexed = s.indexed && row != 1
		s.rows[row].state = "forgotten"
		s.unlinkDead(s.rows[row].account)
	}
}

func (s *smallAccounts) unlinkDead(account uint8) {
	for word := &s.accounts[account].head.row; *word != 0; {
		if row := &s.rows[*word]; row.dead() || row.state == "forgotten" {
			*word = row.next
		} else {
			word = &row.next
		}
	}
}

// advance takes the account one stage further if it may: lookAt.
func (s *smallAccounts) advance(without string) {
	x := &s.reclaimer
	a, bit := &s.accounts[x.account], uint8(1)<<x.account
	isMarked := x.marked&bit != 0
	switch {
	case x.head.mark == smallOpen && x.head.row == 0:
		switch {
		case isMarked:
			x.tried |= bit
		case a.head == x.head || without == "closing by compare-and-swap":
			a.head, x.went = smallHead{mark: smallShut}, x.went|1<<smallShut
		}
	case x.head.mark == smallShut:
		for i, slot := range s.index {
			if slot == x.account && without != "a closed account is removed from the index" {
				s.index[i] = smallTombstone
			}
		}
		a.head.mark, x.went = smallRemoved, x.went|1<<smallRemoved
	case x.head.mark == smallRemoved && isMarked && without != "an account that a row names is not freed":
		x.tried |= bit
	case x.head.mark == smallRemoved:
		s.freeAccount(x.account, without)
	case without == "kept accounts stay" && x.head.mark == smallKept && x.head.row == 0 && !isMarked:
		a.head = smallHead{mark: smallShut}
	}
	x.head = smallHead{}
}

func (s *smallAccounts) freeAccount(account uint8, without string) {
	a := &s.accounts[account]
	switch {
	case a.register:
		s.wrong = "the next account has another's entry in the draw"
	case s.freed&(1<<account) != 0:
		s.wrong = "an account is free twice"
	}
	*a = smallAccount{head: smallHead{mark: smallFree}, tenant: a.tenant + 1}
	if without == "free accounts are closed" {
		a.head.mark = smallOpen
	}
	s.freed |= 1 << account
}
