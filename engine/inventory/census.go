package inventory

// Census adds pools and ledgers up from the reservations while the sale goes on, and holds the sums against the words that
// decide the sale and against the limits. One goroutine uses it; it changes nothing and stops nobody.
//
// Why a pool's sum can be held against its word although both move: each row's state is looked at twice, and the words
// are read between the two looks. States only move forward. So a row that counts at both looks counted at the moment of
// the word, one that was dead at the first or not yet there at the second did not, and only what changed in between is
// uncertain. The sum of the sure ones must not exceed what the word says is taken, and the word must not exceed the sum
// of the sure and the uncertain. A pool in which nothing moved between the looks has no uncertain ones: there the sum is
// exact.
type Census struct {
	v     *Inventory
	seen  []uint8 // by row: the state at the first look
	pools []poolSums
	rows  []LedgerRow
}

// poolSums are the units of one pool by what the two looks say of their reservations.
type poolSums struct {
	taken, takenAtMost int64 // held or confirmed
	sold, soldAtMost   int64
	wordTaken          int64
	wordSold           int64
}

// NewCensus returns a census of the inventory.
func (v *Inventory) NewCensus() *Census { return &Census{v: v, pools: make([]poolSums, len(v.pools))} }

// PoolCensus is what a count of all pools found.
type PoolCensus struct {
	Reservations int // rows looked at
	Exact        int // pools in which nothing moved during the count
	Difference   int // units by which sums and words, or words and capacity, disagree (I1): 0
	Pool         int // the first pool that disagrees; meaningful if Difference is not 0
}

// restRows is how many rows are looked at between two calls of rest: a fraction of a millisecond.
const restRows = 16 << 10

// Pools counts all pools. rest is called every fraction of a millisecond, so that the caller can leave the processor to
// others; when it returns false the count ends without a result.
func (c *Census) Pools(rest func() bool) (found PoolCensus, ok bool) {
	first := c.v.reservations.end()
	if int(first) > len(c.seen) {
		c.seen = make([]uint8, int(first)+int(first)/4)
	}
	clear(c.pools)
	if !c.eachRow(first, rest, func(row uint32, state State) { c.seen[row] = uint8(state) }) {
		return found, false
	}
	for i := range c.pools {
		p := &c.v.stock[i]
		c.pools[i].wordSold = int64(p.sold.Load())
		available, _ := unpackPool(p.word.Load())
		c.pools[i].wordTaken = int64(c.v.pools[i].units) - int64(int32(available)) // signed: it says so if it ever went below 0
	}
	second := c.v.reservations.end()
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
		if r := c.v.reservations.find(row); r != nil {
			state = State(r.state.Load())
		}
		visit(row, state)
		if row%restRows == 0 && !rest() {
			return false
		}
	}
	return true
}

// add adds one reservation to the sums of its pools.
func (c *Census) add(row uint32, before, now State) {
	if before.dead() || now == free {
		return
	}
	r := c.v.reservations.at(row)
	if r.count > inlineLines && r.more == 0 {
		return // it found no room for its lines, so it took nothing
	}
	sure := takes(before) && takes(now)
	for i := range int(r.count) {
		l := c.v.lineAt(r, i)
		p, q := &c.pools[l.Pool], int64(l.Quantity)
		p.takenAtMost += q
		if sure {
			p.taken += q
		}
		if before == Confirmed {
			p.sold += q
		}
		if now == confirming || now == Confirmed {
			p.soldAtMost += q
		}
	}
}

// takes reports whether a reservation in the state has all of its units out of its pools.
func takes(s State) bool { return s == Held || s == confirming || s == Confirmed }

func (c *Census) compare(found *PoolCensus) {
	for i := range c.pools {
		p := &c.pools[i]
		if p.taken == p.takenAtMost && p.sold == p.soldAtMost {
			found.Exact++
		}
		wrong := outside(p.wordTaken, p.taken, p.takenAtMost) + outside(p.wordSold, p.sold, p.soldAtMost) +
			max(p.wordTaken, p.taken, int64(c.v.pools[i].units)) - int64(c.v.pools[i].units)
		if wrong != 0 && found.Difference == 0 {
			found.Pool = i
		}
		found.Difference += int(wrong)
	}
}

// outside is how far n lies outside the range.
func outside(n, low, high int64) int64 { return max(low-n, n-high, 0) }

// LedgerCensus is what a count of all ledgers found.
type LedgerCensus struct {
	Accounts int   // rows looked at
	Unsteady int   // accounts whose ledger would not hold still; they wait for the next count
	AtCap    []int // accounts that have as many tickets as the cap allows, by programme
	Excess   int   // tickets beyond account caps and session limits (I2): 0
	Account  uint32
}

// Ledgers counts the ledger of every account, each as it was at one instant. visit, unless nil, is told every account row.
// rest is as for Pools.
func (c *Census) Ledgers(rest func() bool, visit func(accountRow uint32)) (found LedgerCensus, ok bool) {
	found.AtCap = make([]int, len(c.v.caps))
	tickets := make([]int, len(c.v.caps))
	end := c.v.accounts.end()
	for row := uint32(1); row < end; row++ {
		if row%(restRows/16) == 0 && !rest() {
			return found, false
		}
		if visit != nil {
			visit(row)
		}
		if a := c.v.accounts.find(row); a == nil || uint32(a.head.Load()) == 0 {
			continue
		}
		if c.rows, ok = c.v.Ledger(row, c.rows[:0]); !ok {
			found.Unsteady++
			continue
		}
		excess := c.ledger(tickets)
		for programme, n := range tickets {
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

// ledger adds one ledger up by programme, into tickets, and returns by how much it exceeds its limits.
func (c *Census) ledger(tickets []int) (excess int) {
	clear(tickets)
	type inSession struct {
		session uint32
		tickets int
	}
	var room [16]inSession
	sessions := room[:0]
	for _, l := range c.rows {
		r := c.v.reservations.at(l.Row)
		tickets[r.programme] += int(r.tickets)
		for i := range int(r.count) {
			line := c.v.lineAt(r, i)
			session, at := c.v.pools[line.Pool].session, 0
			for at < len(sessions) && sessions[at].session != session {
				at++
			}
			if at == len(sessions) {
				sessions = append(sessions, inSession{session: session})
			}
			sessions[at].tickets += int(line.Quantity)
		}
	}
	for programme, n := range tickets {
		excess += max(0, n-c.v.caps[programme])
	}
	for _, s := range sessions {
		excess += max(0, s.tickets-c.v.sessionLimits[s.session])
	}
	return excess
}

// States counts the reservations by state. Those about to change count under the state they are about to leave.
func (v *Inventory) States() map[State]uint64 {
	found := map[State]uint64{}
	for row := uint32(1); row < v.reservations.end(); row++ {
		r := v.reservations.find(row)
		if r == nil {
			continue
		}
		switch state := State(r.state.Load()); state {
		case confirming, releasing, expiring:
			found[Held]++
		case Held, Confirmed, Released, Expired:
			found[state]++
		}
	}
	return found
}

// Expired is how many reservations ended because their time was over, without those restored.
func (v *Inventory) Expired() uint64 { return v.expired.Load() }
