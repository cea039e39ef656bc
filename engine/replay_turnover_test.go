package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// A full table whose holds all end while a checkpoint is written, and make room for others that fill it again, has room
// for the replay. The checkpoint has the last ones, and the records after its start have those before.
func TestFullTableThatTurnsOverStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := forgetful(t)
		const room = 1000
		s.options.MaxReservations, s.options.MaxAccounts = room, room
		var ids []uuid.UUID
		duringCheckpoint(t, s, kept, func() { s.holds(t, room) }, func() {
			for range 3 {
				s.clock.ms.Add(s.options.TTL.Milliseconds())
				require.Equal(t, room, s.e.ExpireDue())
				s.clock.ms.Add(2 * time.Minute.Milliseconds())
				time.Sleep(5 * time.Second)
				synctest.Wait()
				ids = s.holds(t, room)
			}
		})
		require.NoError(t, s.Restart())
		require.Equal(t, room, s.e.Recovery().Reservations)
		var r engine.Reservation
		for _, id := range ids {
			require.NoError(t, s.e.Reservation(t.Context(), id, &r))
			require.Equal(t, engine.Held, r.State)
		}
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), s.options.Sale)
	})
}
