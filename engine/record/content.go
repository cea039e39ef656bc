package record

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/seathold/seathold/engine/catalog"
)

// ContentOf returns a number for what a sale says, by which it is recognised later: equal for equal sales, whatever
// their files, the order of their parts and what else was removed before. It is the sum of a hash for each part, in
// which other parts are named by their ids, and one more for each pool's stock. So a change of a pool's stock changes
// the number by a difference: see ContentOfStock.
//
// The pools of sessions that are not on sale do not count: such a session keeps the stock that it has, see
// catalog.Continue. Neither does it count whether a capacity is derived. Two sales in 2^64 have the same number by
// chance.
func ContentOf(s *catalog.Sale) uint64 {
	c := contentSum{sale: s}
	c.add('n', appendCount(appendText(appendText(appendText(nil, s.Name), s.Title), s.Currency.Code), s.Currency.Digits))
	c.programmes()
	sessions := c.sessions()
	for i := range s.Pools {
		c.pool(i)
	}
	c.groups()
	c.draws()
	c.phases(sessions)
	for i := range s.Quotas {
		if q := &s.Quotas[i]; !q.Removed {
			run := appendText(appendText(c.run[:0], s.Phases[q.Phase].ID), s.Sessions[q.Session].ID)
			c.add('q', appendCount(run, q.Places))
		}
	}
	return c.sum
}

// ContentOfStock returns the part of ContentOf that is the stock of a pool; 0 for one that does not count.
func ContentOfStock(s *catalog.Sale, pool, capacity, withheld int) uint64 {
	p := &s.Pools[pool]
	session := &s.Sessions[p.Session]
	if p.Removed || !session.OnSale {
		return 0
	}
	run := appendText(appendText(make([]byte, 0, 64), session.ID), p.Category)
	return hashOf('k', appendCount(appendCount(run, capacity), withheld))
}

// hashOf returns the number of a part. The letter is that of its kind.
func hashOf(kind byte, part []byte) uint64 {
	sum := sha256.Sum256(append(part, kind))
	return binary.BigEndian.Uint64(sum[:])
}

type contentSum struct {
	sale *catalog.Sale
	sum  uint64
	run  []byte // of the last part
}

func (c *contentSum) add(kind byte, part []byte) {
	c.sum += hashOf(kind, part)
	c.run = part
}

func (c *contentSum) programmes() {
	for i := range c.sale.Programmes {
		p := &c.sale.Programmes[i]
		if !p.Removed {
			run := appendText(appendText(c.run[:0], p.ID), p.Title)
			c.add('p', appendFlags(appendCount(run, p.AccountCap), p.WithholdReturned))
		}
	}
}

// sessions returns a number for each session's id.
func (c *contentSum) sessions() (ids []uint64) {
	ids = make([]uint64, len(c.sale.Sessions))
	for i := range c.sale.Sessions {
		x := &c.sale.Sessions[i]
		ids[i] = hashOf('i', append(c.run[:0], x.ID...))
		if !x.Removed {
			run := appendText(appendText(c.run[:0], x.ID), c.sale.Programmes[x.Programme].ID)
			run = appendMoment(appendCount(run, x.Limit), x.SalesEndAt)
			c.add('s', appendSessionFacts(run, x))
		}
	}
	return ids
}

func (c *contentSum) pool(i int) {
	p := &c.sale.Pools[i]
	session := &c.sale.Sessions[p.Session]
	if !p.Removed && session.OnSale {
		c.add('c', appendCount(appendText(appendText(c.run[:0], session.ID), p.Category), p.PriceCents+1))
		c.sum += ContentOfStock(c.sale, i, p.Capacity, p.Withheld)
	}
}

func (c *contentSum) groups() {
	for i := range c.sale.Groups {
		if g := &c.sale.Groups[i]; !g.Removed {
			c.add('g', appendText(appendText(c.run[:0], g.ID), g.Title))
		}
	}
}

func (c *contentSum) draws() {
	for i := range c.sale.Draws {
		d := c.sale.Draws[i]
		if d.Removed {
			continue
		}
		run := appendText(appendText(c.run[:0], c.sale.Phases[d.Phase].ID), d.Title)
		d.Phase = 0
		c.add('d', appendDraw(appendText(appendText(run, d.Beacon.Chain), d.Beacon.Signature), &d))
	}
}

// phases has numbers for the ids of sessions: what a phase sells is their sum.
func (c *contentSum) phases(sessions []uint64) {
	for i := range c.sale.Phases {
		p := c.sale.Phases[i]
		if p.Removed {
			continue
		}
		run, sells := appendText(appendText(c.run[:0], c.sale.Programmes[p.Programme].ID), p.Title), uint64(0)
		for session, id := range sessions {
			if p.Sells(session) {
				sells += id
			}
		}
		run = binary.BigEndian.AppendUint64(run, sells)
		p.Programme = 0
		switch p.Access {
		case catalog.Slots:
			run = appendText(run, c.sale.Draws[p.Draw].ID)
			if p.Slots.Group >= 0 {
				run, p.Slots.Group = appendText(run, c.sale.Groups[p.Slots.Group].ID), 0
			}
			p.Draw = 0
		case catalog.Members:
			run, p.Group = appendText(run, c.sale.Groups[p.Group].ID), 0
		}
		c.add('f', appendPhase(run, &p, 0))
	}
}
