//go:build !seathold_oversell

package inventory

// enough is the check that keeps I1. It stands alone so that one build can leave it out, see enough_oversell.go.
func enough(available, k uint32) bool { return available >= k }
