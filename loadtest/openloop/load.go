package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// load is one load while it is made.
type load struct {
	*fleet
	window window
	number uint64  // of the load
	own    *counts // of the dispatcher of an open loop
	ended  chan struct{}
	buyers sync.WaitGroup
}

// begin begins a load whose counts begin after a warm-up.
func (f *fleet) begin(warmup, duration time.Duration) *load {
	f.loads++
	from := f.now() + warmup
	l := &load{fleet: f, window: window{from, from + duration}, number: f.loads, ended: make(chan struct{})}
	f.clear(l.window)
	l.own = newCounts(l.window)
	f.cutoff = f.start.Add(l.window.to + answerTime)
	return l
}

// random returns the random numbers of a connection in this load.
func (l *load) random(connection int) *rand.Rand {
	return rand.New(rand.NewPCG(l.crowd.Seed+l.number, uint64(connection)))
}

// closedLoop makes load in which each connection has a buyer as long as the load lasts: the next one comes when the
// last one is served, after a pause with the mean think. Its rate is steady from the beginning.
func (f *fleet) closedLoop(ctx context.Context, think, warmup, duration time.Duration) (*measurement, error) {
	l := f.begin(warmup, duration)
	l.serveAll(steady(think))
	return l.finish(ctx)
}

// serveAll starts the buyers of a closed loop.
func (l *load) serveAll(p pauses) {
	for i, c := range l.connections {
		l.buyers.Go(func() {
			if l.crowd.Pipeline > 1 {
				l.pipeline(c)
			} else {
				l.serve(c, p, l.random(i))
			}
		})
	}
}

// finish waits until the load ends, and returns what was measured.
func (l *load) finish(ctx context.Context) (*measurement, error) {
	m := &measurement{Client: l.label(), Seed: l.crowd.Seed, Seconds: (l.window.to - l.window.from).Seconds()}
	err := l.until(ctx, l.window.from)
	before := l.processorTimes()
	if err == nil {
		err = l.until(ctx, l.window.to)
	}
	m.spent(before, l.processorTimes())
	close(l.ended)
	cut := time.AfterFunc(answerTime, func() {
		for _, c := range l.connections {
			c.cut()
		}
	})
	l.buyers.Wait()
	cut.Stop()
	select {
	case fault := <-l.faults:
		err = errors.Join(err, fault)
	default:
	}
	total := l.total()
	total.add(l.own)
	m.conclude(total)
	m.Protocol = l.protocol()
	return m, err
}

// until waits until a moment, or returns the fault that ends the load.
func (l *load) until(ctx context.Context, at time.Duration) error {
	select {
	case <-time.After(at - l.now()):
		return nil
	case err := <-l.faults:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleep waits until a moment. It returns false if the load ends first. timer is the goroutine's own.
func (l *load) sleep(timer *time.Timer, at time.Duration) bool {
	if at >= l.window.to {
		return false
	}
	wait := at - l.now()
	if wait <= 0 {
		select {
		case <-l.ended:
			return false
		default:
			return true
		}
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		timer.Stop()
		return false
	}
}

// serve is the buyers of one connection, one after the other.
func (l *load) serve(c *connection, p pauses, random *rand.Rand) {
	timer := time.NewTimer(0)
	<-timer.C
	due := l.now() + p.first(random)
	for {
		b := buyer{n: l.next.Add(1), arrived: due, due: due}
		if !l.sleep(timer, due) {
			return
		}
		c.tally.count(due, &c.tally.arrived)
		for {
			_, again := l.attempt(c, &b, random.Float64())
			if !again {
				break
			}
			if !l.sleep(timer, b.due) {
				return
			}
		}
		due = l.now() + p.next(random)
	}
}

// pipeline is the buyers of one connection, several at a time whose requests are sent together.
func (l *load) pipeline(c *connection) {
	several := make([]buyer, l.crowd.Pipeline)
	for l.now() < l.window.to {
		for i := range several {
			several[i] = buyer{n: l.next.Add(1), due: l.now()}
		}
		if err := errors.Join(l.together(c, several, reserving), l.together(c, several, confirming)); err != nil {
			l.fail(fmt.Errorf("pipelining: %w", err))
			return
		}
	}
}

// together sends the requests of several buyers at once and reads their answers.
func (l *load) together(c *connection, several []buyer, k kind) error {
	c.out = c.out[:0]
	sent := 0
	for i := range several {
		if b := &several[i]; k == reserving || b.held {
			c.out, b.due = l.writer.append(c.out, k, b.n), l.now()
			sent++
		}
	}
	if sent == 0 {
		return nil
	}
	if c.conn == nil {
		if err := c.connect(l.cutoff); err != nil {
			return err
		}
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	for i := range several {
		b := &several[i]
		if k != reserving && !b.held {
			continue
		}
		a, err := c.in.read()
		if err != nil {
			return err
		}
		code := codeOf(a)
		c.tally.answer(k, b.due, l.now(), code)
		b.held = code == "ok"
	}
	return nil
}
