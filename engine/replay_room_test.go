package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// holds reserves one ticket for each of n new accounts, and returns the ids.
func (s *seller) holds(t *testing.T, n int) (ids []uuid.UUID) {
	var r engine.Reservation
	for range n {
		id := uuid.New()
		q := engine.Request{ID: id, Account: longAccount(id), Lines: lines("S0/A", 1)}
		require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
		ids = append(ids, id)
	}
	return ids
}

// longAccount is an account for the id, so long that checkpoints have many pieces.
func longAccount(id uuid.UUID) string { return fmt.Sprintf("%064s", id) }

// A replay uses rows and accounts again, so that it needs no more room than what is remembered.
func TestReplayMakesRoom(t *testing.T) {
	s, kept := forgetful(t)
	require.NoError(t, s.start())
	var r engine.Reservation
	for range 40 {
		for _, id := range s.holds(t, 3) {
			require.NoError(t, s.e.Release(t.Context(), id, &r))
		}
		s.clock.ms.Add(2 * time.Hour.Milliseconds())
	}
	last := s.holds(t, 2)
	s.options.MaxReservations, s.options.MaxAccounts = 3, 3
	require.NoError(t, s.Restart())
	for _, id := range last {
		require.NoError(t, s.e.Reservation(t.Context(), id, &r))
		require.Equal(t, engine.Held, r.State)
	}
	require.Equal(t, [2]int{2, 2}, [2]int{s.e.Stats().Tables[0].Used, s.e.Stats().Tables[1].Used})
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
}

// duringCheckpoint writes a checkpoint, and makes the calls after its first piece, which has the first rows only.
func duringCheckpoint(t *testing.T, s *seller, kept *store, before, calls func()) {
	open := s.open
	once := func() {
		calls()
		calls = func() {}
	}
	s.open = func() (journal.Backend, error) { return &busy{memory: kept.open(), calls: func() { once() }}, nil }
	require.NoError(t, s.start())
	before()
	_, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(kept.checkpoints[0].chunks), 1)
	s.open = open
}

// A checkpoint may have two rows of one id: of a reservation that was forgotten while the checkpoint was written, and
// of the one that has the id since. The second one counts.
func TestCheckpointHasTwoReservationsOfOneID(t *testing.T) {
	for _, ended := range []bool{false, true} { // when its row is written
		for _, state := range []engine.State{engine.Held, engine.Confirmed, engine.Released} { // of the second
			t.Run(fmt.Sprint("ended=", ended, "/", state), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { twoOfOneID(t, ended, state) })
			})
		}
	}
}

func twoOfOneID(t *testing.T, ended bool, state engine.State) {
	s, kept := forgetful(t)
	var r engine.Reservation
	var ids []uuid.UUID
	release := func(id uuid.UUID) { require.NoError(t, s.e.Release(t.Context(), id, &r)) }
	duringCheckpoint(t, s, kept, func() {
		ids = s.holds(t, 1000)
		if ended {
			release(ids[0])
			release(ids[900])
		}
	}, func() {
		if !ended {
			release(ids[0])
			release(ids[900])
		}
		s.clock.ms.Add(2 * time.Hour.Milliseconds())
		time.Sleep(2 * time.Minute) // the reclaimer makes two passes
		synctest.Wait()
		require.Equal(t, engine.ReservationNotFound, codeOf(t, s.e.Reservation(t.Context(), ids[0], &r)))
		s.holds(t, 1) // in the row of the first, which is written
		require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: ids[0], Account: "bob",
			Lines: lines("S0/A", 2)}, &r)) // in that of the 901st
		switch state {
		case engine.Confirmed:
			require.NoError(t, s.e.Confirm(t.Context(), ids[0], "paid", &r))
		case engine.Released:
			release(ids[0])
		}
	})
	require.NoError(t, s.e.Flush(t.Context()))
	rows := 0
	checkpoint, _ := kept.records(t)
	for _, one := range checkpoint {
		if one.Kind == record.KindReservation && one.Request.ID == inventory.ID(ids[0]) {
			rows++
		}
	}
	require.Equal(t, 2, rows)
	verify(t, kept.open(), s.options.Sale)
	require.NoError(t, s.Restart())
	require.NoError(t, s.e.Reservation(t.Context(), ids[0], &r))
	require.Equal(t, "bob", r.Account)
	require.Equal(t, state, r.State)
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
}

// A table that was filled up while a checkpoint was written has room for the replay. The checkpoint may have a
// reservation as it was before a change, and also what came into its former row later.
func TestFullTableStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := forgetful(t)
		const room = 1000
		s.options.MaxReservations = room
		var r engine.Reservation
		var ids []uuid.UUID
		extend := func(i, minutes int) {
			require.NoError(t, s.e.Reservation(t.Context(), ids[i], &r))
			require.NoError(t, s.e.Extend(t.Context(), ids[i], r.CreatedAt.Add(time.Duration(minutes)*time.Minute), &r))
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
		}
		duringCheckpoint(t, s, kept, func() {
			ids = s.holds(t, room-1)
			extend(900, 10) // its row is free
		}, func() {
			extend(0, 10) // into that one
			extend(0, 11) // back into its own, which is written
			s.holds(t, 1) // into the one of the 901st again
			require.Equal(t, room, s.e.Stats().Tables[0].Used)
		})
		require.NoError(t, s.Restart())
		require.NoError(t, s.e.Reservation(t.Context(), ids[0], &r))
		require.Equal(t, 11*time.Minute, r.ExpiresAt.Sub(r.CreatedAt))
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), s.options.Sale)
	})
}
