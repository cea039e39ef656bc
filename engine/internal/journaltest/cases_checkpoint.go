package journaltest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// checkpointWhileAppending writes checkpoints one after another while another goroutine appends, as the engine does.
func checkpointWhileAppending(t *testing.T, store Store) {
	b, _ := open(t, store)
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
	got := reread(t, store, b, true)
	requireReplay(t, start, end, chunks, groups, got)
}

func checkpointAndTail(t *testing.T, store Store) {
	b, _ := open(t, store)
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
		b, got = reopen(t, store, b, crash)
		requireReplay(t, 20, 35, append(chunk(1, 50), chunk(2, 1)...), groups, got)
		require.Empty(t, got.sum.Notes)
	}
	require.NoError(t, b.Close())
}

func emptyCheckpoint(t *testing.T, store Store) {
	b, _ := open(t, store)
	appendGroups(t, b, 0, 3, 3)
	writeCheckpoint(t, b, 6, 6)
	b, got := reopen(t, store, b, false)
	requireReplay(t, 6, 6, nil, nil, got)
	require.EqualValues(t, 6, got.sum.Last)
	groups := appendGroups(t, b, 6, 2)
	got = reread(t, store, b, false)
	requireReplay(t, 6, 6, nil, groups, got)
}

func repeatedStart(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 3, 3)
	writeCheckpoint(t, b, 3, 3, chunk(1, 3))
	writeCheckpoint(t, b, 3, 6, chunk(2, 3))
	b, got := reopen(t, store, b, false)
	requireReplay(t, 3, 6, chunk(2, 3), groups, got)
	writeCheckpoint(t, b, 3, 6, chunk(3, 3))
	got = reread(t, store, b, true)
	requireReplay(t, 3, 6, chunk(3, 3), groups, got)
}

func unfinishedCheckpoint(t *testing.T, store Store) {
	b, _ := open(t, store)
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
	b, got := reopen(t, store, b, true)
	require.False(t, got.begun)
	requireGroups(t, groups, got)

	writeCheckpoint(t, b, 3, 6, chunk(3, 3))
	left, err = b.Checkpoint(t.Context(), 6)
	require.NoError(t, err)
	require.NoError(t, left.Write(chunk(4, 1000)))
	got = reread(t, store, b, true)
	requireReplay(t, 3, 6, chunk(3, 3), groups, got)
}

func abortAfterCommit(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 3, 3)
	c, err := b.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	require.NoError(t, c.Write(chunk(1, 3)))
	require.NoError(t, c.Commit(3))
	c.Abort()
	got := reread(t, store, b, false)
	requireReplay(t, 3, 3, chunk(1, 3), groups, got)
}

func commitThenCrash(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 8, 8)
	writeCheckpoint(t, b, 8, 16, chunk(1, 8))
	for range 2 {
		var got contents
		b, got = reopen(t, store, b, true)
		requireReplay(t, 8, 16, chunk(1, 8), groups, got)
	}
	require.NoError(t, b.Close())
}

// trimming appends far more than a backend must keep, with checkpoints in between. A backend may keep more than it
// must, since it removes groups in units of its own, but not everything. It must keep the groups that replay after the
// older checkpoint.
func trimming(t *testing.T, store Store) {
	b, _ := open(t, store)
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
			b, got = reopen(t, store, b, round == 7)
			requireReplay(t, last, last, chunk(round, 10), nil, got)
			require.Equal(t, last, got.sum.Last)
		}
	}
	writeCheckpoint(t, b, last, last, chunk(rounds, 10))
	require.NoError(t, b.Close())
	if store.Kept != nil {
		kept, err := store.Kept()
		require.NoError(t, err)
		require.Equal(t, last, kept.NewestRecord, "the newest group is dropped")
		require.Greater(t, kept.OldestRecord, starts[0], "groups that no checkpoint needs are kept")
		require.LessOrEqual(t, kept.Checkpoints, 2)
	}
	b, got := open(t, store)
	requireReplay(t, last, last, chunk(rounds, 10), nil, got)
	require.Equal(t, last, got.sum.Last)
	tail := appendGroups(t, b, last, 1)
	got = reread(t, store, b, true)
	requireGroups(t, tail, got)
}

func damagedCheckpoint(t *testing.T, store Store) {
	if store.SpoilCheckpoint == nil {
		return
	}
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 100, 100)
	writeCheckpoint(t, b, 100, 200, chunk(1, 300))
	groups = append(groups, appendGroups(t, b, 200, 100, 100)...)
	writeCheckpoint(t, b, 300, 400, chunk(2, 300))
	groups = append(groups, appendGroups(t, b, 400, 100)...)
	require.NoError(t, b.Close())
	require.NoError(t, store.SpoilCheckpoint())

	for range 2 {
		got := read(t, store)
		requireReplay(t, 100, 200, chunk(1, 300), groups, got)
		require.NotEmpty(t, got.sum.Notes, "the damage is not reported")
	}
	b, _ = open(t, store)
	writeCheckpoint(t, b, 500, 500, chunk(3, 3))
	got := reread(t, store, b, true)
	requireReplay(t, 500, 500, chunk(3, 3), nil, got)
}
