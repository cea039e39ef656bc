package order

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLink: a link names its outcome, whatever kind and index, and is never 0.
func TestLink(t *testing.T) {
	for _, kind := range []Kind{Took, Ended, Noted} {
		for _, index := range []uint32{1, 2, 1 << 29, MaxIndex} {
			o := Outcome{kind, index}
			require.NotZero(t, o.Link())
			require.Equal(t, o, o.Link().Outcome())
		}
	}
}

// rows is the memory that outcomes of all kinds have for their links.
type rows [3][]Link

func newRows(count int) (r rows) {
	for kind := range r {
		r[kind] = make([]Link, count+1)
	}
	return r
}

func (r *rows) below(o Outcome) *Link { return &r[o.Kind][o.Index] }

// taken returns the outcomes from the top down.
func (r *rows) taken(top Link) (found []Outcome) {
	for ; top != 0; top = *r.below(top.Outcome()) {
		found = append(found, top.Outcome())
	}
	return found
}

// TestOrder: a take gets what was pushed since the last one, the newest first, with the sequence of that one. Only the
// first push after a take finds the stack empty.
func TestOrder(t *testing.T) {
	const start = 1<<32 - 4
	var s Stack
	s.Resume(start)
	all, next := newRows(12), uint64(start)
	for round := range 4 {
		top, last := s.Take()
		require.Zero(t, top)
		require.Equal(t, next, last, "nothing was pushed since")
		var pushed []Outcome
		for n := range 3 * round {
			o := Outcome{Kind(n % 3), uint32(1 + n)}
			seq, first := s.Push(o.Link(), all.below(o))
			next++
			require.Equal(t, next, seq)
			require.Equal(t, n == 0, first)
			require.Equal(t, next, s.Last())
			pushed = append([]Outcome{o}, pushed...)
		}
		top, last = s.Take()
		require.Equal(t, pushed, all.taken(top))
		require.Equal(t, next, last)
		if round%2 == 0 { // the sequences are right whether or not the drainer has said how far it is
			s.Drained.Store(last)
		}
	}
}

// TestSequence: a count has its sequence whether the drainer is before it or, as the pusher stalled after its push,
// already past it, on both sides of 2^32.
func TestSequence(t *testing.T) {
	for _, drained := range []uint64{1 << 31, 1<<32 - 2, 1 << 32, 1<<40 + 1} {
		var s Stack
		s.Resume(drained)
		for _, seq := range []uint64{drained - 1<<31 + 1, drained - 3, drained, drained + 3, drained + 1<<31 - 1} {
			require.Equal(t, seq, s.sequence(uint32(seq)))
		}
	}
}

// TestPushes: one goroutine takes while callers push. Nothing is lost or doubled, each outcome is at the sequence that
// its push returned, and each take that finds outcomes has one that found the stack empty. The count of pushes passes
// 2^32 on the way.
func TestPushes(t *testing.T) {
	for _, start := range []uint64{0, 1<<32 - 5, 1<<40 - 3, math.MaxUint64>>1 - 3000} {
		const callers, pushes = 6, 2000
		var s Stack
		s.Resume(start)
		require.Equal(t, start, s.Last())
		all, sequences := newRows(callers*pushes), make([]uint64, callers*pushes+1)
		var firsts, running atomic.Int64
		var group sync.WaitGroup
		running.Store(callers)
		for i := range callers {
			group.Go(func() {
				defer running.Add(-1)
				for n := range pushes {
					o := Outcome{Kind(n % 3), uint32(1 + i*pushes + n)}
					seq, first := s.Push(o.Link(), all.below(o))
					sequences[o.Index] = seq
					if first {
						firsts.Add(1)
					}
				}
			})
		}
		var order []Outcome
		takes := 0
		for done := false; !done; {
			done = running.Load() == 0
			top, last := s.Take()
			found := all.taken(top)
			if len(found) > 0 {
				takes++
			}
			for i := range found {
				order = append(order, found[len(found)-1-i])
			}
			require.Equal(t, start+uint64(len(order)), last)
			s.Drained.Store(last)
		}
		group.Wait()
		require.Len(t, order, callers*pushes)
		require.EqualValues(t, takes, firsts.Load())
		seen := map[uint32]bool{}
		for i, o := range order {
			require.False(t, seen[o.Index], "twice")
			seen[o.Index] = true
			require.Equal(t, start+uint64(i)+1, sequences[o.Index], "the sequence that its push returned")
		}
	}
}

// TestPushAllocates nothing, and a take neither.
func TestPushAllocates(t *testing.T) {
	var s Stack
	all := newRows(1)
	o := Outcome{Ended, 1}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Push(o.Link(), all.below(o))
		_, last := s.Take()
		s.Drained.Store(last)
	}))
}
