package catalog

import (
	"errors"
	"fmt"
	"slices"
)

// Continue returns what the sale now says in the numbers of the sale was, so that an index means the same part in
// every version of a sale. Records and memory name programmes, sessions, pools, phases, draws, groups and quotas by
// their indices.
//
//   - A part of both sales keeps its index in was, and has the facts of now. Parts are the same if their ids are: of a
//     pool those of its session and its category, of a quota those of its phase and its session.
//   - A part that only now has is appended.
//   - A part that only was has stays, Removed, with the facts that it had. If it comes back in a later version, it has
//     its index again.
//   - The pools of a session that now does not have, or has without prices, stay as they are. The other pools of an
//     excluded session keep their stock as well, unless stock.csv states it: taking a session off sale moves no
//     ticket.
//
// So Continue of a version with itself changes nothing, and neither does a second Continue with the same sale. Both
// sales stay as they are, and the result shares no slice with them that may change.
//
// The error names each limit of a sale that is exceeded. Removed parts count, since their indices stay in use.
func Continue(was, now *Sale) (*Sale, error) {
	c := continuation{was: was, now: now, sale: *now}
	c.sale.Programmes, c.programmes = merged(was.Programmes, now.Programmes, func(p *Programme) string { return p.ID })
	c.sale.Sessions, c.sessions = merged(was.Sessions, now.Sessions, func(s *Session) string { return s.ID })
	c.sale.Phases, c.phases = merged(was.Phases, now.Phases, func(p *Phase) string { return p.ID })
	c.sale.Draws, c.draws = merged(was.Draws, now.Draws, func(d *Draw) string { return d.ID })
	c.sale.Groups, c.groups = merged(was.Groups, now.Groups, func(g *Group) string { return g.ID })
	c.refer()
	c.remove()
	c.pools()
	c.quotas()
	if err := c.limits(); err != nil {
		return nil, err
	}
	next, err := Assemble(c.sale, c.sells())
	if err == nil {
		next.Files = now.Files
	}
	return next, err
}

// continuation is a sale on its way from the numbers of now to those of was.
type continuation struct {
	was, now *Sale
	sale     Sale

	programmes, sessions, phases, draws, groups []int // by index in now: the index in sale
}

// merged returns the parts of was with those of now in their places, or appended, and the places of those of now.
func merged[T any, ID comparable](was, now []T, id func(*T) ID) (all []T, places []int) {
	known := make(map[ID]int, len(was))
	for i := range was {
		known[id(&was[i])] = i
	}
	all = slices.Clone(was)
	for i := range now {
		at, there := known[id(&now[i])]
		if !there {
			at = len(all)
			all = append(all, now[i])
		}
		all[at] = now[i]
		places = append(places, at)
	}
	return all, places
}

// refer translates the references of the parts of now.
func (c *continuation) refer() {
	for _, at := range c.sessions {
		s := &c.sale.Sessions[at]
		s.Programme = c.programmes[s.Programme]
	}
	for _, at := range c.draws {
		d := &c.sale.Draws[at]
		d.Phase = c.phases[d.Phase]
	}
	for _, at := range c.phases {
		p := &c.sale.Phases[at]
		p.Programme = c.programmes[p.Programme]
		if p.Draw >= 0 {
			p.Draw = c.draws[p.Draw]
		}
		if p.Slots.Group >= 0 {
			p.Slots.Group = c.groups[p.Slots.Group]
		}
		if p.Group >= 0 {
			p.Group = c.groups[p.Group]
		}
	}
}

// remove marks what only was has. Pools and quotas follow.
func (c *continuation) remove() {
	for i := range without(c.sale.Programmes, c.programmes) {
		c.sale.Programmes[i].Removed = true
	}
	for i := range without(c.sale.Sessions, c.sessions) {
		s := &c.sale.Sessions[i]
		s.Removed, s.OnSale, s.Reason = true, false, removedReason
	}
	for i := range without(c.sale.Phases, c.phases) {
		c.sale.Phases[i].Removed = true
	}
	for i := range without(c.sale.Draws, c.draws) {
		c.sale.Draws[i].Removed = true
	}
	for i := range without(c.sale.Groups, c.groups) {
		c.sale.Groups[i].Removed = true
	}
}

// without iterates over the indices of all that are not among some.
func without[T any](all []T, some []int) func(yield func(int) bool) {
	there := make([]bool, len(all))
	for _, i := range some {
		there[i] = true
	}
	return func(yield func(int) bool) {
		for i := range all {
			if !there[i] && !yield(i) {
				return
			}
		}
	}
}

// pools merges the pools, session by session.
func (c *continuation) pools() {
	c.sale.Pools = slices.Clone(c.was.Pools)
	if c.was.Currency != c.now.Currency {
		for i := range c.sale.Pools {
			c.sale.Pools[i].PriceCents = NoPrice // an amount of the other currency
		}
	}
	for n, at := range c.sessions {
		listed := c.now.Sessions[n].Pools
		var before []int
		if at < len(c.was.Sessions) {
			before = c.was.Sessions[at].Pools
		}
		for _, i := range before {
			c.sale.Pools[i].Removed = c.sale.Pools[i].Removed || len(listed) > 0
		}
		for _, j := range listed {
			c.pool(before, j, at)
		}
	}
}

// pool puts a pool of now in its place among the pools that its session had before.
func (c *continuation) pool(before []int, j, session int) {
	p := c.now.Pools[j]
	p.Session = session
	same := func(i int) bool { return c.was.Pools[i].Category == p.Category }
	at := slices.IndexFunc(before, same)
	if at < 0 {
		c.sale.Pools = append(c.sale.Pools, p)
		return
	}
	was := &c.was.Pools[before[at]]
	if c.now.unstated != nil && c.now.unstated[j] {
		p.Capacity, p.Withheld, p.Derived = was.Capacity, was.Withheld, was.Derived
	}
	c.sale.Pools[before[at]] = p
}

// quotas merges the quotas.
func (c *continuation) quotas() {
	now := slices.Clone(c.now.Quotas)
	for i := range now {
		q := &now[i]
		q.Phase, q.Session = c.phases[q.Phase], c.sessions[q.Session]
	}
	var places []int
	c.sale.Quotas, places = merged(c.was.Quotas, now, func(q *Quota) [2]int { return [2]int{q.Phase, q.Session} })
	for i := range without(c.sale.Quotas, places) {
		c.sale.Quotas[i].Removed = true
	}
}

// sells returns the marks of what each phase sells.
func (c *continuation) sells() [][]bool {
	marks := make([][]bool, len(c.sale.Phases))
	for i := range marks {
		marks[i] = make([]bool, len(c.sale.Sessions))
	}
	for n, phase := range c.phases {
		for session, at := range c.sessions {
			marks[phase][at] = c.now.Phases[n].sells[session]
		}
	}
	return marks
}

// limits names the limits that the sale exceeds with the parts that are removed.
func (c *continuation) limits() error {
	var all []error
	for _, part := range []struct {
		name        string
		count, most int
	}{
		{"programmes", len(c.sale.Programmes), maxProgrammes},
		{"sessions", len(c.sale.Sessions), maxSessions},
		{"price categories of sessions", len(c.sale.Pools), maxPools},
		{"phases", len(c.sale.Phases), maxPhases},
		{"draws", len(c.sale.Draws), maxDraws},
		{"groups", len(c.sale.Groups), maxGroups},
		{"pairs of a phase and a session with places", len(c.sale.Quotas), maxQuotas},
	} {
		if part.count > part.most {
			all = append(all, fmt.Errorf("the sale would have %d %s with those that were removed, which count because they "+
				"keep their numbers; at most %d are allowed", part.count, part.name, part.most))
		}
	}
	return errors.Join(all...)
}
