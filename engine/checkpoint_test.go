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
)

// busy is a journal during whose checkpoints the sale goes on: each piece that is written is followed by calls.
type busy struct {
	*memory
	calls func()
}

func (b *busy) Checkpoint(ctx context.Context, start uint64) (journal.Checkpoint, error) {
	c, err := b.memory.Checkpoint(ctx, start)
	return &busyCheckpoint{Checkpoint: c, calls: b.calls}, err
}

type busyCheckpoint struct {
	journal.Checkpoint
	calls func()
}

func (c *busyCheckpoint) Write(chunk []byte) error {
	err := c.Checkpoint.Write(chunk)
	c.calls()
	return err
}

// A checkpoint ends however fast the sale goes on: it writes the reservations that there were when it began, and not
// those that are made after each of its pieces.
func TestCheckpointDoesNotChaseTheSale(t *testing.T) {
	kept := newStore()
	s := newSeller(stressSale(t, 1, 1_000_000), nil)
	next := 0
	ops := make([]engine.Op, 1000)
	hold := func() {
		for i := range ops {
			next++
			ops[i] = engine.Op{Kind: engine.OpReserve, Request: engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", next),
				Lines: lines("S0/A", 1)}}
		}
		s.e.Batch(t.Context(), ops)
		for i := range ops {
			require.NoError(t, ops[i].Err)
		}
	}
	pieces := 0
	s.open = func() (journal.Backend, error) {
		return &busy{memory: kept.open(), calls: func() {
			if pieces++; pieces < 50 { // a piece has fewer than a thousand reservations
				hold()
			}
		}}, nil
	}
	s.options.Durability = engine.Sync
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	hold()
	hold()
	report, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2000, report.Reservations)
	require.Less(t, pieces, 10)
	sold := next
	require.NoError(t, s.Restart())
	require.Equal(t, sold, s.e.Stock(0).Held)
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), s.options.Sale)
}

// fullDisk is a journal whose checkpoints find no room, and whose groups find none once failing is set.
type fullDisk struct {
	*memory
	checkpoints int
	failing     bool
}

func (f *fullDisk) Checkpoint(context.Context, uint64) (journal.Checkpoint, error) {
	f.checkpoints++
	return nil, journal.ErrFull
}

func (f *fullDisk) Append(ctx context.Context, g journal.Group) error {
	if f.failing {
		return journal.ErrFull
	}
	return f.memory.Append(ctx, g)
}

// TestFullDiskOfTheJournal: a checkpoint that finds no room does not stop the sale, and is tried again after a pause.
// When a group finds none, the engine has failed for good.
func TestFullDiskOfTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{memory: newStore().open()}
		s := newSeller(stressSale(t, 1, 1000), func() (journal.Backend, error) { return disk, nil })
		s.options.Durability, s.options.CheckpointAfter = engine.Sync, 10
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		account := 0
		reserve := func() error {
			account++
			return s.e.Reserve(t.Context(), &engine.Request{ID: uuid.New(), Account: fmt.Sprint("a", account),
				Lines: lines("S0/A", 1)}, &engine.Reservation{})
		}
		for range 10 {
			require.NoError(t, reserve())
		}
		time.Sleep(40 * time.Second) // without further records
		synctest.Wait()
		require.GreaterOrEqual(t, disk.checkpoints, 3, "in forty seconds")
		require.LessOrEqual(t, disk.checkpoints, 5, "in forty seconds")
		require.NoError(t, s.e.Failed())
		disk.failing = true
		require.Error(t, reserve())
		require.ErrorIs(t, s.e.Failed(), journal.ErrFull)
		require.ErrorIs(t, s.e.Ready(), journal.ErrFull)
		require.Error(t, s.e.Close())
	})
}

// After a takeover, what a restart would replay is counted from the checkpoint that the standby has read.
func TestToReplayAfterTakeover(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.leader("a")
		for range 10 {
			a.sell()
		}
		report, err := a.Checkpoint(c.Context())
		require.NoError(c, err)
		require.Zero(c, a.Stats().Journal.ToReplay)
		sold := a.sell()
		b := c.standby("b")
		time.Sleep(2 * beat)
		require.Equal(c, "held", b.state(sold))
		a.close()
		b.requireLeads()
		journal := b.Stats().Journal
		require.Equal(c, journal.Durable-report.Start, journal.ToReplay)
		b.close()
	})
}
