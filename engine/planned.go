package engine

import (
	"fmt"
	"strings"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
)

// planned is a sale that is to come into force after what is in force.
type planned struct {
	next       record.Definition // packed, in the numbers of what is in force; incomplete with objections
	changes    []catalog.Change
	objections []string // why it cannot, each a sentence
	same       bool     // the files, or the facts of a sale without files, are those in force
	earlier    int      // the earlier version that had the same files; 0 for none
}

// plan prepares a sale to come into force after f, and finds everything that stands against it. Whoever puts it into
// force must look again at stock and draws: calls go on meanwhile.
func (e *Engine) plan(f *outcomes.InForce, sale *catalog.Sale) planned {
	p := planned{same: isSame(f, sale)}
	if !p.same {
		p.earlier = earlierWith(&f.Definition, sale)
	}
	if sale.Name != f.Sale.Name {
		p.objections = append(p.objections, fmt.Sprintf("the sale %q is in force; it cannot become the sale %q", f.Sale.Name,
			sale.Name))
		return p
	}
	next, err := catalog.Continue(f.Sale, sale)
	if err != nil {
		p.objections = strings.Split(err.Error(), "\n")
		return p
	}
	p.changes = catalog.Difference(f.Sale, next)
	p.objections = append(stockObjections(f.Sale, next, e.inventory.Stock), e.ballots.Objections(next)...)
	p.next = f.Definition.Next(next)
	p.next.FilesDigest, p.next.Files = filesIn(sale)
	if err := p.next.Pack(); err != nil {
		p.objections = append(p.objections, err.Error())
	}
	return p
}

// stockObjections returns what stands against the pools and sessions of a sale that has the numbers of the one before.
// stock returns what is taken of each pool of that one.
func stockObjections(was, next *catalog.Sale, stock func(pool int) inventory.Stock) (all []string) {
	for i := range was.Pools {
		pool := &next.Pools[i]
		s := stock(i)
		if taken := s.Held + s.Sold + s.Withheld; pool.Capacity-pool.Withheld < taken {
			all = append(all, fmt.Sprintf("session %s, category %s: %d tickets are taken, so a capacity of %d less %d withheld "+
				"is too low", next.Sessions[pool.Session].ID, pool.Category, taken, pool.Capacity, pool.Withheld))
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
func isSame(f *outcomes.InForce, sale *catalog.Sale) bool {
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

// earlierWith returns the last version before d that had the files of a sale; 0 for none.
func earlierWith(d *record.Definition, sale *catalog.Sale) int {
	if sale.Files == nil {
		return 0
	}
	digest := sale.Files.Digest()
	for i := len(d.Earlier) - 1; i >= 0; i-- {
		if d.Earlier[i] == digest {
			return d.Version - len(d.Earlier) + i
		}
	}
	return 0
}
