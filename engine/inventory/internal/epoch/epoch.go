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
//
// The rest only makes sure that each counter reaches zero although new calls keep coming. Phases follow each other.
// The parity of the phase selects the counter of a pair to which calls add. The others are not in use: only calls that
// read the phase before it began still add to them, and soon none does. A user that waits ends the phase once it has
// seen all counters that are not in use at zero within the phase. Then the others are not in use.
//
// Several users may wait at a time. What one sees also serves the others: once three phases have begun since a grace
// period did, two whole phases lie in it, and in each of them the counters of one parity were all seen at zero. So no
// user starves another one by ending phases. As long as one polls, phases end, and after three a grace period has
// passed.
package epoch

import "github.com/seathold/seathold/engine/inventory/internal/table"

const stripes = 64

// Epoch counts running calls. The zero value is ready to use. Any number of goroutines call Begin and End.
type Epoch struct {
	phase   table.Word32
	_       [60]byte
	running [stripes][2]counter
}

// counter is half a cache line: the two of a pair are never used at a time but while the phase changes.
type counter struct {
	calls table.Word64
	_     [24]byte
}

// Call is a running call. It does not move when its caller's stack does.
type Call struct{ calls *table.Word64 }

// Begin announces a call. Calls that run at a time should have different spreads.
func (e *Epoch) Begin(spread uint32) Call {
	c := Call{&e.running[spread%stripes][e.phase.Load()&1].calls}
	c.calls.Add(1)
	return c
}

// End withdraws the call. It is called once.
func (c Call) End() { c.calls.Add(^uint64(0)) }

// Grace is one grace period after the other. One goroutine at a time uses it.
type Grace struct {
	e     *Epoch
	began uint32  // the phase at the beginning
	phase uint32  // the last one that it has seen
	at    int     // the stripe whose unused counter was not seen at zero yet in this phase
	seen  [2]bool // by parity: all counters were seen at zero
}

// Grace returns grace periods of an epoch for one user.
func (e *Epoch) Grace() Grace { return Grace{e: e} }

// Begin begins a grace period.
func (g *Grace) Begin() {
	g.began = g.e.phase.Load()
	g.phase, g.at, g.seen = g.began, 0, [2]bool{}
}

// Passed reports whether every call that was running at Begin has returned. It does not wait: it is called until it
// returns true.
func (g *Grace) Passed() bool {
	for {
		phase := g.e.phase.Load()
		if phase-g.began >= 3 {
			return true
		}
		if phase != g.phase {
			g.phase, g.at = phase, 0
		}
		unused := phase&1 ^ 1
		for ; g.at < stripes; g.at++ {
			if g.e.running[g.at][unused].calls.Load() != 0 {
				return false
			}
		}
		if g.seen[unused] = true; g.seen[unused^1] {
			return true
		}
		// If another user was first, this phase has ended all the same.
		g.e.phase.CompareAndSwap(phase, phase+1)
	}
}
