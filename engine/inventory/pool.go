package inventory

// pool is the stock of one session and category: one word that packs what is available and what is unsettled.
//
//	63            32 31             0
//	+---------------+---------------+
//	|   available   |   unsettled   |
//	+---------------+---------------+
//
// available is what may be taken now. unsettled counts units of reservations of several lines that are not decided yet,
// and of reservations on their way back: whoever finds too few available while some are unsettled may not say "sold out",
// it looks again (I7). Neither is ever negative: units leave available only by take, which checks; and what is settled or
// given back was marked by the same caller before (I1).
type pool struct {
	word word64
	sold word64   // confirmed units; what is neither available nor sold is held
	_    [48]byte // one pool a cache line: neighbours do not slow each other
}

func packPool(available, unsettled uint32) uint64 { return uint64(available)<<32 | uint64(unsettled) }

func unpackPool(word uint64) (available, unsettled uint32) { return uint32(word >> 32), uint32(word) }

type takeResult uint8

const (
	taken     takeResult = iota
	short                // too few are available and all is settled: the answer is final
	lookAgain            // too few are available now, but some are unsettled
)

// take takes k units; those of a reservation with several lines become unsettled until it is decided.
func (p *pool) take(k uint32, unsettled bool) takeResult {
	change := uint64(k) << 32
	if unsettled {
		change -= uint64(k) // one subtraction takes k from available and adds k to unsettled
	}
	for {
		w := p.word.Load()
		if available, open := unpackPool(w); !enough(available, k) {
			if open > 0 {
				return lookAgain
			}
			return short
		}
		// Decides that these units are the caller's (I1): nobody else saw this word and took from it.
		if p.word.CompareAndSwap(w, w-change) {
			return taken
		}
	}
}

// settle ends the doubt about k units that were taken as unsettled.
func (p *pool) settle(k uint32) {
	p.word.Add(-uint64(k))
}

// mark makes k held units unsettled: they are about to come back.
func (p *pool) mark(k uint32) {
	p.word.Add(uint64(k))
}

// giveBack makes k unsettled units available, in one step.
func (p *pool) giveBack(k uint32) {
	p.word.Add(packPool(k, 0) - uint64(k))
}
