package rehearsal

import (
	"sort"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// demand is the pools of a phase, each with its appeal to buyers. See the package documentation.
type demand struct {
	sale   *catalog.Sale
	phase  int
	places *places // what the phase may sell; nil for no bounds
	pools  []uint32
	appeal []uint64 // of one ticket
	sums   []uint64 // prefix sums of tickets on sale × appeal
}

func newDemand(s *catalog.Sale, phase int, places *places) demand {
	d := demand{sale: s, phase: phase, places: places}
	sum := uint64(0)
	for i := range s.Sessions {
		session := &s.Sessions[i]
		if !s.Phases[phase].Sells(i) {
			continue
		}
		mean := meanPrice(s, session)
		for _, pool := range session.Pools {
			p := &s.Pools[pool]
			appeal := appealOf(session.Medal, mean, p.PriceCents)
			sum += uint64(p.Capacity-p.Withheld) * appeal
			d.pools = append(d.pools, uint32(pool))
			d.appeal = append(d.appeal, appeal)
			d.sums = append(d.sums, sum)
		}
	}
	return d
}

// meanPrice returns the mean price of a session's tickets on sale, in cents.
func meanPrice(s *catalog.Sale, session *catalog.Session) int {
	cents, tickets := 0, 0
	for _, pool := range session.Pools {
		p := &s.Pools[pool]
		tickets += p.Capacity - p.Withheld
		cents += (p.Capacity - p.Withheld) * max(0, p.PriceCents) // without a price as if they were free
	}
	return cents / max(1, tickets)
}

// appealOf returns the interest in one ticket, in integers, so that it is the same on every machine.
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

// listing is what buyers see of a phase: the tickets on sale when the clock last advanced.
type listing struct {
	demand    *demand
	available []int32  // by pool of the sale
	sums      []uint64 // prefix sums of available × appeal, or of available alone in the last call
	left      int      // tickets
}

// fill reads the stock at an instant. Of sessions whose sales have ended nothing is listed, and of each category no
// more than the phase has places left of the session.
func (l *listing) fill(d *demand, available []int32, at time.Time, lastCall bool) {
	l.demand, l.available = d, available
	l.sums, l.left = l.sums[:0], 0
	sum := uint64(0)
	for i, pool := range d.pools {
		session := d.sale.Pools[pool].Session
		n := uint64(min(int(available[pool]), d.places.left(d.phase, session)))
		if ended(&d.sale.Sessions[session], at) {
			n = 0
		}
		l.left += int(n)
		if !lastCall {
			n *= d.appeal[i]
		}
		sum += n
		l.sums = append(l.sums, sum)
	}
}

// ended reports whether sales of the session have ended at an instant.
func ended(s *catalog.Session, at time.Time) bool {
	return !s.SalesEndAt.IsZero() && !at.Before(s.SalesEndAt)
}

// any picks a pool without regard to the stock or the end of sales.
func (l *listing) any(d *dice) uint32 { return l.demand.pools[weighted(l.demand.sums, d)] }

// listed picks a pool with available tickets; false if there is none.
func (l *listing) listed(d *dice) (pool uint32, ok bool) {
	if l.left == 0 {
		return 0, false
	}
	return l.demand.pools[weighted(l.sums, d)], true
}

// weighted picks an index with a probability proportional to its step in the prefix sums.
func weighted(sums []uint64, d *dice) int {
	x := d.next() % sums[len(sums)-1]
	return sort.Search(len(sums), func(i int) bool { return sums[i] > x })
}
