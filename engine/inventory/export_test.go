package inventory

// Counter is a census. That package imports this one, so the tests that are in this package get it from census_test.go.
type Counter interface {
	// Pools returns how many pools did not change during the count, and the difference that it found.
	Pools(rest func() bool) (exact, difference int, ok bool)
	// Ledgers returns by how many tickets accounts exceed what they may have.
	Ledgers(rest func() bool, visit func(accountRow uint32)) (excess int, ok bool)
}

// NewCounter returns a census of the inventory.
var NewCounter func(v *Inventory) Counter
