package statefile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	file, err := os.Create(path)
	require.NoError(t, err)
	unlock, err := Lock(path)
	require.NoError(t, err)
	_, err = Lock(path)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, path)
	_, err = file.WriteString("the owner writes")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, unlock())
	unlock, err = Lock(path)
	require.NoError(t, err)
	require.NoError(t, unlock())
	_, err = Lock(filepath.Join(path, "missing", "state"))
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
