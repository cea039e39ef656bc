package engine_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// TestRescueKeepsWhatWasAllowed (I2): what was rightly taken before a cap was lowered is no corruption in the journal
// that Rescue writes, either, and the definition there is in force since it was.
func TestRescueKeepsWhatWasAllowed(t *testing.T) {
	l := newLimitsSale(t)
	_, refusal := l.reserve("ann", "ones", ticketsOf("A", 4), ticketsOf("B", 2))
	require.Nil(t, refusal)
	l.restart(false, func(d *spec.Definition) { d.Programmes[0].AccountCap, d.Programmes[0].SessionLimit = 5, 3 })
	l.sound("ann", 6, 0)
	l.kept.before = func(context.Context, journal.Group) error { return journal.ErrGone }
	_, refusal = l.reserve("bob", "ones", ticketsOf("A", 1))
	require.Equal(t, engine.JournalUnavailable, refusal.Code)

	saved := newStore()
	_, err := l.s.e.Rescue(t.Context(), func(last uint64) (journal.Checkpoint, error) {
		return saved.open().Checkpoint(t.Context(), last)
	})
	require.NoError(t, err)
	require.Error(t, l.s.e.Close())
	l.kept = saved
	l.start()
	l.sound("ann", 6, 0)
	require.Empty(t, saved.groups, "the definition is in force already")
	require.NoError(t, l.s.e.Close())
}

// Rescue writes what is in force: versions, stock and pauses. A server that begins with that shows the same.
func TestRescueAfterChanges(t *testing.T) {
	kept := newStore()
	s := sellerOn(stressSale(t, 2, 10), kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	versionStory(t, s, func() {})
	require.NoError(t, s.e.Pause(t.Context(), engine.Pausable{Session: "S0"}, true))
	held, err := s.hold("bob", "S1", 1)
	require.NoError(t, err)
	shown := inForceOf(t, s.e)
	kept.before = func(context.Context, journal.Group) error { return journal.ErrGone }
	require.Error(t, s.e.Extend(t.Context(), held, saleStart.Add(time.Minute), &engine.Reservation{}))
	saved := newStore()
	_, err = s.e.Rescue(t.Context(), func(last uint64) (journal.Checkpoint, error) {
		return saved.open().Checkpoint(t.Context(), last)
	})
	require.NoError(t, err)
	require.ErrorIs(t, s.e.Close(), journal.ErrGone)
	again := sellerOn(s.options.Sale, saved)
	again.clock.set(saleStart)
	require.NoError(t, again.start())
	require.Equal(t, shown, inForceOf(t, again.e))
	require.Equal(t, 4, again.e.Recovery().Sale.Version)
	require.NoError(t, again.e.Close())
	verify(t, saved.open(), nil)
}

// hanging is a journal whose checkpoints hang, as with a Redis that does not respond, until their context ends.
type hanging struct {
	*memory
	begun chan struct{}
}

func (h *hanging) Checkpoint(ctx context.Context, start uint64) (journal.Checkpoint, error) {
	c, err := h.memory.Checkpoint(ctx, start)
	return &hangingCheckpoint{Checkpoint: c, ctx: ctx, begun: h.begun}, err
}

type hangingCheckpoint struct {
	journal.Checkpoint
	ctx   context.Context
	begun chan struct{}
}

func (c *hangingCheckpoint) Write([]byte) error {
	c.begun <- struct{}{}
	<-c.ctx.Done()
	return c.ctx.Err()
}

// TestHangingCheckpoint: a checkpoint that hangs holds up neither Close nor, once the journal has failed, Rescue.
func TestHangingCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newStore()
		j := &hanging{begun: make(chan struct{})}
		s := newSeller(stressSale(t, 1, 1000), func() (journal.Backend, error) { j.memory = kept.open(); return j, nil })
		s.options.CheckpointAfter = 1
		s.clock.set(saleStart)
		reserve := func() error {
			q := engine.Request{ID: uuid.New(), Account: "ann", Lines: lines("S0/A", 1)}
			return s.e.Reserve(t.Context(), &q, &engine.Reservation{})
		}
		finish := func(what string, do func()) {
			done := make(chan struct{})
			go func() { do(); close(done) }()
			select {
			case <-done:
			case <-time.After(time.Minute):
				require.FailNow(t, what+" hangs")
			}
		}
		require.NoError(t, s.start())
		require.NoError(t, reserve())
		<-j.begun
		finish("Close", func() { require.NoError(t, s.e.Close()) })

		require.NoError(t, s.start())
		require.NoError(t, reserve())
		<-j.begun
		kept.before = func(context.Context, journal.Group) error { return journal.ErrGone }
		require.Error(t, reserve())
		require.ErrorIs(t, s.e.Failed(), journal.ErrGone)
		saved := newStore()
		finish("Rescue", func() {
			_, err := s.e.Rescue(t.Context(), func(last uint64) (journal.Checkpoint, error) {
				return saved.open().Checkpoint(t.Context(), last)
			})
			require.NoError(t, err)
		})
		require.Len(t, saved.checkpoints, 1)
		require.ErrorIs(t, s.e.Close(), journal.ErrGone)
	})
}

// slowly is a checkpoint to which a piece takes a second.
type slowly struct {
	journal.Checkpoint
	pieces int
}

func (s *slowly) Write(chunk []byte) error {
	s.pieces++
	time.Sleep(time.Second)
	return s.Checkpoint.Write(chunk)
}

// TestRescueDoesNotPause: nothing is sold while the only copy of the sale is written, so nothing is waited for, and the
// caller may give up.
func TestRescueDoesNotPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newStore()
		s := newSeller(stressSale(t, 1, 10_000), func() (journal.Backend, error) { return kept.open(), nil })
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		ops := make([]engine.Op, 2000)
		for i := range ops {
			ops[i] = engine.Op{Kind: engine.OpReserve, Request: engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", i),
				Lines: lines("S0/A", 1)}}
		}
		s.e.Batch(t.Context(), ops)
		require.NoError(t, ops[len(ops)-1].Err)
		kept.before = func(context.Context, journal.Group) error { return journal.ErrGone }
		require.Error(t, s.e.Release(t.Context(), ops[0].Request.ID, &engine.Reservation{}))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var to *slowly
		begin := func(last uint64) (journal.Checkpoint, error) {
			c, err := newStore().open().Checkpoint(t.Context(), last)
			to = &slowly{Checkpoint: c}
			return to, err
		}
		_, err := s.e.Rescue(ctx, begin)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		began := time.Now()
		report, err := s.e.Rescue(t.Context(), begin)
		require.NoError(t, err)
		require.Equal(t, 2000, report.Reservations)
		require.Greater(t, to.pieces, 2)
		require.Equal(t, time.Duration(to.pieces)*time.Second, time.Since(began))
		require.Error(t, s.e.Close())
	})
}
