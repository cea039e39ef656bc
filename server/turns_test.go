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

	"github.com/seathold/seathold/server/internal/encode"
)

func newWaiter(u urgency, key int) *waiter {
	return &waiter{served: make(chan bool, 1), urgency: u, weight: 1, rounds: 1, caller: callerID{key: key}}
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
	require.True(t, s.take(&waiter{weight: s.limit}))
	return s
}

// wait lets a request wait. Those that are served keep their turn.
func (s *turnstile) wait(name string, w *waiter) {
	go func() {
		verdict := " served"
		if !s.take(w) {
			verdict = " refused"
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
			s.leave(1)
			require.Equal(t, []string{name + " served"}, s.after(0))
		}
		s.leave(1)
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
		s.leave(4)
		require.Equal(t, []string{"confirm served"}, s.after(0))
		require.Equal(t, uint64(1), s.waits.Count)
		require.Equal(t, time.Hour+2*longestWait+longestWait/2, s.waits.Sum)
		s.leave(1)
		require.Zero(t, s.taken())
		require.Zero(t, s.waiting.Load())
	})
}

// A request that comes before the Retry-After of a refusal waits behind all others. It is served if nobody else waits,
// and refused when it would have been on time. What completes what was begun is never too early.
func TestTurnsHoldBackWhoComesTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 1)
		soon := func(u urgency) *waiter {
			w := newWaiter(u, 1)
			w.notBefore = time.Now().Add(retryAfter)
			return w
		}
		s.wait("early 1", soon(buying))
		s.wait("early 2", soon(browsing))
		s.wait("list", newWaiter(browsing, 2))
		s.wait("confirm", soon(finishing))
		for _, name := range []string{"confirm", "list", "early 1"} {
			s.leave(1)
			require.Equal(t, []string{name + " served"}, s.after(0))
		}
		require.Empty(t, s.after(retryAfter-1))
		require.Equal(t, []string{"early 2 refused"}, s.after(1))
		require.EqualValues(t, 1, s.refused[refusedEarly].Load())
		s.leave(1)
		s.wait("early, but there is room", soon(buying))
		require.Equal(t, []string{"early, but there is room served"}, s.after(0))
	})
	require.Equal(t, encode.RetryAfter, "1")
	require.Equal(t, time.Second, retryAfter)
}

// A batch waits until there are turns for all of it, and nobody overtakes it meanwhile.
func TestTurnsOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 64)
		require.EqualValues(t, 1, s.weightOf(bytesPerTurn-1))
		require.EqualValues(t, 3, s.weightOf(2*bytesPerTurn))
		require.EqualValues(t, 8, s.weightOf(maxBatchBody))
		require.EqualValues(t, 1, newTurns(1).weightOf(maxBatchBody))
		large := newWaiter(buying, 1)
		large.weight = 8
		s.wait("batch", large)
		s.wait("hold", newWaiter(buying, 2))
		s.leave(7)
		require.Empty(t, s.after(0))
		s.leave(2)
		require.ElementsMatch(t, []string{"batch served", "hold served"}, s.after(0))

		// If the batch is refused, the turns that it waited for are the others'.
		s.wait("batch", large)
		require.Empty(t, s.after(longestWait/2))
		s.wait("hold", newWaiter(buying, 2))
		s.leave(3)
		require.ElementsMatch(t, []string{"batch refused", "hold served"}, s.after(longestWait/2))
	})
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
		s.leave(4)
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
	turns.longest = 100 * time.Microsecond // so that some are refused
	var all sync.WaitGroup
	var taken atomic.Int64
	var served, refused atomic.Int64
	for i := range callers {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(i)))
			w := newWaiter(finishing, 0)
			for range rounds {
				w.urgency, w.caller.key = urgency(dice.IntN(3)), dice.IntN(8)
				w.weight, w.rounds = int64(1+dice.IntN(limit/8)), 1+dice.IntN(4)
				if w.notBefore = (time.Time{}); dice.IntN(8) == 0 {
					w.notBefore = time.Now().Add(200 * time.Microsecond)
				}
				if !turns.take(w) {
					refused.Add(1)
					continue
				}
				if n := taken.Add(w.weight); n > limit {
					t.Errorf("%d turns are taken", n)
				}
				served.Add(1)
				for range dice.IntN(4) {
					runtime.Gosched()
				}
				taken.Add(-w.weight)
				turns.leave(w.weight)
			}
		})
	}
	all.Wait()
	require.Zero(t, turns.taken())
	require.Zero(t, turns.waiting.Load())
	require.Nil(t, turns.queue.next())
	require.Empty(t, turns.queue.deadlines)
	require.EqualValues(t, callers*rounds, served.Load()+refused.Load())
	counted := turns.refused[refusedWaited].Load() + turns.refused[refusedEarly].Load()
	require.EqualValues(t, refused.Load(), counted)
	t.Logf("%d served, %d after a wait; %d refused", served.Load(), turns.waits.Count, refused.Load())
	require.NotZero(t, turns.waits.Count)
}

// Neither a turn without a queue nor a wait for one allocates.
func TestTurnsDoNotAllocate(t *testing.T) {
	turns := newTurns(8)
	w := newWaiter(buying, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		turns.take(w)
		turns.leave(1)
	}))
	all := &waiter{weight: 8}
	require.True(t, turns.take(all))
	turns.longest = 0
	require.False(t, turns.take(w)) // makes the timer
	require.Zero(t, testing.AllocsPerRun(100, func() { turns.take(w) }))
}

func BenchmarkTurns(b *testing.B) {
	turns := newTurns(1024)
	w := newWaiter(buying, 1)
	for b.Loop() {
		turns.take(w)
		turns.leave(1)
	}
}
