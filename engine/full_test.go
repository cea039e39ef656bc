package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// A full table of reservations refuses with its name, however many unknown accounts ask. They take no room in the table
// of accounts, so nobody is refused because of them once there is room.
func TestFullTableLeavesNoAccounts(t *testing.T) {
	s := newSeller(stressSale(t, 1, 100_000), nil)
	const room = 10
	s.options.MaxReservations, s.options.MaxAccounts = room, 2*room
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	s.holds(t, room)
	var refusal *engine.Refusal
	for i := range 10 * room {
		err := s.e.Reserve(t.Context(), &engine.Request{Account: fmt.Sprint("a", i), Lines: lines("S0/A", 1)}, &r)
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, engine.Full, refusal.Code)
		require.Equal(t, "reservations", refusal.Table)
		require.Equal(t, room, s.e.Stats().Tables[1].Used)
	}
	require.NoError(t, s.e.Close())
}

// A full table has room again soon after what ended may be forgotten, also where that is as soon as it can be. No rows
// are claimed meanwhile, which would begin a pass.
func TestFullTableHasRoomSoon(t *testing.T) {
	for _, forget := range []time.Duration{time.Second, time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := forgetful(t)
			const room = 100
			s.options.Forget, s.options.MaxReservations = forget, room
			require.NoError(t, s.start())
			s.holds(t, room)
			s.clock.ms.Add(s.options.TTL.Milliseconds())
			require.Equal(t, room, s.e.ExpireDue())
			time.Sleep(time.Second)
			require.Equal(t, room, s.e.Stats().Tables[0].Used)
			s.clock.ms.Add(min(forget, time.Minute).Milliseconds() + 1)
			time.Sleep(time.Second)
			s.holds(t, room)
			require.NoError(t, s.e.Close())
		})
	}
}
