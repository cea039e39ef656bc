package journaltest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

func emptyJournal(t *testing.T, store Store) {
	for range 2 {
		got := read(t, store)
		require.False(t, got.begun)
		require.Empty(t, got.groups)
		require.Zero(t, got.sum.Last)
		require.Zero(t, got.sum.TornBytes)
		require.Empty(t, got.sum.Notes)
	}
}

func roundTrip(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 1, 2, 3, 1)
	got := reread(t, store, b, false)
	requireGroups(t, groups, got)
	require.False(t, got.begun)
	require.Zero(t, got.sum.TornBytes)
	require.Empty(t, got.sum.Notes)
}

func groupSizes(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 1, 1000, 2, 999, 3, 64, 63, 65, 127, 128, 129, 255, 256, 257, 1, 1, 1000)
	got := reread(t, store, b, false)
	requireGroups(t, groups, got)
}

func largeGroup(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 3, 80_000, 3)
	require.Greater(t, len(groups[1].Records), 4<<20, "the group is too small for this test")
	got := reread(t, store, b, true)
	requireGroups(t, groups, got)
}

func recordSizes(t *testing.T, store Store) {
	b, _ := open(t, store)
	var groups []journal.Group
	for i, bytesOfRecord := range []int{0, 1, 127, 128, 16_383, 16_384, 1 << 20, journal.MaxRecord} {
		content := bytes.Repeat([]byte{byte(i), 0xff, 0}, bytesOfRecord/3+1)[:bytesOfRecord]
		g := journal.Group{First: uint64(i) + 1, Count: 1, Records: journal.AppendRecord(nil, content)}
		require.NoError(t, b.Append(t.Context(), g), "a record of %d bytes", bytesOfRecord)
		groups = append(groups, g)
	}
	got := reread(t, store, b, false)
	requireGroups(t, groups, got)
}

func sequenceMustFollow(t *testing.T, store Store) {
	var groups []journal.Group
	for _, first := range []uint64{0, 1, 3, 5, 1 << 40} {
		b, got := open(t, store)
		requireGroups(t, groups, got)
		if len(groups) == 0 {
			groups = appendGroups(t, b, 0, 3)
		}
		require.Error(t, b.Append(t.Context(), group(first, 2)), "a group from %d after record 3", first)
		require.NoError(t, b.Close())
	}
	b, got := open(t, store)
	requireGroups(t, groups, got)
	groups = append(groups, appendGroups(t, b, 3, 2)...)
	got = reread(t, store, b, false)
	requireGroups(t, groups, got)
}

func appendAfterRecover(t *testing.T, store Store) {
	b, _ := open(t, store)
	var groups []journal.Group
	last := uint64(0)
	for round := range 5 {
		groups = append(groups, appendGroups(t, b, last, 1+round, 7)...)
		last = groups[len(groups)-1].Last()
		var got contents
		b, got = reopen(t, store, b, round%2 == 1)
		requireGroups(t, groups, got)
	}
	require.NoError(t, b.Close())
}

func appendThenCrash(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 5, 1, 300)
	b, got := reopen(t, store, b, true)
	requireGroups(t, groups, got)
	got = reread(t, store, b, true)
	requireGroups(t, groups, got)
}

// callbackError makes each callback fail in turn. The journal must still be intact.
func callbackError(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 4, 4)
	writeCheckpoint(t, b, 4, 8, chunk(1, 10))
	require.NoError(t, b.Close())

	refused := errors.New("refused by the test")
	for _, refusing := range []string{"Begin", "Chunk", "Group"} {
		refuse := func(callback string) error {
			if callback == refusing {
				return refused
			}
			return nil
		}
		to := journal.Recovery{
			Begin: func(journal.CheckpointInfo) error { return refuse("Begin") },
			Chunk: func([]byte) error { return refuse("Chunk") },
			Group: func(journal.Group) error { return refuse("Group") },
		}
		b, err := store.Open()
		require.NoError(t, err)
		_, err = b.Recover(to)
		require.ErrorIs(t, err, refused, refusing)
		require.NoError(t, b.Close())
	}
	got := read(t, store)
	requireReplay(t, 4, 8, chunk(1, 10), groups, got)
}

func cancelledContext(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late := group(3, 2)
	err := b.Append(ctx, late)
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	got := reread(t, store, b, true)
	if err == nil || len(got.groups) == 2 {
		groups = append(groups, late)
	}
	requireGroups(t, groups, got)
}

func closed(t *testing.T, store Store) {
	b, _ := open(t, store)
	groups := appendGroups(t, b, 0, 2)
	unfinished, err := b.Checkpoint(t.Context(), 2)
	require.NoError(t, err)
	require.NoError(t, b.Close())

	require.ErrorIs(t, b.Append(t.Context(), group(3, 1)), journal.ErrClosed)
	_, err = b.Checkpoint(t.Context(), 2)
	require.ErrorIs(t, err, journal.ErrClosed)
	require.ErrorIs(t, unfinished.Write(chunk(1, 1)), journal.ErrClosed)
	require.ErrorIs(t, unfinished.Commit(2), journal.ErrClosed)
	unfinished.Abort()

	got := read(t, store)
	require.False(t, got.begun)
	requireGroups(t, groups, got)
}
