package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// backlogged is a seller with a small backlog, whose journal waits for a test.
type backlogged struct {
	*seller
	t    *testing.T
	gate chan struct{} // closed: groups become durable
	next int
}

const smallBacklog = 64

// newBacklogged opens an engine that answers before the sync, so that one goroutine can fill the backlog.
func newBacklogged(t *testing.T) *backlogged {
	kept := newStore()
	b := &backlogged{t: t, gate: make(chan struct{})}
	close(b.gate)
	kept.before = func(ctx context.Context, _ journal.Group) error {
		select {
		case <-b.gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.seller = newSeller(stressSale(t, 1, 100_000), func() (journal.Backend, error) { return kept.open(), nil })
	b.options.Backlog, b.options.Durability, b.options.JournalTimeout = smallBacklog, engine.Async, time.Hour
	b.clock.set(saleStart)
	require.NoError(t, b.start())
	return b
}

// stop makes the journal wait. Nothing is in flight then.
func (b *backlogged) stop() {
	require.NoError(b.t, b.e.Flush(b.t.Context()))
	b.gate = make(chan struct{})
}

func (b *backlogged) resume() { close(b.gate) }

func (b *backlogged) reserve(r *engine.Reservation) engine.Code {
	b.next++
	q := engine.Request{ID: uuid.New(), Account: fmt.Sprint("account-", b.next),
		Lines: lines("S0/A", 1)}
	return codeOf(b.t, b.e.Reserve(b.t.Context(), &q, r))
}

// hold makes n holds, each of which becomes durable.
func (b *backlogged) hold(n int) (ids []engine.ID) {
	var r engine.Reservation
	for range n {
		require.Empty(b.t, b.reserve(&r))
		require.NoError(b.t, b.e.Flush(b.t.Context()))
		ids = append(ids, r.ID)
	}
	return ids
}

func (b *backlogged) waiting() int {
	s := b.e.Stats().Journal
	return int(s.Placed - s.Durable)
}

// I10: No call of any kind places an outcome beyond the backlog's limit while the journal does not respond. The refused
// calls change nothing.
func TestBacklogIsBounded(t *testing.T) {
	b := newBacklogged(t)
	ids := b.hold(4)
	b.clock.ms.Add(1)
	due := b.hold(1)[0] // it ends later than the others
	b.stop()
	var r engine.Reservation
	for b.waiting() <= smallBacklog {
		require.Empty(t, b.reserve(&r))
	}
	require.Equal(t, smallBacklog+1, b.waiting(), "the last call found the backlog at its limit")
	before := b.e.Stats().Reservations
	require.Equal(t, engine.JournalUnavailable, b.reserve(&r))
	require.Equal(t, engine.JournalUnavailable, codeOf(t, b.e.Confirm(t.Context(), ids[0], "", &r)))
	require.Equal(t, engine.JournalUnavailable, codeOf(t, b.e.Release(t.Context(), ids[1], &r)))
	ops := []engine.Op{{Kind: engine.OpConfirm, ID: ids[2]}, {Kind: engine.OpRelease, ID: ids[3]}}
	b.e.Batch(t.Context(), ops)
	for i := range ops {
		require.Equal(t, engine.JournalUnavailable, codeOf(t, ops[i].Err))
	}
	require.Equal(t, before, b.e.Stats().Reservations)
	b.clock.set(saleStart.Add(b.options.TTL + time.Millisecond))
	require.Equal(t, engine.JournalUnavailable, codeOf(t, b.e.Reservation(t.Context(), due, &r)), "a read ends it, too")
	_, err := b.e.Account(t.Context(), "account-5")
	require.Equal(t, engine.JournalUnavailable, codeOf(t, err))
	require.Zero(t, b.e.ExpireDue())
	require.Equal(t, smallBacklog+1, b.waiting())

	b.resume()
	require.NoError(t, b.e.Flush(t.Context()))
	require.NoError(t, b.e.Reservation(t.Context(), due, &r))
	require.Equal(t, engine.Expired, r.State)
	require.Empty(t, b.reserve(&r))
	require.NoError(t, b.e.Close())
}

// I10: Holds that end together fill half of the backlog at most; the sweep goes on when there is room.
func TestSweepLeavesHalfOfTheBacklog(t *testing.T) {
	b := newBacklogged(t)
	const holds = 5*smallBacklog/2 + 3
	b.hold(holds)
	b.stop()
	b.clock.ms.Add(b.options.TTL.Milliseconds())
	require.Equal(t, smallBacklog/2, b.e.ExpireDue())
	require.Zero(t, b.e.ExpireDue(), "half of the backlog waits")
	var r engine.Reservation
	for range smallBacklog / 2 {
		require.Empty(t, b.reserve(&r), "the other half is the buyers'")
	}
	require.Zero(t, b.e.ExpireDue())
	b.resume()
	ended := smallBacklog / 2
	for ended < holds {
		b.stop()
		n := b.e.ExpireDue()
		require.Equal(t, min(smallBacklog/2, holds-ended), n)
		ended += n
		b.resume()
	}
	require.Zero(t, b.e.ExpireDue())
	require.NoError(t, b.e.Close())
}

// I10: A thousand holds end together while buyers reserve and each sync takes a millisecond. The engine ends them by
// itself, group after group and not one part a tick, and no buyer is refused.
func TestExpiryStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newStore()
		kept.before = func(context.Context, journal.Group) error { time.Sleep(time.Millisecond); return nil }
		s := newSeller(stressSale(t, 1, 100_000), func() (journal.Backend, error) { return kept.open(), nil })
		s.options.Backlog, s.options.SweepEvery = smallBacklog, 100*time.Millisecond
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		t.Cleanup(func() { require.NoError(t, s.e.Close()) })
		const holds = 1000
		ops := make([]engine.Op, smallBacklog/2)
		for made := 0; made < holds; made += len(ops) {
			for i := range ops {
				ops[i] = engine.Op{Kind: engine.OpReserve, Request: engine.Request{ID: uuid.New(),
					Account: fmt.Sprint("early-", made+i), Lines: lines("S0/A", 1)}}
			}
			s.e.Batch(t.Context(), ops)
			for i := range ops {
				require.NoError(t, ops[i].Err)
			}
		}
		s.clock.ms.Add(s.options.TTL.Milliseconds())
		began, most := time.Now(), uint64(0)
		for n := 0; s.e.Stats().Expired < holds; n++ {
			var r engine.Reservation
			q := engine.Request{Account: fmt.Sprint("late-", n), Lines: lines("S0/A", 1)}
			require.NoError(t, s.e.Reserve(t.Context(), &q, &r), "after %v", time.Since(began))
			j := s.e.Stats().Journal
			most = max(most, j.Placed-j.Durable)
			require.Less(t, time.Since(began), 300*time.Millisecond, "%d of %d ended", s.e.Stats().Expired, holds)
		}
		require.LessOrEqual(t, most, uint64(smallBacklog/2+1))
		t.Logf("%d holds ended in %v", holds, time.Since(began))
	})
}

// A sweep ends nothing while the journal has failed: the outcomes could never be shown (I5).
func TestNoSweepOnAFailedJournal(t *testing.T) {
	kept := newStore()
	failing := errors.New("the disk is gone")
	s := newSeller(stressSale(t, 1, 100), func() (journal.Backend, error) { return kept.open(), nil })
	s.options.Durability = engine.Async
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	reserve := func() {
		q := engine.Request{Account: "ann", Lines: lines("S0/A", 1)}
		require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
	}
	reserve()
	require.NoError(t, s.e.Flush(t.Context()))
	kept.before = func(context.Context, journal.Group) error { return failing }
	reserve()
	require.ErrorIs(t, s.e.Flush(t.Context()), failing)
	placed := s.e.Stats().Journal.Placed
	s.clock.ms.Add(s.options.TTL.Milliseconds())
	require.Zero(t, s.e.ExpireDue())
	stats := s.e.Stats()
	require.Zero(t, stats.Expired)
	require.Equal(t, placed, stats.Journal.Placed)
	require.EqualValues(t, 2, stats.Reservations[engine.Held])
	require.ErrorIs(t, s.e.Close(), failing)
}
