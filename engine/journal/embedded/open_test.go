package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// TestOneWriter: a directory has one writer or any number of readers. A refusal names the directory.
func TestOneWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := Open(dir, Options{})
	require.NoError(t, err)
	locked := "journal directory " + dir + ": the journal is in use by another process"
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, journal.ErrLocked)
	require.EqualError(t, err, locked)
	_, err = OpenReadOnly(dir)
	require.EqualError(t, err, locked)
	require.NoError(t, j.Close())

	a, err := OpenReadOnly(dir)
	require.NoError(t, err)
	b, err := OpenReadOnly(dir)
	require.NoError(t, err)
	_, err = Open(dir, Options{})
	require.EqualError(t, err, locked)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	_, err = a.Recover(discard())
	require.ErrorIs(t, err, journal.ErrClosed)
	require.NoError(t, b.Close())
	j, err = Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())
}

// TestLockEndsWithItsProcess: the lock of a killed process is released.
func TestLockEndsWithItsProcess(t *testing.T) {
	const asChild = "SEATHOLD_TEST_LOCK_DIRECTORY"
	if dir := os.Getenv(asChild); dir != "" {
		_, err := Open(dir, Options{})
		require.NoError(t, err)
		os.Stdout.WriteString("L")
		select {}
	}
	dir := filepath.Join(t.TempDir(), "journal")
	child := exec.Command(os.Args[0], "-test.run=^TestLockEndsWithItsProcess$")
	child.Env = append(os.Environ(), asChild+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, journal.ErrLocked)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	j, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())
}

// TestForeignDirectories: a directory that is no journal is refused with the reason and not changed.
func TestForeignDirectories(t *testing.T) {
	cases := []struct {
		name  string
		files map[string]string
		line  string
	}{
		{"another program's", map[string]string{"photo.jpg": "x"}, "it holds photo.jpg but no file seathold-journal"},
		{"segments without their marker", map[string]string{segmentName(1): "more than a header, as if there were groups"},
			"it holds segment-00000000000000000001 but no file seathold-journal"},
		{"another kind of marker", map[string]string{markerName: "hello\n"}, "the file seathold-journal has other content"},
		{"a later version", map[string]string{markerName: "Seathold journal, format 3, and so on\n"},
			"it has format version 3, this program reads 1 to 2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			}
			_, err := Open(dir, Options{})
			require.ErrorIs(t, err, journal.ErrForeign)
			require.EqualError(t, err, "journal directory "+dir+": not a journal that this program reads: "+c.line)
			_, err = OpenReadOnly(dir)
			require.ErrorIs(t, err, journal.ErrForeign)
			require.Equal(t, c.files, contentOf(t, dir))
		})
	}
}

// TestDirectories: which directories are made, used or refused.
func TestDirectories(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "journal")
	_, err := OpenReadOnly(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "a reader made a journal")
	_, err = Open(filepath.Join(dir, "below"), Options{})
	require.ErrorIs(t, err, os.ErrNotExist)

	j, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	plain := filepath.Join(parent, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	_, err = Open(plain, Options{})
	require.ErrorIs(t, err, journal.ErrForeign)

	mounted := filepath.Join(parent, "mounted")
	require.NoError(t, os.MkdirAll(filepath.Join(mounted, lostAndFound), 0o700))
	j, err = Open(mounted, Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())

	for _, name := range []string{markerName, markerCopyName} {
		edit(t, filepath.Join(dir, name), flip(40))
	}
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, journal.ErrDamaged)
}

// TestCallsOutOfOrder: a call that is too early, or one too many, is refused and harmless.
func TestCallsOutOfOrder(t *testing.T) {
	j, err := Open(filepath.Join(t.TempDir(), "journal"), Options{})
	require.NoError(t, err)
	require.ErrorIs(t, j.Append(t.Context(), scriptGroup(1, 0)), errNotRecovered)
	_, err = j.Checkpoint(t.Context(), 0)
	require.ErrorIs(t, err, errNotRecovered)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.ErrorIs(t, err, errNotRecovered)

	for _, g := range []journal.Group{{First: 1}, {First: 1, Count: 2, Records: []byte{0}},
		{First: 1, Count: 1, Records: make([]byte, maxRunBytes+1)}} {
		require.ErrorContains(t, j.Append(t.Context(), g), "BUG")
	}
	require.NoError(t, j.Append(t.Context(), scriptGroup(1, 0)))

	_, err = j.Checkpoint(t.Context(), j.last+1)
	require.ErrorContains(t, err, "BUG", "a checkpoint of records that are not durable")
	c, err := j.Checkpoint(t.Context(), j.last)
	require.NoError(t, err)
	_, err = j.Checkpoint(t.Context(), j.last)
	require.ErrorIs(t, err, errCheckpoints)
	require.ErrorContains(t, c.Write(make([]byte, maxRunBytes+1)), "BUG")
	require.ErrorContains(t, c.Commit(j.last+1), "BUG")
	require.NoError(t, c.Commit(j.last))
	require.ErrorIs(t, c.Commit(j.last), errCommitted)
	_, err = j.Checkpoint(t.Context(), j.last-1)
	require.ErrorContains(t, err, "BUG", "a checkpoint before the newest one")
	require.Len(t, j.segments, 1)
	require.Equal(t, scriptGroup(1, 0).Last(), j.last, "only the valid group was appended")
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
}
