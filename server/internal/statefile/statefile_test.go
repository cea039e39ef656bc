package statefile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f, err := Open(path, 0o600)
	require.NoError(t, err)
	_, err = Open(path, 0o600)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, path)
	_, err = f.WriteString("the owner writes")
	require.NoError(t, err)
	require.NoError(t, f.Cut(4))
	_, err = f.WriteString("last")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "the last", string(text))
	f, err = Open(path, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = Open(filepath.Join(path, "missing", "state"), 0o600)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrLocked)
}

func TestReplaceLeavesOldOrNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	for _, content := range []string{"old", "new", ""} {
		require.NoError(t, os.WriteFile(path+".next", []byte("what a crash left of a longer write"), 0o600))
		require.NoError(t, Replace(path, []byte(content)))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(text))
	}
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Error(t, Replace(filepath.Join(dir, "missing", "state"), nil))
}
