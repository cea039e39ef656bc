package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPreparedSegment: on a real disk, groups soon go into a prepared segment, and Close removes the next one. The next
// process reads the groups before the remaining zeros and continues in the same segment.
func TestPreparedSegment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	options := Options{SegmentBytes: 1 << 20, PrepareAfter: 1 << 10, Warn: func(err error) { t.Error(err) }}
	j := recovered(t, dir, options)
	groups := 0
	for ; j.filled != options.SegmentBytes || j.end < 10<<10; groups++ {
		appendScript(t, j, 1)
	}
	require.NoError(t, j.Close())
	require.NoFileExists(t, filepath.Join(dir, temporaryPrepared))
	segments, _ := filesOf(t, dir)
	newest := segments[len(segments)-1]
	require.Equal(t, options.SegmentBytes, newest.bytes)

	j, err := Open(dir, options)
	require.NoError(t, err)
	defer func() { require.NoError(t, j.Close()) }()
	sum, err := j.Recover(discard())
	require.NoError(t, err)
	require.Equal(t, groups, sum.Groups)
	require.Zero(t, sum.TornBytes)
	require.Empty(t, sum.Notes)
	appendScript(t, j, 2)
	again, _ := filesOf(t, dir)
	require.Equal(t, segments, again)
}

// TestNoRoomToPrepare: the last room on a disk is kept for records.
func TestNoRoomToPrepare(t *testing.T) {
	enough := prepareRoom * tinyPrepared.SegmentBytes
	for free, prepares := range map[int64]bool{enough: true, enough - 1: false} {
		fs := newCrashFS(0).seam()
		fs.space = func(string) (int64, int64, error) { return free, 1 << 40, nil }
		created := false
		create := fs.create
		fs.create = func(path string) (file, error) {
			created = created || filepath.Base(path) == temporaryPrepared
			return create(path)
		}
		j, err := open(crashDir, tinyPrepared, fs)
		require.NoError(t, err)
		_, err = j.Recover(discard())
		require.NoError(t, err)
		appendScript(t, j, 10)
		require.NoError(t, j.Close())
		require.Equal(t, prepares, created, "%d bytes free", free)
	}
}

// TestDiskSpace: some bytes of the tests' disk are free, and an error names the directory.
func TestDiskSpace(t *testing.T) {
	free, size, err := diskSpace(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, free)
	require.Greater(t, size, free)
	missing := filepath.Join(t.TempDir(), "missing")
	_, _, err = diskSpace(missing)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, missing)
}
