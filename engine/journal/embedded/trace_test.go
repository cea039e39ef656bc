package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// begun makes a journal with a record and closes it.
func begun(t *testing.T, path string, options Options) {
	t.Helper()
	j, err := Open(path, options)
	require.NoError(t, err)
	sum, err := j.Recover(discard())
	require.NoError(t, err)
	g := journal.Group{First: sum.Last + 1, Count: 1, Records: journal.AppendRecord(nil, []byte("sold"))}
	require.NoError(t, j.Append(t.Context(), g))
	require.NoError(t, j.Close())
}

// A journal that is gone is not begun anew: its directory removed, emptied, or its disk not mounted, which is an empty
// directory with the same parent.
func TestEmptyPlaceIsNoNewJournal(t *testing.T) {
	loss := map[string]func(t *testing.T, path string){
		"removed":  func(t *testing.T, path string) { require.NoError(t, os.RemoveAll(path)) },
		"unplaced": func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".elsewhere")) },
		"emptied": func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.Mkdir(path, 0o755))
		},
		"a new file system": func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.MkdirAll(filepath.Join(path, lostAndFound), 0o755))
		},
	}
	for name, lose := range loss {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			begun(t, path, Options{})
			lose(t, path)
			before, missing := os.ReadDir(path)
			for range 2 {
				_, err := Open(path+"/", Options{})
				require.ErrorIs(t, err, journal.ErrGone)
				require.ErrorContains(t, err, filepath.Join(filepath.Dir(path), ".journal.seathold-journal"))
				after, err := os.ReadDir(path)
				require.Equal(t, errors.Is(missing, os.ErrNotExist), errors.Is(err, os.ErrNotExist))
				require.Equal(t, namesIn(before), withoutLock(after), "a refusal changes nothing")
			}
			begun(t, path, Options{New: true})
			begun(t, path, Options{})
		})
	}
}

func namesIn(entries []os.DirEntry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// withoutLock are the names but that of the lock, which a system may need that cannot lock directories.
func withoutLock(entries []os.DirEntry) (names []string) {
	for _, name := range namesIn(entries) {
		if name != lockName {
			names = append(names, name)
		}
	}
	return names
}

// A journal that comes to a place leaves a trace there at its first start: one of before traces, one that was copied.
func TestTraceOfACopy(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "journal")
	begun(t, first, Options{})
	require.NoError(t, os.CopyFS(second, os.DirFS(first)))
	require.NoFileExists(t, traceName(second))
	begun(t, second, Options{})
	require.Equal(t, string(readFile(t, traceName(first))), string(readFile(t, traceName(second))))
	require.NoError(t, os.RemoveAll(second))
	_, err := Open(second, Options{})
	require.ErrorIs(t, err, journal.ErrGone)
	begun(t, second, Options{New: true})
	require.NotEqual(t, string(readFile(t, traceName(first))), string(readFile(t, traceName(second))), "it has another id")
}

// Where the parent takes no file, the journal works, and Warn says what is not noticed then.
func TestNoPlaceForATrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.Mkdir(traceName(path)+temporarySuffix, 0o755)) // the file cannot be made
	var warned []error
	begun(t, path, Options{Warn: func(err error) { warned = append(warned, err) }})
	require.Len(t, warned, 1)
	require.ErrorContains(t, warned[0], "a new journal is begun there")
	require.Empty(t, traceName("/"))
}

// No crash leaves a trace without a journal: the first start after it would ask for what nobody has lost.
func TestTraceThroughPowerCuts(t *testing.T) {
	whole := newCrashFS(0)
	_, err := open(crashDir, Options{}, whole.seam())
	require.NoError(t, err)
	traces := 0
	for cut := 1; cut <= whole.ops; cut++ {
		for seed := range uint64(16) {
			fs := newCrashFS(seed)
			fs.cutAt = cut
			_, _ = open(crashDir, Options{}, fs.seam()) // it fails, or the trace does
			next := fs.afterCut(seed)
			_, found, err := readTrace(crashDir, next.seam())
			require.NoError(t, err)
			if found {
				traces++
			}
			j, err := open(crashDir, Options{}, next.seam())
			require.NoErrorf(t, err, "cut at operation %d, seed %d", cut, seed)
			_, err = j.Recover(discard())
			require.NoError(t, err)
			require.NoError(t, j.Close())
		}
	}
	t.Logf("%d operations, each cut 16 times, %d times with a trace", whole.ops, traces)
	require.Positive(t, traces)
}
