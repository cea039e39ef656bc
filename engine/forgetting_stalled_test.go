package engine_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/saleclock"
)

// A call announces itself before it reads the clock, so no id becomes free for a call that read it before the
// reservation with the id ended. The audit and a replay rely on that: of two reservations under one id, the second is
// created after the end of the first.
func TestIDIsNotFreeForWhoReadTheClockBefore(t *testing.T) {
	synctest.Test(t, idIsNotFreeForWhoReadTheClockBefore)
}

func idIsNotFreeForWhoReadTheClockBefore(t *testing.T) {
	s, kept := forgetful(t)
	var stall atomic.Bool
	goOn := make(chan struct{})
	s.options.Clock = saleclock.Virtual(func() time.Time {
		now := s.clock.now()
		if stall.CompareAndSwap(true, false) {
			<-goOn
		}
		return now
	})
	require.NoError(t, s.start())
	id := engine.ID{15: 1}
	var r engine.Reservation
	reserve := func(account string, r *engine.Reservation) engine.Code {
		return codeOf(t, s.e.Reserve(t.Context(), &engine.Request{ID: id, Account: account, Lines: lines("S0/A", 1)}, r))
	}

	time.Sleep(time.Millisecond) // the reclaimer has read the clock at its start, and rests for longer
	synctest.Wait()
	stall.Store(true)
	var stalled engine.Code
	go func() { stalled = reserve("bob", &engine.Reservation{}) }()
	synctest.Wait()
	require.False(t, stall.Load(), "bob's call has read the clock")
	require.Empty(t, reserve("ann", &r))
	require.NoError(t, s.e.Release(t.Context(), id, &r), "in the same millisecond")
	s.clock.ms.Add(2 * time.Hour.Milliseconds())
	passes()
	require.NoError(t, s.e.Reservation(t.Context(), id, &r))
	require.Equal(t, engine.Released, r.State)

	close(goOn)
	synctest.Wait()
	require.Equal(t, engine.IDReused, stalled)
	passes()
	require.Empty(t, reserve("bob", &r))
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
}
