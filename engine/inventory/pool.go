package inventory

import "github.com/seathold/seathold/engine/inventory/internal/table"

// pool is the stock of one session and category: one word that packs what is available and what is unsettled.
//
//	63            32 31             0
//	+---------------+---------------+
//	|   available   |   unsettled   |
//	+---------------+---------------+
//
// available may be taken now. unsettled counts the units of reservations of several lines that are not decided yet,
// and of reservations whose units are about to come back. A caller that finds too few available while some are
// unsettled may not answer "sold out"; it backs off (I7).
//
// Neither half is ever negative (I1). Units leave available only by take, which checks. Units leave unsettled only by
// settle and giveBack, each called by the caller that marked them before.
//
// Three counters record what became of units that are not available. They only grow, each after the record of the
// outcome has its place, and returned before the units are available again. What is neither available nor gone is held.
type pool struct {
	word     table.Word64
	sold     table.Word64 // units that were ever confirmed
	returned table.Word64 // those of them that came back. sold − returned are gone
	withheld table.Word64 // those of the gone ones that were given back and are not for sale again
	_        [32]byte     // one pool a cache line, so that neighbours do not contend
}

func packPool(available, unsettled uint32) uint64 { return uint64(available)<<32 | uint64(unsettled) }

func unpackPool(word uint64) (available, unsettled uint32) { return uint32(word >> 32), uint32(word) }

// take takes k units and marks them unsettled if asked to. When it takes none it returns how many were available:
// inDoubt with some unsettled, refused with none.
func (p *pool) take(k uint32, unsettled bool) (decision, uint32) {
	change := uint64(k) << 32
	if unsettled {
		change -= uint64(k) // one subtraction takes k from available and adds k to unsettled
	}
	for {
		w := p.word.Load()
		if available, open := unpackPool(w); !enough(available, k) {
			if open > 0 {
				return inDoubt, available
			}
			return refused, available
		}
		// From here on these k units are the caller's (I1): the word is still the one that had enough.
		if p.word.CompareAndSwap(w, w-change) {
			return granted, 0
		}
	}
}

// settle makes k units that were taken as unsettled definitely taken.
func (p *pool) settle(k uint32) { p.word.Add(-uint64(k)) }

// mark makes k held units unsettled: they are about to come back.
func (p *pool) mark(k uint32) { p.word.Add(uint64(k)) }

// giveBack makes k unsettled units available, in one step.
func (p *pool) giveBack(k uint32) { p.word.Add(packPool(k, 0) - uint64(k)) }
