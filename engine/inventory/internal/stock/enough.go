//go:build !seathold_oversell

package stock

// Enough is the check that keeps I1. It is a function of its own so that one build can leave it out:
// enough_oversell.go.
func Enough(available, k uint32) bool { return available >= k }
