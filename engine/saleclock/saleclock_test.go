package saleclock

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)

// machine has a monotonic clock and a wall clock that a test moves.
type machine struct {
	elapsed time.Duration
	wall    time.Time
	log     bytes.Buffer
}

func (m *machine) clock() *Clock {
	return follow(func() time.Duration { return m.elapsed },
		func() (time.Duration, time.Time) { return m.elapsed, m.wall }, slog.New(slog.NewTextHandler(&m.log, nil)))
}

// pass lets time pass on both clocks, while the sale clock is read ten times a second, and requires that each reading
// follows the one before by the elapsed time, give or take a twentieth.
func (m *machine) pass(t *testing.T, c *Clock, d time.Duration) {
	const step = 100 * time.Millisecond
	for before := c.Now(); d > 0; d -= step {
		m.elapsed += step
		m.wall = m.wall.Add(step)
		now := c.Now()
		if off := now.Sub(before) - step; off.Abs() > step/20+time.Millisecond {
			require.Fail(t, "the clock jumps", "by %v at %v", off, m.elapsed)
		}
		before = now
	}
}

func (m *machine) logged() int { return bytes.Count(m.log.Bytes(), []byte("\n")) }

// A step of the wall clock in either direction does not move the sale clock. It follows by a twentieth of the elapsed
// time, agrees with the wall after twenty times the step, and stays there. Each step is logged once.
func TestStepsAreFollowedSlowly(t *testing.T) {
	steps := []time.Duration{17 * time.Minute, -time.Minute, time.Hour, 2 * time.Second, -500 * time.Millisecond}
	for _, step := range steps {
		t.Run(step.String(), func(t *testing.T) {
			m := &machine{wall: start}
			c := m.clock()
			m.pass(t, c, 10*time.Second)
			require.Equal(t, m.wall, c.Now())
			require.Zero(t, m.logged())
			m.wall = m.wall.Add(step)
			m.pass(t, c, 17*time.Minute)
			moved := c.Now().Sub(start.Add(10*time.Second + 17*time.Minute))
			limit := min((17*time.Minute/Slew), step.Abs()) + time.Second
			require.LessOrEqual(t, moved.Abs(), limit, "a hold of 17 minutes changes by a twentieth at most")
			require.InDelta(t, step-moved, -c.Difference(), float64(time.Second))
			m.pass(t, c, max(0, step.Abs()*Slew-17*time.Minute)+2*time.Second)
			require.InDelta(t, 0, m.wall.Sub(c.Now()), float64(Deadband))
			require.InDelta(t, 0, c.Difference(), float64(Deadband))
			m.pass(t, c, 10*time.Second)
			require.InDelta(t, 0, m.wall.Sub(c.Now()), float64(Deadband))
			want := 1
			if step.Abs() < StepLogged {
				want = 0
			}
			require.Equal(t, want, m.logged(), m.log.String())
		})
	}
}

// A machine that sleeps: the monotonic clock stops, the wall does not. Nothing ages meanwhile.
func TestSuspension(t *testing.T) {
	m := &machine{wall: start}
	c := m.clock()
	m.pass(t, c, time.Minute)
	before := c.Now()
	m.wall = m.wall.Add(8 * time.Hour)
	require.Equal(t, before, c.Now())
	m.pass(t, c, time.Minute)
	require.InDelta(t, time.Minute, c.Now().Sub(before), float64(time.Minute/Slew))
	require.Equal(t, 1, m.logged())
}

// A clock that is not read while it follows the wall does not follow too far.
func TestIdleWhileFollowing(t *testing.T) {
	m := &machine{wall: start}
	c := m.clock()
	m.wall = m.wall.Add(time.Minute)
	m.pass(t, c, 2*time.Second)
	m.elapsed += time.Hour
	m.wall = m.wall.Add(time.Hour)
	require.InDelta(t, 0, m.wall.Sub(c.Now()), float64(Deadband))
}

// A journal that is ahead of the wall: the clock starts at its latest instant, runs on, slower, and never back.
func TestNotBefore(t *testing.T) {
	m := &machine{wall: start}
	c := m.clock()
	c.NotBefore(start.Add(-time.Hour).UnixMilli())
	require.Equal(t, start, c.Now())
	require.Zero(t, m.logged())
	latest := start.Add(time.Minute)
	c.NotBefore(latest.UnixMilli())
	require.Equal(t, latest, c.Now())
	require.Equal(t, time.Minute, c.Difference())
	require.Equal(t, 1, m.logged())
	m.pass(t, c, time.Minute)
	require.InDelta(t, 57*time.Second, c.Now().Sub(latest), float64(10*time.Millisecond))
	m.pass(t, c, 19*time.Minute+time.Second)
	require.InDelta(t, 0, m.wall.Sub(c.Now()), float64(Deadband))
	require.Equal(t, 1, m.logged(), "setting the clock forward is no step of the wall")

	synctest.Test(t, func(t *testing.T) {
		simulated := From(start)
		simulated.NotBefore(latest.UnixMilli())
		time.Sleep(time.Second)
		require.Equal(t, latest.Add(time.Second), simulated.Now())
		require.Zero(t, simulated.Difference())
		real := Real(nil)
		time.Sleep(time.Second)
		require.Equal(t, time.Now().UTC(), real.Now())
	})

	now := start
	virtual := Virtual(func() time.Time { return now })
	virtual.NotBefore(latest.UnixMilli())
	require.Equal(t, latest, virtual.Now())
	now = latest.Add(time.Second)
	require.Equal(t, now, virtual.Now())
}

// Concurrent readers on a wall that jumps at random: no reading is before one that another reader has published.
func TestReadersNeverGoBack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var elapsed, wall atomic.Int64
	wall.Store(start.UnixNano())
	read := func() time.Duration {
		d := time.Duration(elapsed.Add(int64(50 * time.Microsecond)))
		runtime.Gosched()
		return d
	}
	c := follow(read, func() (time.Duration, time.Time) { return read(), time.Unix(0, wall.Load()) }, nil)
	var published atomic.Int64
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				before := published.Load()
				ms := c.Ms()
				if ms < before {
					t.Errorf("%d after %d", ms, before)
					return
				}
				for before < ms && !published.CompareAndSwap(before, ms) {
					before = published.Load()
				}
			}
		})
	}
	for range 150 {
		wall.Store(start.UnixNano() + elapsed.Load() + int64(time.Duration(random.IntN(200)-100)*time.Second))
		for until := elapsed.Load() + int64(500*time.Millisecond); elapsed.Load() < until; {
			runtime.Gosched()
		}
	}
	close(done)
	readers.Wait()
}

func BenchmarkMs(b *testing.B) {
	c := Real(nil)
	b.Run("clock=sale", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				c.Ms()
			}
		})
	})
	b.Run("clock=wall", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			read := int64(0)
			for p.Next() {
				read = max(read, time.Now().UnixMilli())
			}
		})
	})
}
