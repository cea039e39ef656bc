package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// written makes a journal of groups of scriptGroup, closes it and returns its files.
func written(t *testing.T, dir string, groups int) (segments, checkpoints []numbered) {
	t.Helper()
	j, err := Open(dir, tinySegments)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	appendScript(t, j, groups)
	require.NoError(t, j.Close())
	return filesOf(t, dir)
}

func appendScript(t *testing.T, j *Journal, groups int) {
	t.Helper()
	for range groups {
		require.NoError(t, j.Append(t.Context(), scriptGroup(j.last+1, 0)))
	}
}

func filesOf(t *testing.T, dir string) (segments, checkpoints []numbered) {
	t.Helper()
	d := directory{path: dir, fs: disk()}
	segments, checkpoints, err := d.files()
	require.NoError(t, err)
	return segments, checkpoints
}

// contentOf returns the content of every file in a directory.
func contentOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	content := map[string]string{}
	for _, e := range entries {
		content[e.Name()] = string(readFile(t, filepath.Join(dir, e.Name())))
	}
	return content
}

// edit applies change to the content of a file.
func edit(t *testing.T, path string, change func(b []byte) []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, change(readFile(t, path)), 0o600))
}

// flip returns a change that inverts the byte at offset.
func flip(offset int) func(b []byte) []byte {
	return func(b []byte) []byte {
		b[offset] ^= 0xff
		return b
	}
}

// frameOffset returns where the nth frame of a segment begins.
func frameOffset(b []byte, n int) int {
	at := headerBytes
	for range n {
		at += headerBytes + int(binary.LittleEndian.Uint32(b[at+4:]))
	}
	return at
}

// spoiling is one way to damage a closed journal, and where the error must say that it is damaged.
type spoiling struct {
	name   string
	damage func(t *testing.T, dir string, s []numbered)
	file   int // the segment that the error names
	frame  int // the frame whose offset the error names; -1 for the beginning of the file
}

// spoilings are done to three segments with three, three and two groups.
func spoilings() []spoiling {
	const middle, newest = 1, 2
	return []spoiling{
		{"records of an older segment", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[middle].name), func(b []byte) []byte {
				return flip(frameOffset(b, 1) + headerBytes + 9)(b)
			})
		}, middle, 1},
		{"a frame's header in an older segment", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[middle].name), func(b []byte) []byte { return flip(frameOffset(b, 1) + 5)(b) })
		}, middle, 1},
		{"an older segment cut short", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[middle].name), func(b []byte) []byte { return b[:frameOffset(b, 1)+100] })
		}, middle, 1},
		{"an older segment without its last frame", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[middle].name), func(b []byte) []byte { return b[:frameOffset(b, 1)] })
		}, middle + 1, -1},
		{"the header of a segment", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[newest].name), flip(17))
		}, newest, -1},
		{"a segment cut within its header", func(t *testing.T, dir string, s []numbered) {
			// The whole sum is cut off: zeros in the place of one byte could be what was there.
			edit(t, filepath.Join(dir, s[newest].name), func(b []byte) []byte { return b[:headerBytes-4] })
		}, newest, -1},
		{"records with a frame after them in the newest segment", func(t *testing.T, dir string, s []numbered) {
			path := filepath.Join(dir, s[newest].name)
			edit(t, path, flip(frameOffset(readFile(t, path), 0)+100))
		}, newest, 0},
		{"a frame's header with a frame after it in the newest segment", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[newest].name), flip(headerBytes+30))
		}, newest, 0},
		{"zeros over a frame's beginning in the newest segment", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[newest].name), func(b []byte) []byte {
				clear(b[headerBytes : headerBytes+200])
				return b
			})
		}, newest, 0},
		{"an old frame after the last one", func(t *testing.T, dir string, s []numbered) {
			edit(t, filepath.Join(dir, s[newest].name), func(b []byte) []byte {
				return append(b, b[headerBytes:frameOffset(b, 1)]...)
			})
		}, newest, 2},
		{"more bytes after the last frame than one group has", func(t *testing.T, dir string, s []numbered) {
			f, err := os.OpenFile(filepath.Join(dir, s[newest].name), os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte{1}, s[newest].bytes+headerBytes+maxRunBytes)
			require.NoError(t, errors.Join(err, f.Close()))
		}, newest, 2},
		{"a missing segment", func(t *testing.T, dir string, s []numbered) {
			require.NoError(t, os.Remove(filepath.Join(dir, s[middle].name)))
		}, middle + 1, -1},
		{"a missing first segment", func(t *testing.T, dir string, s []numbered) {
			require.NoError(t, os.Remove(filepath.Join(dir, s[0].name)))
		}, 1, -1},
		{"no segment", func(t *testing.T, dir string, s []numbered) {
			for _, f := range s {
				require.NoError(t, os.Remove(filepath.Join(dir, f.name)))
			}
		}, 0, -1},
		{"a segment under another's name", func(t *testing.T, dir string, s []numbered) {
			require.NoError(t, os.Rename(filepath.Join(dir, s[newest].name), filepath.Join(dir, s[middle].name)))
		}, middle, -1},
		{"a segment of another journal", func(t *testing.T, dir string, s []numbered) {
			other := filepath.Join(t.TempDir(), "other")
			written(t, other, 8)
			require.NoError(t, os.Rename(filepath.Join(other, s[middle].name), filepath.Join(dir, s[middle].name)))
		}, middle, -1},
	}
}

// TestDamageIsNamed damages a journal in each way. Recover must fail with the file and the offset, for writers and
// readers alike, and leave the directory unchanged.
func TestDamageIsNamed(t *testing.T) {
	for _, c := range spoilings() {
		t.Run(c.name, func(t *testing.T) { damageIsNamed(t, c, 0) })
		t.Run(c.name+", in prepared segments", func(t *testing.T) { damageIsNamed(t, c, 6000) })
	}
}

// damageIsNamed damages a journal and then appends zeros to every segment, as prepared ones have them.
func damageIsNamed(t *testing.T, c spoiling, zeros int) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 8)
	require.Len(t, segments, 3)
	offset := int64(0)
	if c.frame >= 0 {
		offset = int64(frameOffset(readFile(t, filepath.Join(dir, segments[c.file].name)), c.frame))
	}
	c.damage(t, dir, segments)
	left, _ := filesOf(t, dir)
	for _, s := range left {
		edit(t, filepath.Join(dir, s.name), func(b []byte) []byte { return append(b, make([]byte, zeros)...) })
	}
	requireDamage(t, dir, segments[c.file].name, offset)
}

// requireDamage requires that a writer and a reader report the damage and change nothing.
func requireDamage(t *testing.T, dir, file string, offset int64) {
	t.Helper()
	before := contentOf(t, dir)
	where := fmt.Sprintf("journal directory %s: the journal is damaged: %s at offset %d: ", dir, file, offset)
	for range 2 {
		j, err := Open(dir, tinySegments)
		require.NoError(t, err)
		_, refusal := j.Recover(discard())
		require.ErrorIs(t, refusal, journal.ErrDamaged)
		require.True(t, strings.HasPrefix(refusal.Error(), where), "%v is not at %q", refusal, where)
		require.ErrorIs(t, j.Append(t.Context(), scriptGroup(1, 0)), journal.ErrDamaged)
		require.NoError(t, j.Close())

		o, err := OpenReadOnly(dir)
		require.NoError(t, err)
		_, again := o.Recover(discard())
		require.EqualError(t, again, refusal.Error())
		require.NoError(t, o.Close())
	}
	require.True(t, maps.Equal(before, contentOf(t, dir)), "the directory was changed")
}

// TestLossThatOnlyACheckpointShows: without its newest segment a journal looks shorter but intact.
func TestLossThatOnlyACheckpointShows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 8)
	j := recovered(t, dir, tinySegments)
	c, err := j.Checkpoint(t.Context(), segments[0].sequence)
	require.NoError(t, err)
	require.NoError(t, c.Commit(j.last))
	require.NoError(t, j.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, segments[2].name)))
	requireDamage(t, dir, segments[1].name, segments[1].bytes)
}

// TestUnfinishedGroupIsCut puts at the end of the newest segment what a crash can leave there. A writer reports it,
// cuts it off and continues; a reader only reports it.
func TestUnfinishedGroupIsCut(t *testing.T) {
	const seed = 20230511
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(random.IntN(256))
	}
	foreignFrame := make([]byte, headerBytes+60)
	foreign := frameHeader{length: 60, first: 1 << 30, count: 1}
	foreign.records = crc32.Checksum(foreignFrame[headerBytes:], castagnoli)
	foreign.put(foreignFrame, saltOf(1))
	wrongLength := func(frame []byte) []byte {
		binary.LittleEndian.PutUint32(frame[4:], 0xfffffff0)
		return frame
	}
	tails := map[string]func(frame []byte) []byte{
		"one byte":                             func(frame []byte) []byte { return frame[:1] },
		"half a header":                        func(frame []byte) []byte { return frame[:16] },
		"a header alone":                       func(frame []byte) []byte { return frame[:headerBytes] },
		"half the records":                     func(frame []byte) []byte { return frame[:len(frame)/2] },
		"all but the last byte":                func(frame []byte) []byte { return frame[:len(frame)-1] },
		"the size without the content":         func(frame []byte) []byte { return make([]byte, len(frame)) },
		"a missing sector in the middle":       func(frame []byte) []byte { clear(frame[100:200]); return frame },
		"a missing beginning":                  func(frame []byte) []byte { clear(frame[:100]); return frame },
		"a garbage length":                     wrongLength,
		"noise":                                func([]byte) []byte { return noise },
		"a frame made up by a client":          func([]byte) []byte { return slices.Concat(noise[:50], foreignFrame) },
		"the letters that a frame begins with": func([]byte) []byte { return bytes.Repeat([]byte(frameMagic), 100) },
	}
	for name, tail := range tails {
		t.Run(name, func(t *testing.T) { unfinishedGroupIsCut(t, tail, 0) })
		t.Run(name+", in a prepared segment", func(t *testing.T) { unfinishedGroupIsCut(t, tail, 6000) })
	}
}

// unfinishedGroupIsCut appends zeros to the unfinished group. Zeros at the end of a group cannot be distinguished from
// those, and are kept.
func unfinishedGroupIsCut(t *testing.T, tail func(frame []byte) []byte, zeros int) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 8)
	newest := filepath.Join(dir, segments[len(segments)-1].name)
	before := readFile(t, newest)

	ended := readFile(t, filepath.Join(dir, endName))
	j := recovered(t, dir, Options{})
	last := j.last
	appendScript(t, j, 1)
	require.NoError(t, j.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, endName), ended, 0o600)) // the group was not acknowledged
	torn := tail(bytes.Clone(readFile(t, newest)[len(before):]))
	found := slices.Concat(before, torn, make([]byte, zeros))
	require.NoError(t, os.WriteFile(newest, found, 0o600))
	written := len(bytes.TrimRight(torn, "\x00"))

	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	sum, err := o.Recover(discard())
	require.NoError(t, err)
	require.NoError(t, o.Close())
	require.EqualValues(t, written, sum.TornBytes)
	require.Equal(t, found, readFile(t, newest), "a reader has cut it off")

	j, err = Open(dir, tinySegments)
	require.NoError(t, err)
	sum, err = j.Recover(discard())
	require.NoError(t, err)
	require.EqualValues(t, written, sum.TornBytes)
	require.Equal(t, last, sum.Last)
	if written > 0 {
		require.Len(t, sum.Notes, 1)
		require.Contains(t, sum.Notes[0], filepath.Base(newest))
		require.Equal(t, before, readFile(t, newest))
	} else {
		require.Empty(t, sum.Notes)
		require.Equal(t, found, readFile(t, newest))
	}
	appendScript(t, j, 3)
	require.NoError(t, j.Close())
	j = recovered(t, dir, tinySegments)
	require.Equal(t, 11, countGroups(t, j))
}

// countGroups closes j and counts the groups in its directory.
func countGroups(t *testing.T, j *Journal) int {
	t.Helper()
	require.NoError(t, j.Close())
	o, err := OpenReadOnly(j.dir.path)
	require.NoError(t, err)
	defer o.Close()
	sum, err := o.Recover(discard())
	require.NoError(t, err)
	return sum.Groups
}

// TestDamagedCheckpoints damages the newest checkpoint at each byte in turn, and then both.
func TestDamagedCheckpoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	_, _ = written(t, dir, 2)
	j := recovered(t, dir, Options{})
	var starts []uint64
	for range 2 {
		appendScript(t, j, 1)
		starts = append(starts, j.last)
		c, err := j.Checkpoint(t.Context(), j.last)
		require.NoError(t, err)
		require.NoError(t, c.Write(journal.AppendRecord(nil, []byte("a reservation"))))
		require.NoError(t, c.Commit(j.last))
	}
	require.NoError(t, j.Close())
	newest := filepath.Join(dir, checkpointName(starts[1]))
	whole := readFile(t, newest)

	for i := range whole {
		require.NoError(t, os.WriteFile(newest, flip(i)(bytes.Clone(whole)), 0o600))
		require.Equal(t, starts[0], checkpointStart(t, dir, 1), "byte %d", i)
	}
	for size := range whole {
		require.NoError(t, os.WriteFile(newest, whole[:size], 0o600))
		require.Equal(t, starts[0], checkpointStart(t, dir, 1), "cut to %d bytes", size)
	}
	older := filepath.Join(dir, checkpointName(starts[0]))
	edit(t, older, flip(40))
	require.Zero(t, checkpointStart(t, dir, 2), "with both damaged, all groups are replayed")
	require.NoError(t, os.WriteFile(newest, whole, 0o600))
	require.Equal(t, starts[1], checkpointStart(t, dir, 0))
}

func checkpointStart(t *testing.T, dir string, notes int) uint64 {
	t.Helper()
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	defer o.Close()
	sum, err := o.Recover(discard())
	require.NoError(t, err)
	require.Len(t, sum.Notes, notes)
	return sum.Checkpoint.Start
}

// TestRepeatedStartIsOneCheckpoint: a checkpoint that replaces one of the same start must not evict the older one.
func TestRepeatedStartIsOneCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 2)
	j := recovered(t, dir, tinySegments)
	var starts []uint64
	for _, groups := range []int{4, 4, 0, 0} {
		appendScript(t, j, groups)
		starts = append(starts, j.last)
		c, err := j.Checkpoint(t.Context(), j.last)
		require.NoError(t, err)
		require.NoError(t, c.Commit(j.last))
	}
	require.NoError(t, j.Close())
	edit(t, filepath.Join(dir, checkpointName(starts[3])), flip(40))
	require.Equal(t, starts[0], checkpointStart(t, dir, 1))
}

// TestStartWithinAGroup: the group that holds the first record after a checkpoint is delivered completely.
func TestStartWithinAGroup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 3) // records 1-2, 3-6, 7-10
	j := recovered(t, dir, tinySegments)
	c, err := j.Checkpoint(t.Context(), 4)
	require.NoError(t, err)
	require.NoError(t, c.Commit(j.last))
	require.NoError(t, j.Close())
	var got delivered
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	_, err = o.Recover(got.recovery())
	require.NoError(t, errors.Join(err, o.Close()))
	require.Len(t, got.groups, 2)
	require.EqualValues(t, 3, got.groups[0].First)
}

// TestCheckpointOverADamagedOne: a checkpoint that takes the name of a damaged one is kept. The next checkpoint does
// not remove it in place of the damaged one.
func TestCheckpointOverADamagedOne(t *testing.T) {
	for _, more := range []int{0, 1} {
		dir := filepath.Join(t.TempDir(), "journal")
		written(t, dir, 2)
		j := recovered(t, dir, tinySegments)
		checkpointNow(t, j)
		appendScript(t, j, 1)
		checkpointNow(t, j)
		require.NoError(t, j.Close())
		_, before := filesOf(t, dir)
		edit(t, filepath.Join(dir, before[1].name), flip(40))

		j = recovered(t, dir, tinySegments)
		appendScript(t, j, more)
		checkpointNow(t, j)
		_, after := filesOf(t, dir)
		require.Equal(t, []string{before[0].name, checkpointName(j.last)}, namesOf(after))
		require.Equal(t, j.last, checkpointStartOfCopy(t, dir))
		appendScript(t, j, 1)
		checkpointNow(t, j)
		require.NoError(t, j.Close())
	}
}

func checkpointNow(t *testing.T, j *Journal) {
	t.Helper()
	c, err := j.Checkpoint(t.Context(), j.last)
	require.NoError(t, err)
	require.NoError(t, c.Commit(j.last))
}

func namesOf(files []numbered) []string {
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	return names
}

// checkpointStartOfCopy reads a copy, since a writer has the directory locked.
func checkpointStartOfCopy(t *testing.T, dir string) uint64 {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copied")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	return checkpointStart(t, copied, 0)
}

// TestTemporaryFiles: a writer removes the unfinished files of a crash, a reader does not.
func TestTemporaryFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 1)
	for _, name := range []string{temporaryCheckpoint, temporarySegment, temporaryMarker, temporaryPrepared,
		temporaryEnd} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	before := contentOf(t, dir)
	require.Zero(t, checkpointStart(t, dir, 0))
	require.Equal(t, before, contentOf(t, dir))
	require.NoError(t, recovered(t, dir, Options{}).Close())
	require.Len(t, contentOf(t, dir), len(before)-5)
}

// TestUnreadableCheckpoint: a checkpoint that the disk cannot read is lost. One that could not be opened, because too
// many files are open, is not: the next start will read it.
func TestUnreadableCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 2)
	j := recovered(t, dir, Options{})
	checkpointNow(t, j)
	require.NoError(t, j.Close())
	for _, fault := range []error{syscall.EIO, syscall.EMFILE} {
		fs := disk()
		fs.openRead = func(path string) (file, error) {
			if path == filepath.Join(dir, checkpointName(j.last)) {
				return file{}, &os.PathError{Op: "open", Path: path, Err: fault}
			}
			return disk().openRead(path)
		}
		o, err := openReadOnly(dir, fs)
		require.NoError(t, err)
		sum, err := o.Recover(discard())
		require.NoError(t, o.Close())
		if fault == syscall.EIO {
			require.NoError(t, err)
			require.Len(t, sum.Notes, 1)
			require.Equal(t, 2, sum.Groups)
		} else {
			require.ErrorIs(t, err, fault)
		}
	}
}
