package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// importedState is what the tests import.
var importedState = []string{"one", "two"}

const importedLast = 41

func writeState(to journal.Checkpoint) error {
	for _, run := range importedState {
		if err := to.Write(journal.AppendRecord(nil, []byte(run))); err != nil {
			return err
		}
	}
	return nil
}

// requireImported requires that the directory is the imported journal, and continues it.
func requireImported(t *testing.T, path string, fs fileSystem) {
	t.Helper()
	for life := range uint64(2) {
		j, err := open(path, smallSegments, fs)
		require.NoError(t, err)
		var chunks []string
		to := discard()
		to.Begin = func(c journal.CheckpointInfo) error {
			require.EqualValues(t, importedLast, c.Start)
			require.EqualValues(t, importedLast, c.End)
			return nil
		}
		to.Chunk = func(run []byte) error {
			one, rest, err := journal.Next(run)
			require.Empty(t, rest)
			chunks = append(chunks, string(one))
			return err
		}
		sum, err := j.Recover(to)
		require.NoError(t, err)
		require.Empty(t, sum.Notes)
		require.Equal(t, importedState, chunks)
		require.Equal(t, importedLast+life, sum.Last)
		g := journal.Group{First: sum.Last + 1, Count: 1, Records: journal.AppendRecord(nil, []byte("next"))}
		require.NoError(t, j.Append(t.Context(), g))
		require.NoError(t, j.Close())
	}
}

func TestImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, Import(path, importedLast, writeState))
	requireImported(t, path, disk())
	before := contentOf(t, path)
	require.ErrorIs(t, Import(path, importedLast, writeState), errHasJournal)
	require.Equal(t, before, contentOf(t, path))
}

func TestImportOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, Import(path, 0, func(journal.Checkpoint) error { return nil }))
	j := recovered(t, path, smallSegments)
	require.NoError(t, j.Append(t.Context(), journal.Group{First: 1, Count: 1, Records: []byte{1, 1}}))
}

func TestImportRefuses(t *testing.T) {
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "notes"), []byte("mine"), 0o600))
	require.ErrorIs(t, Import(foreign, 1, writeState), journal.ErrForeign)
	path, gone := filepath.Join(t.TempDir(), "journal"), errors.New("the source is gone")
	require.ErrorIs(t, Import(path, 1, func(journal.Checkpoint) error { return gone }), gone)
	_, err := Open(path, smallSegments)
	require.ErrorIs(t, err, journal.ErrForeign, "a part of a journal is none")
	before := contentOf(t, path)
	again := Import(path, 1, writeState)
	require.ErrorIs(t, again, journal.ErrForeign)
	require.ErrorContains(t, again, "remove this one if an unfinished rescue left it")
	require.Equal(t, before, contentOf(t, path))
}

// Where the parent of the directory takes no trace, the imported journal is whole all the same, and not locked.
func TestImportLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.Mkdir(traceName(path)+temporarySuffix, 0o755)) // the file cannot be made
	require.NoError(t, Import(path, importedLast, writeState))
	requireImported(t, path, disk())
}

// A power cut at any operation of an import leaves the whole journal, or none.
func TestImportThroughPowerCuts(t *testing.T) {
	whole := newCrashFS(0)
	require.NoError(t, importInto(crashDir, importedLast, writeState, whole.seam()))
	none, some := 0, 0
	for cut := 1; cut <= whole.ops+1; cut++ {
		for seed := range uint64(8) {
			fs := newCrashFS(seed)
			fs.cutAt = cut
			err := importInto(crashDir, importedLast, writeState, fs.seam())
			next := fs.afterCut(seed)
			r, opened := openReadOnly(crashDir, next.seam())
			if opened != nil {
				require.Errorf(t, err, "cut at operation %d, seed %d", cut, seed)
				none++
				continue
			}
			require.NoError(t, r.Close())
			requireImported(t, crashDir, next.seam())
			some++
		}
	}
	t.Logf("%d operations, each cut 8 times: %d times nothing, %d times the whole journal", whole.ops, none, some)
	require.Positive(t, none)
	require.Positive(t, some)
}
