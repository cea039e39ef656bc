package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openArrivals returns an open loop without any connection. Its time is that of its dispatches.
func openArrivals(rate float64, patience time.Duration, w window) *arrivals {
	f := &fleet{crowd: crowd{Patience: patience, Seed: 1}, connections: make([]*connection, 8)}
	return newArrivals(&load{fleet: f, window: w, own: newCounts(w)}, rate)
}

// dispatchUntil dispatches at each tick after one time and until another.
func (a *arrivals) dispatchUntil(from, to time.Duration) {
	for now := from + tick; now <= to; now += tick {
		a.dispatchDue(now)
	}
}

// waitingNow returns how many buyers wait.
func (a *arrivals) waitingNow() (n int) {
	for _, s := range a.waiting.slots {
		n += len(s.buyers) + len(s.newcomers)
	}
	return n
}

// Every buyer that finds no free connection comes again until its patience ends. Only what was due in the measured time
// is counted, with a lag for each attempt.
func TestArrivalsWithoutAConnection(t *testing.T) {
	const rate, patience = 10_000, 3 * time.Second
	w := window{3500*time.Millisecond + tick/2, 8500*time.Millisecond + tick/3}
	a := openArrivals(rate, patience, w)
	a.dispatchUntil(0, w.from-tick/2)
	require.Zero(t, a.own.arrived+a.own.noFree+a.own.left)
	require.InEpsilon(t, rate*2.5, a.waitingNow(), 0.05, "those of the last 2 s, and half of the second before")

	a.dispatchUntil(w.from-tick/2, w.to+tick)
	seconds := (w.to - w.from).Seconds()
	require.InEpsilon(t, rate*seconds, a.own.arrived, 0.02) // Poisson, 224 of 50,000
	// Attempts are made at once, after 1 to 1.5 s and after 2 to 3 s, and the next one would be too late.
	require.InEpsilon(t, 3*a.own.arrived, a.own.noFree, 0.1)
	require.EqualValues(t, a.own.noFree, a.own.lags.TotalCount())
	require.Less(t, time.Duration(a.own.lags.Max())*time.Microsecond, 2*tick)

	a.dispatchUntil(w.to+tick, w.to+patience)
	require.Zero(t, a.waitingNow(), "all have left")
	require.InEpsilon(t, a.own.arrived, a.own.left, 0.02, "as many leave as arrive")
}

// Free connections are given in the order of arrival. A request is due when its buyer arrived or came again, and a
// buyer gets its number with its first connection.
func TestFreeConnectionsOfAnOpenLoop(t *testing.T) {
	a := openArrivals(100_000, time.Minute, window{0, time.Minute})
	seats := make([]*seat, 5)
	free := func(n int) {
		for i := range n {
			seats[i] = &seat{next: make(chan buyer, 1)}
			a.free <- seats[i]
		}
	}
	free(3)
	a.dispatchDue(tick)
	arrived := append([]time.Duration(nil), a.arriving...)
	require.Greater(t, len(arrived), 10)
	for i := range 3 {
		require.Equal(t, buyer{n: uint64(i + 1), arrived: arrived[i], due: arrived[i]}, <-seats[i].next)
	}
	require.Equal(t, len(arrived), a.own.arrived)
	require.Equal(t, len(arrived)-3, a.own.noFree)
	require.EqualValues(t, len(arrived), a.own.lags.TotalCount())

	a.due = time.Hour // no more arrivals
	a.dispatchUntil(tick, retryWait)
	require.Equal(t, len(arrived)-3, a.waitingNow(), "all wait for so long at least")
	free(5)
	now := retryWait
	for len(a.free) > 0 {
		now += tick
		a.dispatchDue(now)
	}
	for i := range 5 {
		b := <-seats[i].next
		require.EqualValues(t, 4+i, b.n)
		require.Contains(t, arrived[3:], b.arrived)
		require.Greater(t, b.due, tick+retryWait)
		require.LessOrEqual(t, b.due, now)
	}
}

// A buyer that the server refused and that finds no free connection when it comes again keeps its number and its hold.
func TestReturnedBuyersOfAnOpenLoop(t *testing.T) {
	a := openArrivals(1, time.Minute, window{0, time.Minute})
	a.due = time.Hour // no arrivals
	a.returned = []buyer{{n: 7, held: true, due: tick / 2}}
	a.dispatchDue(tick)
	require.Equal(t, 1, a.own.noFree)
	require.Empty(t, a.returned)
	s := &seat{next: make(chan buyer, 1)}
	a.free <- s
	a.dispatchUntil(tick, 2*retryWait)
	require.Len(t, s.next, 1)
	b := <-s.next
	require.Equal(t, buyer{n: 7, held: true, due: b.due}, b)
	require.Greater(t, b.due, retryWait)
	require.Zero(t, a.waitingNow())
	require.Equal(t, 1, a.own.noFree)
	require.EqualValues(t, 2, a.own.lags.TotalCount(), "one of each attempt")
}

// Newcomers come again evenly between retryWait and half as long again, each once.
func TestNewcomersComeAgainEvenly(t *testing.T) {
	const many, now = 50_000, 7*time.Second + tick/4
	a := openArrivals(1, time.Minute, window{0, time.Minute})
	a.waiting.at = 7 * time.Second
	require.Zero(t, a.refuseNewcomers(make([]time.Duration, many), now))
	var fifths [5]int
	for s := range a.waiting.until(10 * time.Second) {
		if len(s.newcomers) > 0 {
			wait := a.waiting.at - now
			require.Greater(t, wait, retryWait)
			fifths[(wait-retryWait-1)*5/(retryWait/2+tick)] += len(s.newcomers)
		}
	}
	sum := 0
	for _, n := range fifths {
		sum += n
		require.InDelta(t, many/5, n, many/5*0.05) // 89 of 10,000
	}
	require.Equal(t, many, sum)
	a.crowd.Patience = now + retryWait*5/4
	require.InEpsilon(t, many/2, a.refuseNewcomers(make([]time.Duration, many), now), 0.05, "half of them leave")
}

// A buyer comes again only within its patience, though the dispatcher was late. One with a hold always comes again.
func TestBuyersThatComeAgainHavePatience(t *testing.T) {
	const many, late, patience = 1000, 2 * time.Second, 2*time.Second + retryWait*5/4
	a := openArrivals(1, patience, window{0, time.Minute})
	a.waiting.at = late
	for range many {
		a.refuse(buyer{n: 1}, late)
	}
	require.Equal(t, many, a.waitingNow()+a.own.left)
	require.InEpsilon(t, many/2, a.own.left, 0.2, "half of them leave") // 16 of 500
	for _, s := range a.waiting.slots {
		for _, b := range s.buyers {
			require.LessOrEqual(t, b.due, patience)
			require.Greater(t, b.due, late+retryWait-tick)
		}
	}
	before := a.waitingNow()
	for range many {
		a.refuse(buyer{n: 1, held: true}, late)
	}
	require.Equal(t, before+many, a.waitingNow())
}

// An open loop reuses its memory: once its waiting buyers are steady, dispatching allocates nothing.
func TestArrivalsDoNotAllocate(t *testing.T) {
	a := openArrivals(200_000, 2*time.Second, window{0, time.Minute})
	now := 4 * time.Second
	a.dispatchUntil(0, now)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		now += tick
		a.dispatchDue(now)
	}))
}

// BenchmarkArrivalsWithoutAConnection is an open loop of 200,000 buyers a second for 4 s that find no free connection.
// An attempt is of a buyer that arrives or comes again.
func BenchmarkArrivalsWithoutAConnection(b *testing.B) {
	const duration = 4 * time.Second
	attempts := 0
	b.ReportAllocs()
	for b.Loop() {
		a := openArrivals(200_000, 10*time.Second, window{0, duration})
		a.dispatchUntil(0, duration)
		attempts += a.own.noFree
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(attempts), "ns/attempt")
	b.ReportMetric(float64(attempts)/float64(b.N), "attempts/op")
}
