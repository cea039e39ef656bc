package server

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The number of turns falls while many goroutines wait for a processor, and rises while few do and requests wait for a
// turn, between its bounds. Nothing is adapted while few turns are taken.
func TestTurnsKeepPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1000)
		var runnable, asked atomic.Int64
		s.pace.runnable = func() float64 { asked.Add(1); return float64(runnable.Load()) }
		s.hold = 0
		few := int(s.pace.fewest)
		first := int(s.limit.Load())
		for range few {
			require.True(t, s.take(newWaiter(finishing, 1)))
		}
		time.Sleep(time.Second)
		require.Zero(t, asked.Load())
		for range first - few {
			require.True(t, s.take(newWaiter(finishing, 1)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotZero(t, asked.Load())
		require.Equal(t, first, int(s.limit.Load()), "no request waits")

		runnable.Store(int64(2 * longQueue * s.pace.processors))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, few, int(s.limit.Load()))
		require.Equal(t, first, s.taken(), "who has a turn keeps it")
		done := make(chan bool)
		go func() { done <- s.take(newWaiter(finishing, 1)) }()
		time.Sleep(time.Second)
		for range first - few {
			s.leave(finishing)
		}
		synctest.Wait()
		require.Equal(t, few, s.taken(), "there are fewer turns")
		s.leave(finishing)
		require.True(t, <-done)

		runnable.Store(0)
		for range 2000 {
			go s.take(newWaiter(finishing, 1))
		}
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1000, s.limit.Load())
		require.Equal(t, 1000, s.taken())
		for range 2000 + few {
			s.leave(finishing)
			synctest.Wait()
		}
		require.Zero(t, s.taken())
		require.Equal(t, mayBegin(1000), s.fresh.Load())
		time.Sleep(time.Second)
		require.False(t, s.paced.Load())
	})
}

// While a caller with a crowd competes with others, the scheduler's queue is kept shorter, and for a while afterwards.
func TestPaceIsShorterBesideACrowd(t *testing.T) {
	p := newPace(1 << 20)
	between := (shortQueue + longQueue) / 2 * p.processors
	limit := p.fewest * 100
	steady := func(beside uint64) (rises, falls bool) {
		next := limit
		for range 50 {
			next = p.next(next, between, true, beside)
		}
		return next > limit, next < limit
	}
	rises, falls := steady(0)
	require.True(t, rises && !falls)
	rises, falls = steady(1)
	require.True(t, falls && !rises)
	for range stayShort {
		p.next(limit, between, true, 1)
	}
	rises, falls = steady(1)
	require.True(t, rises && !falls)
}

// The goroutines that wait for a processor are seen.
func TestRunnableGoroutines(t *testing.T) {
	runnable := runnableGoroutines()
	many := 20 * runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	var end atomic.Bool
	for range many {
		all.Go(func() {
			for !end.Load() {
				runtime.Gosched()
			}
		})
	}
	require.Eventually(t, func() bool { return runnable() >= float64(many/2) }, patience, time.Millisecond)
	end.Store(true)
	all.Wait()
}
