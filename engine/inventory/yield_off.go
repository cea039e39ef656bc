//go:build !seathold_yield

package inventory

// yield stands before every atomic step of the protocol. It does nothing and costs nothing; with the build tag
// seathold_yield it lets tests decide who makes the next step.
func yield() {}
