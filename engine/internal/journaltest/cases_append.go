package journaltest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

func emptyJournal(t *testing.T, place Place) {
	for range 2 {
		b, got := open(t, place)
		require.NoError(t, b.Close())
		require.False(t, got.begun)
		require.Empty(t, got.groups)
		require.Zero(t, got.sum.Last)
		require.Zero(t, got.sum.TornBytes)
		require.Empty(t, got.sum.Notes)
	}
}

func roundTrip(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 1, 2, 3, 1)
	b, got := reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
	require.False(t, got.begun)
	require.Zero(t, got.sum.TornBytes)
	require.Empty(t, got.sum.Notes)
}

func groupSizes(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 1, 1000, 2, 999, 3, 64, 63, 65, 127, 128, 129, 255, 256, 257, 1, 1, 1000)
	b, got := reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
}

func largeGroup(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 3, 80_000, 3)
	require.Greater(t, len(groups[1].Records), 4<<20, "the group is not large enough to show anything")
	b, got := reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
}

func recordSizes(t *testing.T, place Place) {
	b, _ := open(t, place)
	var groups []journal.Group
	for i, bytesOfRecord := range []int{0, 1, 127, 128, 16_383, 16_384, 1 << 20, journal.MaxRecord} {
		content := bytes.Repeat([]byte{byte(i), 0xff, 0}, bytesOfRecord/3+1)[:bytesOfRecord]
		g := journal.Group{First: uint64(i) + 1, Count: 1, Records: journal.AppendRecord(nil, content)}
		require.NoError(t, b.Append(t.Context(), g), "a record of %d bytes", bytesOfRecord)
		groups = append(groups, g)
	}
	b, got := reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
}

func sequenceMustFollow(t *testing.T, place Place) {
	var groups []journal.Group
	for _, first := range []uint64{0, 1, 3, 5, 1 << 40} {
		b, got := open(t, place)
		requireGroups(t, groups, got)
		if len(groups) == 0 {
			groups = appendGroups(t, b, 0, 3)
		}
		require.Error(t, b.Append(t.Context(), group(first, 2)), "a group from %d behind record 3", first)
		require.NoError(t, b.Close())
	}
	b, got := open(t, place)
	requireGroups(t, groups, got)
	groups = append(groups, appendGroups(t, b, 3, 2)...)
	b, got = reopen(t, place, b, false)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
}

func appendAfterRecover(t *testing.T, place Place) {
	b, _ := open(t, place)
	var groups []journal.Group
	last := uint64(0)
	for round := range 5 {
		groups = append(groups, appendGroups(t, b, last, 1+round, 7)...)
		last = groups[len(groups)-1].Last()
		var got contents
		b, got = reopen(t, place, b, round%2 == 1)
		requireGroups(t, groups, got)
	}
	require.NoError(t, b.Close())
}

func appendThenCrash(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 5, 1, 300)
	b, got := reopen(t, place, b, true)
	requireGroups(t, groups, got)
	b, got = reopen(t, place, b, true)
	require.NoError(t, b.Close())
	requireGroups(t, groups, got)
}

// callbackError lets each callback fail in turn; the journal must be as good as before afterwards.
func callbackError(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 4, 4)
	writeCheckpoint(t, b, 4, 8, chunk(1, 10))
	require.NoError(t, b.Close())

	refused := errors.New("refused by the test")
	refuseIn := map[string]journal.Recovery{
		"Begin": {Begin: func(journal.CheckpointInfo) error { return refused }},
		"Chunk": {Chunk: func([]byte) error { return refused }},
		"Group": {Group: func(journal.Group) error { return refused }},
	}
	for name, to := range refuseIn {
		if to.Begin == nil {
			to.Begin = func(journal.CheckpointInfo) error { return nil }
		}
		if to.Chunk == nil {
			to.Chunk = func([]byte) error { return nil }
		}
		if to.Group == nil {
			to.Group = func(journal.Group) error { return nil }
		}
		b, err := place.Open()
		require.NoError(t, err)
		_, err = b.Recover(to)
		require.ErrorIs(t, err, refused, name)
		require.NoError(t, b.Close())
	}
	b, got := open(t, place)
	require.NoError(t, b.Close())
	requireCheckpoint(t, 4, 8, chunk(1, 10), got)
	requireGroups(t, groups[1:], got)
}

func cancelledContext(t *testing.T, place Place) {
	b, _ := open(t, place)
	groups := appendGroups(t, b, 0, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late := group(3, 2)
	err := b.Append(ctx, late)
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	b, got := reopen(t, place, b, true)
	require.NoError(t, b.Close())
	if err == nil || len(got.groups) == 2 {
		groups = append(groups, late)
	}
	requireGroups(t, groups, got)
}

func closed(t *testing.T, place Place) {
	b, _ := open(t, place)
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

	b, got := open(t, place)
	require.NoError(t, b.Close())
	require.False(t, got.begun)
	requireGroups(t, groups, got)
}
