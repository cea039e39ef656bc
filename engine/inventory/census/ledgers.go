package census

import (
	"github.com/seathold/seathold/engine/inventory"
)

type sessionCount struct{ session, tickets int }

// Ledgers is what a count of all ledgers found.
type Ledgers struct {
	Accounts int    // rows looked at
	Unsteady int    // accounts skipped because their ledger kept changing; the next count visits them again
	AtCap    []int  // by programme: accounts that have as many tickets as the cap allows, or more
	Excess   int    // tickets beyond what accounts may have (I2): 0
	Account  uint32 // the first account over a limit; meaningful if Excess is not 0
}

// Ledgers counts the ledger of every account, each as it was at one instant. visit, unless nil, is called with every
// account row. rest is as for Pools.
func (c *Census) Ledgers(rest func() bool, visit func(accountRow uint32)) (found Ledgers, ok bool) {
	found.AtCap = make([]int, len(c.Bounds().Limits.Caps))
	end := c.v.Accounts()
	for row := uint32(1); row < end; row++ {
		if row%(restRows/16) == 0 && !rest() {
			return found, false
		}
		if visit != nil {
			visit(row)
		}
		excess, by, steady := c.excess(row)
		if !steady {
			found.Unsteady++
			continue
		}
		for programme := range found.AtCap {
			if len(c.rows) > 0 && c.programme[programme] >= by.Limits.Caps[programme] {
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

// excess counts the ledger of an account, and returns by how many tickets it has more than it may by these bounds.
// What was counted while they changed is counted again.
func (c *Census) excess(accountRow uint32) (excess int, by *Bounds, steady bool) {
	for {
		by = c.Bounds()
		if !c.count(accountRow) {
			return 0, by, false
		}
		excess = 0
		c.eachOver(&by.Most, func(_ []int, _, tickets, limit int) { excess += tickets - limit })
		if excess == 0 || c.Bounds() == by {
			return excess, by, true
		}
	}
}

// eachOver calls do for every cap and limit that the present ledger exceeds, with its list and its place there.
func (c *Census) eachOver(limits *inventory.Limits, do func(list []int, at, tickets, limit int)) {
	for programme, limit := range limits.Caps {
		if n := c.programme[programme]; n > limit {
			do(limits.Caps, programme, n, limit)
		}
	}
	for _, s := range c.session {
		if limit := limits.Sessions[s.session]; s.tickets > limit {
			do(limits.Sessions, s.session, s.tickets, limit)
		}
	}
}
