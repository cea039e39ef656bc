package outcomes

import (
	"maps"
	"slices"
	"sync"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// InForce is what is in force of a sale at a point of its journal: its definition, the stock that was changed since
// that was applied, and what is paused. It is immutable; each change makes another one. Its numbers are those of every
// other one of the sale: see catalog.Continue.
type InForce struct {
	Sale   *catalog.Sale // what the definition says, with the stock as it is now
	Paused rules.Pauses
	Since  record.Stamp // of the last change: a definition, a pause or a pool's stock

	Definition record.Definition // as it was applied
	Applied    record.Stamp      // of its record
	Stock      []StockChange     // since then, by pool
	Earlier    record.Earlier    // what was in force before

	freed  map[int]int // by pool, without zeroes: see Freed. It is replaced, never changed
	digest func() draw.Digest
	moved  uint64 // what Stock adds to the definition's content
}

// StockChange is the stock that a pool has instead of what the definition says.
type StockChange struct {
	record.Stock
	Since record.Stamp
}

// NewInForce returns what is in force after a definition, where nothing is paused. The stamp is that of its record, or
// of what first had it.
func NewInForce(d record.Definition, applied record.Stamp) *InForce {
	return &InForce{Sale: d.Rules, Definition: d, Applied: applied, Since: applied, freed: d.FreedByPool(),
		digest: digestOf(d.Rules)}
}

// digestOf returns the function that computes the digest of a sale once: it takes a millisecond, and few ask for it.
func digestOf(sale *catalog.Sale) func() draw.Digest {
	return sync.OnceValue(func() draw.Digest { return record.DigestOf(sale) })
}

// Digest identifies what is in force, the stock included, and what is paused excluded.
func (f *InForce) Digest() draw.Digest { return f.digest() }

// Freed returns how many of the places of a pool that were withheld after a return are on sale again: see Restock. A
// new definition leaves them so.
func (f *InForce) Freed(pool int) int { return f.freed[pool] }

// Units returns how many tickets of a pool may be taken, returned ones whose places were withheld included.
func (f *InForce) Units(pool int) int {
	p := &f.Sale.Pools[pool]
	return p.Capacity - p.Withheld + f.freed[pool]
}

// Withheld returns how many places of a pool are not on sale, where so many were withheld after returns.
func (f *InForce) Withheld(pool, returned int) int {
	return f.Sale.Pools[pool].Withheld + returned - f.freed[pool]
}

// Next returns the version that follows, of a sale in the numbers of this one. Pack has not been called.
func (f *InForce) Next(sale *catalog.Sale) record.Definition {
	next := f.Definition.Next(sale)
	for _, pool := range slices.Sorted(maps.Keys(f.freed)) {
		next.Freed = append(next.Freed, record.Freed{Pool: pool, Tickets: f.freed[pool]})
	}
	return next
}

// Apply returns what is in force once a definition is applied. Its stock is absolute. What is paused stays paused.
func (f *InForce) Apply(d record.Definition, s record.Stamp) *InForce {
	next := NewInForce(d, s)
	next.Paused, next.Earlier = f.Paused, f.Earlier
	if v := f.Definition.Version; v > 0 {
		versions := record.Push(slices.Clone(f.Earlier.Versions), record.Content{Version: v, Sum: f.Definition.Content()})
		next.Earlier.Versions = record.Push(versions, f.content())
	}
	return next
}

// content is what is in force, the stock included.
func (f *InForce) content() record.Content {
	return record.Content{Version: f.Definition.Version, Sum: f.Definition.Content() + f.moved}
}

// Pause returns what is in force after a pause, or after its end.
func (f *InForce) Pause(p record.Pause, s record.Stamp) *InForce {
	next := *f
	next.Since = s
	switch p.Of {
	case record.WholeSale:
		next.Paused = f.Paused.WithSale(p.Paused)
	case record.OnePhase:
		next.Paused = f.Paused.WithPhase(p.Index, p.Paused)
	case record.OneSession:
		next.Paused = f.Paused.WithSession(p.Index, p.Paused)
	}
	return &next
}

// SetStock returns what is in force once a pool has another stock.
func (f *InForce) SetStock(stock record.Stock, s record.Stamp) *InForce {
	next := f.setStocks(map[int]StockChange{stock.Pool: {Stock: stock, Since: s}}, s)
	next.Earlier.Stock = record.Push(slices.Clone(f.Earlier.Stock), f.content())
	return next
}

// setStocks returns what is in force once pools have other stock. The stamp is that of the last change.
func (f *InForce) setStocks(changes map[int]StockChange, s record.Stamp) *InForce {
	next, sale := *f, *f.Sale
	sale.Pools, next.freed = slices.Clone(sale.Pools), maps.Clone(f.freed)
	next.Stock = make([]StockChange, 0, len(f.Stock)+len(changes))
	for _, c := range f.Stock {
		if _, again := changes[c.Pool]; !again {
			next.Stock = append(next.Stock, c)
		}
	}
	for _, c := range changes {
		pool := &sale.Pools[c.Pool]
		next.moved += moves(f.Sale, c.Pool, pool.Capacity, pool.Withheld, c.Stock)
		pool.Capacity, pool.Withheld, pool.Derived = c.Capacity, c.Withheld, false // as stock.csv states it
		next.Stock = append(next.Stock, c)
		if delete(next.freed, c.Pool); c.Freed > 0 {
			next.freed[c.Pool] = c.Freed
		}
	}
	slices.SortFunc(next.Stock, func(a, b StockChange) int { return a.Pool - b.Pool })
	next.Sale, next.Since, next.digest = &sale, s, digestOf(&sale)
	return &next
}

// moves returns what a pool's stock adds to the content of a sale when it replaces another one.
func moves(sale *catalog.Sale, pool, capacity, withheld int, to record.Stock) uint64 {
	return record.ContentOfStock(sale, pool, to.Capacity, to.Withheld) -
		record.ContentOfStock(sale, pool, capacity, withheld)
}
