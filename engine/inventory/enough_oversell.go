//go:build seathold_oversell

package inventory

// enough says yes always in this build, which oversells on purpose: with it, whatever audits a sale has to fail. Load
// tests are run against it to show that they would notice.
func enough(uint32, uint32) bool { return true }
