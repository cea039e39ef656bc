package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// filled returns the leader of a journal that has groups of ten records and a checkpoint at each of the given records.
func filled(t *testing.T, s *redistest.Server, groups uint64, at ...uint64) (*Journal, Options) {
	t.Helper()
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(t, o)
	for i := range groups {
		require.NoError(t, j.Append(t.Context(), testGroup(10*i+1, 10)))
		for _, start := range at {
			if j.Status().Last == start {
				checkpointAt(t, j, start)
			}
		}
	}
	return j, o
}

// checkpointAt writes a checkpoint of three chunks, the second of which has several pieces.
func checkpointAt(t *testing.T, j *Journal, start uint64) {
	t.Helper()
	withoutPace(j)
	c, err := j.Checkpoint(t.Context(), start)
	require.NoError(t, err)
	for _, count := range []int{1, 60_000, 1} {
		require.NoError(t, c.Write(testGroup(start, count).Records))
	}
	require.NoError(t, c.Commit(start))
}

// withoutPace makes a journal forget its groups, so that the next pieces are as large as possible and wait for none.
func withoutPace(j *Journal) {
	j.pace.mu.Lock()
	defer j.pace.mu.Unlock()
	j.pace.group, j.pace.last = 0, time.Time{}
}

// writePieces stores so many small pieces of a checkpoint.
func writePieces(t *testing.T, c journal.Checkpoint, count int) {
	t.Helper()
	withoutPace(c.(*checkpoint).journal)
	for i := range count {
		require.NoError(t, c.Write(fmt.Appendf(nil, "piece %d", i)))
		require.NoError(t, c.(*checkpoint).flush(pieceBytes))
	}
}

func chunksAt(start uint64) []byte {
	var b []byte
	for _, count := range []int{1, 60_000, 1} {
		b = append(b, testGroup(start, count).Records...)
	}
	return b
}

// TestDamagedCheckpoints damages the newest checkpoint in every way. Recovery falls back to the older one and adds a
// note.
func TestDamagedCheckpoints(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, damage := range map[string]func(t *testing.T, l *link, m manifest){
		"a byte of a piece": func(t *testing.T, l *link, m manifest) {
			require.NoError(t, flipByte(t, l, l.pieceKey(m.id, 2), 100_000))
		},
		"the length of a chunk": func(t *testing.T, l *link, m manifest) {
			require.NoError(t, flipByte(t, l, l.pieceKey(m.id, 1), 8))
		},
		"a piece is missing": func(t *testing.T, l *link, m manifest) {
			require.EqualValues(t, 1, l.client.Del(t.Context(), l.pieceKey(m.id, 1)).Val())
		},
		"a piece is empty": func(t *testing.T, l *link, m manifest) {
			require.NoError(t, l.client.Set(t.Context(), l.pieceKey(m.id, 1), "", 0).Err())
		},
		"two pieces are swapped": func(t *testing.T, l *link, m manifest) {
			a, b := l.pieceKey(m.id, 1), l.pieceKey(m.id, 2)
			first, second := l.client.Get(t.Context(), a).Val(), l.client.Get(t.Context(), b).Val()
			require.NoError(t, l.client.MSet(t.Context(), a, second, b, first).Err())
		},
		"pieces of another checkpoint": func(t *testing.T, l *link, m manifest) {
			older := manifestsOf(t, l)[0]
			for i := range m.pieces {
				require.NoError(t, l.client.Copy(t.Context(), l.pieceKey(older.id, i), l.pieceKey(m.id, i), 0, true).Err())
			}
		},
		"the manifest": func(t *testing.T, l *link, m manifest) {
			text := []byte(m.text())
			text[20] ^= 1
			require.NoError(t, l.client.HSet(t.Context(), l.checkpoints, m.id, text).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, o := filled(t, s, 6, 20, 40)
			found := manifestsOf(t, j.link)
			require.Len(t, found, 2)
			damage(t, j.link, found[1])
			got := contentsOf(t, o)
			require.EqualValues(t, 20, got.recovered.Checkpoint.Start)
			require.Equal(t, chunksAt(20), got.chunks)
			require.Len(t, got.groups, 4)
			require.Len(t, got.recovered.Notes, 1)
			require.Contains(t, got.recovered.Notes[0], found[1].id)
		})
	}
}

// TestDamagedStream removes entries and both checkpoints. The error names what is missing.
func TestDamagedStream(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, c := range map[string]struct {
		damage func(j *Journal) error
		want   string
	}{
		"a middle entry": {func(j *Journal) error { return j.link.client.XDel(t.Context(), j.link.stream, "1-5").Err() },
			"1-6 must follow 1-5, but it follows 1-4"},
		"the checkpoint's base": {func(j *Journal) error {
			return j.link.client.XDel(t.Context(), j.link.stream, "1-4").Err()
		}, "entry 1-4, the base of the checkpoint, is missing: the next one is 1-5"},
		"the end": {func(j *Journal) error { return j.link.client.XTrimMinID(t.Context(), j.link.stream, "9-0").Err() },
			"entry 1-4, the base of the checkpoint, is missing, and so are all entries after it"},
		"both checkpoints": {func(j *Journal) error {
			for _, m := range manifestsOf(t, j.link) {
				j.link.client.Del(t.Context(), j.link.pieceKey(m.id, 0))
			}
			return j.link.client.XTrimMinID(t.Context(), j.link.stream, "1-2").Err()
		}, "entries are missing: 1-2 must follow 1-1"},
		"everything but the leader key": {func(j *Journal) error {
			return j.link.client.Del(t.Context(), j.link.stream, j.link.checkpoints).Err()
		}, "the stream is missing, although epoch 1 was claimed in it"},
	} {
		t.Run(name, func(t *testing.T) {
			j, o := filled(t, s, 6, 20, 40)
			require.NoError(t, c.damage(j))
			_, err := readAll(t, o)
			require.ErrorIs(t, err, journal.ErrDamaged)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

// TestForeignKeys requires that keys of other programs and of later versions are refused.
func TestForeignKeys(t *testing.T) {
	s := redistest.Start(t)
	for name, put := range map[string]func(l *link) error{
		"no stream": func(l *link) error { return l.client.Set(t.Context(), l.stream, "x", 0).Err() },
		"another program's stream": func(l *link) error {
			return l.client.Do(t.Context(), "xadd", l.stream, "*", "temperature", "21").Err()
		},
		"an entry of a later version": func(l *link) error {
			return l.client.Do(t.Context(), "xadd", l.stream, "1-0", "type", "group.2").Err()
		},
		"a checkpoint of a later version": func(l *link) error {
			return l.client.HSet(t.Context(), l.checkpoints, "1-1", "checkpoint.2 1 2 3").Err()
		},
		"another program's leader key": func(l *link) error { return l.client.Set(t.Context(), l.leader, "value", 0).Err() },
	} {
		l, err := newLink(Options{Address: s.URL(), Name: freshName()})
		require.NoError(t, err)
		require.NoError(t, put(l))
		_, err = readAll(t, Options{Address: s.URL(), Name: l.options.Name})
		require.ErrorIs(t, err, journal.ErrForeign, name)
		require.NoError(t, l.close())
	}
}

// keysOf returns how many keys a journal has.
func keysOf(t *testing.T, l *link) int {
	keys, err := l.client.Keys(t.Context(), "{seathold:"+l.options.Name+"}:*").Result()
	require.NoError(t, err)
	return len(keys)
}

// TestLeftoversAreRemoved leaves checkpoints unfinished in every way. After the next commit nothing of them is left.
func TestLeftoversAreRemoved(t *testing.T) {
	s := redistest.Start(t)
	j, o := filled(t, s, 6, 20, 40)
	before := keysOf(t, j.link)
	c, err := j.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	writePieces(t, c, 150)
	require.Equal(t, before+150, keysOf(t, j.link))
	c.Abort()
	require.Equal(t, before, keysOf(t, j.link), "Abort left something")

	c, err = j.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	writePieces(t, c, 150)
	abandon(j)
	next := claimed(t, o)
	require.Equal(t, before+150, keysOf(t, next.link))
	checkpointAt(t, next, 60)
	require.Equal(t, before, keysOf(t, next.link))
	require.Len(t, manifestsOf(t, next.link), 2)
	require.Len(t, next.link.client.HKeys(t.Context(), next.link.checkpoints).Val(), 2)
}

// TestDeposedLeaderCannotChangeCheckpoints claims for a new leader while the old one writes a checkpoint (I8).
func TestDeposedLeaderCannotChangeCheckpoints(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	old, o := filled(t, s, 6, 20, 40)
	half, err := old.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	require.NoError(t, half.Write([]byte("old")))
	now := claimed(t, o)
	own, err := now.Checkpoint(t.Context(), 60)
	require.NoError(t, err)
	require.NoError(t, own.Write(testGroup(1, 1).Records))

	require.ErrorIs(t, half.Commit(60), journal.ErrFenced)
	require.NotErrorIs(t, old.Status().Failed, journal.ErrFenced, "a failed checkpoint must not fail the journal")
	_, err = old.Checkpoint(t.Context(), 60)
	require.ErrorIs(t, err, journal.ErrFenced)
	c := &checkpoint{journal: old, ctx: t.Context(), leader: old.claim.at.String() + " " + old.claim.leader}
	require.ErrorIs(t, c.remove(t.Context(), "2-1"), journal.ErrFenced)
	require.ErrorIs(t, c.remove(t.Context(), "1-2"), journal.ErrFenced)

	require.ErrorIs(t, old.Beat(t.Context()), journal.ErrFenced)
	require.NoError(t, own.Commit(60))
	got := contentsOf(t, o)
	require.EqualValues(t, 60, got.recovered.Checkpoint.Start)
	require.Equal(t, testGroup(1, 1).Records, got.chunks)
	require.Empty(t, got.recovered.Notes)
}

// TestCheckpointPartlyLost removes a part of a checkpoint while it is written: it must not be committed.
func TestCheckpointPartlyLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, lose := range map[string]func(l *link, piece string) error{
		"a piece is removed": func(l *link, piece string) error { return l.client.Del(t.Context(), piece).Err() },
		"a piece is empty":   func(l *link, piece string) error { return l.client.Set(t.Context(), piece, "", 0).Err() },
		"a piece is a list": func(l *link, piece string) error {
			l.client.Del(t.Context(), piece)
			return l.client.LPush(t.Context(), piece, "x").Err()
		},
	} {
		j, o := filled(t, s, 4, 20)
		c, err := j.Checkpoint(t.Context(), 40)
		require.NoError(t, err)
		writePieces(t, c, 3)
		require.NoError(t, lose(j.link, j.link.pieceKey(c.(*checkpoint).manifest.id, 1)), name)
		require.ErrorIs(t, c.Commit(40), errIncomplete, name)
		require.EqualValues(t, 20, contentsOf(t, o).recovered.Checkpoint.Start, name)
	}
}

// TestLateAttemptOfCheckpoint repeats the calls of a checkpoint after its commit, as a Redis does that receives an
// abandoned attempt late. The checkpoint stays complete, and the next one does not remove its pieces.
func TestLateAttemptOfCheckpoint(t *testing.T) {
	t.Parallel()
	j, o := filled(t, redistest.Start(t), 6, 20)
	l := j.link
	made := manifestsOf(t, l)[0]
	last := l.client.Get(t.Context(), l.pieceKey(made.id, made.pieces-1)).Val()
	for name, late := range map[string]func() (any, error){
		"begin": func() (any, error) {
			return l.run(t.Context(), l.options.Timeout, beginScript, []string{l.leader, l.checkpoints},
				j.claim.leaderValue(), made.id)
		},
		"a piece": func() (any, error) {
			return l.run(t.Context(), l.options.Timeout, pieceScript,
				[]string{l.leader, l.checkpoints, l.pieceKey(made.id, made.pieces-1)}, j.claim.leaderValue(), made.id, last)
		},
		"a group with the piece": func() (any, error) {
			j.offered.Store(&piece{keys: []string{l.checkpoints, l.pieceKey(made.id, made.pieces-1)}, checkpoint: made.id,
				bytes: []byte(last), carried: make(chan bool, 1)})
			j.restoredAt = time.Now() // the manifest is not made again meanwhile
			return nil, j.Append(t.Context(), testGroup(61, 10))
		},
	} {
		_, err := late()
		require.NoError(t, err, name)
		require.Equal(t, []manifest{made}, manifestsOf(t, l), name)
	}
	checkpointAt(t, j, 40)
	require.Equal(t, []uint64{20, 40}, starts(t, l))
	require.NoError(t, flipByte(t, l, l.pieceKey(manifestsOf(t, l)[1].id, 0), 12))
	require.Equal(t, chunksAt(20), contentsOf(t, o).chunks)
}
