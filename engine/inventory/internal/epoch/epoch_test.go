package epoch

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGrace: a grace period waits for the calls that ran when it began, whatever phase they read, and for no other.
func TestGrace(t *testing.T) {
	var e Epoch
	first, second := e.Grace(), e.Grace()
	first.Begin()
	require.True(t, first.Passed(), "no call runs")
	old := e.Begin(3)
	first.Begin()
	require.False(t, first.Passed())
	next := e.Begin(3)
	second.Begin()
	require.False(t, first.Passed())
	require.False(t, second.Passed())
	old.End()
	require.True(t, first.Passed())
	require.False(t, second.Passed())
	next.End()
	later := e.Begin(4)
	require.True(t, second.Passed())
	later.End()
}

// TestPhasesOfOthers: a user that others overtake has passed after three phases, though it never sees a counter at
// zero itself.
func TestPhasesOfOthers(t *testing.T) {
	var e Epoch
	slow, busy := e.Grace(), e.Grace()
	slow.Begin()
	for range 3 {
		call := e.Begin(0)
		busy.Begin()
		for range 2 {
			busy.Passed()
		}
		call.End()
		require.True(t, busy.Passed())
	}
	call, other := Call{&e.running[0][0].calls}, Call{&e.running[0][1].calls}
	call.calls.Add(1)
	other.calls.Add(1)
	require.True(t, slow.Passed())
	call.End()
	other.End()
}

// TestAGivenUpGrace: a user that gives up in the middle of a grace period and never asks again delays no other, also
// where the phases wrap around. The other one still waits for every call that ran when it began.
func TestAGivenUpGrace(t *testing.T) {
	for _, first := range []uint32{0, 1<<32 - 3, 1<<32 - 2, 1<<32 - 1} {
		var e Epoch
		e.phase.Store(first)
		for range 4 {
			old := e.Begin(1)
			givenUp := e.Grace()
			givenUp.Begin()
			require.False(t, givenUp.Passed()) // it has begun another phase
			other := e.Grace()
			other.Begin()
			require.False(t, other.Passed())
			old.End()
			next := e.Begin(2)
			last := e.Grace()
			last.Begin()
			require.False(t, last.Passed())
			next.End()
			require.True(t, other.Passed())
			require.True(t, last.Passed())
		}
		require.Greater(t, e.phase.Load()-first, uint32(3), "they wrap around")
	}
}

// TestGraceOfTwoUsers: two users wait in turn or at a time, while calls keep coming. A word that a user has withdrawn
// before its grace period is seen by no call after it.
func TestGraceOfTwoUsers(t *testing.T) {
	const users, callers, periods = 2, 4, 2000
	var e Epoch
	var words [users]atomic.Uint32 // shown to calls; 0 while it is withdrawn
	var stands [users][callers]atomic.Bool
	var waiting, calls sync.WaitGroup
	var over atomic.Bool
	for c := range callers {
		calls.Go(func() {
			for n := uint32(0); !over.Load(); n++ {
				call := e.Begin(uint32(c)*32 + n%2)
				for u := range words {
					if words[u].Load() != 0 {
						stands[u][c].Store(true)
					}
				}
				if n%64 == 0 {
					runtime.Gosched()
				}
				for u := range words {
					stands[u][c].Store(false)
				}
				call.End()
			}
		})
	}
	for u := range users {
		waiting.Go(func() {
			g := e.Grace()
			for range periods {
				words[u].Store(1)
				runtime.Gosched()
				words[u].Store(0)
				g.Begin()
				for !g.Passed() {
					runtime.Gosched()
				}
				for c := range callers {
					require.False(t, stands[u][c].Load(), "a call stands on what was withdrawn")
				}
			}
		})
	}
	waiting.Wait()
	over.Store(true)
	calls.Wait()
}
