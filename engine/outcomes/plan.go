package outcomes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Plan is a sale that is to come into force after what is in force.
type Plan struct {
	Next       record.Definition // packed, in the numbers of what is in force; incomplete with objections
	Changes    []catalog.Change
	Objections []string // why it cannot, each a sentence
	Same       bool     // the files, or the facts of a sale without files, are those in force
	Earlier    int      // the last version in which these files, or what they say, were in force before; 0 for none
}

// Plan prepares a sale to come into force after f, and finds everything that stands against it. Whoever puts it into
// force must look at Objections again: calls go on meanwhile.
func (m *Memory) Plan(f *InForce, sale *catalog.Sale) Plan {
	p := Plan{Same: isSame(f, sale)}
	if !p.Same {
		p.Earlier = f.earlierWith(sale)
	}
	if sale.Name != f.Sale.Name {
		p.Objections = append(p.Objections, fmt.Sprintf("the sale %q is in force; it cannot become the sale %q", f.Sale.Name,
			sale.Name))
		return p
	}
	next, err := catalog.Continue(f.Sale, sale)
	if err != nil {
		p.Objections = strings.Split(err.Error(), "\n")
		return p
	}
	p.Changes = catalog.DifferenceWith(f.Sale, next, m.sold)
	p.Objections = m.Objections(f, next)
	p.Next = f.Next(next)
	p.Next.FilesDigest, p.Next.Files = filesIn(sale)
	if err := p.Next.Pack(); err != nil {
		p.Objections = append(p.Objections, err.Error())
	}
	return p
}

// Lines returns the changes of a new version, a line each.
func Lines(changes []catalog.Change) (lines []string) {
	if len(changes) == 0 {
		return []string{"other files that say the same"}
	}
	for i := range changes {
		lines = append(lines, changes[i].String())
	}
	return lines
}

// FirstOf returns the first version of a sale. The error is that it does not fit a record.
func FirstOf(sale *catalog.Sale) (record.Definition, error) {
	first := (&record.Definition{}).Next(sale)
	first.FilesDigest, first.Files = filesIn(sale)
	return first, first.Pack()
}

// filesIn returns the files of a sale as a version has them; zero for a sale that was not loaded from files.
func filesIn(sale *catalog.Sale) (digest draw.Digest, tar []byte) {
	if sale.Files == nil {
		return digest, nil
	}
	return sale.Files.Digest(), sale.Files.AppendTar(nil)
}

// sold returns how many tickets of a pool are held and sold.
func (m *Memory) sold(pool int) int {
	s := m.Inventory.Stock(pool)
	return s.Held + s.Sold
}

// Objections returns what was sold, or drawn, and stands against a sale that has the numbers of the one in force.
func (m *Memory) Objections(was *InForce, next *catalog.Sale) []string {
	return slices.Concat(stockObjections(was, next, m.Inventory.Stock), derivedObjections(was.Sale, next, m.sold),
		m.placesObjections(was.Sale, next), m.Ballots.Objections(next))
}

// derivedObjections returns the sessions that would have more tickets than their venue has places: tickets of removed
// categories stay, and the places of the others are derived as if they had all of the venue. What a definition says
// does not depend on what is sold, so the organiser must state those places. sold returns how many tickets of a pool
// of was are held and sold.
func derivedObjections(was, next *catalog.Sale, sold func(pool int) int) (all []string) {
	for i := range was.Sessions {
		session := &next.Sessions[i]
		var removed, derived []string
		tickets := 0
		for _, pool := range session.Pools {
			switch p := &next.Pools[pool]; {
			case p.Removed && pool < len(was.Pools) && sold(pool) > 0:
				removed = append(removed, p.Category)
				tickets += sold(pool)
			case !p.Removed && p.Derived:
				derived = append(derived, p.Category)
			}
		}
		if session.OnSale && tickets > 0 && len(derived) > 0 {
			all = append(all, fmt.Sprintf("session %s: %d tickets of removed categories (%s) are held or sold, and the places "+
				"of %s are derived from all places of the venue; state them in stock.csv, %d fewer in all", session.ID, tickets,
				strings.Join(removed, ", "), strings.Join(derived, ", "), tickets))
		}
	}
	return all
}

// TooFew says that more tickets are taken of a pool, or of a quota's, than what comes into force has.
func (m *Memory) TooFew(next *InForce, pool, taken int) string {
	if b, is := m.BoundOf(next.Sale, pool); is {
		return b.TooFew(taken)
	}
	return tooFew(next.Sale, pool, taken-next.Freed(pool))
}

func tooFew(next *catalog.Sale, pool, taken int) string {
	p := &next.Pools[pool]
	return fmt.Sprintf("session %s, category %s: %d tickets are taken, so a capacity of %d less %d withheld is too low",
		next.Sessions[p.Session].ID, p.Category, taken, p.Capacity, p.Withheld)
}

// stockObjections returns what stands against the pools and sessions of a sale that has the numbers of the one before.
// stock returns what is taken of each pool of that one.
func stockObjections(f *InForce, next *catalog.Sale, stock func(pool int) inventory.Stock) (all []string) {
	was := f.Sale
	for i := range was.Pools {
		pool := &next.Pools[i]
		s := stock(i)
		if taken := s.Held + s.Sold + s.Withheld - f.Freed(i); pool.Capacity-pool.Withheld < taken {
			all = append(all, tooFew(next, i, taken))
		}
	}
	for i := range was.Sessions {
		session := &next.Sessions[i]
		if session.Programme == was.Sessions[i].Programme {
			continue
		}
		taken := 0
		for _, pool := range was.Sessions[i].Pools {
			s := stock(pool)
			taken += s.Held + s.Sold
		}
		if taken > 0 {
			all = append(all, fmt.Sprintf("session %s: %d tickets are held or sold, so it must stay in the programme %s",
				session.ID, taken, was.Programmes[was.Sessions[i].Programme].ID))
		}
	}
	return all
}

// isSame reports whether the sale is the one in force, as it was applied.
func isSame(f *InForce, sale *catalog.Sale) bool {
	if d := &f.Definition; sale.Files != nil && d.FilesDigest != (draw.Digest{}) {
		return sale.Files.Digest() == d.FilesDigest
	}
	applied := f.Definition.Rules
	if applied == nil { // a journal of version 1 does not say
		return true
	}
	next, err := catalog.Continue(applied, sale)
	return err == nil && next.Name == applied.Name && record.DigestOf(next) == record.DigestOf(applied)
}

// earlierWith returns the last version before f that had the files of a sale. Without one, it returns the last one in
// which what the sale says was in force, the stock included, also if that is the present version with other stock; 0
// if it was never in force, or is in force now.
func (f *InForce) earlierWith(sale *catalog.Sale) int {
	if sale.Files != nil {
		digest, d := sale.Files.Digest(), &f.Definition
		for i := len(d.Earlier) - 1; i >= 0; i-- {
			if d.Earlier[i] == digest {
				return d.Version - len(d.Earlier) + i
			}
		}
	}
	if sum := record.ContentOf(sale); sum != f.content().Sum {
		return f.Earlier.VersionOf(sum)
	}
	return 0
}
