package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

const held = inventory.Held

// sums are the tickets of one caller by pool, from its books.
type sums struct {
	held, sold [pools]int32
	holds      int // alive
}

// count counts the books as of an instant at which all that is due has ended.
func (c *caller) count(now int64) *sums {
	s := &sums{}
	for i := range c.ring {
		if h := &c.ring[i]; h.n != 0 && h.expires > now {
			s.holds++
			c.add(&s.held, h)
		}
	}
	for i := range c.kept {
		c.add(&s.sold, &c.kept[i])
	}
	return s
}

func (c *caller) add(to *[pools]int32, h *hold) {
	what := c.p.choose(h.n)
	c.lines = c.p.lines(c.lines[:0], &what, h.flags)
	for _, l := range c.lines {
		to[l.Pool] += int32(l.Quantity)
	}
}

// each runs do for every caller at a time and returns the first fault.
func (r *run) each(do func(c *caller)) error {
	var all sync.WaitGroup
	for _, c := range r.callers {
		all.Go(func() { do(c) })
	}
	all.Wait()
	for _, c := range r.callers {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// compare compares every pool with the books, and returns how many holds are alive. No caller runs.
func (r *run) compare() (alive int, err error) {
	r.sale.settle()
	now := r.clock.now()
	books := make([]*sums, len(r.callers))
	if err := r.each(func(c *caller) { books[c.index] = c.count(now) }); err != nil {
		return 0, err
	}
	for _, b := range books {
		alive += b.holds
	}
	for pool := range pools {
		want := inventory.Stock{}
		for _, b := range books {
			want.Held += int(b.held[pool])
			want.Sold += int(b.sold[pool])
		}
		want.Available = r.placesOf(pool/categories) - want.Held - want.Sold
		if got := r.sale.stock(pool); got != want {
			return 0, fmt.Errorf("pool %d has %+v; the books have %+v", pool, got, want)
		}
	}
	return alive, nil
}

const (
	samples    = 1000 // of each caller
	longAgo    = 16   // lives
	lookups    = 1024
	lookupRuns = 8 // the quickest counts
	// slowest is how many times the look-ups of an earlier part those of a later one may take. What else happens on the
	// machine is part of that; in an index that keeps what is forgotten they take thousands of times as long.
	slowest = 20
)

// sample compares random reservations with the books: of those that are alive, of those that are sold, and of those
// that have ended long ago. It returns the share of the latter that is still known. Those are in parts of the tables of
// which too little has ended.
func (r *run) sample() (known float64, err error) {
	late := make([]int, len(r.callers))
	asked := make([]int, len(r.callers))
	err = r.each(func(c *caller) {
		for range samples {
			c.look(c.roll())
			if len(c.kept) > 0 {
				c.verify(&c.kept[c.roll()%uint64(len(c.kept))], inventory.Confirmed)
			}
			if ago := uint64(longAgo * len(c.ring)); c.n > ago {
				if found, ok := c.remembers(numberOf(c.index, 1+c.roll()%(c.n-ago))); ok {
					asked[c.index]++
					late[c.index] += found
				}
			}
		}
	})
	all, found := 0, 0
	for i := range asked {
		all += asked[i]
		found += late[i]
	}
	if known = float64(found) / float64(max(1, all)); err == nil && known > 0.05 && r.measures {
		err = fmt.Errorf("%d of %d reservations that ended long ago are not forgotten", found, all)
	}
	return known, err
}

// remembers reads a hold of long ago; not ok if it is sold, or if its id may have been used again.
func (c *caller) remembers(n number) (known int, ok bool) {
	if n.at()%64 == forgotten || n.at()%64 == reuses {
		return 0, false
	}
	a := c.seller.read(c.p.id(n, false), &c.facts)
	switch {
	case a == notFound:
		return 0, true
	case c.facts.state == inventory.Confirmed:
		return 0, false
	case c.facts.state == held:
		c.faultf("hold %d, which ended long ago, is held", n)
	}
	return 1, true
}

// lookup measures a look-up of a reservation: half of them find one. It returns ns.
func (r *run) lookup() (ns float64) {
	c := r.callers[0]
	for i := range lookupRuns {
		ids := make([]inventory.ID, 0, lookups)
		for len(ids) < lookups {
			if h := c.ring[c.roll()%uint64(len(c.ring))]; h.n != 0 {
				ids = append(ids, c.p.id(h.n, h.flags&replacement != 0), c.p.id(numberOf(c.index, c.roll()>>numberBits), false))
			}
		}
		began := time.Now()
		for _, id := range ids {
			c.seller.read(id, &c.facts)
		}
		if took := float64(time.Since(began).Nanoseconds()) / lookups; i == 0 || took < ns {
			ns = took
		}
	}
	return ns
}
