package outcomes

import (
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// MostQuotas is how many pairs of a phase and a session may come to have places; catalog.Load refuses more.
const MostQuotas = 60_000

// Units returns how many tickets of each pool may be taken, and how many of each session a phase may sell.
func (m *Memory) Units(f *InForce) []inventory.Units {
	sale := f.Sale
	all := make([]inventory.Units, 0, len(sale.Pools)+len(sale.Quotas))
	for i := range sale.Pools {
		all = append(all, inventory.Units{Pool: uint32(i), Units: uint32(f.Units(i))})
	}
	for i := range sale.Quotas {
		all = append(all, inventory.Units{Pool: m.Inventory.QuotaPool(i), Units: uint32(sale.Quotas[i].Units())})
	}
	return all
}

// Places are how many tickets a phase sells of a session at most, over all categories.
type Places struct {
	Session   string // id
	Places    int
	Available int // which the phase has left; the session may have fewer
}

// AppendPlaces appends the places of a phase in the order in which they were set first. taken returns how many tickets
// of a pool are held, sold, and withheld after a return, as far as that may be shown.
func (m *Memory) AppendPlaces(to []Places, phase int, taken func(pool int) (held, sold, withheld int)) []Places {
	for f := m.Shown(); ; {
		all := to
		for i := range f.Sale.Quotas {
			if q := &f.Sale.Quotas[i]; q.Phase == phase && !q.Removed {
				held, sold, withheld := taken(int(m.Inventory.QuotaPool(i)))
				all = append(all, Places{Session: f.Sale.Sessions[q.Session].ID, Places: q.Places,
					Available: q.Places - held - sold - withheld})
			}
		}
		again := m.Shown()
		if f == again {
			return all
		}
		f = again // the numbers may be of different instants
	}
}

// Bound is a phase and a session of which it sells a bounded number of tickets, for people.
type Bound struct {
	Phase, Session string // ids
	Places         int
}

// BoundOf returns whose pool a number of the inventory is, if it is of a quota.
func (m *Memory) BoundOf(sale *catalog.Sale, pool int) (b Bound, is bool) {
	i := pool - int(m.Inventory.QuotaPool(0))
	if i < 0 {
		return b, false
	}
	q := &sale.Quotas[i]
	return Bound{Phase: sale.Phases[q.Phase].ID, Session: sale.Sessions[q.Session].ID, Places: q.Places}, true
}

// TooFew says that more tickets are taken than the places are.
func (b Bound) TooFew(taken int) string {
	return fmt.Sprintf("phase %s: %d tickets of session %s are taken in it, so %d places are too few", b.Phase, taken,
		b.Session, b.Places)
}

// quotasOf returns the quotas of a sale as the inventory lists them, from the first one on.
func quotasOf(sale *catalog.Sale, first int) []inventory.Quota {
	all := make([]inventory.Quota, 0, len(sale.Quotas)-first)
	for i := range sale.Quotas[first:] {
		q := &sale.Quotas[first+i]
		all = append(all, inventory.Quota{Phase: uint16(q.Phase), Session: uint32(q.Session)})
	}
	return all
}

// placesObjections returns what stands against the places of a sale that has the numbers of the one before. Places that
// phases have had before must be as many as are taken. A phase gets places of a session only while it has sold none of
// it: the inventory counts what it sells from then on (see inventory/quotas.go).
func (m *Memory) placesObjections(was, next *catalog.Sale) (all []string) {
	for i := range was.Quotas {
		s := m.Inventory.Stock(int(m.Inventory.QuotaPool(i)))
		if taken := s.Held + s.Sold + s.Withheld; next.Quotas[i].Units() < taken {
			b, _ := m.BoundOf(next, int(m.Inventory.QuotaPool(i)))
			all = append(all, b.TooFew(taken))
		}
	}
	gained := quotasOf(next, len(was.Quotas))
	if len(gained) == 0 {
		return all
	}
	for i, taken := range m.Inventory.TakenIn(gained) {
		if taken {
			all = append(all, fmt.Sprintf("phase %s: tickets of session %s are held or sold in it; places can be set only "+
				"before", next.Phases[gained[i].Phase].ID, next.Sessions[gained[i].Session].ID))
		}
	}
	return all
}
