// Package census recounts the pools and ledgers of an inventory from its reservations while the sale continues. It
// compares the sums with the words that decide the sale (I1), and with the caps and limits (I2).
package census

import "github.com/seathold/seathold/engine/inventory"

// Census counts an inventory. One goroutine uses it. It changes nothing and delays no caller.
//
// A pool's sum can be compared with its word although both change: each row is looked at twice, and the words are read
// between the two looks. No row is given back meanwhile, so what a row shows only moves forward. So a row that counts
// at both looks counted when the word was read. A row that was over at the first look, or not there yet at the second,
// did not count then. Only what changed in between is uncertain. The word must show at least the certain units as
// taken, and at most the certain and the uncertain ones together. For a pool in which nothing changed between the
// looks, the comparison is exact.
type Census struct {
	v *inventory.Inventory
	// Bounds returns those in force; another pointer once they have changed. Most is never less than what an account may
	// get by a call that is under way. By default they are the limits of the inventory's Config.
	Bounds func() *Bounds

	seen  []inventory.Look // by row: the first look
	sums  []poolSums       // of pools, and then of quotas
	pools int              // how many of the sums are of pools
	lines []inventory.Line // of one row

	rows      []inventory.Decided          // of the present ledger
	programme [inventory.MaxProgrammes]int // tickets of the present ledger, by programme
	session   []sessionCount               // likewise, of the sessions that it has
}

// Bounds are the caps and limits in force, and how many tickets an account may have: more, where an account rightly
// had more when they were lowered (I2).
type Bounds struct{ Limits, Most inventory.Limits }

// New returns a census of the inventory.
func New(v *inventory.Inventory) *Census {
	always := &Bounds{Limits: *v.Limits(), Most: *v.Limits()}
	return &Census{v: v, Bounds: func() *Bounds { return always }}
}
