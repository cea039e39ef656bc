package inventory

// Census recounts pools and ledgers from the reservations while the sale continues. It compares the sums with the
// words that decide the sale, and with the limits. One goroutine uses it. It changes nothing and delays no caller.
//
// A pool's sum can be compared with its word although both change: each row's state is read twice, and the words are
// read between the two looks. No row is given back meanwhile, so states only move forward. So a row that counts at both looks counted when the word was
// read. A row that was dead at the first look, or not there yet at the second, did not count then. Only what changed
// in between is uncertain. The word must show at least the certain units as taken, and at most the certain and the
// uncertain ones together. For a pool in which nothing changed between the looks, the comparison is exact.
type Census struct {
	v     *Inventory
	seen  []uint8 // by row: its state at the first look
	pools []poolSums
	rows  []Decided

	programmes []int                  // tickets of the present ledger, by programme
	sessions   []sessionCount         // likewise, of the sessions that it has
	allowed    map[uint32][]allowance // by account row: what it may have beyond the limits
}

// allowance is how many tickets an account may have of a programme, or of a session, which count after all programmes.
type allowance struct{ of, tickets int }

type sessionCount struct{ session, tickets int }

// poolSums are the units of one pool by the states of their reservations at the two looks.
type poolSums struct {
	taken, takenAtMost int64 // held or confirmed
	gone, goneAtMost   int64
	wordTaken          int64
	wordGone           int64
}

// NewCensus returns a census of the inventory.
func (v *Inventory) NewCensus() *Census {
	return &Census{v: v, pools: make([]poolSums, len(v.pools)), programmes: make([]int, len(v.caps)),
		allowed: map[uint32][]allowance{}}
}

// PoolCensus is what a count of all pools found.
type PoolCensus struct {
	Reservations int // rows looked at
	Exact        int // pools in which nothing changed during the count
	Difference   int // units by which sums and words, or words and capacity, disagree (I1): 0
	Pool         int // the first pool that disagrees; meaningful if Difference is not 0
}

// restRows is how many rows are visited between two calls of rest: a fraction of a millisecond.
const restRows = 16 << 10

// Pools counts all pools. It calls rest every fraction of a millisecond, so that the owner can yield the processor.
// When rest returns false the count ends without a result.
func (c *Census) Pools(rest func() bool) (found PoolCensus, ok bool) {
	for !c.v.freeing.CompareAndSwap(0, 1) { // the reclaimer is at work, for less than a millisecond
		if !rest() {
			return found, false
		}
	}
	defer c.v.freeing.Store(0)
	first := c.v.reservations.End()
	if int(first) > len(c.seen) {
		c.seen = make([]uint8, int(first)+int(first)/4)
	}
	clear(c.pools)
	// The first look.
	if !c.eachRow(first, rest, func(row uint32, state State) { c.seen[row] = uint8(state) }) {
		return found, false
	}
	// The words.
	for i := range c.pools {
		p := &c.v.stock[i]
		returned := p.returned.Load() // first: units are sold before they are returned
		c.pools[i].wordGone = int64(p.sold.Load() - returned)
		available, _ := unpackPool(p.word.Load())
		// Signed, so that a word that went below 0 is found.
		c.pools[i].wordTaken = int64(c.v.pools[i].units) - int64(int32(available))
	}
	// The second look, also at the rows that were claimed since the first.
	second := c.v.reservations.End()
	if !c.eachRow(second, rest, func(row uint32, state State) {
		before := free
		if row < first {
			before = State(c.seen[row])
		}
		c.add(row, before, state)
	}) {
		return found, false
	}
	found.Reservations = int(second) - 1
	c.compare(&found)
	return found, true
}

// eachRow visits the rows below end with their states.
func (c *Census) eachRow(end uint32, rest func() bool, visit func(row uint32, state State)) bool {
	for row := uint32(1); row < end; row++ {
		state := free
		if r := c.v.reservations.Find(row); r != nil {
			state = State(r.state.Load())
		}
		visit(row, state)
		if row%restRows == 0 && !rest() {
			return false
		}
	}
	return true
}

// add adds one reservation to the sums of its pools, by its states before and after the words were read.
func (c *Census) add(row uint32, before, now State) {
	if now == free {
		return
	}
	r := c.v.reservations.At(row)
	withheld := r.flags&FlagWithheld != 0
	if now == Returned && !withheld {
		return // it has no units of its own
	}
	if before.dead() && !(before == Returned && withheld) {
		return
	}
	hadTaken, wasGone, _ := r.takes(before)
	hasTaken, isGone, _ := r.takes(now)
	for i := range int(r.count) {
		l := c.v.lineAt(r, i)
		p, q := &c.pools[l.Pool], int64(l.Quantity)
		p.takenAtMost += q
		if hadTaken && hasTaken {
			p.taken += q
		}
		if wasGone && isGone {
			p.gone += q
		}
		if r.mayBeGone(now) {
			p.goneAtMost += q
		}
	}
}

// mayBeGone reports whether the units of a row that is in the state now may have been gone a moment ago. Those of one
// that is taken again are sold while it is pending.
func (r *reservation) mayBeGone(now State) bool {
	switch now {
	case confirming, Confirmed, yielding, superseded, forgotten:
		return true
	case pending:
		return r.origin == OriginAgain
	}
	return now == Returned && r.flags&FlagWithheld != 0
}

// compare adds up by how much the words are outside what the sums allow.
func (c *Census) compare(found *PoolCensus) {
	for i := range c.pools {
		p := &c.pools[i]
		if p.taken == p.takenAtMost && p.gone == p.goneAtMost {
			found.Exact++
		}
		wrong := outside(p.wordTaken, p.taken, p.takenAtMost) + outside(p.wordGone, p.gone, p.goneAtMost) +
			max(p.wordTaken, p.taken, int64(c.v.pools[i].units)) - int64(c.v.pools[i].units)
		if wrong != 0 && found.Difference == 0 {
			found.Pool = i
		}
		found.Difference += int(wrong)
	}
}

// outside returns the distance of n from the range.
func outside(n, low, high int64) int64 { return max(low-n, n-high, 0) }

// LedgerCensus is what a count of all ledgers found.
type LedgerCensus struct {
	Accounts int    // rows looked at
	Unsteady int    // accounts skipped because their ledger kept changing; the next count visits them again
	AtCap    []int  // by programme: accounts that have as many tickets as the cap allows, or more
	Excess   int    // tickets beyond account caps and session limits, and beyond what Allow found (I2): 0
	Account  uint32 // the first account over a limit; meaningful if Excess is not 0
}

// Ledgers counts the ledger of every account, each as it was at one instant. visit, unless nil, is called with every
// account row. rest is as for Pools.
func (c *Census) Ledgers(rest func() bool, visit func(accountRow uint32)) (found LedgerCensus, ok bool) {
	found.AtCap = make([]int, len(c.v.caps))
	end := c.v.accounts.End()
	for row := uint32(1); row < end; row++ {
		if row%(restRows/16) == 0 && !rest() {
			return found, false
		}
		if visit != nil {
			visit(row)
		}
		if a := c.v.accounts.Find(row); a == nil || a.head.Load()&headRow == 0 {
			delete(c.allowed, row)
			continue
		}
		if !c.readLedger(row) {
			found.Unsteady++
			continue
		}
		excess := c.excess(row)
		for programme, n := range c.programmes {
			if n >= c.v.caps[programme] {
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

// readLedger counts the tickets of the ledger of an account; false if it kept changing.
func (c *Census) readLedger(row uint32) (ok bool) {
	defer c.v.Begin(row).End()
	if c.rows, ok = c.v.Ledger(row, c.rows[:0], nil); ok {
		c.countLedger()
	}
	return ok
}

// countLedger counts the tickets of the present ledger.
func (c *Census) countLedger() {
	clear(c.programmes)
	c.sessions = c.sessions[:0]
	for _, l := range c.rows {
		r := c.v.reservations.At(l.Row)
		for i := range int(r.count) {
			line := c.v.lineAt(r, i)
			session, at := int(c.v.pools[line.Pool].session), 0
			c.programmes[c.v.sessions[session].Programme] += int(line.Quantity)
			for at < len(c.sessions) && c.sessions[at].session != session {
				at++
			}
			if at == len(c.sessions) {
				c.sessions = append(c.sessions, sessionCount{session: session})
			}
			c.sessions[at].tickets += int(line.Quantity)
		}
	}
}

// eachOver calls do for every cap and limit that the present ledger exceeds.
func (c *Census) eachOver(do func(of, tickets, limit int)) {
	for programme, n := range c.programmes {
		if limit := c.v.caps[programme]; n > limit {
			do(programme, n, limit)
		}
	}
	for _, s := range c.sessions {
		if limit := c.v.sessionLimits[s.session]; s.tickets > limit {
			do(len(c.v.caps)+s.session, s.tickets, limit)
		}
	}
}

// excess returns by how many tickets the account of the present ledger has more than it may. What it may have beyond
// the limits falls with what it has, since nothing beyond a limit is ever taken again.
func (c *Census) excess(row uint32) (excess int) {
	allowed := c.allowed[row]
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
	switch {
	case len(still) > 0:
		c.allowed[row] = still
	case allowed != nil:
		delete(c.allowed, row)
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
	most := Most{Programmes: make([]int, len(c.v.caps)), Sessions: make([]int, len(c.v.sessions))}
	clear(c.allowed)
	end := c.v.accounts.End()
	for row := uint32(1); row < end; row++ {
		if !c.readLedger(row) || len(c.rows) == 0 {
			continue
		}
		c.eachOver(func(of, tickets, _ int) {
			c.v.keep(row)
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

// States counts the reservations by state. One whose end is decided but not yet visible counts as held.
func (v *Inventory) States() map[State]uint64 {
	found := map[State]uint64{}
	end := v.reservations.End()
	for row := uint32(1); row < end; row++ {
		r := v.reservations.Find(row)
		if r == nil {
			continue
		}
		switch state := State(r.state.Load()); state {
		case confirming, releasing, expiring, yielding:
			found[Held]++
		case Held, Confirmed, Released, Returned, Expired:
			if v.stands(Decided{row, state}) { // otherwise it was taken again, in another row
				found[state]++
			}
		}
	}
	return found
}
