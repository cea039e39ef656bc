package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// troubled is a journal in memory whose store reports what the test sets.
type troubled struct {
	*memory
	condition *atomic.Pointer[journal.Condition]
	withheld  *atomic.Pointer[error]
}

func (t troubled) Condition() journal.Condition { return *t.condition.Load() }

func (t troubled) Withheld() error {
	if err := t.withheld.Load(); err != nil {
		return *err
	}
	return nil
}

// TestTroubleOfTheStore (I5): while the store withholds acknowledgements, calls are refused and take nothing. Ready
// has the reason, also of a journal that does not respond.
func TestTroubleOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newStore()
		j := troubled{condition: &atomic.Pointer[journal.Condition]{}, withheld: &atomic.Pointer[error]{}}
		j.condition.Store(&journal.Condition{})
		s := newSeller(stressSale(t, 1, 100), func() (journal.Backend, error) { j.memory = kept.open(); return j, nil })
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		reserve := func() error {
			var r engine.Reservation
			return s.e.Reserve(t.Context(), &engine.Request{ID: uuid.New(), Account: "ann", Lines: lines("S0/A", 1)}, &r)
		}
		require.NoError(t, reserve())

		unsafe := fmt.Errorf("%w: it does not sync", journal.ErrUnsafe)
		j.withheld.Store(&unsafe)
		require.Equal(t, engine.JournalUnavailable, codeOf(t, reserve()))
		require.Equal(t, engine.Stock{Capacity: 100, Available: 99, Held: 1}, s.e.Stock(0))
		require.Equal(t, unsafe, s.e.Ready())
		require.Equal(t, unsafe, s.e.Stats().Journal.Err)
		j.withheld.Store(nil)
		require.NoError(t, reserve())
		require.NoError(t, s.e.Ready())

		responds := make(chan struct{})
		kept.before = func(context.Context, journal.Group) error { <-responds; return nil }
		require.Equal(t, engine.JournalUnavailable, codeOf(t, reserve()))
		require.Equal(t, journal.ErrStalled, s.e.Ready())
		full := errors.New("out of memory")
		j.condition.Store(&journal.Condition{Retrying: full, Resent: 7})
		require.ErrorIs(t, s.e.Ready(), journal.ErrStalled)
		require.ErrorIs(t, s.e.Ready(), full)
		require.EqualValues(t, 7, s.e.Condition().Resent)
		close(responds)
		synctest.Wait()
		require.NoError(t, s.e.Ready())
		require.NoError(t, s.e.Close())
	})
}

// TestWithheldIsNoEnd (I6, I8): a leader whose store acknowledges nothing for a while still leads, since its writer
// goes on. No supervisor is told to restart it, and nothing is written out of its memory while that changes.
func TestWithheldIsNoEnd(t *testing.T) {
	kept := newStore()
	j := troubled{memory: kept.open(), condition: &atomic.Pointer[journal.Condition]{},
		withheld: &atomic.Pointer[error]{}}
	s := newSeller(stressSale(t, 1, 100), func() (journal.Backend, error) { return j, nil })
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	unsafe := fmt.Errorf("%w: it does not sync", journal.ErrUnsafe)
	j.withheld.Store(&unsafe)
	require.Equal(t, unsafe, s.e.Ready())
	require.NoError(t, s.e.Failed())
	require.True(t, s.e.Leads())
	require.True(t, s.e.Stats().Leads)
	_, err := s.e.CheckConservation(t.Context())
	require.NoError(t, err)
	_, err = s.e.Rescue(t.Context(), func(uint64) (journal.Checkpoint, error) {
		require.FailNow(t, "a state that still changes is written")
		return nil, nil
	})
	require.ErrorIs(t, err, engine.ErrJournalWorks)
	require.NoError(t, s.e.Close())
}
