package rehearsal

import (
	"sort"

	"github.com/seathold/seathold/engine/catalog"
)

// demand is what the buyers of a phase want: the phase's pools, each with its appeal. See the package documentation.
type demand struct {
	sale   *catalog.Sale
	pools  []uint32
	appeal []uint64 // of one place
	heart  []uint64 // running sums of places × appeal, whether they are left or not
}

func newDemand(s *catalog.Sale, phase int) demand {
	d := demand{sale: s}
	sum := uint64(0)
	for i := range s.Sessions {
		session := &s.Sessions[i]
		if !s.Phases[phase].Sells(i) {
			continue
		}
		mean := meanPrice(s, session)
		for pool := session.FirstPool; pool < session.FirstPool+session.PoolCount; pool++ {
			p := &s.Pools[pool]
			appeal := appealOf(session.Medal, mean, p.PriceCents)
			sum += uint64(p.Capacity-p.Withheld) * appeal
			d.pools = append(d.pools, uint32(pool))
			d.appeal = append(d.appeal, appeal)
			d.heart = append(d.heart, sum)
		}
	}
	return d
}

// meanPrice is the price in cents of a session's places on sale, on average.
func meanPrice(s *catalog.Sale, session *catalog.Session) int {
	cents, places := 0, 0
	for _, p := range s.Pools[session.FirstPool : session.FirstPool+session.PoolCount] {
		places += p.Capacity - p.Withheld
		cents += (p.Capacity - p.Withheld) * p.PriceCents
	}
	return cents / max(1, places)
}

// appealOf is the interest that one place draws. Whole numbers, so that it is the same everywhere.
func appealOf(medal bool, mean, price int) uint64 {
	const basis, medals = 2000, 3 // 20 €
	interest := basis + mean
	if medal {
		interest *= medals
	}
	cheapness := 400 // percent
	if price > 0 {
		cheapness = min(max(100*mean/price, 25), 400)
	}
	return uint64(max(1, interest*cheapness/100))
}

// listing is what buyers see of a phase: what was left when the clock last moved.
type listing struct {
	demand    *demand
	available []int32  // by pool of the sale
	shelf     []uint64 // running sums of available × appeal; in the last call of available alone
	left      int      // places
}

// fill looks at the stock.
func (l *listing) fill(d *demand, available []int32, lastCall bool) {
	l.demand, l.available = d, available
	l.shelf, l.left = l.shelf[:0], 0
	sum := uint64(0)
	for i, pool := range d.pools {
		n := uint64(available[pool])
		l.left += int(n)
		if !lastCall {
			n *= d.appeal[i]
		}
		sum += n
		l.shelf = append(l.shelf, sum)
	}
}

// wish picks a pool by heart.
func (l *listing) wish(d *dice) uint32 { return l.demand.pools[weighted(l.demand.heart, d)] }

// offer picks a pool among those that are listed; false when there is none.
func (l *listing) offer(d *dice) (pool uint32, ok bool) {
	if l.left == 0 {
		return 0, false
	}
	return l.demand.pools[weighted(l.shelf, d)], true
}

// weighted picks an index with a chance in proportion to its step in the running sums.
func weighted(sums []uint64, d *dice) int {
	x := d.next() % sums[len(sums)-1]
	return sort.Search(len(sums), func(i int) bool { return sums[i] > x })
}
