package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// passes sleeps until passes of the reclaimer are over that began after this call. It runs in a bubble of synctest.
func passes() {
	for range 4 {
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
	}
}

// While the sale runs, what ended is forgotten Forget after its end. Then its id is unknown, and free for another
// reservation. Nothing of it comes back with a restart, with the journal alone and with a checkpoint.
func TestForgottenWhileTheSaleRuns(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { forgottenWhileTheSaleRuns(t, checkpoint) })
	}
}

func forgottenWhileTheSaleRuns(t *testing.T, checkpoint bool) {
	s, kept := forgetful(t)
	require.NoError(t, s.start())
	var r engine.Reservation
	reserve := func(n byte, account string) {
		require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: n}, Account: account,
			Lines: lines("S0/A", 1)}, &r))
		require.False(t, r.Repeated)
	}
	const released, returned, expired, confirmed, late = 1, 2, 3, 4, 5
	for n := byte(released); n <= late; n++ {
		reserve(n, fmt.Sprint("a", n))
	}
	require.NoError(t, s.e.Release(t.Context(), engine.ID{15: released}, &r))
	for _, n := range []byte{returned, confirmed, late} {
		require.NoError(t, s.e.Confirm(t.Context(), engine.ID{15: n}, "", &r))
	}
	require.NoError(t, s.e.Return(t.Context(), engine.ID{15: returned}, "", &r))
	s.clock.set(r.ExpiresAt)
	require.Equal(t, 1, s.e.ExpireDue())
	s.clock.set(r.ExpiresAt.Add(time.Minute))
	require.NoError(t, s.e.Return(t.Context(), engine.ID{15: late}, "", &r))
	known := func() (found []byte) {
		for n := byte(released); n <= late; n++ {
			if err := s.e.Reservation(t.Context(), engine.ID{15: n}, &r); codeOf(t, err) == "" {
				found = append(found, n)
			} else {
				require.Equal(t, engine.ReservationNotFound, codeOf(t, err))
			}
		}
		return found
	}

	s.clock.set(saleStart.Add(time.Hour))
	passes()
	require.Equal(t, []byte{released, returned, expired, confirmed, late}, known(), "not before its time")
	s.clock.set(saleStart.Add(time.Hour + time.Millisecond))
	passes()
	require.Equal(t, []byte{expired, confirmed, late}, known())
	s.clock.set(r.ExpiresAt.Add(time.Hour))
	passes()
	require.Equal(t, []byte{expired, confirmed, late}, known(), "not before its time")
	require.EqualValues(t, 2+2, s.e.Stats().Forgetting.FreedReservations, "with the sold rows that were returned")
	s.clock.set(r.ExpiresAt.Add(time.Hour + time.Millisecond))
	passes()
	require.Equal(t, []byte{confirmed, late}, known())
	s.clock.set(r.ExpiresAt.Add(time.Hour + time.Minute + time.Millisecond))
	closed := 0
	for range 6 { // an account takes three passes
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		got := s.e.Stats()
		closed += got.Forgetting.Closed
		require.Equal(t, got.Tables[1].Used, got.Accounts+got.Forgetting.Closed)
	}
	require.Positive(t, closed)
	require.Equal(t, []byte{confirmed}, known())

	got := s.e.Stats()
	require.Equal(t, map[engine.State]uint64{engine.Released: 1, engine.Returned: 2, engine.Expired: 1},
		got.Forgetting.Forgotten)
	require.Equal(t, map[engine.State]uint64{engine.Held: 0, engine.Confirmed: 1, engine.Released: 0, engine.Returned: 0,
		engine.Expired: 0}, got.Reservations)
	require.EqualValues(t, 2+4, got.Forgetting.FreedReservations)
	require.EqualValues(t, 4, got.Forgetting.FreedAccounts)
	require.Zero(t, got.Forgetting.Waiting)
	require.Zero(t, got.Forgetting.Grace)
	require.Equal(t, time.Hour, got.Forgetting.After)
	require.Equal(t, 1, got.Accounts)
	require.Zero(t, got.Forgetting.KeptAccounts)

	for n := byte(released); n <= expired; n++ {
		id := engine.ID{15: n}
		for _, err := range []error{s.e.Confirm(t.Context(), id, "", &r), s.e.ConfirmAgain(t.Context(), id, "", &r),
			s.e.Release(t.Context(), id, &r), s.e.Extend(t.Context(), id, s.clock.now().Add(time.Minute), &r),
			s.e.Reduce(t.Context(), id, lines("S0/A", 1), &r), s.e.Return(t.Context(), id, "", &r)} {
			require.Equal(t, engine.ReservationNotFound, codeOf(t, err))
		}
	}
	reserve(released, "bob") // another account: the id is free
	if checkpoint {
		_, err := s.e.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, s.Restart())
	require.Equal(t, []byte{released, confirmed}, known())
	require.NoError(t, s.e.Reservation(t.Context(), engine.ID{15: released}, &r))
	require.Equal(t, "bob", r.Account)
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
}

// Where over three quarters of a table are used, the time is half as long with every hundredth, and what ended first
// goes first. What was forgotten so early may be known again after a restart whose table has more room.
func TestForgottenEarlyWhereTheTableFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := forgetful(t)
		s.options.MaxReservations = 100
		require.NoError(t, s.start())
		var r engine.Reservation
		reserve := func(n byte) {
			require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: n}, Account: fmt.Sprint("a", n),
				Lines: lines("S0/A", 1)}, &r))
		}
		read := func(n byte) engine.Code { return codeOf(t, s.e.Reservation(t.Context(), engine.ID{15: n}, &r)) }
		for n := byte(1); n <= 2; n++ {
			reserve(n)
			require.NoError(t, s.e.Release(t.Context(), engine.ID{15: n}, &r))
			s.clock.ms.Add(1)
		}
		for n := byte(3); n <= 75; n++ {
			reserve(n)
		}
		require.Empty(t, read(2))
		s.clock.set(saleStart.Add(30*time.Minute + time.Millisecond))
		passes()
		require.Equal(t, time.Hour, s.e.Stats().Forgetting.After, "three quarters are used")
		require.Equal(t, [2]engine.Code{}, [2]engine.Code{read(1), read(2)})

		reserve(76)
		require.Equal(t, 30*time.Minute, s.e.Stats().Forgetting.After)
		passes()
		require.Equal(t, [2]engine.Code{engine.ReservationNotFound, ""}, [2]engine.Code{read(1), read(2)})
		require.Equal(t, time.Hour, s.e.Stats().Forgetting.After, "a row came back")
		for n := byte(77); n <= 80; n++ {
			reserve(n)
		}
		require.Equal(t, time.Hour>>4, s.e.Stats().Forgetting.After)
		passes()
		require.Equal(t, engine.ReservationNotFound, read(2))
		for n := byte(81); n <= 95; n++ {
			reserve(n)
		}
		require.Equal(t, time.Minute, s.e.Stats().Forgetting.After, "callers repeat their calls for so long")

		s.options.MaxReservations = 1000
		require.NoError(t, s.Restart())
		require.Equal(t, [2]engine.Code{}, [2]engine.Code{read(1), read(2)})
		require.Equal(t, engine.Released, r.State)
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), s.options.Sale)
	})
}

// With a full table, calls that take a row are refused, and those that end a hold are not.
func TestFullTableRefusesWhatTakesARow(t *testing.T) {
	s := newSeller(stressSale(t, 1, 100), nil)
	s.options.MaxReservations = 3
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	for n := byte(1); n <= 3; n++ {
		require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{ID: engine.ID{15: n}, Account: "ann",
			Lines: lines("S0/A", 2)}, &r))
	}
	full := func(err error) {
		var refusal *engine.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, [2]string{"full", "reservations"}, [2]string{string(refusal.Code), refusal.Table})
	}
	full(s.e.Reserve(t.Context(), &engine.Request{Account: "bob", Lines: lines("S0/A", 1)}, &r))
	full(s.e.Extend(t.Context(), engine.ID{15: 1}, s.clock.now().Add(time.Minute), &r))
	full(s.e.Reduce(t.Context(), engine.ID{15: 1}, lines("S0/A", 1), &r))
	require.NoError(t, s.e.Confirm(t.Context(), engine.ID{15: 1}, "paid", &r))
	require.NoError(t, s.e.Release(t.Context(), engine.ID{15: 2}, &r))
	full(s.e.Return(t.Context(), engine.ID{15: 1}, "", &r))
	require.NoError(t, s.e.Close())
}

// Sizes and times that make no sense are refused, and the least ones accepted.
func TestOptionsOfWhatIsRemembered(t *testing.T) {
	open := func(forget time.Duration, reservations, accounts int) error {
		s := newSeller(stressSale(t, 1, 100), nil)
		s.options.Forget, s.options.MaxReservations, s.options.MaxAccounts = forget, reservations, accounts
		err := s.start()
		if err == nil {
			require.NoError(t, s.e.Close())
		}
		return err
	}
	require.NoError(t, open(time.Second, 1, 1))
	for _, forget := range []time.Duration{-time.Hour, 1, time.Second - 1} {
		require.EqualError(t, open(forget, 1, 1),
			fmt.Sprintf("what has ended is forgotten after %v: use 1s or more, and more than callers retry", forget))
	}
	require.EqualError(t, open(0, -1, 1), "room for -1 reservations: 1 to 1073741823 are supported")
	require.EqualError(t, open(0, 1<<30, 1), "room for 1073741824 reservations: 1 to 1073741823 are supported")
	require.EqualError(t, open(0, 1, -1), "room for -1 accounts: 1 to 2147483647 are supported")
	require.EqualError(t, open(0, 1, 1<<31), "room for 2147483648 accounts: 1 to 2147483647 are supported")
}
