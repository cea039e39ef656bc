package embedded

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// smallSegments makes segments that a few groups fill, so that short tests begin and remove some.
var smallSegments = Options{SegmentBytes: 8 << 10, PrepareAfter: 2 << 10}

// TestSuite runs the suite of all backends on the real file system, with a quarter of the random runs: each waits some
// hundred times for the disk. TestSuiteWithCrashes has all of them.
func TestSuite(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	all, err := strconv.Atoi(checks.Value.String())
	require.NoError(t, err)
	require.NoError(t, checks.Value.Set(strconv.Itoa(max(1, all/4))))
	t.Cleanup(func() { require.NoError(t, checks.Value.Set(strconv.Itoa(all))) })
	journaltest.Run(t, func(t *testing.T) journaltest.Store {
		return store(filepath.Join(t.TempDir(), "journal"), disk())
	})
}

// store is a journal on a file system, for the suite.
func store(path string, fs fileSystem) journaltest.Store {
	d := directory{path: path, fs: fs}
	return journaltest.Store{
		Open: func() (journal.Backend, error) { return open(path, smallSegments, fs) },
		Kept: func() (journaltest.Kept, error) {
			segments, checkpoints, err := d.files()
			if err != nil {
				return journaltest.Kept{}, err
			}
			newest, err := lastRecord(path, fs)
			return journaltest.Kept{OldestRecord: segments[0].sequence, NewestRecord: newest, Checkpoints: len(checkpoints)}, err
		},
		SpoilCheckpoint: func() error {
			_, checkpoints, err := d.files()
			if err != nil {
				return err
			}
			newest := checkpoints[len(checkpoints)-1]
			return flipByte(fs, d.join(newest.name), newest.bytes/2)
		},
	}
}

// lastRecord returns the sequence of the last record in the newest segment.
func lastRecord(path string, fs fileSystem) (uint64, error) {
	o, err := openReadOnly(path, fs)
	if err != nil {
		return 0, err
	}
	defer o.Close()
	sum, err := o.Recover(discard())
	return sum.Last, err
}

// discard ignores all that is delivered.
func discard() journal.Recovery {
	return journal.Recovery{
		Begin: func(journal.CheckpointInfo) error { return nil },
		Chunk: func([]byte) error { return nil },
		Group: func(journal.Group) error { return nil },
	}
}

// flipByte inverts one byte of a file.
func flipByte(fs fileSystem, path string, offset int64) error {
	f, err := fs.openDurable(path)
	if err != nil {
		return err
	}
	defer f.close()
	var b [1]byte
	if _, err := f.readAt(b[:], offset); err != nil {
		return err
	}
	b[0] ^= 0xff
	_, err = f.writeAt(b[:], offset)
	return err
}

// recovered opens a directory for writing and recovers it.
func recovered(t testing.TB, path string, options Options) *Journal {
	t.Helper()
	j, err := Open(path, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	_, err = j.Recover(discard())
	require.NoError(t, err)
	return j
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}
