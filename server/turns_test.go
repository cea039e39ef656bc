package server

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/server/internal/latency"
)

func newWaiter(u urgency, key int) *waiter {
	return &waiter{served: make(chan bool, 1), urgency: u, rounds: 1, caller: callerID{key: key}}
}

// turnstile is turns that are all taken, and those who wait for one in a bubble of synctest.
type turnstile struct {
	*turns
	t     *testing.T
	order []string // who was served or refused, in order
	mu    sync.Mutex
}

func newTurnstile(t *testing.T, limit int) *turnstile {
	s := &turnstile{turns: newTurns(limit), t: t}
	s.hold = 0
	s.pace.fewest = s.pace.most
	s.free.Add(int64(limit) - s.limit.Swap(int64(limit)))
	require.EqualValues(t, limit, s.free.Swap(0))
	return s
}

// wait lets a request wait. Those that are served keep their turn.
func (s *turnstile) wait(name string, w *waiter) {
	go func() {
		verdict := " served"
		if !s.take(w) {
			verdict = " refused"
			s.holdBack(w)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.order = append(s.order, name+verdict)
	}()
	synctest.Wait() // it waits, so that the next one comes after it
}

// after returns who was served or refused within d.
func (s *turnstile) after(d time.Duration) []string {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	order := s.order
	s.order = nil
	return order
}

// Turns are given by urgency, then in rotation of the callers, then first come first served.
func TestTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 1)
		s.wait("list", newWaiter(browsing, 1))
		s.wait("hold 1", newWaiter(buying, 1))
		s.wait("hold 2", newWaiter(buying, 1))
		s.wait("other's hold", newWaiter(buying, 2))
		s.wait("confirm", newWaiter(finishing, 1))
		for _, name := range []string{"confirm", "hold 1", "other's hold", "hold 2", "list"} {
			require.Empty(t, s.after(0))
			s.leave()
			require.Equal(t, []string{name + " served"}, s.after(0))
		}
		s.leave()
		require.Zero(t, s.taken())
	})
}

// New holds and lists are refused when they have waited for too long. What completes what was begun is not.
func TestTurnsRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 4)
		s.wait("confirm", newWaiter(finishing, 1))
		s.wait("hold", newWaiter(buying, 1))
		require.Empty(t, s.after(longestWait/2))
		s.wait("list", newWaiter(browsing, 1))
		require.Empty(t, s.after(longestWait/2-1))
		require.Equal(t, []string{"hold refused"}, s.after(1))
		require.Equal(t, []string{"list refused"}, s.after(longestWait/2))
		require.EqualValues(t, 2, s.refused[refusedWaited].Load())
		require.Empty(t, s.after(time.Hour))
		s.wait("hold", newWaiter(buying, 1)) // the timer is used again
		require.Equal(t, []string{"hold refused"}, s.after(longestWait))
		s.give(4)
		require.Equal(t, []string{"confirm served"}, s.after(0))
		var waits latency.Counts
		s.waits.AddTo(&waits)
		require.Equal(t, uint64(1), waits.Count())
		require.Equal(t, (time.Hour + 2*longestWait + longestWait/2).Seconds(), waits.Sum())
		s.leave()
		require.Zero(t, s.taken())
		require.Zero(t, s.waiting.Load())
	})
}

// The refusal of a request that has waited for too long is held back for a random time, or until the server shuts down.
// Meanwhile it has no claim to a turn.
func TestRefusalsAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 1)
		s.hold = holdRefused
		for range 50 {
			s.wait("hold", newWaiter(buying, 1))
		}
		require.Empty(t, s.after(longestWait+holdRefused/2-1))
		require.EqualValues(t, 50, s.held.Load())
		require.Zero(t, s.waiting.Load())
		s.leave()
		early := len(s.after(holdRefused / 2))
		require.Greater(t, early, 5)
		require.Less(t, early, 45)
		require.Len(t, s.after(holdRefused/2), 50-early)
		require.Zero(t, s.held.Load())

		require.True(t, s.take(newWaiter(buying, 1)))
		s.wait("hold", newWaiter(buying, 1))
		require.Empty(t, s.after(longestWait))
		s.end()
		require.Equal(t, []string{"hold refused"}, s.after(0))
		s.leave()
		require.Zero(t, s.taken())
	})
}

// The number of turns falls while goroutines wait for a processor, and rises while they do not and requests wait for a
// turn, between its bounds. Nothing is adapted while few turns are taken.
func TestTurnsKeepPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1000)
		var delay, asked atomic.Int64
		s.pace.delay = func() time.Duration { asked.Add(1); return time.Duration(delay.Load()) }
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

		delay.Store(int64(2 * longestDelay))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, few, int(s.limit.Load()))
		require.Equal(t, first, s.taken(), "who has a turn keeps it")
		done := make(chan bool)
		go func() { done <- s.take(newWaiter(finishing, 1)) }()
		time.Sleep(time.Second)
		for range first - few {
			s.leave()
		}
		synctest.Wait()
		require.Equal(t, few, s.taken(), "there are fewer turns")
		s.leave()
		require.True(t, <-done)

		delay.Store(0)
		for range 2000 {
			go s.take(newWaiter(finishing, 1))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1000, s.limit.Load())
		require.Equal(t, 1000, s.taken())
		for range 2000 + few {
			s.leave()
			synctest.Wait()
		}
		require.Zero(t, s.taken())
		time.Sleep(time.Second)
		require.False(t, s.paced.Load())
	})
}

// schedulerDelay sees goroutines that wait for a processor.
func TestSchedulerDelay(t *testing.T) {
	delay := schedulerDelay()
	delay()
	var all sync.WaitGroup
	for range 64 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for began := time.Now(); time.Since(began) < 200*time.Microsecond; {
			}
		})
	}
	all.Wait()
	require.Greater(t, delay(), time.Millisecond)
}

// After open nobody waits.
func TestTurnsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 1)
		s.wait("confirm", newWaiter(finishing, 1))
		s.wait("hold", newWaiter(buying, 1))
		s.open()
		require.ElementsMatch(t, []string{"confirm served", "hold served"}, s.after(0))
		s.wait("another", newWaiter(buying, 1))
		require.Equal(t, []string{"another served"}, s.after(0))
		s.give(4)
		require.Zero(t, s.taken())
	})
}

// Under a crowd of callers no turn is lost or made, no waiter is forgotten, and never more turns are taken than there
// are.
func TestTurnsAreConserved(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	const limit, callers, rounds = 16, 64, 300
	turns := newTurns(limit)
	turns.longest, turns.hold = 100*time.Microsecond, 0 // so that some are refused
	var all sync.WaitGroup
	var taken atomic.Int64
	var served, refused atomic.Int64
	for i := range callers {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(i)))
			w := newWaiter(finishing, 0)
			for range rounds {
				w.urgency, w.caller.key = urgency(dice.IntN(3)), dice.IntN(8)
				w.rounds = 1 + dice.IntN(4)
				if !turns.take(w) {
					turns.holdBack(w)
					refused.Add(1)
					continue
				}
				if n := taken.Add(1); n > limit {
					t.Errorf("%d turns are taken", n)
				}
				served.Add(1)
				for range dice.IntN(4) {
					runtime.Gosched()
				}
				taken.Add(-1)
				turns.leave()
			}
		})
	}
	all.Wait()
	require.Zero(t, turns.taken())
	require.Zero(t, turns.waiting.Load())
	require.Nil(t, turns.queue.next())
	require.Nil(t, turns.queue.oldest)
	require.Nil(t, turns.queue.newest)
	require.EqualValues(t, callers*rounds, served.Load()+refused.Load())
	require.EqualValues(t, refused.Load(), turns.refused[refusedWaited].Load())
	var waits latency.Counts
	turns.waits.AddTo(&waits)
	t.Logf("%d served, %d after a wait; %d refused", served.Load(), waits.Count(), refused.Load())
	require.NotZero(t, waits.Count())
}

// Neither a turn without a queue nor a wait for one allocates.
func TestTurnsDoNotAllocate(t *testing.T) {
	turns := newTurns(8)
	w := newWaiter(buying, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		turns.take(w)
		turns.leave()
	}))
	turns.free.Store(0)
	turns.longest, turns.hold = 0, 0
	refuse := func() {
		turns.take(w)
		turns.holdBack(w)
	}
	refuse() // makes the timers
	require.Zero(t, testing.AllocsPerRun(100, refuse))
}

func BenchmarkTurns(b *testing.B) {
	turns := newTurns(1024)
	w := newWaiter(buying, 1)
	for b.Loop() {
		turns.take(w)
		turns.leave()
	}
}
