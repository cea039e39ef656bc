package drawfiles

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An archive that is not an export leaves nothing behind, inside the directory or elsewhere.
func TestSaveRefusesOtherArchives(t *testing.T) {
	many := make([]tar.Header, maxFiles+1)
	for i := range many {
		many[i] = tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("file%d", i)}
	}
	for want, headers := range map[string][]tar.Header{
		"which is not a plain file":    {{Typeflag: tar.TypeReg, Name: "../escaped"}},
		`"sub/file", which is not`:     {{Typeflag: tar.TypeReg, Name: "sub/file"}},
		`"link", which is not`:         {{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc/passwd"}},
		"file exists":                  {{Typeflag: tar.TypeReg, Name: "twice"}, {Typeflag: tar.TypeReg, Name: "twice"}},
		"more than 16 files":           many,
		"the files from the server do": {{Typeflag: tar.TypeReg, Name: "entries.csv"}},
	} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		for _, h := range headers {
			require.NoError(t, w.WriteHeader(&h))
		}
		require.NoError(t, w.Close())
		parent := t.TempDir()
		_, err := Save(&archive, filepath.Join(parent, "export"), "draw1")
		require.ErrorContains(t, err, want)
		left, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Empty(t, left, want)
	}
	_, err := Save(bytes.NewReader([]byte("cut")), filepath.Join(t.TempDir(), "export"), "draw1")
	require.ErrorContains(t, err, "the export is incomplete")
}
