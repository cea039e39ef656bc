//go:build seathold_yield

package inventory

import (
	"math/rand/v2"
	"runtime"
)

// Yield is called before every atomic step of the protocol. By default it often gives the processor away, so that callers
// interleave richly on few processors; the explorer of interleavings puts its scheduler here.
var Yield = func() {
	if rand.IntN(4) == 0 {
		runtime.Gosched()
	}
}

func yield() { Yield() }
