//go:build seathold_oversell

package stock

// Enough is always true in this build, which oversells on purpose. Load tests run against it to show that every audit
// of a sale fails.
func Enough(uint32, uint32) bool { return true }
