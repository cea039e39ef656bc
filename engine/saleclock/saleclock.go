// Package saleclock is the clock that a sale runs on. It never goes back: not when the wall clock is stepped, not over
// a restart, and not over a takeover.
//
// A clock moves with the machine's monotonic clock from a base. The base is the wall's instant at the start, or the
// latest instant in the journal if that is later. From there on the wall clock does not move it directly. Once a
// second the two are compared. While they differ by more than Deadband, the sale clock runs faster or slower than the
// monotonic clock by a twentieth (Slew), until it agrees with the wall again.
//
// # Why a twentieth
//
// The remaining life of a hold changes by a twentieth at most: a hold of 17 minutes lasts between 16 min 11 s and
// 17 min 54 s, whatever happens to the wall clock. A larger share would end holds during a payment. A smaller one would
// leave the openings and closings of phases wrong for days.
//
//	difference  agrees again after
//	1 s         20 s
//	1 min       20 min
//	17 min      5 h 40 min
//	1 h         20 h
//	1 day       20 days
//
// # What happens when
//
//   - The wall clock is stepped, by NTP or by hand: a step of more than StepLogged is logged, Difference shows it, and
//     the clock follows slowly.
//   - A virtual machine is suspended. Where the monotonic clock stops meanwhile, as on Linux and macOS, holds do not
//     age, and the wall's jump is followed slowly like a step. Where it does not stop, the time has passed.
//   - The process restarts: a wall clock that is ahead of the journal is taken over at once, so a restart ends a
//     difference in this direction. If the journal is ahead, the clock begins there and runs slower until the wall has
//     caught up.
//   - A standby takes over: its clock has followed its own wall, and is set forward to the journal's latest instant.
//
// A simulated clock starts at any instant and follows nothing but the monotonic clock.
package saleclock

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Slew is the share of the elapsed time by which the clock runs faster or slower while it follows the wall: 1/Slew.
	Slew = 20
	// Deadband is the difference from the wall that is left as it is.
	Deadband = 10 * time.Millisecond
	// StepLogged is the step of the wall clock from which on it is logged.
	StepLogged = time.Second

	compareEvery = time.Second
)

// Clock is a sale clock. Any number of goroutines may use it.
type Clock struct {
	// elapsed reads the monotonic clock: the time since the clock was made.
	elapsed func() time.Duration
	// wall reads both clocks at once; nil for a clock that follows no wall.
	wall func() (elapsed time.Duration, wall time.Time)
	// virtual replaces both, see Virtual.
	virtual func() time.Time
	log     *slog.Logger

	line atomic.Pointer[line] // nil with virtual

	// latest is the latest instant that was read, in ms; with virtual, that of NotBefore. Readers of the present line and
	// of the one before it may overlap; this word keeps the later reader from getting an earlier instant. It is written
	// once a millisecond.
	latest atomic.Int64

	comparing  sync.Mutex    // held by the reader that compares; no reader waits for it
	offset     time.Duration // of the wall from the monotonic clock, at the last comparison
	difference atomic.Int64  // of the clock from the wall, at the last comparison, in ns
}

// line is how the clock moves with the monotonic clock: straight, with one bend where it agrees with the wall again. It
// never falls, since slew changes the rate by a twentieth only.
type line struct {
	from    time.Duration // on the monotonic clock
	value   int64         // ns since 1970 at from
	slew    int64         // 1: faster; -1: slower; 0: neither
	until   time.Duration // after from: as long as it is faster or slower
	compare time.Duration // on the monotonic clock: when it is compared with the wall
}

func (l *line) at(elapsed time.Duration) int64 {
	d := elapsed - l.from
	return l.value + int64(d) + l.slew*int64(min(d, l.until)/Slew)
}

const never = time.Duration(1<<63 - 1)

// Real returns a clock that follows the wall. The log receives its steps; nil for none.
func Real(log *slog.Logger) *Clock {
	began := time.Now()
	return follow(func() time.Duration { return time.Since(began) }, func() (elapsed time.Duration, now time.Time) {
		// time.Now reads one clock after the other. A goroutine that is preempted in between would see a step.
		for range 4 {
			before := time.Since(began)
			now = time.Now()
			if elapsed = now.Sub(began); elapsed-before < time.Millisecond {
				break
			}
		}
		return elapsed, now
	}, log)
}

func follow(elapsed func() time.Duration, wall func() (time.Duration, time.Time), log *slog.Logger) *Clock {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{elapsed: elapsed, wall: wall, log: log}
	at, now := wall()
	c.offset = time.Duration(now.UnixNano()) - at
	c.line.Store(&line{from: at, value: now.UnixNano(), compare: at + compareEvery})
	return c
}

// From returns a clock that starts at an instant and runs on.
func From(start time.Time) *Clock {
	began := time.Now()
	c := &Clock{elapsed: func() time.Duration { return time.Since(began) }}
	c.line.Store(&line{value: start.UnixNano(), compare: never})
	return c
}

// Virtual returns a clock that reads now, for tests and rehearsals. The caller keeps now from going back. While now is
// before the instant of NotBefore, the clock stands still there.
func Virtual(now func() time.Time) *Clock { return &Clock{virtual: now} }

// Ms returns the clock's instant in milliseconds since 1970. It is never less than one that was returned before.
func (c *Clock) Ms() int64 {
	if c.virtual != nil {
		return max(c.virtual().UnixMilli(), c.latest.Load())
	}
	elapsed := c.elapsed()
	l := c.line.Load()
	if elapsed >= l.compare {
		c.compare()
	}
	return c.raise(l.at(elapsed) / int64(time.Millisecond))
}

// Now returns the clock's instant in UTC, to the millisecond.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.Ms()).UTC() }

// NotBefore sets the clock forward to an instant, in ms since 1970, unless it is there already. A sale calls it with
// the latest instant in its journal before it decides anything.
func (c *Clock) NotBefore(ms int64) {
	behind := ms - c.Ms()
	if behind <= 0 {
		return
	}
	if c.virtual == nil {
		c.comparing.Lock()
		l := &line{from: c.elapsed(), value: ms * int64(time.Millisecond), compare: never}
		if c.wall != nil {
			l.compare = l.from
			c.log.Warn("the journal is ahead of the wall clock; the sale clock starts there and runs slower until the wall "+
				"has caught up", "latest", time.UnixMilli(ms).UTC(), "ahead", time.Duration(behind)*time.Millisecond)
		}
		c.line.Store(l)
		c.comparing.Unlock()
	}
	c.raise(ms)
}

// raise makes sure that no later reading is before ms, and returns the latest instant.
func (c *Clock) raise(ms int64) int64 {
	for {
		latest := c.latest.Load()
		if ms <= latest {
			return latest
		}
		if c.latest.CompareAndSwap(latest, ms) {
			return ms
		}
	}
}

// Difference returns by how much the clock is ahead of the wall, as of the last second; 0 for a clock that follows no
// wall.
func (c *Clock) Difference() time.Duration {
	c.Ms()
	return time.Duration(c.difference.Load())
}

// compare looks at the wall and sets the course to it. If another reader does so, it returns at once.
func (c *Clock) compare() {
	if !c.comparing.TryLock() {
		return
	}
	defer c.comparing.Unlock()
	elapsed, now := c.wall()
	before := c.line.Load()
	if elapsed < before.compare {
		return // another reader has just compared
	}
	value := before.at(elapsed)
	difference := time.Duration(value - now.UnixNano())
	offset := time.Duration(now.UnixNano()) - elapsed
	follows := min(difference.Abs(), never/Slew) * Slew // for so long
	if step := offset - c.offset; step.Abs() > StepLogged {
		c.log.Warn("the wall clock was stepped; the sale clock follows slowly", "step", step.Round(time.Millisecond),
			"ahead", difference.Round(time.Millisecond), "agrees_in", follows.Round(time.Second))
	}
	c.offset = offset
	c.difference.Store(int64(difference))
	l := &line{from: elapsed, value: value, compare: elapsed + compareEvery}
	if difference.Abs() > Deadband {
		l.slew, l.until = 1, follows
		if difference > 0 {
			l.slew = -1
		}
	}
	c.line.Store(l)
}
