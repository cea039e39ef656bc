package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// aged makes a closed journal of 20 groups in several segments, with two checkpoints, and returns its records' groups.
func aged(t *testing.T, dir string, options Options) {
	t.Helper()
	j, err := Open(dir, options)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	age(t, j)
	require.NoError(t, j.Close())
}

func age(t *testing.T, j *Journal) {
	t.Helper()
	for _, groups := range []int{3, 6, 6} {
		appendScript(t, j, groups)
		if groups == 6 {
			c, err := j.Checkpoint(t.Context(), j.last)
			require.NoError(t, err)
			for _, chunk := range scriptChunks(j.last) {
				require.NoError(t, c.Write(chunk))
			}
			require.NoError(t, c.Commit(j.last))
		}
	}
	appendScript(t, j, 5)
}

// state is what a journal delivers: the records of the checkpoint stand for those up to its start.
func state(t *testing.T, dir string) (delivered, journal.Recovered, error) {
	t.Helper()
	o, err := OpenReadOnly(dir)
	if err != nil {
		return delivered{}, journal.Recovered{}, err
	}
	var got delivered
	sum, err := o.Recover(got.recovery())
	require.NoError(t, o.Close())
	return got, sum, err
}

// requireState requires that all groups up to last are delivered, from whichever checkpoint.
func requireState(t *testing.T, dir string, last uint64) journal.Recovered {
	t.Helper()
	got, sum, err := state(t, dir)
	require.NoError(t, err)
	require.Equal(t, last, sum.Last)
	requireGroups(t, got, last)
	return sum
}

func requireGroups(t *testing.T, got delivered, last uint64) {
	t.Helper()
	if got.begun {
		require.True(t, bytes.Equal(bytes.Join(scriptChunks(got.info.Start), nil), got.chunks), "an altered checkpoint")
	}
	next := got.info.Start + 1
	for _, g := range got.groups {
		require.LessOrEqual(t, g.First, next)
		require.Equal(t, scriptGroup(g.First, 0), g)
		next = g.Last() + 1
	}
	require.Equal(t, last+1, next)
}

func check(t *testing.T, dir string) []*Fault {
	t.Helper()
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	faults, err := o.Check()
	require.NoError(t, err)
	require.NoError(t, o.Close())
	return faults
}

// TestCheckReadsEverything flips a byte at many places of every file of a journal that Recover does not need
// completely. Check names each.
func TestCheckReadsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	aged(t, dir, tinySegments)
	require.Empty(t, check(t, dir))
	segments, checkpoints := filesOf(t, dir)
	require.Len(t, checkpoints, 2)
	require.Less(t, segments[1].sequence, checkpoints[1].sequence, "Recover needs every segment")
	for name, content := range contentOf(t, dir) {
		for at := 0; at < len(content); at += 97 {
			replaceFile(t, dir, name, flip(at)([]byte(content)))
			faults := check(t, dir)
			require.NotEmpty(t, faults, "byte %d of %s", at, name)
			require.Equal(t, name, faults[0].File, "byte %d", at)
			require.LessOrEqual(t, faults[0].Offset, int64(at))
		}
		replaceFile(t, dir, name, []byte(content))
		if name == segments[0].name {
			continue // a crash may have removed the oldest segment and nothing else
		}
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		if !strings.HasPrefix(name, checkpointPrefix) { // which checkpoints there were is not known
			o, err := OpenReadOnly(dir)
			require.NoError(t, err)
			faults, err := o.Check()
			require.NoError(t, err)
			require.NoError(t, o.Close())
			require.NotEmpty(t, faults, "without %s", name)
		}
		replaceFile(t, dir, name, []byte(content))
	}
	require.Empty(t, check(t, dir))
}

// repaired runs Repair and returns what it said.
func repaired(t *testing.T, dir string, dry bool, loseAfter uint64) ([]string, error) {
	t.Helper()
	var said []string
	err := Repair(dir, RepairOptions{DryRun: dry, LoseAfter: loseAfter,
		Say: func(line string) { said = append(said, line) }})
	return said, err
}

// TestRepair damages a journal in each way that can be repaired without a loss. A dry run changes nothing and says what
// the repair then does. Nothing is removed: every byte of a file that was set aside is still there.
func TestRepair(t *testing.T) {
	spoil := func(name string, at int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { edit(t, filepath.Join(dir, name), flip(at)) }
	}
	model := filepath.Join(t.TempDir(), "model")
	aged(t, model, tinySegments)
	segments, checkpoints := filesOf(t, model)
	last := requireState(t, model, 78).Last
	inOlderOnly := slices.IndexFunc(segments, func(s numbered) bool { return s.sequence > checkpoints[0].sequence })
	require.LessOrEqual(t, segments[inOlderOnly+1].sequence, checkpoints[1].sequence+1)
	cases := []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   []string
	}{
		{"nothing", func(*testing.T, string) {}, []string{"there is nothing to repair"}},
		{"the marker", spoil(markerName, 30), []string{"write seathold-journal anew"}},
		{"the marker's copy", spoil(markerCopyName, 30), []string{"write seathold-journal-copy anew"}},
		{"both markers", func(t *testing.T, dir string) {
			spoil(markerName, 30)(t, dir)
			require.NoError(t, os.Remove(filepath.Join(dir, markerCopyName)))
		}, []string{"write seathold-journal anew", "write seathold-journal-copy anew"}},
		{"a copy of the end", spoil(endName, 30), []string{"write the file end anew"}},
		{"the end", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, endName))) },
			[]string{"write the file end anew"}},
		{"the newer checkpoint", spoil(checkpoints[1].name, 50), []string{"set " + checkpoints[1].name + " aside"}},
		{"the older checkpoint", spoil(checkpoints[0].name, 50), []string{"set " + checkpoints[0].name + " aside"}},
		{"a segment that only the older checkpoint needs", spoil(segments[inOlderOnly].name, 50),
			[]string{"set " + checkpoints[0].name + " aside", "set " + segments[inOlderOnly].name + " aside"}},
		{"a segment that no checkpoint needs", spoil(segments[0].name, 3),
			[]string{"set " + checkpoints[0].name + " aside", "set " + segments[0].name + " aside"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, model)
			c.damage(t, dir)
			before := contentOf(t, dir)
			planned, err := repaired(t, dir, true, NoLoss)
			require.NoError(t, err)
			require.Equal(t, before, contentOf(t, dir), "a dry run changed something")
			said, err := repaired(t, dir, false, NoLoss)
			require.NoError(t, err)
			steps := slices.DeleteFunc(slices.Clone(said), func(line string) bool {
				return strings.HasPrefix(line, "found: ") || strings.HasPrefix(line, "the journal can be opened")
			})
			require.Len(t, steps, len(c.says), "%q", said)
			for i := range steps {
				require.True(t, strings.HasPrefix(steps[i], c.says[i]), "%q", steps[i])
				if c.name != "nothing" {
					require.Contains(t, planned, "would "+steps[i])
				}
			}
			require.Empty(t, requireState(t, dir, last).Notes)
			require.Empty(t, check(t, dir))
			after := contentOf(t, dir)
			for name, content := range before {
				if strings.HasPrefix(name, segmentPrefix) || strings.HasPrefix(name, checkpointPrefix) {
					require.True(t, after[name] == content || after[quarantinePrefix+"1-"+name] == content, name)
				}
			}
			again, err := repaired(t, dir, false, NoLoss)
			require.NoError(t, err)
			require.Equal(t, []string{"there is nothing to repair"}, again)
			j := recovered(t, dir, tinySegments)
			appendScript(t, j, 3)
			checkpointNow(t, j)
			require.NoError(t, j.Close())
			require.Empty(t, check(t, dir))
		})
	}
}

// TestRepairRefusesALoss damages what nothing can replace. Repair changes nothing and names the last record that can be
// kept; with that number it keeps everything up to it.
func TestRepairRefusesALoss(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	aged(t, model, tinySegments)
	segments, checkpoints := filesOf(t, model)
	newest := segments[len(segments)-1]
	middle := segments[len(segments)-2]
	require.Greater(t, middle.sequence, checkpoints[1].sequence)
	cases := []struct {
		name   string
		damage func(t *testing.T, dir string)
		keeps  uint64
	}{
		{"the last group", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, newest.name), flip(int(newest.bytes)-1))
		}, 74},
		{"a segment in the middle", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, middle.name), flip(headerBytes+40))
		}, middle.sequence - 1},
		{"the header of a segment", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, middle.name), flip(10))
		}, middle.sequence - 1},
		{"a missing segment", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, middle.name)))
		}, middle.sequence - 1},
		{"every segment", func(t *testing.T, dir string) {
			for _, s := range segments {
				require.NoError(t, os.Remove(filepath.Join(dir, s.name)))
			}
		}, checkpoints[1].sequence},
		{"a torn end of which nothing is known", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, newest.name), flip(int(newest.bytes)-1))
			require.NoError(t, os.Remove(filepath.Join(dir, endName)))
		}, 74},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, model)
			c.damage(t, dir)
			before := contentOf(t, dir)
			for _, loseAfter := range []uint64{NoLoss, c.keeps - 1, c.keeps + 1, 0} {
				_, err := repaired(t, dir, false, loseAfter)
				require.ErrorIs(t, err, ErrLoss)
				require.ErrorContains(t, err, "--lose-after "+digits(c.keeps)+":")
			}
			_, err := repaired(t, dir, true, c.keeps)
			require.NoError(t, err)
			require.Equal(t, before, contentOf(t, dir))
			said, err := repaired(t, dir, false, c.keeps)
			require.NoError(t, err, "%q", said)
			require.Empty(t, requireState(t, dir, c.keeps).Notes)
			require.Empty(t, check(t, dir))
			j, err := Open(dir, tinySegments)
			require.NoError(t, err)
			_, err = j.Recover(discard())
			require.NoError(t, err)
			appendScript(t, j, 8)
			require.NoError(t, j.Close())
			requireState(t, dir, j.last)
		})
	}
	dir := copyOf(t, model)
	for _, name := range []string{checkpoints[0].name, checkpoints[1].name} {
		edit(t, filepath.Join(dir, name), flip(40))
	}
	_, err := repaired(t, dir, false, NoLoss)
	require.ErrorIs(t, err, ErrLoss)
	require.ErrorContains(t, err, "restore the directory from a backup")
}

func digits(n uint64) string {
	return strings.TrimLeft(strings.TrimPrefix(segmentName(n), segmentPrefix), "0")
}

// TestRepairOfAnOpenJournal: a journal that a process has open is not repaired.
func TestRepairOfAnOpenJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := recovered(t, dir, Options{})
	appendScript(t, j, 1)
	_, err := repaired(t, dir, false, NoLoss)
	require.ErrorIs(t, err, journal.ErrLocked)
	_, err = repaired(t, filepath.Join(t.TempDir(), "nothing"), false, NoLoss)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = repaired(t, t.TempDir(), false, NoLoss)
	require.ErrorIs(t, err, journal.ErrForeign)
}

// TestRepairIsInterrupted cuts the power at every operation of a repair that gives records up. The same repair then
// ends it, or it had ended.
func TestRepairIsInterrupted(t *testing.T) {
	spoilt := func(seed uint64) *crashFS {
		fs := newCrashFS(seed)
		j, err := open(crashDir, tinySegments, fs.seam())
		require.NoError(t, err)
		_, err = j.Recover(discard())
		require.NoError(t, err)
		age(t, j)
		require.NoError(t, j.Close())
		segments, _, err := j.dir.files()
		require.NoError(t, err)
		require.NoError(t, flipByte(fs.seam(), j.dir.join(segments[len(segments)-2].name), headerBytes+40))
		fs.ops = 0
		return fs
	}
	probe := spoilt(0)
	err := repair(crashDir, RepairOptions{LoseAfter: NoLoss, Say: func(string) {}}, probe.seam())
	require.ErrorIs(t, err, ErrLoss)
	var keeps uint64
	for k := range uint64(60) {
		if errors.Is(err, ErrLoss) && strings.Contains(err.Error(), "--lose-after "+digits(k)+":") {
			keeps = k
		}
	}
	require.Positive(t, keeps)
	o := RepairOptions{LoseAfter: keeps, Say: func(string) {}}
	require.NoError(t, repair(crashDir, o, probe.seam()))
	for cut := 1; cut <= probe.ops; cut += 3 {
		for seed := range uint64(4) {
			fs := spoilt(seed)
			fs.cutAt = cut
			_ = repair(crashDir, o, fs.seam()) // it may have ended before the cut
			after := fs.afterCut(seed)
			require.NoError(t, repair(crashDir, o, after.seam()), "cut at operation %d, seed %d", cut, seed)
			last, err := lastRecord(crashDir, after.seam())
			require.NoError(t, err)
			require.Equal(t, keeps, last)
		}
	}
}

// TestMendsOnlyOneBit: every bit of a frame can be put back, and damage to two bits is never taken for damage to one.
func TestMendsOnlyOneBit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 4)
	whole := readFile(t, filepath.Join(dir, segments[0].name))
	at, after := frameOffset(whole, 1), frameOffset(whole, 2)
	o, err := OpenReadOnly(dir)
	require.NoError(t, err)
	require.NoError(t, o.Close()) // its id is used further on
	try := func(bits ...int) (patch, bool) {
		spoilt := bytes.Clone(whole)
		for _, bit := range bits {
			spoilt[at+bit/8] ^= 1 << (bit % 8)
		}
		replaceFile(t, dir, segments[0].name, spoilt)
		p, ok, err := o.dir.mend(segments[0], faultAt(segments[0].name, int64(at), "a test"))
		require.NoError(t, err)
		return p, ok
	}
	bits := 8 * (after - at)
	for bit := 0; bit < bits; bit += 13 {
		p, ok := try(bit)
		require.True(t, ok, "bit %d", bit)
		require.Equal(t, int64(at+bit/8), p.offset)
		require.Equal(t, []byte{whole[p.offset]}, p.is)
		if other := (bit*7 + 301) % bits; other != bit {
			p, _ = try(bit, other)
			require.True(t, p.clears, "bits %d and %d", bit, other)
			_, err := repaired(t, dir, true, NoLoss)
			require.ErrorIs(t, err, ErrLoss)
		}
	}
}

// TestMendsZeros: what is in the zeros after the last frame of an older segment, at the very end too, is cleared. A
// whole frame there, or one too few, is not.
func TestMendsZeros(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	segments, _ := written(t, dir, 8)
	older := filepath.Join(dir, segments[0].name)
	edit(t, older, func(b []byte) []byte { return append(b, make([]byte, 100)...) })
	whole := readFile(t, older)
	require.Empty(t, check(t, dir))
	for at := int(segments[0].bytes); at < len(whole); at += 9 {
		for _, noise := range [][]byte{{0x10}, {0xff}, bytes.Repeat([]byte("x"), 50)} {
			spoilt := bytes.Clone(whole)
			copy(spoilt[at:], noise)
			replaceFile(t, dir, segments[0].name, spoilt)
			_, err := repaired(t, dir, false, NoLoss)
			require.NoError(t, err)
			require.Equal(t, whole, readFile(t, older))
		}
	}
	// Even where nothing needs the records, a group is not cleared.
	needless := filepath.Join(t.TempDir(), "needless")
	aged(t, needless, tinySegments)
	old, _ := filesOf(t, needless)
	content := readFile(t, filepath.Join(needless, old[0].name))
	edit(t, filepath.Join(needless, old[0].name), flip(frameOffset(content, 1)+60))
	said, err := repaired(t, needless, false, NoLoss)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(said, "\n"), "clear ")
	require.FileExists(t, filepath.Join(needless, quarantinePrefix+"1-"+old[0].name))

	last := frameOffset(whole, 2)
	for _, spoilt := range [][]byte{whole[:last], append(bytes.Clone(whole[:last+40]), make([]byte, 900)...)} {
		replaceFile(t, dir, segments[0].name, spoilt)
		_, err := repaired(t, dir, false, NoLoss)
		require.ErrorIs(t, err, ErrLoss)
		require.Equal(t, spoilt, readFile(t, older))
	}
}
