package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// arrivals is an open loop: buyers arrive at random times, and each takes a connection that is free.
type arrivals struct {
	*load
	rate    float64
	random  *rand.Rand
	free    chan *seat // connections without a buyer, the longest free first
	waiting wheel      // buyers that come again; the dispatcher's

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
	a := &arrivals{load: l, rate: rate, random: l.random(-1), free: make(chan *seat, len(f.connections))}
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
	due := a.now()
	a.waiting.at = due
	for {
		select {
		case <-a.ended:
			return
		case <-clock.C:
		}
		now := a.now()
		a.mu.Lock()
		for _, b := range a.returned {
			a.waiting.add(b)
		}
		a.returned = a.returned[:0]
		a.mu.Unlock()
		for b := range a.waiting.until(now) {
			a.send(b, now)
		}
		for due <= now && due < a.window.to {
			if a.window.has(due) {
				a.own.arrived++
			}
			a.send(buyer{n: a.next.Add(1), arrived: due, due: due}, now)
			due += time.Duration(a.random.ExpFloat64() / a.rate * float64(time.Second))
		}
	}
}

// send gives a buyer a free connection, or has it come again.
func (a *arrivals) send(b buyer, now time.Duration) {
	counted := a.window.has(b.due)
	if counted {
		record(a.own.lags, now-b.due)
	}
	select {
	case s := <-a.free:
		s.next <- b
		return
	default:
	}
	if counted {
		a.own.noFree++
	}
	wait := retryWait + time.Duration(float64(retryWait)/2*a.random.Float64())
	if !b.held && b.due+wait > b.arrived+a.crowd.Patience {
		if counted {
			a.own.left++
		}
		return
	}
	b.due = now + wait
	a.waiting.add(b)
}

// wheel holds buyers by the tick in which they are due. It is much cheaper than a heap where hundreds of thousands
// wait.
type wheel struct {
	at    time.Duration // everything due before is out
	slots [][]buyer
}

// add adds a buyer. One that is due already comes out next.
func (w *wheel) add(b buyer) {
	i := int(max(b.due-w.at, 0) / tick)
	for len(w.slots) <= i {
		w.slots = append(w.slots, nil)
	}
	w.slots[i] = append(w.slots[i], b)
}

// until yields the buyers whose tick is over. Buyers may be added meanwhile.
func (w *wheel) until(now time.Duration) func(yield func(buyer) bool) {
	return func(yield func(buyer) bool) {
		for w.at+tick <= now {
			var out []buyer
			if len(w.slots) > 0 {
				out, w.slots = w.slots[0], w.slots[1:]
			}
			w.at += tick
			for _, b := range out {
				if !yield(b) {
					return
				}
			}
		}
	}
}
