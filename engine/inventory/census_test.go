package inventory_test

import (
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/inventory/census"
)

type counter struct{ *census.Census }

func (c counter) Pools(rest func() bool) (exact, difference int, ok bool) {
	found, ok := c.Census.Pools(rest)
	return found.Exact, found.Difference, ok
}

func (c counter) Ledgers(rest func() bool, visit func(accountRow uint32)) (excess int, ok bool) {
	found, ok := c.Census.Ledgers(rest, visit)
	return found.Excess, ok
}

func init() {
	inventory.NewCounter = func(v *inventory.Inventory) inventory.Counter { return counter{census.New(v)} }
}
