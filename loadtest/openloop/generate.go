package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tickOf returns how often the generator sends what is due: every millisecond, about the precision of Go's timers, or
// every two at rates that give each connection more than two requests a millisecond. At 200,000 a second over 64
// connections a tick of one millisecond took a whole processor for sending alone. Requests that fall due between two
// ticks are sent together; their latencies include the delay.
func tickOf(rate float64, connections int) time.Duration {
	const tick, several = time.Millisecond, 2
	if rate*tick.Seconds() > several*float64(connections) {
		return 2 * tick
	}
	return tick
}

// schedule is the open loop's timetable: arrival i is due at begin + i/rate, and counts from counting on until end.
type schedule struct {
	rate                 float64 // arrivals a second
	begin, counting, end time.Duration
}

func newSchedule(rate float64, begin, warmup, duration time.Duration) schedule {
	return schedule{rate: rate, begin: begin, counting: begin + warmup, end: begin + warmup + duration}
}

// due returns when arrival i is due, since the generator's start.
func (s schedule) due(i int) time.Duration {
	return s.begin + time.Duration(float64(i)/s.rate*float64(time.Second))
}

// ready reports whether arrival i is due by now and before the end.
func (s schedule) ready(i int, now time.Duration) bool { return s.due(i) <= min(now, s.end-1) }

// answerTime limits the wait for outstanding answers after a load.
const answerTime = 2 * time.Second

// generator makes load.
type generator struct {
	target *target
	writer *writer
	next   uint64 // number of the next reservation
	start  time.Time
}

func newGenerator(ctx context.Context, t *target) (*generator, error) {
	w, err := newWriter(ctx, t)
	if err != nil {
		return nil, err
	}
	g := &generator{target: t, writer: w, start: time.Now()}
	if t.SoldOut {
		err = g.sellOut(ctx)
	}
	return g, err
}

func (g *generator) now() time.Duration { return time.Since(g.start) }

// lane is a pipe with the tally of the goroutine that reads its answers.
type lane struct {
	*pipe
	tally     *tally
	arrivals  *lane   // the lane of arrivals that this one belongs to; itself for a lane of arrivals
	followUps []*lane // of a lane of arrivals: they carry confirmations and releases
}

// followers is the number of follow-up lanes for each lane of arrivals. Follow-ups are never refused, and one must not
// queue after others on a connection that is answered in order.
const followers = 4

// idlest returns the follow-up lane with the fewest requests in flight.
func (l *lane) idlest() *lane {
	best, fewest := l.followUps[0], l.followUps[0].pending()
	for _, other := range l.followUps[1:] {
		if n := other.pending(); n < fewest {
			best, fewest = other, n
		}
	}
	return best
}

// run is one load while it is generated.
type run struct {
	g          *generator
	lanes      []*lane // of arrivals
	followUps  []*lane
	ended      atomic.Bool
	faults     chan error
	readers    sync.WaitGroup
	closedLoop bool          // each answer triggers the next request: used to find the capacity
	number     atomic.Uint64 // of the last reservation; used by the closed loop only
}

func (g *generator) connect(ctx context.Context) (*run, error) {
	r := &run{g: g, faults: make(chan error, (1+followers)*g.target.Connections)}
	r.number.Store(g.next)
	for range g.target.Connections {
		p, err := dial(ctx, g.writer.host)
		if err != nil {
			return nil, err
		}
		arrivals := &lane{pipe: p, tally: newTally()}
		arrivals.arrivals = arrivals
		r.lanes = append(r.lanes, arrivals)
		for range followers {
			if p, err = dial(ctx, g.writer.host); err != nil {
				return nil, err
			}
			arrivals.followUps = append(arrivals.followUps, &lane{pipe: p, tally: newTally(), arrivals: arrivals})
		}
		r.followUps = append(r.followUps, arrivals.followUps...)
	}
	for _, l := range r.everyLane() {
		r.readers.Go(func() {
			err := l.read(func(q sent, status int, body []byte) { r.answered(l, q, status, body) })
			if !r.ended.Load() {
				if errors.Is(err, io.EOF) {
					err = errors.New("the server closed a connection")
				}
				r.faults <- err
			}
		})
	}
	return r, nil
}

func (r *run) everyLane() []*lane { return slices.Concat(r.lanes, r.followUps) }

// answered counts an answer and sends its follow-up, if any.
func (r *run) answered(l *lane, q sent, status int, body []byte) {
	now := r.g.now()
	l.tally.answer(q, now, status, body)
	if status == 201 && q.kind == reserving {
		r.followUp(l, q, now)
	} else if r.closedLoop && !r.ended.Load() {
		l.arrivals.put(r.g.writer, sent{kind: reserving, counted: true, n: r.number.Add(1), scheduled: now})
		l.arrivals.flush()
	}
}

// followUp confirms or releases a reservation that was just made, in the shares of the target.
func (r *run) followUp(l *lane, q sent, now time.Duration) {
	share := float64(q.n*0x9e3779b97f4a7c15>>11) / (1 << 53) // of the number, so that a run can be repeated
	follow := sent{counted: q.counted, n: q.n, scheduled: now, kind: confirming}
	switch t := r.g.target; {
	case share < t.Confirm:
	case share < t.Confirm+t.Release:
		follow.kind = releasing
	default:
		return
	}
	to := l.idlest()
	if !to.put(r.g.writer, follow) {
		l.tally.unsent++
	}
	to.flush()
}

// load generates load at a rate. The warm-up is not counted.
func (g *generator) load(ctx context.Context, rate float64, warmup, duration time.Duration) (*measurement, error) {
	r, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	m := &measurement{Rate: rate, Seconds: duration.Seconds(), Connections: g.target.Connections, lags: newHistogram()}
	s := newSchedule(rate, g.now(), warmup, duration)
	for _, l := range r.everyLane() {
		l.tally.from, l.tally.to = s.counting, s.end
	}
	var before processorTimes
	clock := time.NewTicker(tickOf(rate, g.target.Connections))
	defer clock.Stop()
	for i := 0; ; {
		now := g.now()
		if before.at == 0 && now >= s.counting {
			before = g.processorTimes()
		}
		for ; s.ready(i, now); i++ {
			q := g.arrival(i, s)
			if q.counted {
				m.Offered++
				record(m.lags, now-q.scheduled)
			}
			if !r.lanes[i%len(r.lanes)].put(g.writer, q) && q.counted {
				m.dropped++
			}
		}
		for _, l := range r.lanes {
			l.flush()
		}
		if now >= s.end {
			break
		}
		select {
		case <-clock.C:
		case err := <-r.faults:
			return nil, errors.Join(err, r.close(m))
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), r.close(m))
		}
	}
	m.spent(before, g.processorTimes())
	r.drain(ctx)
	if err := r.close(m); err != nil {
		return m, err
	}
	m.conclude()
	return m, nil
}

// arrival returns the i-th request of a schedule: a reservation, or a read of an earlier one.
func (g *generator) arrival(i int, s schedule) sent {
	q := sent{kind: reserving, n: g.next, scheduled: s.due(i), counted: s.due(i) >= s.counting}
	if float64(i%1000) < 1000*g.target.Reads {
		q.kind, q.n = reading, g.next*2654435761%max(g.next, 1)
		return q
	}
	g.next++
	return q
}

// drain awaits the outstanding answers.
func (r *run) drain(ctx context.Context) {
	deadline := time.NewTimer(answerTime)
	defer deadline.Stop()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		left := 0
		for _, l := range r.everyLane() {
			l.flush()
			left += l.pending()
		}
		if left == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// close closes all connections, awaits their readers and adds up their tallies.
func (r *run) close(m *measurement) error {
	var faults []error
	for _, l := range r.everyLane() {
		unanswered, err := l.close(&r.ended)
		m.Unanswered += unanswered
		if err != nil && !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
	}
	r.readers.Wait()
	m.total = newTally()
	for _, l := range r.everyLane() {
		m.total.add(l.tally)
	}
	return errors.Join(faults...)
}

// saturate finds the capacity in sales a second, a sale being a reservation and its confirmation: each connection sends
// its next request when the last one is answered. The first third of the duration is not counted.
func (g *generator) saturate(ctx context.Context, duration time.Duration) (float64, error) {
	r, err := g.connect(ctx)
	if err != nil {
		return 0, err
	}
	r.closedLoop = true
	for _, l := range r.lanes {
		l.put(g.writer, sent{kind: reserving, counted: true, n: r.number.Add(1), scheduled: g.now()})
		l.flush()
	}
	sold := func() (n uint64) {
		for _, l := range r.followUps {
			n += l.tally.finished.Load()
		}
		return n
	}
	var first uint64
	var began time.Duration
	for _, part := range []time.Duration{duration / 3, duration - duration/3} {
		first, began = sold(), g.now()
		select {
		case <-time.After(part):
		case err := <-r.faults:
			return 0, errors.Join(err, r.close(&measurement{}))
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), r.close(&measurement{}))
		}
	}
	rate := float64(sold()-first) / (g.now() - began).Seconds()
	err = r.close(&measurement{})
	g.next = r.number.Load() + 1
	if err == nil && rate == 0 {
		err = errors.New("the server sold nothing")
	}
	return rate, err
}

// sellOut buys all remaining tickets of the one pool that the target requests.
func (g *generator) sellOut(ctx context.Context) error {
	const tries = 100
	for range tries {
		m, err := g.load(ctx, 2000, 0, time.Second)
		if err != nil {
			return err
		}
		if m.Results["reserve"]["ok"] == 0 && m.Results["reserve"]["sold_out"] > 0 {
			return nil
		}
	}
	return fmt.Errorf("the pool was not sold out after %d seconds of load", tries)
}
