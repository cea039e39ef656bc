package inventory

import "github.com/seathold/seathold/engine/inventory/internal/table"

// An account that no reservation names any more is closed, unless it is kept: then its name is free, and whoever needs
// the account makes another one. Its row comes back by three passes of the reclaimer, with a grace period before each:
//
//  1. If the pass has found no reservation that names the account, and none has entered its ledger since, a
//     compare-and-swap closes its head. A call that has found the account before looks it up again when it comes to enter
//     the ledger.
//  2. The index gets a tombstone. Whoever was making the account has returned, so it is in the index, or never will be.
//  3. If the pass has found no reservation that names the account, its row is free. There may be one that failed before
//     the second pass, but no call makes another one: none finds the account.
//
// The number of the pass is in the version of a closed head.
const (
	stageClosed  = 0 << 32
	stageRemoved = 1 << 32
	stageFree    = 2 << 32
)

// accountPass is the part of a pass that is about accounts.
type accountPass struct {
	due    bool     // there is one in this pass
	at     uint32   // the next account to look at
	claims uint64   // of accounts when the last one began
	marked []uint64 // by account: a reservation names it; empty while none is due
	names  table.Root
}

// mark notes that a reservation names the account.
func (p *accountPass) mark(account uint32) {
	if at := account / 64; p.due && int(at) < len(p.marked) {
		p.marked[at] |= 1 << (account % 64)
	}
}

func (p *accountPass) isMarked(account uint32) bool {
	at := account / 64
	return int(at) >= len(p.marked) || p.marked[at]&(1<<(account%64)) != 0
}

// beginAccounts decides whether the pass is about accounts too: when a sixteenth of them was claimed since the last one
// that was.
func (c *Reclaimer) beginAccounts() {
	p, claims := &c.accounts, c.v.accounts.Claims()
	if p.due = c.all || claims-p.claims >= uint64(max(c.v.accounts.InUse()/16, 1024)); !p.due {
		return
	}
	p.claims, p.at = claims, 1
	words := int(c.v.accounts.End())/64 + 1
	if cap(p.marked) < words {
		p.marked = make([]uint64, words, words+words/4)
	}
	p.marked = p.marked[:words]
	clear(p.marked)
}

// lookAtAccounts takes the next accounts one stage further. A grace period ends the pass.
func (c *Reclaimer) lookAtAccounts(t *Terms) bool {
	p, v := &c.accounts, c.v
	if !p.due {
		c.next = c.begin
		return true
	}
	if v.accountIndex.MoveOn() {
		return true
	}
	end := v.accounts.End()
	for last := min(end, p.at+table.ChunkRows/4); p.at < last; p.at++ {
		if a := v.accounts.Find(p.at); a != nil {
			c.lookAt(a, p.at)
		}
	}
	if p.at < end {
		return true
	}
	p.due, p.names = false, v.accountIndex.Root()
	return c.await(c.begin)
}

func (c *Reclaimer) lookAt(a *account, row uint32) {
	v := c.v
	w := a.head.Load()
	switch {
	case w&headClosed == 0:
		if w&(headRow|headKept) == 0 && !c.accounts.isMarked(row) {
			a.head.CompareAndSwap(w, headClosed|stageClosed)
		}
	case w == headClosed|stageClosed:
		name := v.accountName(row)
		if _, ok := v.accountIndex.Change(v.hashText(name), row, 0, c.accounts.names); ok {
			a.head.Store(headClosed | stageRemoved)
		}
	case w == headClosed|stageRemoved && !c.accounts.isMarked(row):
		a.head.Store(headClosed | stageFree)
		if a.size > inlineName {
			v.texts.Free(a.longName())
		}
		v.accounts.Free(row)
	}
}
