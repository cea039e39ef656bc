// Package epoch detects when every call that was running at some instant has returned. Rows of the inventory are used
// again only after that.
//
// A call announces itself before it loads the first word that names a row, and withdraws after its last access to one.
// It may not wait for the journal in between. There are 64 pairs of counters, each pair in a cache line of its own; a
// call adds one to a counter of its pair, and later subtracts it from the same one. So announcing costs two additions
// that nobody contends for.
//
// A grace period has passed when each counter was seen at zero once since it began. A call that was running at the
// beginning had added to one of them, so that one was not zero before the call returned. This is the whole argument.
// The parity of the epoch selects the counter of a pair to which calls add. It only makes sure that each counter
// reaches zero although new calls keep coming: a grace period waits for the counters that are not in use, changes the
// parity, and waits for the others. A call that read the parity long ago uses the other counter, and is counted all the
// same.
package epoch

import "github.com/seathold/seathold/engine/inventory/internal/table"

const stripes = 64

// Epoch counts running calls. The zero value is ready to use. Any number of goroutines call Begin and End.
type Epoch struct {
	parity  table.Word32
	_       [60]byte
	running [stripes][2]counter
}

// counter is half a cache line: the two of a pair are never used at a time but while the parity changes.
type counter struct {
	calls table.Word64
	_     [24]byte
}

// Call is a running call. It does not move when its caller's stack does.
type Call struct{ calls *table.Word64 }

// Begin announces a call. Calls that run at a time should have different spreads.
func (e *Epoch) Begin(spread uint32) Call {
	c := Call{&e.running[spread%stripes][e.parity.Load()&1].calls}
	c.calls.Add(1)
	return c
}

// End withdraws the call. It is called once.
func (c Call) End() { c.calls.Add(^uint64(0)) }

// Grace is one grace period after the other. One goroutine at a time uses it.
type Grace struct {
	e       *Epoch
	at      int  // the stripe that was not seen at zero yet
	flipped bool // the parity was changed in this period
}

// Grace returns the grace periods of an epoch. An epoch has one user of them.
func (e *Epoch) Grace() Grace { return Grace{e: e} }

// Begin begins a grace period.
func (g *Grace) Begin() { g.at, g.flipped = 0, false }

// Passed reports whether every call that was running at Begin has returned. It does not wait: it is called until it
// returns true.
func (g *Grace) Passed() bool {
	for {
		unused := g.e.parity.Load()&1 ^ 1
		for ; g.at < stripes; g.at++ {
			if g.e.running[g.at][unused].calls.Load() != 0 {
				return false
			}
		}
		if g.flipped {
			return true
		}
		g.e.parity.Store(unused)
		g.at, g.flipped = 0, true
	}
}
