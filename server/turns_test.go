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
	s.paced.Store(true) // their number stays
	s.setLimit(int64(limit))
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

// heldBack returns how many refusals are held back.
func (s *turnstile) heldBack() int {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	return s.held.count
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
		before := finishing
		for _, next := range []struct {
			name    string
			urgency urgency
		}{{"confirm", finishing}, {"hold 1", buying}, {"other's hold", buying}, {"hold 2", buying}, {"list", browsing}} {
			require.Empty(t, s.after(0))
			s.leave(before)
			require.Equal(t, []string{next.name + " served"}, s.after(0))
			before = next.urgency
		}
		s.leave(before)
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
		s.leave(finishing)
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
		require.Equal(t, 50, s.heldBack())
		require.Zero(t, s.waiting.Load())
		s.give(1)
		early := len(s.after(holdRefused / 2))
		require.Greater(t, early, 5)
		require.Less(t, early, 45)
		require.Len(t, s.after(holdRefused/2), 50-early)
		require.Zero(t, s.heldBack())

		require.True(t, s.take(newWaiter(buying, 1)))
		s.wait("hold", newWaiter(buying, 1))
		require.Empty(t, s.after(longestWait))
		s.end()
		require.Equal(t, []string{"hold refused"}, s.after(0))
		s.leave(buying)
		require.Zero(t, s.taken())
		require.Zero(t, s.heldBack())
	})
}

// When nobody waits any more, the refusals that are held back are sent, a few at a time.
func TestRefusalsAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 2000)
		s.hold = time.Hour
		few := int(s.pace.fewest)
		for range 10 * few {
			s.wait("hold", newWaiter(buying, 1))
		}
		require.Empty(t, s.after(longestWait))
		s.paced.Store(false)
		s.keepPace()
		require.Empty(t, s.after(time.Second), "all turns are taken")
		s.give(2000)
		require.Len(t, s.after(paceEvery), few/4)
		require.Len(t, s.after(39*paceEvery), 10*few-few/4)
		require.Zero(t, s.heldBack())
		s.after(time.Second)
		require.False(t, s.paced.Load())
	})
}

// Requests that begin something have half of the turns at most, and wait for no others. Who finishes passes them.
func TestTurnsOfWhoFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(t, 5)
		s.give(5)
		for _, name := range []string{"hold 1", "hold 2", "list", "hold 3", "hold 4"} {
			u := buying
			if name == "list" {
				u = browsing
			}
			s.wait(name, newWaiter(u, 1))
		}
		require.Equal(t, []string{"hold 1 served", "hold 2 served", "list served"}, s.after(0))
		s.wait("confirm 1", newWaiter(finishing, 1))
		s.wait("confirm 2", newWaiter(finishing, 1))
		require.Equal(t, []string{"confirm 1 served", "confirm 2 served"}, s.after(0))
		s.wait("confirm 3", newWaiter(finishing, 1))
		require.Empty(t, s.after(0))
		s.leave(finishing)
		require.Equal(t, []string{"confirm 3 served"}, s.after(0))
		s.leave(finishing)
		require.Empty(t, s.after(0), "a turn is free for who finishes")
		s.leave(browsing)
		require.Equal(t, []string{"hold 3 served"}, s.after(0))
		require.Equal(t, 4, s.taken())
		require.Equal(t, []string{"hold 4 refused"}, s.after(longestWait))
		for range 3 {
			s.leave(buying)
		}
		s.leave(finishing)
		require.Zero(t, s.taken())
		require.EqualValues(t, 3, s.fresh.Load())
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
		s.give(4)
		require.Zero(t, s.taken())
	})
}

// Whatever comes together at one moment, at the end of it no request waits beside a turn that it may have, no turn was
// lost or made, and the timers that those need who still wait are started. Who is served is in time, and so is who is
// refused. When all have gone, nothing is kept and no timer is left.
func TestTurnsAtRest(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(4)
		s.pace.fewest = 1 // so that their number changes
		s.pace.runnable = func() float64 { return 2 * longQueue * s.pace.processors * float64(rand.N(2)) }
		s.longest = 2 * paceEvery
		waiters := make([]*waiter, 10) // they are used again, as those of exchanges
		for i := range waiters {
			waiters[i] = newWaiter(finishing, 0)
		}
		for round := range 2000 {
			var all sync.WaitGroup
			var taken, begun, waiting atomic.Int64
			s.hold = time.Duration(dice.IntN(2)) * time.Hour
			switch round {
			case 1800:
				time.AfterFunc(2*paceEvery, s.end)
			case 1900:
				time.AfterFunc(2*paceEvery, s.open)
			}
			for _, w := range waiters[:2+dice.IntN(8)] {
				require.Empty(t, w.served)
				w.urgency, w.caller.key, w.rounds = urgency(dice.IntN(3)), dice.IntN(3), 1+dice.IntN(3)
				arrives, stays := time.Duration(dice.IntN(3))*paceEvery, time.Duration(dice.IntN(4))*paceEvery/2
				waiting.Add(1)
				all.Go(func() {
					defer waiting.Add(-1)
					time.Sleep(arrives)
					if !s.take(w) {
						s.holdBack(w)
						return
					}
					begins := int64(min(w.urgency, 1))
					taken.Add(1)
					begun.Add(begins)
					time.Sleep(stays)
					begun.Add(-begins)
					taken.Add(-1)
					s.leave(w.urgency)
				})
			}
			for start := time.Now(); waiting.Load() > 0; time.Sleep(paceEvery / 2) {
				synctest.Wait()
				checkAtRest(t, s, taken.Load(), begun.Load())
				require.Less(t, time.Since(start), 20*paceEvery, "a request has waited for too long")
			}
			all.Wait()
		}
		time.Sleep(paceEvery)
		synctest.Wait()
		checkAtRest(t, s, 0, 0)
		require.False(t, s.paced.Load())
		require.Zero(t, s.held.count)
		for _, l := range s.queue.lanes {
			require.Nil(t, l.at)
			require.Empty(t, l.lines)
		}
	})
}

// A request that comes in the moment in which another leaves does not wait beside its turn.
func TestTurnsInOneMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1)
		s.paced.Store(true) // or adapt would dispatch for who was missed
		leaves, comes := newWaiter(finishing, 1), newWaiter(finishing, 2)
		for range 10_000 {
			leaves.urgency, comes.urgency = urgency(dice.IntN(2)), urgency(dice.IntN(2))
			require.True(t, s.take(leaves))
			var ready atomic.Int32
			together := func(after int) {
				ready.Add(1)
				for spins := 0; ready.Load() < 2 || spins < after; spins++ {
					if spins > 1000 {
						runtime.Gosched()
					}
				}
			}
			var all sync.WaitGroup
			after := dice.IntN(50)
			all.Go(func() {
				together(after)
				if s.take(comes) {
					s.leave(comes.urgency)
				} else {
					t.Error("a request has waited although the turn was free")
				}
			})
			together(dice.IntN(50))
			s.leave(leaves.urgency)
			all.Wait()
		}
		checkAtRest(t, s, 0, 0)
	})
}

// A refusal that is held back ends once, whether its time is over, others are let go, or the server shuts down.
func TestHeldBackEndsOnce(t *testing.T) {
	waiters := make([]*waiter, 8)
	for i := range waiters {
		waiters[i] = newWaiter(buying, 0)
	}
	for range 500 {
		s := newTurns(1)
		s.hold = 20 * time.Microsecond
		s.paced.Store(true)
		var all sync.WaitGroup
		for i, w := range waiters {
			all.Go(func() {
				s.holdBack(w)
				if i == 0 {
					s.end()
				}
			})
		}
		for range 2 * len(waiters) {
			s.mu.Lock()
			s.letGo()
			s.mu.Unlock()
			runtime.Gosched()
		}
		all.Wait()
		require.Zero(t, s.held.count)
		for _, w := range waiters {
			require.Empty(t, w.served)
		}
	}
}

// checkAtRest checks turns while no goroutine runs.
func checkAtRest(t *testing.T, s *turns, taken, begun int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.EqualValues(t, taken, s.taken())
	require.Equal(t, mayBegin(s.limit.Load())+s.opened.Load()-begun, s.fresh.Load())
	counts := 0
	for _, l := range s.queue.lanes {
		counts += l.count
	}
	require.EqualValues(t, counts, s.waiting.Load())
	require.EqualValues(t, s.queue.lanes[finishing].count, s.finishers.Load())
	if s.free.Load() > 0 {
		require.Nil(t, s.queue.next(s.fresh.Load() > 0), "a request waits beside a turn that it may have")
	}
	if first := s.queue.aging.first; first != nil {
		require.False(t, s.expires.IsZero() || s.expires.After(first.deadline))
	}
	if counts > 0 || s.held.count > 0 || taken > s.pace.fewest {
		require.True(t, s.paced.Load(), "%d wait, %d are held back: adapt will not be called", counts, s.held.count)
	}
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
	var taken, begun, served, refused atomic.Int64
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
				if w.urgency != finishing {
					if n := begun.Add(1); n > mayBegin(limit) {
						t.Errorf("%d turns are taken by requests that begin something", n)
					}
				}
				served.Add(1)
				for range dice.IntN(4) {
					runtime.Gosched()
				}
				if w.urgency != finishing {
					begun.Add(-1)
				}
				taken.Add(-1)
				turns.leave(w.urgency)
			}
		})
	}
	all.Wait()
	require.Zero(t, turns.taken())
	require.Zero(t, turns.waiting.Load())
	require.Zero(t, turns.finishers.Load())
	require.Equal(t, mayBegin(limit), turns.fresh.Load())
	require.Nil(t, turns.queue.next(true))
	require.Equal(t, waiters{order: ofAll}, turns.queue.aging)
	for _, l := range turns.queue.lanes {
		require.Zero(t, l.crowds)
	}
	require.Equal(t, waiters{order: ofAll}, turns.held)
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
		turns.leave(w.urgency)
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
		turns.leave(w.urgency)
	}
}
