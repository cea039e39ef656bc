//go:build unix

package catalog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A named pipe in place of a file is a fault, and is not opened: without a writer that would take for ever. A link to a
// plain file is as good as the file.
func TestPlainFiles(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for name, text := range smallFiles(t).text {
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, name), text, 0o600))
		require.NoError(t, os.Symlink(filepath.Join(elsewhere, name), filepath.Join(dir, name)))
	}
	_, err := Load(dir)
	require.NoError(t, err)
	for _, name := range fileNames {
		path := filepath.Join(dir, name)
		if name != stockFile {
			require.NoError(t, os.Rename(path, path+".was"))
		}
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		_, err := Load(dir)
		require.EqualError(t, err, "sale definition "+dir+": "+name+": file: must be a plain file")
		require.NoError(t, os.Remove(path))
		if name != stockFile {
			require.NoError(t, os.Rename(path+".was", path))
		}
	}
}
