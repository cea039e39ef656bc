package engine_test

import (
	"fmt"
	"testing"

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
