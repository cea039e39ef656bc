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

// tickOf is how often the schedule is looked at, at a rate: every millisecond, which is about how exact Go's timers are, or
// half as often at rates that give each connection more than two requests a millisecond. At 200,000 a second
// over 64 connections the sending alone took a whole processor otherwise. What came due in between is sent together, and its
// latency counts the delay.
func tickOf(rate float64, connections int) time.Duration {
	const tick, several = time.Millisecond, 2
	if rate*tick.Seconds() > several*float64(connections) {
		return 2 * tick
	}
	return tick
}

// answerTime is how long answers are waited for when the load has ended.
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

// lane is a pipe with the reader of its answers and what that reader counted.
type lane struct {
	*pipe
	tally *tally
	lead  *lane   // the lane of arrivals that this one belongs to
	after []*lane // carry what follows from the answers of a lane of arrivals
}

// followers is how many connections carry what follows from the answers on one. What follows is never refused, and must
// not wait for others of its kind on a connection that is answered in order.
const followers = 4

// free returns the connection with the fewest requests under way.
func (l *lane) free() *lane {
	best, fewest := l.after[0], l.after[0].pending()
	for _, other := range l.after[1:] {
		if n := other.pending(); n < fewest {
			best, fewest = other, n
		}
	}
	return best
}

// session is one load under way.
type session struct {
	g      *generator
	lanes  []*lane // for arrivals
	after  []*lane // for what follows from their answers
	ended  atomic.Bool
	faults chan error
	all    sync.WaitGroup
	closed bool // each answer makes the next request at once: the capacity is looked for
	number atomic.Uint64
}

func (g *generator) connect(ctx context.Context) (*session, error) {
	s := &session{g: g, faults: make(chan error, (1+followers)*g.target.Connections)}
	s.number.Store(g.next)
	for range g.target.Connections {
		p, err := dial(ctx, g.writer.host)
		if err != nil {
			return nil, err
		}
		lead := &lane{pipe: p, tally: newTally()}
		lead.lead = lead
		s.lanes = append(s.lanes, lead)
		for range followers {
			if p, err = dial(ctx, g.writer.host); err != nil {
				return nil, err
			}
			lead.after = append(lead.after, &lane{pipe: p, tally: newTally(), lead: lead})
		}
		s.after = append(s.after, lead.after...)
	}
	for _, l := range s.everyLane() {
		s.all.Go(func() {
			err := l.read(func(q sent, status int, body []byte) { s.got(l, q, status, body) })
			if !s.ended.Load() {
				if errors.Is(err, io.EOF) {
					err = errors.New("the server closed a connection")
				}
				s.faults <- err
			}
		})
	}
	return s, nil
}

func (s *session) everyLane() []*lane { return slices.Concat(s.lanes, s.after) }

// got counts an answer and does what follows from it.
func (s *session) got(l *lane, q sent, status int, body []byte) {
	now := s.g.now()
	l.tally.answer(q, now, status, body)
	if status == 201 && q.kind == reserving {
		share := float64(q.n*0x9e3779b97f4a7c15>>11) / (1 << 53)
		follow := sent{counted: q.counted, n: q.n, intended: now, kind: confirming}
		switch t := s.g.target; {
		case share < t.Confirm:
		case share < t.Confirm+t.Release:
			follow.kind = releasing
		default:
			return
		}
		to := l.free()
		if !to.put(s.g.writer, follow) {
			l.tally.unsent++
		}
		to.flush()
	} else if s.closed && !s.ended.Load() {
		l.lead.put(s.g.writer, sent{kind: reserving, counted: true, n: s.number.Add(1), intended: now})
		l.lead.flush()
	}
}

// load loads at a rate for a while, of which the first part is not counted.
func (g *generator) load(ctx context.Context, rate float64, warmup, duration time.Duration) (*measurement, error) {
	s, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	m := &measurement{Rate: rate, Seconds: duration.Seconds(), Connections: g.target.Connections, lags: newHistogram()}
	begin := g.now()
	due := func(i int) time.Duration { return begin + time.Duration(float64(i)/rate*float64(time.Second)) }
	counting, end := begin+warmup, begin+warmup+duration
	for _, l := range s.everyLane() {
		l.tally.from, l.tally.to = counting, end
	}
	var before processorTimes
	clock := time.NewTicker(tickOf(rate, g.target.Connections))
	defer clock.Stop()
	for i := 0; ; {
		now := g.now()
		if before.at == 0 && now >= counting {
			before = g.processorTimes()
		}
		for ; due(i) <= min(now, end-1); i++ {
			q := sent{kind: reserving, n: g.next, intended: due(i), counted: due(i) >= counting}
			if float64(i%1000) < 1000*g.target.Reads {
				q.kind, q.n = reading, g.next*2654435761%max(g.next, 1)
			} else {
				g.next++
			}
			if q.counted {
				m.Offered++
				record(m.lags, now-q.intended)
			}
			if !s.lanes[i%len(s.lanes)].put(g.writer, q) && q.counted {
				m.dropped++
			}
		}
		for _, l := range s.lanes {
			l.flush()
		}
		if now >= end {
			break
		}
		select {
		case <-clock.C:
		case err := <-s.faults:
			return nil, errors.Join(err, s.close(m))
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), s.close(m))
		}
	}
	m.spent(before, g.processorTimes())
	s.drain(ctx)
	if err := s.close(m); err != nil {
		return m, err
	}
	m.conclude()
	return m, nil
}

// drain waits for the answers that are still to come.
func (s *session) drain(ctx context.Context) {
	deadline := time.NewTimer(answerTime)
	defer deadline.Stop()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		left := 0
		for _, l := range s.everyLane() {
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

// close ends all connections and adds up what their readers counted.
func (s *session) close(m *measurement) error {
	var faults []error
	for _, l := range s.everyLane() {
		unanswered, err := l.close(&s.ended)
		m.Unanswered += unanswered
		if err != nil && !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
	}
	s.all.Wait()
	total := newTally()
	for _, l := range s.everyLane() {
		total.add(l.tally)
	}
	m.total = total
	return errors.Join(faults...)
}

// saturate finds the capacity: every connection sends its next request when the last one is answered, for a while of which
// the first third is not counted. It returns sales, reservations and confirmations that follow, a second.
func (g *generator) saturate(ctx context.Context, duration time.Duration) (float64, error) {
	s, err := g.connect(ctx)
	if err != nil {
		return 0, err
	}
	s.closed = true
	for _, l := range s.lanes {
		l.put(g.writer, sent{kind: reserving, counted: true, n: s.number.Add(1), intended: g.now()})
		l.flush()
	}
	sold := func() (n uint64) {
		for _, l := range s.after {
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
		case err := <-s.faults:
			return 0, errors.Join(err, s.close(&measurement{}))
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), s.close(&measurement{}))
		}
	}
	rate := float64(sold()-first) / (g.now() - began).Seconds()
	err = s.close(&measurement{})
	g.next = s.number.Load() + 1
	if err == nil && rate == 0 {
		err = errors.New("the server sold nothing")
	}
	return rate, err
}

// sellOut takes all that is left of the one pool that is asked for.
func (g *generator) sellOut(ctx context.Context) error {
	for range 100 {
		m, err := g.load(ctx, 2000, 0, time.Second)
		if err != nil {
			return err
		}
		if m.Results["reserve"]["ok"] == 0 && m.Results["reserve"]["sold_out"] > 0 {
			return nil
		}
	}
	return fmt.Errorf("the pool would not sell out")
}
