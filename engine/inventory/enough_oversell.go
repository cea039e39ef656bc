//go:build seathold_oversell

package inventory

// enough is always true in this build, which oversells on purpose. Load tests run against it to show that every audit
// of a sale fails.
func enough(uint32, uint32) bool { return true }
