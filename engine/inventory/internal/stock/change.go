package stock

import (
	"cmp"
	"slices"
)

// Units is how many units a pool is to have.
type Units struct{ Pool, Units uint32 }

// Change is a change of the units of several pools, all or nothing. One is under way at a time, and one goroutine
// makes it. It is like a reservation of the units that are to go (I6, I7): they are taken in ascending order of the
// pools and unsettled until the record of the change has its place. Units that are to come are given after that. They
// are unsettled before, so that nobody is refused for want of them who may know that the change has happened
// elsewhere.
//
// What is about to go is pending: it is read as available until the change is over.
type Change struct {
	pools           Pools
	lowered, raised []Line // by how much
}

// Short is why a change is impossible: the pool has fewer units that are not taken.
type Short struct {
	Units        // that it was to have
	Taken int    // units that are not available
	Open  uint32 // units of which it is not decided whether they come back
}

// Change takes the units that are to go. wait is called before the change looks again at a pool that has undecided
// units; false ends it. When it took nothing it returns why.
func (p Pools) Change(to []Units, wait func() bool) (c Change, short Short, took bool) {
	c.pools = p
	for _, t := range to {
		switch units := p[t.Pool].units(); {
		case t.Units < units:
			c.lowered = append(c.lowered, Line{t.Pool, units - t.Units})
		case t.Units > units:
			c.raised = append(c.raised, Line{t.Pool, t.Units - units})
		}
	}
	slices.SortFunc(c.lowered, func(a, b Line) int { return cmp.Compare(a.Pool, b.Pool) })
	for i := 0; i < len(c.lowered); {
		l := c.lowered[i]
		units := p[l.Pool].units()
		available, open, took := p[l.Pool].lower(l.Quantity)
		if took {
			i++
			continue
		}
		if open > 0 && wait() {
			continue
		}
		c.lowered, c.raised = c.lowered[:i], nil
		c.Abort()
		return c, Short{Units{l.Pool, units - l.Quantity}, int(units) - int(available), open}, false
	}
	for _, r := range c.raised {
		p[r.Pool].Mark(r.Quantity)
	}
	return c, short, true
}

// Commit ends a change whose record has its place.
func (c *Change) Commit() {
	for _, l := range c.lowered {
		p := &c.pools[l.Pool]
		p.turn(p.units(), 0, 0, -int64(l.Quantity))
	}
	for _, l := range c.raised {
		p := &c.pools[l.Pool]
		p.turn(p.units()+l.Quantity, 0, int64(l.Quantity), -int64(l.Quantity))
	}
}

// Abort ends a change that does not happen, and gives back what it took.
func (c *Change) Abort() {
	for _, l := range c.lowered {
		p := &c.pools[l.Pool]
		p.turn(p.units()+l.Quantity, 0, int64(l.Quantity), -int64(l.Quantity))
	}
	for _, r := range c.raised {
		c.pools[r.Pool].Settle(r.Quantity)
	}
}

// SetUnits sets the units of a pool that nobody changes otherwise, and what is available by as much.
func (p *Pool) SetUnits(units uint32) { p.turn(units, 0, int64(units)-int64(p.units()), 0) }

// units returns the units in force without those that are pending. Only the goroutine that changes them calls it.
func (p *Pool) units() uint32 { return uint32(p.sides[p.word.Load()/side&1].Load()) }

// prepare fills the side of the pool that is not in force.
func (p *Pool) prepare(units, pending uint32) {
	p.changes.Add(1) // first: see Read
	p.sides[p.word.Load()/side&1^1].Store(uint64(pending)<<32 | uint64(units))
}

// turn brings the other side in force, with these numbers, and in the same step adds to what is available and
// unsettled.
func (p *Pool) turn(units, pending uint32, available, unsettled int64) {
	p.prepare(units, pending)
	for {
		w := p.word.Load()
		if p.word.CompareAndSwap(w, (w+uint64(available)<<32+uint64(unsettled))^side) {
			return
		}
	}
}

// lower takes k units, which are unsettled and pending from then on. When it takes none it returns how many were
// available, and how many unsettled.
func (p *Pool) lower(k uint32) (available, open uint32, took bool) {
	p.prepare(p.units()-k, k)
	for {
		w := p.word.Load()
		if available, open = unpack(w); available < k {
			return available, open, false
		}
		// From here on the units are taken (I1), and the other side is in force.
		if p.word.CompareAndSwap(w, (w-uint64(k)<<32+uint64(k))^side) {
			return available, open, true
		}
	}
}
