// Package stock has the stock of a pool.
package stock

import "github.com/seathold/seathold/engine/inventory/internal/table"

// Pool is the stock of one session and category: one word that packs what is available and what is unsettled.
//
//	63            32   31   30            0
//	+---------------+------+---------------+
//	|   available   | side |   unsettled   |
//	+---------------+------+---------------+
//
// available may be taken now. unsettled counts the units of reservations of several lines that are not decided yet,
// and of reservations whose units are about to come back. A caller that finds too few available while some are
// unsettled may not answer "sold out"; it backs off (I7).
//
// Neither half is ever negative (I1). Units leave available only by Take, which checks. Units leave unsettled only by
// Settle and GiveBack, each called by the caller that marked them before.
//
// side says which of the two sides has the units in force, that is all that may be taken or are. So they change in the
// same step as what is available: whoever changes them fills the other side first (see Change).
//
// Three counters record what became of units that are not available. They only grow, each after the record of the
// outcome has its place, and Returned before the units are available again. What is neither available nor gone is held.
type Pool struct {
	word     table.Word64
	Sold     table.Word64 // units that were ever confirmed
	Returned table.Word64 // those of them that came back. Sold − Returned are gone
	Withheld table.Word64 // those of the gone ones that were given back and are not for sale again
	sides    [2]table.Word64
	changes  table.Word64 // of sides; see read
	_        [8]byte      // one pool a cache line, so that neighbours do not contend
}

// A side packs the units in force, without those that are pending, and the pending ones: they are about to go, and are
// read as available.
//
//	63            32 31             0
//	+---------------+---------------+
//	|    pending    |     units     |
//	+---------------+---------------+

const side = 1 << 31 // of the word

func pack(available, unsettled uint32) uint64 { return uint64(available)<<32 | uint64(unsettled) }

func unpack(word uint64) (available, unsettled uint32) {
	return uint32(word >> 32), uint32(word) &^ side
}

// Fill sets the stock. Nobody else has access to it.
func (p *Pool) Fill(units, available uint32, gone, withheld uint64) {
	p.sides[0].Store(uint64(units))
	p.word.Store(pack(available, 0))
	p.Sold.Store(gone)
	p.Returned.Store(0)
	p.Withheld.Store(withheld)
}

// Units returns how many units are available, and how many are unsettled.
func (p *Pool) Units() (available, unsettled uint32) { return unpack(p.word.Load()) }

// Take takes k units and marks them unsettled if asked to. When it takes none it returns how many were available, and
// how many unsettled.
func (p *Pool) Take(k uint32, unsettled bool) (available, open uint32, took bool) {
	change := uint64(k) << 32
	if unsettled {
		change -= uint64(k) // one subtraction takes k from available and adds k to unsettled
	}
	for {
		w := p.word.Load()
		if available, open = unpack(w); !Enough(available, k) {
			return available, open, false
		}
		// From here on these k units are the caller's (I1): the word is still the one that had enough.
		if p.word.CompareAndSwap(w, w-change) {
			return available, open, true
		}
	}
}

// Settle makes k units that were taken as unsettled definitely taken.
func (p *Pool) Settle(k uint32) { p.word.Add(-uint64(k)) }

// Mark makes k held units unsettled: they are about to come back.
func (p *Pool) Mark(k uint32) { p.word.Add(uint64(k)) }

// GiveBack makes k unsettled units available, in one step.
func (p *Pool) GiveBack(k uint32) { p.word.Add(pack(k, 0) - uint64(k)) }

// Add makes k more units available, or fewer, without a check.
func (p *Pool) Add(k int64) { p.word.Add(uint64(k) << 32) }

// Read returns what is available, and the units in force and those that are pending, all of one instant.
func (p *Pool) Read() (available, units, pending uint32) {
	for {
		changes := p.changes.Load()
		w := p.word.Load()
		now := p.sides[w/side&1].Load()
		// If no change has begun meanwhile, the side in force was not written: one that had begun before writes the other
		// one, and then brings it in force.
		if p.changes.Load() == changes {
			return uint32(w >> 32), uint32(now), uint32(now >> 32)
		}
	}
}

// Count returns how many units are available, held, sold and withheld. Units whose reservation is being confirmed or
// returned may still count as held or as sold. No number is negative.
func (p *Pool) Count() (available, held, sold, withheld int) {
	// In this order, no result is negative. Units leave available before they are sold, and are returned before they are
	// available again. So sold − returned is at most what was gone when the word was read. It may lag so much that it is
	// less than what was withheld before.
	withheld = int(p.Withheld.Load())
	sold = int(p.Sold.Load())
	left, units, pending := p.Read()
	gone := max(sold-int(p.Returned.Load()), withheld)
	return int(left) + int(pending), int(units) - int(left) - gone, gone - withheld, withheld
}
