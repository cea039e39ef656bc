package handshake

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// However takes, timeouts, ends and releases race, no more slots are held than there are, and none is lost.
func TestSlotsAreConserved(t *testing.T) {
	const limit, callers, rounds = 3, 32, 300
	seed := rand.Uint64()
	t.Log("seed", seed)
	s := slots{free: limit}
	var held, taken, failed atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			w := newWaiter(uint64(i))
			for range rounds {
				ended := make(chan struct{})
				wait := time.Duration(r.IntN(50)) * time.Microsecond
				if r.IntN(4) == 0 {
					go close(ended)
				}
				if _, err := s.take(&w, wait, ended); err != nil {
					failed.Add(1)
					continue
				}
				if held.Add(1) > limit {
					t.Error("more slots are held than there are")
				}
				taken.Add(1)
				for range r.IntN(8) {
					runtime.Gosched() // computes
				}
				held.Add(-1)
				s.release()
			}
		})
	}
	all.Wait()
	t.Log("taken", taken.Load(), "failed", failed.Load())
	require.Equal(t, limit, s.free)
	require.Empty(t, s.queue)
	require.EqualValues(t, callers*rounds, taken.Load()+failed.Load())
	require.Positive(t, taken.Load())
	require.Positive(t, failed.Load())
}

// A slot that rests goes to nobody until its pause is over, and then to the waiter that arrived first.
func TestSlotsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slots{free: 1}
		first, second := newWaiter(1), newWaiter(2)
		waited, err := s.take(&second, time.Second, nil)
		require.NoError(t, err)
		require.False(t, waited)
		s.rest(3 * time.Millisecond)
		began := time.Now()
		waited, err = s.take(&first, time.Second, nil)
		require.NoError(t, err)
		require.True(t, waited)
		require.Equal(t, 3*time.Millisecond, time.Since(began))
		s.rest(0)
		require.Equal(t, 1, s.free)
	})
}
