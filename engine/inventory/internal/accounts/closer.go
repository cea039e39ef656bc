package accounts

import (
	"sync/atomic"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Closer makes the rows of accounts that no reservation names any more free again, unless they are kept. One goroutine
// at a time uses it.
//
// A row becomes free in three passes over the accounts. Each comes after a pass over the reservations, and after a
// grace period that began when the pass before it had ended:
//
//  1. If no reservation was found that names the account, and none has entered its ledger since, a compare-and-swap
//     closes its head. From here on the name is free. A call that has found the account before looks it up again when
//     it is about to enter the ledger.
//  2. The index gets a tombstone. Every call that was making the account has returned, so the account is in the index,
//     or never will be.
//  3. If no reservation was found that names the account, its row is free. A reservation that failed before the second
//     pass may still name it, but no call makes another one: none finds the account.
type Closer struct {
	t      *Table
	due    bool     // a pass has begun
	moved  bool     // an account has come further in this pass
	at     uint32   // the next account to look at
	claims uint64   // of accounts when the last pass began
	marked []uint64 // by account: a reservation names it
	root   table.Root

	// Plain atomics, since no step depends on them: an exploration need not stop at them.
	closings atomic.Uint64
	freed    atomic.Uint64
}

// The version of a closed head is the number of passes since.
const (
	closed  = HeadClosed | 0<<32
	removed = HeadClosed | 1<<32
	free    = HeadClosed | 2<<32
)

// NewCloser returns the closer of the table, which has one.
func (t *Table) NewCloser() *Closer { return &Closer{t: t} }

// Begin is called before a pass over the reservations. A pass over the accounts begins when a sixteenth of them was
// claimed since the last one, or at once.
func (c *Closer) Begin(atOnce bool) {
	claims := c.t.Claims()
	c.moved = false
	if c.due = atOnce || claims-c.claims >= uint64(max(c.t.InUse()/16, 1024)); !c.due {
		return
	}
	c.claims, c.at = claims, 1
	words := int(c.t.End())/64 + 1
	if cap(c.marked) < words {
		c.marked = make([]uint64, words, words+words/4)
	}
	c.marked = c.marked[:words]
	clear(c.marked)
}

// Mark notes that a reservation names the account.
func (c *Closer) Mark(row uint32) {
	if at := row / 64; c.due && int(at) < len(c.marked) {
		c.marked[at] |= 1 << (row % 64)
	}
}

func (c *Closer) isMarked(row uint32) bool {
	at := row / 64
	return int(at) >= len(c.marked) || c.marked[at]&(1<<(row%64)) != 0
}

// Due reports whether a pass has begun and not ended.
func (c *Closer) Due() bool { return c.due }

// Moved reports whether the last pass took an account further, so that another pass may.
func (c *Closer) Moved() bool { return c.moved }

// Step takes the next accounts one pass further. It is called after the pass over the reservations, until it returns
// false: then the pass has ended, and a grace period must follow.
func (c *Closer) Step() (more bool) {
	if c.t.Index.MoveOn() {
		return true
	}
	end := c.t.End()
	for last := min(end, c.at+table.ChunkRows/4); c.at < last; c.at++ {
		if a := c.t.Find(c.at); a != nil {
			c.look(a, c.at)
		}
	}
	if c.at < end {
		return true
	}
	c.due, c.root = false, c.t.Index.Root()
	return false
}

func (c *Closer) look(a *Account, row uint32) {
	switch w := a.Head.Load(); {
	case w&HeadClosed == 0:
		if w&(HeadRow|HeadKept) == 0 && !c.isMarked(row) && a.Head.CompareAndSwap(w, closed) {
			c.closings.Add(1)
			c.moved = true
		}
	case w == closed:
		if _, ok := c.t.Index.Change(c.t.hash(c.t.Name(row)), row, 0, c.root); ok {
			a.Head.Store(removed)
			c.moved = true
		}
	case w == removed && !c.isMarked(row):
		a.Head.Store(free)
		c.moved = true
		if name := a.LongName(); name != 0 {
			c.t.texts.Free(name)
		}
		c.t.Free(row)
		c.freed.Add(1)
	}
}

// Counts returns how many rows were made free so far, and how many accounts are closed whose rows are not free yet. Any
// number of goroutines call it.
func (c *Closer) Counts() (freed uint64, closed int) {
	freed = c.freed.Load() // first: an account is closed before its row is free
	return freed, int(c.closings.Load() - freed)
}
