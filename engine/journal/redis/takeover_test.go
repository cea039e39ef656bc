package redis

import (
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// takeOver claims the journal for a follower whose leader has died or stepped down. It appends a group and returns its
// last record.
func takeOver(t *testing.T, f *follower) uint64 {
	t.Helper()
	<-f.done
	require.NoError(t, f.err)
	require.NoError(t, f.journal.Claim(t.Context(), "http://standby.test:8080"))
	g := testGroup(f.journal.Status().Last+1, 10)
	require.NoError(t, f.journal.Append(t.Context(), g))
	return g.Last()
}

// starts returns where the complete checkpoints start.
func starts(t *testing.T, l *link) (at []uint64) {
	for _, m := range manifestsOf(t, l) {
		at = append(at, m.start)
	}
	return at
}

// TestTwoCheckpointsAfterTakeover follows a leader that writes checkpoints meanwhile, so that those the follower has
// seen at its start are gone. The new leader keeps the old leader's newest one beside its own, and trims up to its
// base. Either of the two can be damaged.
func TestTwoCheckpointsAfterTakeover(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for round := range 2 {
		leader, o := filled(t, s, 2, 10, 20)
		f := startFollower(t, o, time.Hour)
		until(t, "the follower has caught up", func() bool { return f.journal.Status().Last == 20 })
		for i := range uint64(400) {
			require.NoError(t, leader.Append(t.Context(), testGroup(10*i+21, 10)))
			if i%100 == 99 {
				checkpointAt(t, leader, 10*i+30)
			}
		}
		require.Equal(t, []uint64{3020, 4020}, starts(t, leader.link))
		require.NoError(t, leader.StepDown(t.Context()))
		last := takeOver(t, f)
		checkpointAt(t, f.journal, last)
		require.Equal(t, []uint64{4020, last}, starts(t, f.journal.link))
		require.Greater(t, inspect(t, f.journal.link).OldestRecord, uint64(3000), "entries that no checkpoint needs are kept")

		damaged := manifestsOf(t, f.journal.link)[round]
		require.NoError(t, flipByte(t, f.journal.link, f.journal.link.pieceKey(damaged.id, 0), 100))
		got := contentsOf(t, o)
		require.Equal(t, last, got.recovered.Last)
		if round == 1 {
			require.EqualValues(t, 4020, got.recovered.Checkpoint.Start)
			require.Equal(t, chunksAt(4020), got.chunks)
		}
	}
}

// TestDamagedCheckpointIsNotKept recovers past a damaged newest checkpoint. The next commit keeps the intact one.
func TestDamagedCheckpointIsNotKept(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, damage := range map[string]func(l *link, m manifest) error{
		"a byte":  func(l *link, m manifest) error { return flipByte(t, l, l.pieceKey(m.id, 1), 100) },
		"a piece": func(l *link, m manifest) error { return l.client.Del(t.Context(), l.pieceKey(m.id, 1)).Err() },
	} {
		old, o := filled(t, s, 6, 20, 40)
		require.NoError(t, damage(old.link, manifestsOf(t, old.link)[1]))
		next := claimed(t, o)
		checkpointAt(t, next, 60)
		require.Equal(t, []uint64{20, 60}, starts(t, next.link), name)
	}
}

// TestLostCheckpointIsNotKept removes a piece of the newest checkpoint while a leader leads. The next commit keeps the
// one before it, and the entries after that one's base.
func TestLostCheckpointIsNotKept(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	j, o := filled(t, s, 6, 20, 40)
	newest := manifestsOf(t, j.link)[1]
	require.NoError(t, j.link.client.Del(t.Context(), j.link.pieceKey(newest.id, newest.pieces-1)).Err())
	checkpointAt(t, j, 60)
	require.Equal(t, []uint64{20, 60}, starts(t, j.link))
	newest = manifestsOf(t, j.link)[1]
	require.NoError(t, flipByte(t, j.link, j.link.pieceKey(newest.id, 0), 100))
	require.EqualValues(t, 20, contentsOf(t, o).recovered.Checkpoint.Start)
}

// TestReaderOfDroppedCheckpoint reads a checkpoint that the leader drops during the reading, in the first pass, which
// only checks it, and in the second, which delivers it. The first starts over; the second has delivered something and
// must return ErrDiverged, since starting over helps.
func TestReaderOfDroppedCheckpoint(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, pass := range []string{"first", "second"} {
		j, o := filled(t, s, 6, 20, 40)
		drop := func() {
			checkpointAt(t, j, 60)
			checkpointAt(t, j, 60)
		}
		var got contents
		to := got.into()
		if pass == "second" {
			to.Begin = func(journal.CheckpointInfo) error { drop(); return nil }
		}
		r := newReader(j.link, to, retryReads)
		if pass == "first" {
			found, err := r.list(t.Context())
			require.NoError(t, err)
			drop()
			require.NoError(t, r.deliverNewest(t.Context(), found))
			require.NoError(t, r.catchUpWithLeader(t.Context()))
			require.EqualValues(t, 60, r.recovered.Checkpoint.Start)
			require.Empty(t, r.recovered.Notes)
			continue
		}
		require.ErrorIs(t, r.recover(t.Context()), ErrDiverged)
		require.EqualValues(t, 60, contentsOf(t, o).recovered.Checkpoint.Start)
	}
}

// TestLeftoversOfDeadLeader leaves a checkpoint half-written and another half-removed. The new leader removes both when
// it begins its first checkpoint, so that Redis has their memory for it.
func TestLeftoversOfDeadLeader(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	old, o := filled(t, s, 6, 20, 40)
	before := keysOf(t, old.link)
	c, err := old.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	l := old.link
	require.NoError(t, l.client.HDel(t.Context(), l.checkpoints, "1-3").Err()) // the next piece makes it again
	writePieces(t, c, 40)
	require.NoError(t, l.client.HSet(t.Context(), l.checkpoints, "1-9", "dropped").Err())
	for i := range 300 { // one of its first pieces is gone
		if i != 3 {
			require.NoError(t, l.client.Set(t.Context(), l.pieceKey("1-9", i), "a piece", 0).Err())
		}
	}
	abandon(old)
	next := claimed(t, o)
	require.Equal(t, before+40+299, keysOf(t, next.link))
	_, err = next.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	require.Equal(t, before, keysOf(t, next.link))
	require.Equal(t, []uint64{20, 40}, starts(t, next.link))
}
