package server

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newQueue() *turnQueue {
	q := newTurnQueue()
	return &q
}

// modelQueue is turnQueue as plain lists.
type modelQueue struct{ lanes [urgencies][]*waiter }

func (m *modelQueue) remove(w *waiter) {
	lane := &m.lanes[w.urgency]
	*lane = slices.DeleteFunc(*lane, func(o *waiter) bool { return o == w })
}

// expected returns the urgency whose turn is next, after so many picks.
func (m *modelQueue) expected(picks uint64) (urgency, bool) {
	if picks%browsingShare == browsingShare-2 && len(m.lanes[browsing]) > 0 {
		return browsing, true
	}
	if picks%buyingShare == buyingShare-1 && len(m.lanes[buying]) > 0 {
		return buying, true
	}
	for u := range m.lanes {
		if len(m.lanes[u]) > 0 {
			return urgency(u), true
		}
	}
	return 0, false
}

// passedOver is how often each caller of a lane was passed over for another since it was served or joined.
type passedOver map[callerID]map[callerID]int

// Whatever is pushed, picked and removed, in whatever order: the urgency that is due is served, from a caller the one
// that came first, and nobody is served twice while another caller of the same urgency waits. The earliest deadline is
// known, and nothing is kept of callers who no longer wait.
func TestTurnQueue(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		q, m := newQueue(), &modelQueue{}
		passed := [urgencies]passedOver{{}, {}, {}}
		callers := 1 + dice.IntN(6)
		start := time.Now()
		for range 300 {
			switch {
			case dice.IntN(2) == 0:
				w := &waiter{urgency: urgency(dice.IntN(int(urgencies))), rounds: 1,
					caller: callerID{key: dice.IntN(callers)}}
				if w.urgency != finishing {
					start = start.Add(time.Duration(dice.IntN(3)))
					w.deadline = start
				}
				if !slices.ContainsFunc(m.lanes[w.urgency], func(o *waiter) bool { return o.caller == w.caller }) {
					delete(passed[w.urgency], w.caller)
				}
				q.push(w)
				m.lanes[w.urgency] = append(m.lanes[w.urgency], w)
			case dice.IntN(5) == 0:
				lane := m.lanes[dice.IntN(int(urgencies))]
				if len(lane) > 0 {
					w := lane[dice.IntN(len(lane))]
					q.remove(w)
					m.remove(w)
				}
			default:
				if f := q.next(false); f != nil {
					require.Equal(t, finishing, f.urgency)
				} else {
					require.Empty(t, m.lanes[finishing])
				}
				w := q.next(true)
				require.Same(t, w, q.next(true))
				u, some := m.expected(q.picks)
				require.Equal(t, some, w != nil)
				if !some {
					continue
				}
				require.Equal(t, u, w.urgency)
				checkTurnOf(t, m, passed[u], w)
				q.pick(w, true)
				m.remove(w)
			}
			checkTurnQueue(t, q, m)
		}
	}
}

// checkTurnOf checks that w is the first of its caller, and that no other caller who waits is passed over twice for it.
func checkTurnOf(t *testing.T, m *modelQueue, passed passedOver, w *waiter) {
	waits := map[callerID]bool{}
	for _, o := range m.lanes[w.urgency] {
		if !waits[o.caller] && o.caller == w.caller {
			require.Same(t, o, w, "first come, first served")
		}
		waits[o.caller] = true
	}
	for caller := range passed {
		if !waits[caller] {
			delete(passed, caller)
		}
	}
	delete(passed, w.caller)
	for caller := range waits {
		if caller == w.caller {
			continue
		}
		if passed[caller] == nil {
			passed[caller] = map[callerID]int{}
		}
		passed[caller][w.caller]++
		require.LessOrEqual(t, passed[caller][w.caller], 1, "a caller is passed over")
	}
}

func checkTurnQueue(t *testing.T, q *turnQueue, m *modelQueue) {
	var deadlines []*waiter
	for u := range m.lanes {
		callers := map[callerID]bool{}
		for _, w := range m.lanes[u] {
			callers[w.caller] = true
			if !w.deadline.IsZero() {
				deadlines = append(deadlines, w)
			}
		}
		require.Equal(t, len(m.lanes[u]), q.lanes[u].count)
		require.Len(t, q.lanes[u].lines, len(callers))
		require.Equal(t, len(callers) == 0, q.lanes[u].at == nil)
	}
	slices.SortStableFunc(deadlines, func(a, b *waiter) int { return a.deadline.Compare(b.deadline) })
	var before *waiter
	for i, w := 0, q.aging.first; i < len(deadlines) || w != nil; i, w = i+1, w.links[ofAll].after {
		require.Less(t, i, len(deadlines))
		require.NotNil(t, w)
		require.Equal(t, deadlines[i].deadline, w.deadline)
		require.Same(t, before, w.links[ofAll].before)
		before = w
	}
	require.Same(t, before, q.aging.last)
	require.Len(t, deadlines, q.aging.count)
}

// served picks n requests and returns how many of them each caller had, by key.
func served(q *turnQueue, n int) map[int]int {
	by := map[int]int{}
	for range n {
		w := q.next(true)
		q.pick(w, true)
		by[w.caller.key]++
	}
	return by
}

// Of each urgency some are served while all wait.
func TestTurnShares(t *testing.T) {
	q := newQueue()
	for u := range urgencies {
		for range 64 {
			q.push(&waiter{urgency: u, rounds: 1, caller: callerID{key: int(u)}})
		}
	}
	require.Equal(t, map[int]int{int(finishing): 44, int(buying): 16, int(browsing): 4}, served(q, 64))
	require.Equal(t, map[int]int{int(finishing): 20, int(buying): 48, int(browsing): 60}, served(q, 2*64))
	require.Nil(t, q.next(true))
}

// While those who begin something have all turns that they may have, the turns of others do not count, so nobody
// starves however long each turn takes.
func TestTurnSharesWithoutTurnsForAll(t *testing.T) {
	for takes := range 20 {
		q := newQueue()
		for u := range urgencies {
			for range 1000 {
				q.push(&waiter{urgency: u, rounds: 1})
			}
		}
		var by [urgencies]int
		for busy := 0; by[buying]+by[browsing] < 20; busy-- {
			w := q.next(busy <= 0)
			q.pick(w, busy <= 0)
			if by[w.urgency]++; w.urgency != finishing {
				busy = takes
			}
		}
		require.Equal(t, 4, by[browsing], "each takes %d turns of others", takes)
	}
}

// Callers share the turns, however many requests each of them has waiting. A caller whose requests cost more, or who
// has a crowd waiting, is served less often; alone it is served all the time.
func TestTurnsAreShared(t *testing.T) {
	push := func(q *turnQueue, key, n, rounds int) {
		for range n {
			q.push(&waiter{urgency: buying, rounds: rounds, caller: callerID{key: key}})
		}
	}
	q := newQueue()
	push(q, 1, 200, 1)
	push(q, 2, 20, 1)
	require.Equal(t, map[int]int{1: 20, 2: 20}, served(q, 40))
	require.Equal(t, map[int]int{1: 180}, served(q, 180))

	q = newQueue()
	push(q, 1, 10, 10) // as batches of ten
	push(q, 2, 30, 1)
	require.Equal(t, map[int]int{1: 3, 2: 30}, served(q, 33))
	require.Equal(t, map[int]int{1: 7}, served(q, 7))

	q = newQueue()
	push(q, 1, 5000, 1)
	push(q, 2, 200, 1)
	push(q, 3, 200, 1)
	by := served(q, 430)
	require.Equal(t, map[int]int{1: 48, 2: 191, 3: 191}, by)
	require.Equal(t, 5000-48+9+9, served(q, 5000-48+9+9)[1]+18)
	require.Nil(t, q.next(true))
}

// However much all who wait owe, the next one is found at once: the one who owes least.
func TestTurnsOfWhoOwesMost(t *testing.T) {
	const most = 1 << 40 // too many for single steps
	q := newQueue()
	for key, rounds := range []int{most, most - 5, most + 5} {
		q.push(&waiter{urgency: buying, rounds: rounds, caller: callerID{key: key}})
		for range 20 {
			q.push(&waiter{urgency: buying, rounds: 1, caller: callerID{key: key}})
		}
	}
	require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1}, served(q, 3))
	require.Equal(t, map[int]int{1: 5}, served(q, 5))
	require.Equal(t, map[int]int{0: 5, 1: 5}, served(q, 10))
	require.Equal(t, map[int]int{0: 5, 1: 5, 2: 5}, served(q, 15))
}

// A crowd competes with the requests of other callers, not with its own caller's.
func TestTurnsBesideACrowd(t *testing.T) {
	q := newQueue()
	push := func(u urgency, key, n int) {
		for range n {
			q.push(&waiter{urgency: u, rounds: 1, caller: callerID{key: key}})
		}
	}
	push(buying, 1, crowd+100)
	push(finishing, 1, 20)
	push(browsing, 1, 20)
	served(q, 60)
	require.Zero(t, q.beside)
	push(buying, 2, 10)
	served(q, 60)
	require.EqualValues(t, 10, q.beside)
	served(q, 100)
	push(buying, 2, 10)
	served(q, 20)
	require.EqualValues(t, 10, q.beside, "the crowd is none any more")
}

// A caller whose expensive requests come one at a time, each when the last was served, is not served more often than
// one who has them waiting. What it owes is forgotten when nobody waits.
func TestTurnsAreSharedWithWhoComesAgain(t *testing.T) {
	q := newQueue()
	batch := &waiter{urgency: buying, rounds: 10, caller: callerID{key: 1}}
	q.push(batch)
	by := map[int]int{}
	for range 40 { // each of 40 others comes again at once, too
		q.push(&waiter{urgency: buying, rounds: 1, caller: callerID{key: 2}})
	}
	for range 33 {
		w := q.next(true)
		q.pick(w, true)
		by[w.caller.key]++
		if w == batch {
			q.push(batch)
		}
	}
	require.Equal(t, map[int]int{1: 3, 2: 30}, by)
	for w := q.next(true); w != nil; w = q.next(true) {
		q.pick(w, true)
	}
	require.Empty(t, q.lanes[buying].lines)
	q.push(batch)
	require.Same(t, batch, q.next(true))
}
