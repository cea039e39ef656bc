package main

import (
	"math/rand/v2"
	"time"
)

// pauses are the times between the buyers of one connection in a closed loop.
type pauses struct {
	first pause // from the beginning of the load to the first buyer
	next  pause // from a buyer that is served to the next one
}

// pause draws the length of a pause.
type pause func(*rand.Rand) time.Duration

// steady returns pauses with the mean think and an exponential distribution. The first one is no different: such pauses
// have no memory, so the load has its rate from the beginning. If the first buyers came uniformly within think, the
// second buyers of some connections would come on top of them, and the rate would be up to one and a half times as high
// until think is over.
func steady(think time.Duration) pauses {
	p := func(random *rand.Rand) time.Duration { return time.Duration(random.ExpFloat64() * float64(think)) }
	return pauses{first: p, next: p}
}

// rush returns pauses for first buyers that come uniformly within a time, each followed by the next one as soon as it
// is served.
func rush(within time.Duration) pauses {
	return pauses{
		first: func(random *rand.Rand) time.Duration { return time.Duration(random.Float64() * float64(within)) },
		next:  func(*rand.Rand) time.Duration { return 0 },
	}
}
