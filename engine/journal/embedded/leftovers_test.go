package embedded

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// TestLeftoversTakeNoRoom: on a disk with room for three checkpoints, a crash comes between a checkpoint and the
// removal of what it makes obsolete. The next start removes it. Otherwise no later checkpoint would find room, and only
// a checkpoint would make room.
func TestLeftoversTakeNoRoom(t *testing.T) {
	const size = 400 << 10
	path, crashed := filepath.Join(t.TempDir(), "journal"), false
	fs := disk()
	fs.space = func(dir string) (int64, int64, error) {
		free := int64(size)
		entries, err := fs.list(dir)
		for _, e := range entries {
			free -= e.bytes
		}
		return free, size, err
	}
	fs.remove = func(path string) error {
		if crashed {
			return errCut
		}
		return disk().remove(path)
	}
	options := Options{SegmentBytes: leastSegment, PrepareAfter: -1}
	var j *Journal
	start := func() (sum journal.Recovered) {
		t.Helper()
		var err error
		j, err = open(path, options, fs)
		require.NoError(t, err)
		sum, err = j.Recover(discard())
		require.NoError(t, err)
		return sum
	}
	checkpoint := func() error {
		t.Helper()
		g := journal.Group{First: j.last + 1, Count: 1, Records: journal.AppendRecord(nil, make([]byte, 1000))}
		require.NoError(t, j.Append(t.Context(), g))
		c, err := j.Checkpoint(t.Context(), j.last)
		if err != nil {
			return err
		}
		defer c.Abort()
		return errors.Join(c.Write(journal.AppendRecord(nil, make([]byte, 100<<10))), c.Commit(j.last))
	}
	start()
	require.NoError(t, checkpoint())
	require.NoError(t, checkpoint())
	crashed = true
	require.ErrorIs(t, checkpoint(), errCut)
	require.NoError(t, j.Close())

	var warned []error
	options.Warn = func(err error) { warned = append(warned, err) }
	start() // the files cannot be removed: that ends nothing, and is said
	require.Len(t, warned, 1)
	require.ErrorContains(t, warned[0], "a file that nothing needs cannot be removed")
	require.NoError(t, j.Close())

	crashed = false
	sum := start()
	require.EqualValues(t, 3, sum.Checkpoint.Start)
	_, checkpoints, err := j.dir.files()
	require.NoError(t, err)
	require.Len(t, checkpoints, checkpointsKept)
	require.NoError(t, checkpoint())
	require.Len(t, warned, 1)
	require.NoError(t, j.Close())

	r, err := openReadOnly(path, fs)
	require.NoError(t, err)
	faults, err := r.Check()
	require.NoError(t, err)
	require.Empty(t, faults)
	require.NoError(t, r.Close())
}

// TestStartKeepsWhatMayBeNeeded: with one intact checkpoint a start removes nothing: not the segments before the first
// checkpoint, which can replace it, and not a damaged newer one, which another start may be able to read.
func TestStartKeepsWhatMayBeNeeded(t *testing.T) {
	for checkpoints, kept := range map[int]string{1: segmentName(1), checkpointsKept: checkpointName(160)} {
		path := filepath.Join(t.TempDir(), "journal")
		j := recovered(t, path, smallSegments)
		for range checkpoints {
			for range 80 { // more than a segment
				g := journal.Group{First: j.last + 1, Count: 1, Records: journal.AppendRecord(nil, make([]byte, 100))}
				require.NoError(t, j.Append(t.Context(), g))
			}
			c, err := j.Checkpoint(t.Context(), j.last)
			require.NoError(t, err)
			require.NoError(t, c.Write(journal.AppendRecord(nil, []byte("state"))))
			require.NoError(t, c.Commit(j.last))
		}
		require.NoError(t, j.Close())
		if checkpoints > 1 {
			require.NoError(t, flipByte(disk(), filepath.Join(path, kept), headerBytes+chunkHeaderBytes+1))
		}
		before, err := listDir(path)
		require.NoError(t, err)
		require.Contains(t, journalFiles(before), kept)
		j = recovered(t, path, smallSegments)
		after, err := listDir(path)
		require.NoError(t, err)
		require.Equal(t, journalFiles(before), journalFiles(after))
		require.NoError(t, j.Close())
	}
}

// journalFiles returns the names of the segments and checkpoints.
func journalFiles(entries []entry) (names []string) {
	for _, e := range entries {
		if strings.HasPrefix(e.name, segmentPrefix) || strings.HasPrefix(e.name, checkpointPrefix) {
			names = append(names, e.name)
		}
	}
	return names
}
