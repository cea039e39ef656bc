package census

// allowance is how many tickets an account may have of a programme, or of a session, which count after all programmes.
type allowance struct{ of, tickets int }

type sessionCount struct{ session, tickets int }

// Ledgers is what a count of all ledgers found.
type Ledgers struct {
	Accounts int    // rows looked at
	Unsteady int    // accounts skipped because their ledger kept changing; the next count visits them again
	AtCap    []int  // by programme: accounts that have as many tickets as the cap allows, or more
	Excess   int    // tickets beyond account caps and session limits, and beyond what Allow found (I2): 0
	Account  uint32 // the first account over a limit; meaningful if Excess is not 0
}

// Ledgers counts the ledger of every account, each as it was at one instant. visit, unless nil, is called with every
// account row. rest is as for Pools.
func (c *Census) Ledgers(rest func() bool, visit func(accountRow uint32)) (found Ledgers, ok bool) {
	found.AtCap = make([]int, len(c.limits.Caps))
	end := c.v.Accounts()
	for row := uint32(1); row < end; row++ {
		if row%(restRows/16) == 0 && !rest() {
			return found, false
		}
		if visit != nil {
			visit(row)
		}
		if !c.count(row) {
			found.Unsteady++
			continue
		}
		if len(c.rows) == 0 {
			delete(c.allowed, row)
			continue
		}
		excess := c.excess(row)
		for programme, accountCap := range c.limits.Caps {
			if c.programme[programme] >= accountCap {
				found.AtCap[programme]++
			}
		}
		if excess > 0 && found.Excess == 0 {
			found.Account = row
		}
		found.Excess += excess
	}
	found.Accounts = int(end) - 1
	return found, true
}

// count counts the tickets of the ledger of an account; false if it kept changing.
func (c *Census) count(accountRow uint32) (steady bool) {
	defer c.v.Begin(accountRow).End()
	if c.rows, steady = c.v.Ledger(accountRow, c.rows[:0], nil); !steady {
		return false
	}
	clear(c.programme[:])
	c.session = c.session[:0]
	for _, found := range c.rows {
		c.lines = c.v.AppendLines(c.lines[:0], found.Row)
		for _, l := range c.lines {
			session, programme := c.v.SessionOf(l.Pool)
			c.programme[programme] += int(l.Quantity)
			at := 0
			for at < len(c.session) && c.session[at].session != int(session) {
				at++
			}
			if at == len(c.session) {
				c.session = append(c.session, sessionCount{session: int(session)})
			}
			c.session[at].tickets += int(l.Quantity)
		}
	}
	return true
}

// eachOver calls do for every cap and limit that the present ledger exceeds.
func (c *Census) eachOver(do func(of, tickets, limit int)) {
	for programme, limit := range c.limits.Caps {
		if n := c.programme[programme]; n > limit {
			do(programme, n, limit)
		}
	}
	for _, s := range c.session {
		if limit := c.limits.Sessions[s.session]; s.tickets > limit {
			do(len(c.limits.Caps)+s.session, s.tickets, limit)
		}
	}
}

// excess returns by how many tickets the account of the present ledger has more than it may. What it may have beyond
// the limits falls with what it has, since nothing beyond a limit is ever taken again.
func (c *Census) excess(accountRow uint32) (excess int) {
	allowed := c.allowed[accountRow]
	var still []allowance
	c.eachOver(func(of, tickets, limit int) {
		may := limit
		for _, a := range allowed {
			if a.of == of {
				may = max(limit, min(a.tickets, tickets))
				still = append(still, allowance{of, may})
			}
		}
		excess += tickets - may
	})
	if len(still) > 0 {
		c.allowed[accountRow] = still
	} else if allowed != nil {
		delete(c.allowed, accountRow)
	}
	return excess
}

// Most is the most tickets that one account has.
type Most struct {
	Programmes []int // by programme; 0 where no account exceeds the cap
	Sessions   []int // by session; 0 where no account exceeds the limit
}

// Allow accepts what accounts have beyond the caps and limits, which were lower, or on other sessions, when it was
// taken (I2). It returns how much that is. It is called before the sale continues, while no ledger changes.
func (c *Census) Allow() Most {
	most := Most{Programmes: make([]int, len(c.limits.Caps)), Sessions: make([]int, len(c.limits.Sessions))}
	clear(c.allowed)
	end := c.v.Accounts()
	for row := uint32(1); row < end; row++ {
		if !c.count(row) {
			continue
		}
		c.eachOver(func(of, tickets, _ int) {
			c.v.Keep(c.v.AccountName(row)) // so that its row is not another account's later
			c.allowed[row] = append(c.allowed[row], allowance{of, tickets})
			to := most.Programmes
			if of >= len(to) {
				to, of = most.Sessions, of-len(to)
			}
			to[of] = max(to[of], tickets)
		})
	}
	return most
}
