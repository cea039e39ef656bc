package journaltest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// checkpointWhileAppending writes checkpoints as fast as it can while another goroutine appends, as the engine does.
func checkpointWhileAppending(t *testing.T, place Place) {
	b, _ := open(t, place)
	var durable atomic.Uint64
	var groups []journal.Group
	var appending sync.WaitGroup
	var appendError error
	appending.Go(func() {
		for i := range 120 {
			g := group(durable.Load()+1, 1+i%40)
			if appendError = b.Append(t.Context(), g); appendError != nil {
				return
			}
			groups = append(groups, g)
			durable.Store(g.Last())
		}
	})
	var start, end uint64
	var chunks []byte
	for i := range uint64(6) {
		start, chunks = durable.Load(), nil
		c, err := b.Checkpoint(t.Context(), start)
		require.NoError(t, err)
		for part := range uint64(5) {
			run := chunk(i<<8|part, 100)
			require.NoError(t, c.Write(run))
			chunks = append(chunks, run...)
		}
		end = durable.Load()
		require.NoError(t, c.Commit(end))
	}
	appending.Wait()
	require.NoError(t, appendError)
	b, got := reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireCheckpoint(t, start, end, chunks, got)
	requireGroups(t, behind(groups, start), got)
}

func checkpointAndTail(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 10, 10, 10)
	c, err := b.Checkpoint(t.Context(), 20)
	require.NoError(t, err)
	require.NoError(t, c.Write(chunk(1, 50)))
	groups = append(groups, appendGroups(t, b, 30, 5)...)
	require.NoError(t, c.Write(chunk(2, 1)))
	require.NoError(t, c.Commit(35))
	groups = append(groups, appendGroups(t, b, 35, 6, 7)...)

	for _, crash := range []bool{false, true} {
		var got contents
		b, got = reopen(t, place, b, crash)
		requireCheckpoint(t, 20, 35, append(chunk(1, 50), chunk(2, 1)...), got)
		requireGroups(t, behind(groups, 20), got)
		require.Empty(t, got.sum.Notes)
	}
	require.NoError(t, b.Close())
}

func emptyCheckpoint(t *testing.T, place Place) {
	b, _ := open(t, place)
	appendGroups(t, b, 0, 3, 3)
	writeCheckpoint(t, b, 6, 6)
	b, got := reopen(t, place, b, false)
	requireCheckpoint(t, 6, 6, nil, got)
	requireGroups(t, nil, got)
	require.EqualValues(t, 6, got.sum.Last)
	groups := appendGroups(t, b, 6, 2)
	b, got = reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 6, 6, nil, got)
	requireGroups(t, groups, got)
}

func repeatedStart(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 3, 3)
	writeCheckpoint(t, b, 3, 3, chunk(1, 3))
	writeCheckpoint(t, b, 3, 6, chunk(2, 3))
	b, got := reopen(t, place, b, false)
	requireCheckpoint(t, 3, 6, chunk(2, 3), got)
	requireGroups(t, groups[1:], got)
	writeCheckpoint(t, b, 3, 6, chunk(3, 3))
	b, got = reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 3, 6, chunk(3, 3), got)
	requireGroups(t, groups[1:], got)
}

func unfinishedCheckpoint(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 3, 3)

	aborted, err := b.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	require.NoError(t, aborted.Write(chunk(1, 1000)))
	aborted.Abort()
	aborted.Abort()
	require.Error(t, aborted.Commit(6), "an aborted checkpoint was committed")

	left, err := b.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	require.NoError(t, left.Write(chunk(2, 1000)))
	b, got := reopen(t, place, b, true)
	require.False(t, got.begun)
	requireGroups(t, groups, got)

	writeCheckpoint(t, b, 3, 6, chunk(3, 3))
	left, err = b.Checkpoint(t.Context(), 6)
	require.NoError(t, err)
	require.NoError(t, left.Write(chunk(4, 1000)))
	b, got = reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 3, 6, chunk(3, 3), got)
	requireGroups(t, groups[1:], got)
}

func abortAfterCommit(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 3, 3)
	c, err := b.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	require.NoError(t, c.Write(chunk(1, 3)))
	require.NoError(t, c.Commit(3))
	c.Abort()
	b, got := reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 3, 3, chunk(1, 3), got)
	requireGroups(t, groups[1:], got)
}

func commitThenCrash(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 8, 8)
	writeCheckpoint(t, b, 8, 16, chunk(1, 8))
	for range 2 {
		var got contents
		b, got = reopen(t, place, b, true)
		requireCheckpoint(t, 8, 16, chunk(1, 8), got)
		requireGroups(t, groups[1:], got)
	}
	require.NoError(t, b.Close())
}

// trimming appends far more than a backend need keep and checkpoints on the way. A backend may keep more than it must, in
// units of its own, but not everything, and it may not drop the groups that the older checkpoint is replayed with.
func trimming(t *testing.T, place Place) {
	b, _ := open(t, place)
	const rounds, groupsOfRound, recordsOfGroup = 12, 12, 100
	var starts []uint64
	last := uint64(0)
	for round := range uint64(rounds) {
		for range groupsOfRound {
			appendGroups(t, b, last, recordsOfGroup)
			last += recordsOfGroup
		}
		starts = append(starts, last)
		writeCheckpoint(t, b, last, last, chunk(round, 10))
		if round%4 == 3 {
			var got contents
			b, got = reopen(t, place, b, round == 7)
			requireCheckpoint(t, last, last, chunk(round, 10), got)
			requireGroups(t, nil, got)
			require.Equal(t, last, got.sum.Last)
		}
	}
	writeCheckpoint(t, b, last, last, chunk(rounds, 10))
	require.NoError(t, b.Close())
	if place.Kept != nil {
		kept, err := place.Kept()
		require.NoError(t, err)
		require.Equal(t, last, kept.NewestRecord, "the newest group is dropped")
		require.Greater(t, kept.OldestRecord, starts[0], "groups that no checkpoint needs are kept")
		require.LessOrEqual(t, kept.Checkpoints, 2)
	}
	b, got := open(t, place)
	requireCheckpoint(t, last, last, chunk(rounds, 10), got)
	require.Equal(t, last, got.sum.Last)
	tail := appendGroups(t, b, last, 1)
	b, got = reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireGroups(t, tail, got)
}

func damagedCheckpoint(t *testing.T, place Place) {
	if place.SpoilCheckpoint == nil {
		return
	}
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 100, 100)
	writeCheckpoint(t, b, 100, 200, chunk(1, 300))
	groups = append(groups, appendGroups(t, b, 200, 100, 100)...)
	writeCheckpoint(t, b, 300, 400, chunk(2, 300))
	groups = append(groups, appendGroups(t, b, 400, 100)...)
	require.NoError(t, b.Close())
	require.NoError(t, place.SpoilCheckpoint())

	for range 2 {
		b, got := open(t, place)
		require.NoError(t, b.Close())
		requireCheckpoint(t, 100, 200, chunk(1, 300), got)
		requireGroups(t, behind(groups, 100), got)
		require.NotEmpty(t, got.sum.Notes, "nobody is told of the damage")
	}
	b, _ = open(t, place)
	writeCheckpoint(t, b, 500, 500, chunk(3, 3))
	b, got := reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 500, 500, chunk(3, 3), got)
	requireGroups(t, nil, got)
}
