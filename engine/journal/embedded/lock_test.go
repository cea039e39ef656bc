package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// TestLockIsNoFile: nothing that is removed from the directory, or put into it, lets a second process write it.
func TestLockIsNoFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := recovered(t, dir, Options{})
	appendScript(t, j, 1)
	refuse := func(when string) {
		t.Helper()
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, journal.ErrLocked, when)
		_, err = OpenReadOnly(dir)
		require.ErrorIs(t, err, journal.ErrLocked, when)
	}
	refuse("at first")
	lock := filepath.Join(dir, lockName)
	if err := os.Remove(lock); runtime.GOOS != "windows" {
		require.True(t, err == nil || errors.Is(err, os.ErrNotExist), "%v", err)
	}
	refuse("after the file LOCK was removed")
	require.NoError(t, os.WriteFile(lock, nil, 0o600))
	refuse("with another file LOCK")
	appendScript(t, j, 1)
}

// TestDirectoryIsGone removes or replaces an open journal in every way. The next group is not acknowledged, neither is
// anything later, and an idle journal fails too. What has taken the directory's place is not touched.
func TestDirectoryIsGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses to remove or rename the directory of an open file")
	}
	ways := []struct {
		name  string
		lose  func(t *testing.T, dir string)
		other bool // whether another directory is there afterwards
	}{
		{"removed", func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }, false},
		{"its files removed", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Mkdir(dir, 0o700))
		}, true},
		{"its newest segment removed", func(t *testing.T, dir string) {
			segments, _ := filesOf(t, dir)
			require.NoError(t, os.Remove(filepath.Join(dir, segments[len(segments)-1].name)))
		}, false},
		{"renamed", func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+".old")) }, false},
		{"replaced by a copy", func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(dir, dir+".old"))
			require.NoError(t, os.CopyFS(dir, os.DirFS(dir+".old")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, temporaryPrepared), []byte("another's"), 0o600))
		}, true},
		{"replaced by a link to a copy", func(t *testing.T, dir string) {
			require.NoError(t, os.CopyFS(dir+".copy", os.DirFS(dir)))
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Symlink(dir+".copy", dir))
		}, true},
	}
	calls := map[string]func(ctx context.Context, j *Journal) error{
		"append": func(ctx context.Context, j *Journal) error { return j.Append(ctx, scriptGroup(j.last+1, 0)) },
		"append that begins a segment": func(ctx context.Context, j *Journal) error {
			j.options.SegmentBytes = j.end
			return j.Append(ctx, scriptGroup(j.last+1, 0))
		},
		"beat": func(ctx context.Context, j *Journal) error { return j.Beat(ctx) },
	}
	for _, way := range ways {
		for call, do := range calls {
			for _, late := range []bool{false, true} {
				prepared := map[bool]string{false: "before", true: "after"}[late]
				t.Run(fmt.Sprintf("%s, %s, the next segment prepared %s", way.name, call, prepared), func(t *testing.T) {
					directoryIsGone(t, way.lose, way.other, late, do)
				})
			}
		}
	}
}

// directoryIsGone loses an open journal. The next segment is prepared at once, or, where late is set, after the loss.
func directoryIsGone(t *testing.T, lose func(t *testing.T, dir string), other, late bool,
	do func(ctx context.Context, j *Journal) error) {
	dir := filepath.Join(t.TempDir(), "journal")
	var preparations []func()
	fs := disk()
	fs.spawn = func(work func()) {
		if late {
			preparations = append(preparations, work)
			return
		}
		work()
	}
	j, err := open(dir, tinyPrepared, fs)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	appendScript(t, j, 6)
	require.NoError(t, j.Beat(t.Context()))
	lose(t, dir)
	var before map[string]string
	if other {
		before = contentOf(t, dir)
	}
	j.looked = j.looked.Add(-lookEvery)
	last := j.last
	err = do(t.Context(), j)
	require.ErrorIs(t, err, journal.ErrGone)
	require.ErrorContains(t, err, "journal directory "+dir+" takes no more records")
	require.Equal(t, last, j.last)
	require.Equal(t, err, j.Append(t.Context(), scriptGroup(last+1, 0)))
	_, again := j.Checkpoint(t.Context(), last)
	require.Equal(t, err, again)
	require.Equal(t, late, len(preparations) > 0)
	for _, work := range preparations {
		work()
	}
	if closing := j.Close(); closing != nil {
		require.ErrorIs(t, closing, journal.ErrGone)
	}
	if other {
		require.True(t, maps.Equal(before, contentOf(t, dir)), "the directory that took its place was changed")
	}
}

// TestCheckpointOfAGoneDirectory: a checkpoint ends with the journal, and leaves the new directory alone.
func TestCheckpointOfAGoneDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses to rename the directory of an open file")
	}
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := Open(dir, tinySegments)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	appendScript(t, j, 1)
	c, err := j.Checkpoint(t.Context(), j.last)
	require.NoError(t, err)
	require.NoError(t, os.Rename(dir, dir+".old"))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, temporaryCheckpoint), []byte("another's"), 0o600))
	before := contentOf(t, dir)
	require.ErrorIs(t, c.Commit(j.last), journal.ErrGone)
	require.ErrorIs(t, j.Append(t.Context(), scriptGroup(j.last+1, 0)), journal.ErrGone)
	require.NoError(t, j.Close())
	require.Equal(t, before, contentOf(t, dir))
}

// TestLockOfAFile: where a directory cannot be locked exclusively, the file LOCK is, by writers and readers alike, and
// its removal ends the writer.
func TestLockOfAFile(t *testing.T) {
	try := func(f *os.File, shared bool) error { // as on NFS
		if info, err := f.Stat(); err != nil || info.IsDir() && !shared {
			return errors.Join(err, errors.ErrUnsupported)
		}
		return flock(f, shared)
	}
	dir := t.TempDir()
	writer, err := lockDirBy(try, dir, false)
	require.NoError(t, err)
	for _, shared := range []bool{false, true} {
		_, err = lockDirBy(try, dir, shared)
		require.ErrorIs(t, err, journal.ErrLocked)
	}
	require.NoError(t, writer.present())
	if runtime.GOOS == "windows" {
		require.Error(t, os.Remove(filepath.Join(dir, lockName)))
	} else {
		require.NoError(t, os.Remove(filepath.Join(dir, lockName)))
		require.ErrorIs(t, writer.present(), journal.ErrGone)
	}
	require.NoError(t, writer.unlock())

	reader, err := lockDirBy(try, dir, true)
	require.NoError(t, err)
	require.NoError(t, reader.unlock())
	writer, err = lockDirBy(try, dir, false)
	require.NoError(t, err)
	require.NoError(t, writer.unlock())
	reader, err = lockDirBy(try, dir, true)
	require.NoError(t, err)
	_, err = lockDirBy(try, dir, false)
	require.ErrorIs(t, err, journal.ErrLocked)
	require.NoError(t, reader.unlock())
}

// TestParentsAreSynced: however the path of a new journal is written, its name is durable in the directory that has it.
func TestParentsAreSynced(t *testing.T) {
	parent := t.TempDir()
	elsewhere := filepath.Join(parent, "elsewhere", "linked")
	require.NoError(t, os.MkdirAll(elsewhere, 0o700))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(parent, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(parent, "here"), 0o700))
	resolved, err := filepath.EvalSymlinks(parent)
	require.NoError(t, err)
	cases := []struct {
		from, path string
		parents    []string
	}{
		{parent, filepath.Join(parent, "plain"), []string{parent}},
		{parent, filepath.Join(parent, "slash") + "/", []string{parent}},
		{parent, filepath.Join(parent, "slashes") + "//./", []string{parent}},
		{parent, "relative", []string{resolved}},
		{parent, "./dotted/", []string{resolved}},
		{filepath.Join(parent, "here"), ".", []string{resolved}},
		{parent, filepath.Join(parent, "link"), []string{filepath.Dir(elsewhere), parent}},
	}
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			t.Chdir(c.from)
			var synced []string
			fs := disk()
			fs.syncDir = func(dir string) error {
				synced = append(synced, filepath.Clean(dir))
				return syncDir(dir)
			}
			j, err := open(c.path, Options{}, fs)
			require.NoError(t, err)
			t.Chdir(t.TempDir()) // the journal stays where it was opened
			_, err = j.Recover(discard())
			require.NoError(t, err)
			appendScript(t, j, 1)
			checkpointNow(t, j)
			require.NoError(t, j.Close())
			require.Subset(t, synced, c.parents)
		})
	}
	_, err = Open("", Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestSlashAfterTheDirectory (I5): the power is cut when all groups are acknowledged, and nothing survives that was not
// synced.
func TestSlashAfterTheDirectory(t *testing.T) {
	fs := newCrashFS(0)
	j, err := open(crashDir+"/", tinySegments, fs.seam())
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	appendScript(t, j, 3)
	after := fs.afterCut(0)
	last, err := lastRecord(crashDir+"/", after.seam())
	require.NoError(t, err)
	require.Equal(t, j.last, last)
}
