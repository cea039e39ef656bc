package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// arrivals is an open loop: buyers arrive at random times, and each takes a connection that is free.
type arrivals struct {
	*load
	rate   float64
	random *rand.Rand
	free   chan *seat // connections without a buyer, the longest free first

	// The dispatcher's.
	due      time.Duration   // when the next buyer arrives
	arriving []time.Duration // those of a tick
	waiting  wheel           // those that come again

	mu       sync.Mutex
	returned []buyer // refused since the last tick, to come again
}

// seat is a connection with the channel that its buyers come through.
type seat struct {
	*connection
	next chan buyer
}

// tick is how often buyers are dispatched: about the precision of Go's timers. Those due between two ticks are
// dispatched together; their latencies include the delay.
const tick = time.Millisecond

// openLoop makes load with a rate of arrivals a second that does not depend on the server. An attempt that finds every
// connection busy is refused by the client itself, as by a gateway whose connections are all in use, and the buyer
// comes again as after a refusal.
func (f *fleet) openLoop(ctx context.Context, rate float64, warmup, duration time.Duration) (*measurement, error) {
	l := f.begin(warmup, duration)
	a := newArrivals(l, rate)
	for i, c := range f.connections {
		s := &seat{c, make(chan buyer, 1)}
		a.free <- s
		l.buyers.Go(func() { a.serve(s, l.random(i)) })
	}
	l.buyers.Go(a.dispatch)
	m, err := l.finish(ctx)
	m.Open, m.Rate = true, rate
	return m, err
}

func newArrivals(l *load, rate float64) *arrivals {
	perTick := int(rate * tick.Seconds())
	return &arrivals{load: l, rate: rate, random: l.random(-1), free: make(chan *seat, len(l.connections)),
		waiting: wheel{room: 2 * perTick}}
}

// serve makes the attempts of the buyers that are assigned to a connection.
func (a *arrivals) serve(s *seat, random *rand.Rand) {
	for {
		select {
		case <-a.ended:
			return
		case b := <-s.next:
			if _, again := a.attempt(s.connection, &b, random.Float64()); again {
				a.mu.Lock()
				a.returned = append(a.returned, b)
				a.mu.Unlock()
			}
			a.free <- s
		}
	}
}

// dispatch sends buyers to free connections when they are due, until the load ends.
func (a *arrivals) dispatch() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	a.due = a.now()
	a.waiting.at = a.due
	for {
		select {
		case <-a.ended:
			return
		case <-clock.C:
			a.dispatchDue(a.now())
		}
	}
}

// dispatchDue dispatches the buyers that are due by now: those that come again, and then those that arrive.
//
// At many times the capacity, nearly none of them finds a free connection, and the processors are the server's too. So
// a buyer that has had no connection yet is stored as its time of arrival only, and all buyers of a tick that find none
// are refused together.
func (a *arrivals) dispatchDue(now time.Duration) {
	a.mu.Lock()
	for _, b := range a.returned {
		a.waiting.add(b)
	}
	a.returned = a.returned[:0]
	a.mu.Unlock()
	for s := range a.waiting.until(now) {
		for _, b := range s.buyers {
			if !a.send(b, now) {
				a.refuse(b, now)
			}
		}
		a.comeAgain(s.newcomers, a.waiting.at, now)
	}
	a.arrive(now)
}

// comeAgain dispatches newcomers that were all due at one time.
func (a *arrivals) comeAgain(newcomers []time.Duration, due, now time.Duration) {
	for len(newcomers) > 0 && a.send(buyer{arrived: newcomers[0], due: due}, now) {
		newcomers = newcomers[1:]
	}
	left := a.refuseNewcomers(newcomers, now)
	if a.window.has(due) {
		recordTimes(a.own.lags, now-due, len(newcomers))
		a.own.noFree += len(newcomers)
		a.own.left += left
	}
}

// arrive dispatches the buyers that arrive until now.
func (a *arrivals) arrive(now time.Duration) {
	a.arriving = a.arriving[:0]
	for a.due <= now && a.due < a.window.to {
		a.arriving = append(a.arriving, a.due)
		a.due += time.Duration(a.random.ExpFloat64() * float64(time.Second) / a.rate)
	}
	counted, _ := slices.BinarySearch(a.arriving, a.window.from) // the first in the measured time
	a.own.arrived += len(a.arriving) - counted
	sent := 0
	for sent < len(a.arriving) && a.send(buyer{arrived: a.arriving[sent], due: a.arriving[sent]}, now) {
		sent++
	}
	counted = max(counted, sent)
	a.refuseNewcomers(a.arriving[sent:counted], now)
	a.own.left += a.refuseNewcomers(a.arriving[counted:], now)
	a.own.noFree += len(a.arriving) - counted
	for _, at := range a.arriving[counted:] {
		record(a.own.lags, now-at)
	}
}

// send gives a buyer a free connection. It returns false if there is none.
func (a *arrivals) send(b buyer, now time.Duration) bool {
	select {
	case s := <-a.free:
		if a.window.has(b.due) {
			record(a.own.lags, now-b.due)
		}
		if b.n == 0 {
			b.n = a.next.Add(1)
		}
		s.next <- b
		return true
	default:
		return false
	}
}

// refuse has a buyer come again that found no free connection.
func (a *arrivals) refuse(b buyer, now time.Duration) {
	counted := a.window.has(b.due)
	if counted {
		record(a.own.lags, now-b.due)
		a.own.noFree++
	}
	b.due = now + retryWait + time.Duration(float64(retryWait)/2*a.random.Float64())
	if b.held || b.due <= b.arrived+a.crowd.Patience {
		a.waiting.add(b)
	} else if counted {
		a.own.left++
	}
}

// refuseNewcomers has newcomers come again that found no free connection, after waits of whole ticks. It returns how
// many leave instead.
func (a *arrivals) refuseNewcomers(newcomers []time.Duration, now time.Duration) (left int) {
	const ticks = retryWait / 2 / tick
	slots := a.waiting.from(now+retryWait, int(ticks))
	soonest := now + retryWait + tick
	for _, arrived := range newcomers {
		i := a.random.Uint32N(uint32(ticks))
		if soonest+time.Duration(i)*tick > arrived+a.crowd.Patience {
			left++
			continue
		}
		slots[i].newcomers = append(slots[i].newcomers, arrived)
	}
	return left
}
