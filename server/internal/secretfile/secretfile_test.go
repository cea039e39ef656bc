//go:build unix

package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExposure checks which modes draw a warning.
func TestExposure(t *testing.T) {
	const root, us, other = 0, 1000, 1001
	for _, c := range []struct {
		mode           fs.FileMode
		owner, process int
		warning        string
	}{
		{0o600, us, us, ""},
		{0o400, us, us, ""},
		{0o640, us, us, "can be read by its group; chmod 600 it"},
		{0o440, us, us, "can be read by its group; chmod 600 it"},
		{0o620, us, us, "can be changed by its group; chmod 600 it"},
		{0o660, us, us, "can be read by its group and can be changed by its group; chmod 600 it"},
		{0o604, us, us, "can be read by all users of this machine; chmod 600 it"},
		{0o644, us, us, "can be read by all users of this machine; chmod 600 it"},
		{0o602, us, us, "can be changed by all users of this machine; chmod 600 it"},
		{0o666, us, us, "can be read by all users of this machine and can be changed by all users of this machine; " +
			"chmod 600 it"},
		{0o640, root, us, ""}, // a secret of Kubernetes with fsGroup
		{0o440, other, us, ""},
		{0o644, root, us, "can be read by all users of this machine; chmod 640 it"},
		{0o660, root, us, "can be changed by its group; chmod 640 it"},
		{0o600, us, root, ""},
		{0o640, root, root, "can be read by its group; chmod 600 it"},
		{0o640, us, root, "can be read by its group; chmod 600 it"},
	} {
		got := exposureOf(c.mode, c.owner, c.process)
		if c.warning == "" {
			require.Empty(t, got, "%o", c.mode)
			continue
		}
		require.True(t, strings.HasPrefix(got, c.warning), "%o: %s", c.mode, got)
	}
}

// TestRead checks that the target of a symbolic link is judged, and that neither a directory nor a file above the limit
// is read.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "..data-secret"), filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(file, []byte("12345"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	content, warning, err := Read(link, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(content))
	require.Empty(t, warning, "the mode of a link itself is 0777")
	require.NoError(t, os.Chmod(file, 0o644))
	_, warning, err = Read(link, 5)
	require.NoError(t, err)
	require.Contains(t, warning, link+" can be read by all users")
	content, warning, err = Read(link, 4)
	require.ErrorContains(t, err, "has more than 4 bytes")
	require.Nil(t, content)
	require.NotEmpty(t, warning)
	_, _, err = Read(dir, 5)
	require.Error(t, err)
	_, _, err = Read(file+"-none", 5)
	require.ErrorIs(t, err, os.ErrNotExist)
}
