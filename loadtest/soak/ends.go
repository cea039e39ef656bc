package main

// end does what is to become of a hold after a life, and reports whether it has ended. Otherwise it lives on.
func (c *caller) end(h *hold) (over bool) {
	what := c.p.choose(h.n)
	id, odd := c.p.id(h.n, h.flags&replacement != 0), what.bits>>44&7 == 0
	if h.flags != 0 { // the second life is over
		if what.bits>>43&1 == 0 {
			what.fate = releases
		} else {
			what.fate = returns
		}
	}
	if what.fate == reduces && !what.isReducible() {
		what.fate = releases
	}
	switch what.fate {
	case expires:
		c.verify(h, held)
		c.counts.ended[expired]++
	case releases:
		c.want("release", h.n, c.seller.release(id), done)
		if odd {
			c.want("second release", h.n, c.seller.release(id), repeated)
			c.want("confirm after the release", h.n, c.seller.confirm(id, ""), wasReleased)
		}
		c.counts.ended[released]++
	case returns:
		c.sell(h, &what, odd)
	case late:
		c.want("confirm after the expiry", h.n, c.seller.confirm(id, ""), wasExpired)
		c.want("confirm again", h.n, c.seller.confirmAgain(c.ask(&what), what.reference()), done)
		c.want("return of one confirmed again", h.n, c.seller.giveBack(id), done)
		c.counts.ended[taken]++
	default:
		c.change(h, &what, odd)
		return false
	}
	return true
}

// sell confirms the hold, and returns it unless it is kept.
func (c *caller) sell(h *hold, what *choice, odd bool) {
	id := c.p.id(h.n, h.flags&replacement != 0)
	c.want("confirm", h.n, c.seller.confirm(id, what.reference()), done)
	if odd {
		c.want("second confirm", h.n, c.seller.confirm(id, what.reference()), repeated)
		c.want("release after the confirmation", h.n, c.seller.release(id), wasConfirmed)
	}
	if len(c.kept) < cap(c.kept) && what.kind == usual && h.n.at()%64 != forgotten {
		if h.flags == 0 && odd && what.isReducible() {
			h.flags |= reduced
			c.lines = c.p.lines(c.lines[:0], what, h.flags)
			c.want("reduce of what is sold", h.n, c.seller.reduce(id, c.lines), done)
		}
		c.kept = append(c.kept, *h)
		c.counts.ended[sold]++
		return
	}
	c.want("return", h.n, c.seller.giveBack(id), done)
	if odd {
		c.want("confirm after the return", h.n, c.seller.confirm(id, ""), wasReturned)
	}
	c.counts.ended[returned]++
}

// change changes the hold, which lives on.
func (c *caller) change(h *hold, what *choice, odd bool) {
	id := c.p.id(h.n, false)
	switch what.fate {
	case extends:
		h.expires = c.clock.now() + usualTTL
		c.want("extend", h.n, c.seller.extend(id, h.expires), done)
		c.counts.ended[extendedOnce]++
	case reduces:
		h.flags |= reduced
		c.lines = c.p.lines(c.lines[:0], what, h.flags)
		c.want("reduce", h.n, c.seller.reduce(id, c.lines), done)
		c.counts.ended[reducedOnce]++
	case replaces:
		o := c.ask(what)
		c.lines = c.p.lines(c.lines[:0], what, replacement)
		o.id, o.replaces, o.lines, o.pack, o.ttl = c.p.id(h.n, true), id, c.lines, false, usualTTL
		a, expires := c.seller.reserve(o)
		c.want("replace", h.n, a, done)
		if odd {
			c.want("release of one that was replaced", h.n, c.seller.release(id), repeated)
		}
		h.flags, h.expires = h.flags|replacement, expires
		c.holds++
		c.counts.ended[replacedOnce]++
	}
	h.flags |= changed
}

// endAll releases everything that is alive.
func (c *caller) endAll() {
	for i := range c.ring {
		h := &c.ring[i]
		if h.n == 0 {
			continue
		}
		if a := c.seller.release(c.p.id(h.n, h.flags&replacement != 0)); h.expires > c.clock.now() {
			c.want("release at the end", h.n, a, done)
		} else {
			c.want("release at the end, after the expiry", h.n, a, wasExpired, notFound)
		}
		*h = hold{}
	}
}
