package embedded

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// copyOf returns a copy of a journal's directory, as a crash of its process leaves it.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copied")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	return copied
}

// replaceFile writes a file without its old content.
func replaceFile(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

// TestLastGroupIsKnownTwice (I5) damages the last frame of a journal that was closed, and of one whose process was
// killed, at each byte and by cutting it short. No start takes the group back.
func TestLastGroupIsKnownTwice(t *testing.T) {
	for _, closed := range []bool{true, false} {
		for _, zeros := range []int{0, 6000} {
			t.Run(fmt.Sprintf("closed=%t,zeros=%d", closed, zeros), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "journal")
				j := recovered(t, dir, tinySegments)
				appendScript(t, j, 8)
				if closed {
					require.NoError(t, j.Close())
				}
				lastGroupIsKnownTwice(t, copyOf(t, dir), zeros)
			})
		}
	}
}

func lastGroupIsKnownTwice(t *testing.T, dir string, zeros int) {
	segments, _ := filesOf(t, dir)
	newest := segments[len(segments)-1].name
	whole := readFile(t, filepath.Join(dir, newest))
	last := frameOffset(whole, 1)
	refused := func(what string, content []byte) {
		t.Helper()
		content = append(content, make([]byte, zeros)...)
		replaceFile(t, dir, newest, content)
		o, err := OpenReadOnly(dir)
		require.NoError(t, err)
		_, err = o.Recover(discard())
		require.NoError(t, o.Close())
		require.ErrorIs(t, err, journal.ErrDamaged, what)
		require.ErrorContains(t, err, fmt.Sprintf("%s at offset %d: ", newest, last), what)
	}
	for i := last; i < len(whole); i += 7 {
		refused(fmt.Sprintf("byte %d", i), flip(i)(bytes.Clone(whole)))
	}
	for _, size := range []int{last, last + 1, last + headerBytes, last + headerBytes + 100, len(whole) - 1} {
		refused(fmt.Sprintf("cut to %d bytes", size), bytes.Clone(whole[:size]))
	}
	cleared := bytes.Clone(whole)
	clear(cleared[last:])
	refused("zeros", cleared)
	requireDamage(t, dir, newest, int64(last))
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	_, err = o.Recover(discard())
	require.ErrorContains(t, err, "the groups end after record 26, and by the file end record 30 was durable; "+
		"`seathold journal repair --dry-run --data "+dir+"` prints what can be done")
	require.NoError(t, o.Close())
}

// TestDamagedEnd damages the file end. Each copy is enough; without both the journal is whole if it ends in an intact
// frame, and is refused if it does not. A writer makes both copies anew.
func TestDamagedEnd(t *testing.T) {
	spoil := map[string]struct {
		change func(b []byte) []byte
		note   string
		known  bool
	}{
		"the first copy":   {flip(20), "end at offset 0: this copy of the journal's end is invalid", true},
		"the second copy":  {flip(endPageBytes + 47), "end at offset 4096: this copy of the journal's end is invalid", true},
		"after the first":  {flip(endBytes), "end at offset 0: this copy of the journal's end is invalid", true},
		"after the second": {flip(2*endPageBytes - 1), "end at offset 4096: this copy of the journal's end is invalid", true},
		"cut short": {func(b []byte) []byte { return b[:endPageBytes+10] },
			"end at offset 0: it has 4106 bytes where 8192 belong", true},
		"both copies": {func(b []byte) []byte { return flip(endPageBytes)(flip(0)(b)) },
			"end at offset 0: this copy of the journal's end is invalid", false},
		"empty":   {func([]byte) []byte { return nil }, "end at offset 0: it has 0 bytes where 8192 belong", false},
		"missing": {nil, "end at offset 0: the file is missing", false},
	}
	for name, s := range spoil {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "journal")
			segments, _ := written(t, dir, 8)
			path := filepath.Join(dir, endName)
			whole := readFile(t, path)
			if s.change == nil {
				require.NoError(t, os.Remove(path))
			} else {
				replaceFile(t, dir, endName, s.change(bytes.Clone(whole)))
			}
			torn := copyOf(t, dir)
			newest := segments[len(segments)-1]
			edit(t, filepath.Join(torn, newest.name), flip(int(newest.bytes)-1))
			requireDamage(t, torn, newest.name, int64(frameOffset(readFile(t, filepath.Join(dir, newest.name)), 1)))

			j, err := Open(dir, tinySegments)
			require.NoError(t, err)
			sum, err := j.Recover(discard())
			require.NoError(t, err)
			require.Equal(t, []string{s.note + "; the journal ends with record 30"}, sum.Notes)
			require.NoError(t, j.Close())
			require.Equal(t, whole, readFile(t, path))
		})
	}
}

// TestEndOfAnotherJournal: a group that the file end contradicts is damage, even with the right checksums.
func TestEndOfAnotherJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 8)
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	found, err := o.dir.readEnd()
	require.NoError(t, err)
	require.NoError(t, o.Close())
	for _, e := range []end{
		{found.sequence - 1, found.segment, found.offset, found.chain},
		{found.sequence, found.segment, found.offset, found.chain + 1},
	} {
		replaceFile(t, dir, endName, e.encode(o.dir.id))
		newest := segments[len(segments)-1]
		requireDamage(t, dir, newest.name, int64(frameOffset(readFile(t, filepath.Join(dir, newest.name)), 1)))
	}
}

// TestPowerFailureAndRotAtOnce: the power fails, nothing survives that was not synced, and the last acknowledged group
// is damaged as well. It is lost, with a note, if the journal was never idle since; half a second later it is not.
func TestPowerFailureAndRotAtOnce(t *testing.T) {
	for _, idle := range []bool{false, true} {
		fs := newCrashFS(0)
		j, err := open(crashDir, tinySegments, fs.seam())
		require.NoError(t, err)
		_, err = j.Recover(discard())
		require.NoError(t, err)
		appendScript(t, j, 2)
		if idle {
			require.NoError(t, j.Beat(t.Context()))
			ops := fs.ops
			require.NoError(t, j.Beat(t.Context()))
			require.Equal(t, ops, fs.ops, "the end is synced again without a new group")
		}
		after := fs.afterCut(0)
		require.NoError(t, flipByte(after.seam(), crashDir+"/"+segmentName(1), j.end-1))
		o, err := openReadOnly(crashDir, after.seam())
		require.NoError(t, err)
		sum, err := o.Recover(discard())
		require.NoError(t, o.Close())
		if idle {
			require.ErrorIs(t, err, journal.ErrDamaged)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, uint64(2), sum.Last)
		require.Equal(t, []string{segmentName(1) + " ends in 1352 bytes from offset 724, after record 2, that are no " +
			"complete group and are dropped; the file end shows record 0 as the last durable one"}, sum.Notes)
	}
}

// TestMarkerIsKeptTwice damages or removes each of the two markers. The journal is read by the other one.
func TestMarkerIsKeptTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 2)
	names := []string{markerName, markerCopyName}
	notes := func() []string {
		t.Helper()
		o, err := OpenReadOnly(dir)
		require.NoError(t, err)
		sum, err := o.Recover(discard())
		require.NoError(t, err)
		require.NoError(t, o.Close())
		require.Equal(t, 2, sum.Groups)
		return sum.Notes
	}
	require.Empty(t, notes())
	for _, name := range names {
		path := filepath.Join(dir, name)
		whole := readFile(t, path)
		for i := range whole {
			for _, bit := range []byte{1, 0x80} {
				changed := bytes.Clone(whole)
				changed[i] ^= bit
				replaceFile(t, dir, name, changed)
				require.Len(t, notes(), 1, "byte %d of %s", i, name)
				require.Contains(t, notes()[0], name)
			}
		}
		require.NoError(t, os.Remove(path))
		if name == markerName {
			require.Len(t, notes(), 1)
			replaceFile(t, dir, name, whole)
			continue
		}
		require.Empty(t, notes(), "a crash may come between the two")
		require.NoError(t, recovered(t, dir, Options{}).Close())
		require.Equal(t, whole, readFile(t, path))
	}
	for _, name := range names {
		replaceFile(t, dir, name, flip(45)(encodeMarker(1)))
	}
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, journal.ErrDamaged)
	replaceFile(t, dir, markerName, encodeMarker(1))
	replaceFile(t, dir, markerCopyName, encodeMarker(2))
	_, err = Open(dir, Options{})
	require.ErrorContains(t, err, "it has the id 0000000000000001, and seathold-journal-copy has 0000000000000002")
}

// TestCrashWhileUpgraded cuts the power at every operation of the first start on a journal of format 1.
func TestCrashWhileUpgraded(t *testing.T) {
	old := func(seed uint64) *crashFS {
		fs := newCrashFS(seed)
		require.NoError(t, fs.makeDir(crashDir))
		for name, content := range contentOf(t, goldenDirs[0]) {
			f, err := fs.open(crashDir+"/"+name, true, true)
			require.NoError(t, err)
			_, err = f.writeAt([]byte(content), 0)
			require.NoError(t, err)
			require.NoError(t, f.close())
		}
		require.NoError(t, fs.syncDir(crashDir))
		require.NoError(t, fs.syncDir("/"))
		fs.ops = 0
		return fs
	}
	read := func(fs *crashFS) (journal.Recovered, error) {
		j, err := open(crashDir, tinySegments, fs.seam())
		if err != nil {
			return journal.Recovered{}, err
		}
		sum, err := j.Recover(discard())
		if err == nil {
			err = j.Append(t.Context(), goldenGroup(sum.Last+1, "more"))
		}
		_ = j.Close() // after a cut it fails
		return sum, err
	}
	for cut := 1; ; cut++ {
		done := false
		for seed := range uint64(4) {
			fs := old(seed)
			fs.cutAt = cut
			_, err := read(fs)
			done = err == nil
			after := fs.afterCut(seed)
			sum, err := read(after)
			require.NoError(t, err, "cut at operation %d, seed %d", cut, seed)
			require.GreaterOrEqual(t, sum.Last, uint64(6))
			marker, err := (&directory{path: crashDir, fs: after.seam()}).readFile(markerName, 256, nil)
			require.NoError(t, err)
			require.Equal(t, encodeMarker(goldenID), marker)
		}
		if done {
			require.Greater(t, cut, 20)
			return
		}
	}
}

// TestOldFormatWithATornEnd: a journal of format 1 does not know whether a damaged last frame was acknowledged.
func TestOldFormatWithATornEnd(t *testing.T) {
	dir := copyOf(t, goldenDirs[0])
	edit(t, filepath.Join(dir, segmentName(5)), func(b []byte) []byte { return b[:len(b)-1] })
	before := contentOf(t, dir)
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	sum, err := o.Recover(discard())
	require.NoError(t, err)
	require.NoError(t, o.Close())
	require.Len(t, sum.Notes, 1)
	require.Contains(t, sum.Notes[0], "a journal of format 1 does not store whether they were acknowledged")
	require.True(t, maps.Equal(before, contentOf(t, dir)))
}
