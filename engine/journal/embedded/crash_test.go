package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

const crashDir = "/journal"

// tinySegments makes segments that two or three groups of the crash tests fill. A frame takes one to four sectors.
var tinySegments = Options{SegmentBytes: 4 << 10, PrepareAfter: -1}

// tinyPrepared has the next segment prepared once the current one holds a group.
var tinyPrepared = Options{SegmentBytes: 4 << 10, PrepareAfter: 1 << 10}

// growingAndPrepared runs a test with segments that grow and again with prepared ones.
func growingAndPrepared(t *testing.T, test func(t *testing.T, segments Options)) {
	t.Run("growing", func(t *testing.T) { test(t, tinySegments) })
	t.Run("prepared", func(t *testing.T) { test(t, tinyPrepared) })
}

// scriptGroup returns the group that begins with the record first in the given run of a journal. The sizes of groups
// differ between runs, so that the group of one run never covers exactly an unfinished group of another at the same
// offset.
func scriptGroup(first, run uint64) journal.Group {
	g := journal.Group{First: first, Count: 1 + int((first+3*run)%4)}
	for i := range uint64(g.Count) {
		record := binary.LittleEndian.AppendUint64(nil, run)
		record = append(record, bytes.Repeat(binary.LittleEndian.AppendUint64(nil, (first+i)*0x9e3779b97f4a7c15), 40)...)
		g.Records = journal.AppendRecord(g.Records, record)
	}
	return g
}

// runOf returns the run that wrote a group of scriptGroup.
func runOf(t *testing.T, g journal.Group) uint64 {
	record, _, err := journal.Next(g.Records)
	require.NoError(t, err)
	return binary.LittleEndian.Uint64(record)
}

// scriptChunks returns the chunks of every checkpoint with that start.
func scriptChunks(start uint64) [][]byte {
	var chunks [][]byte
	for i := range uint64(3) {
		chunks = append(chunks, scriptGroup(start<<20|i, i).Records)
	}
	return chunks
}

// life is what the caller of a journal knows, across crashes.
type life struct {
	fs        *crashFS
	segments  Options
	acked     uint64 // last record of the last group whose Append returned nil
	tried     uint64 // last record of the last group passed to Append
	committed uint64 // start of the last checkpoint whose Commit returned nil
	begun     map[uint64]bool
	runs      uint64
	ackedIn   map[uint64]uint64 // by first record: the run whose group was acknowledged
	errs      []error           // the errors and notes that the caller received

	failedWrite bool // a write has failed, and may have stored a part of its data
}

func newLife(seed uint64, segments Options) *life {
	return &life{fs: newCrashFS(seed), segments: segments, begun: map[uint64]bool{}, ackedIn: map[uint64]uint64{}}
}

// on returns a life with the same knowledge on another file system.
func (l *life) on(fs *crashFS) *life {
	next := *l
	next.fs, next.errs = fs, nil
	next.begun, next.ackedIn = maps.Clone(l.begun), maps.Clone(l.ackedIn)
	return &next
}

// failed keeps an error and reports whether there was one.
func (l *life) failed(err error) bool {
	if err != nil {
		l.errs = append(l.errs, err)
	}
	return err != nil
}

// run is one run of a program. It recovers and then does the work: a letter is an append, or for c a checkpoint during
// which a group is appended. The first error that ends appending ends the run.
func (l *life) run(t *testing.T, work string) {
	l.runs++
	options := l.segments
	options.Warn = func(err error) { l.failed(err) }
	j, err := open(crashDir, options, l.fs.seam())
	if l.failed(err) {
		return
	}
	defer func() { l.failed(j.Close()) }()
	var got delivered
	sum, err := j.Recover(got.recovery())
	if l.failed(err) {
		return
	}
	for _, note := range sum.Notes {
		l.errs = append(l.errs, errors.New(note))
	}
	l.check(t, got, sum)
	for _, g := range got.groups {
		l.ackedIn[g.First] = runOf(t, g)
	}
	l.acked, l.tried = sum.Last, sum.Last
	for _, what := range work {
		if what == 'c' {
			l.checkpoint(t, j)
		} else if !l.append(t, j) {
			return
		}
	}
}

func (l *life) append(t *testing.T, j *Journal) bool {
	g := scriptGroup(l.acked+1, l.runs)
	l.tried = max(l.tried, g.Last())
	err := j.Append(t.Context(), g)
	if !l.failed(err) {
		l.acked = g.Last()
		l.ackedIn[g.First] = l.runs
		return true
	}
	ops := l.fs.ops
	require.Equal(t, err, j.Append(t.Context(), g), "a later group was not refused with the first error")
	_, again := j.Checkpoint(t.Context(), l.acked)
	require.Equal(t, err, again)
	require.Equal(t, ops, l.fs.ops, "a write was attempted after a failure")
	return false
}

func (l *life) checkpoint(t *testing.T, j *Journal) {
	start := l.acked
	c, err := j.Checkpoint(t.Context(), start)
	if l.failed(err) {
		return
	}
	l.begun[start] = true
	for i, chunk := range scriptChunks(start) {
		if l.failed(c.Write(chunk)) {
			return
		}
		if i == 1 && !l.append(t, j) {
			c.Abort()
			return
		}
	}
	if !l.failed(c.Commit(l.acked)) {
		l.committed = start
	}
}

// check compares a recovery with what the caller knows: it has everything acknowledged, nothing altered, no gap, and
// nothing that was never passed to Append.
func (l *life) check(t *testing.T, got delivered, sum journal.Recovered) {
	t.Helper()
	require.GreaterOrEqual(t, sum.Last, l.acked, "an acknowledged group is lost")
	require.LessOrEqual(t, sum.Last, l.tried, "a group was delivered that was never appended")
	start := got.info.Start
	if !slices.ContainsFunc(sum.Notes, func(note string) bool { return strings.Contains(note, "is skipped") }) {
		require.GreaterOrEqual(t, start, l.committed, "a committed checkpoint is lost")
	}
	if got.begun {
		require.True(t, l.begun[start], "a checkpoint at %d that was never written", start)
		require.True(t, bytes.Equal(bytes.Join(scriptChunks(start), nil), got.chunks), "an altered checkpoint")
	}
	next := uint64(0)
	for i, g := range got.groups {
		if i == 0 {
			require.LessOrEqual(t, g.First, start+1, "a gap after the checkpoint")
		} else {
			require.Equal(t, next, g.First, "a gap")
		}
		run := runOf(t, g)
		require.Equal(t, scriptGroup(g.First, run), g, "an altered group")
		if g.Last() <= l.acked {
			require.Equal(t, l.ackedIn[g.First], run, "another group replaced an acknowledged one")
		}
		next = g.Last() + 1
	}
	if len(got.groups) > 0 {
		require.Equal(t, sum.Last, next-1)
	} else {
		require.Equal(t, sum.Last, start)
	}
}

// delivered is what one recovery delivered.
type delivered struct {
	begun  bool
	info   journal.CheckpointInfo
	chunks []byte
	groups []journal.Group
}

func (d *delivered) recovery() journal.Recovery {
	return journal.Recovery{
		Begin: func(info journal.CheckpointInfo) error { d.begun, d.info = true, info; return nil },
		Chunk: func(records []byte) error { d.chunks = append(d.chunks, records...); return nil },
		Group: func(g journal.Group) error {
			g.Records = bytes.Clone(g.Records)
			d.groups = append(d.groups, g)
			return nil
		},
	}
}

// Two runs of a journal: appends, segments that fill, three checkpoints, the last two of which remove files, and a
// restart.
const (
	firstRun  = "aaaaacaaaaacaaa"
	secondRun = "aaacaa"
	laterRun  = "aacaa"
)

// script does the two runs.
func script(t *testing.T, l *life) {
	l.run(t, firstRun)
	if len(l.errs) == 0 {
		l.run(t, secondRun)
	}
}

// operations counts the operations of the script without a fault, and checks that it does all that the crash tests rely
// on.
func operations(t *testing.T, segments Options, looks bool) int {
	l := newLife(0, segments)
	l.fs.looks = looks
	script(t, l)
	require.Empty(t, l.errs)
	d := directory{path: crashDir, fs: l.fs.seam()}
	n := l.fs.ops
	files, checkpoints, err := d.files()
	require.NoError(t, err)
	require.Len(t, checkpoints, 2)
	require.Greater(t, len(files), 2)
	require.Greater(t, files[0].sequence, uint64(1), "no segment was removed")
	prepared := slices.ContainsFunc(files, func(f numbered) bool { return f.bytes == segments.SegmentBytes })
	require.Equal(t, segments.PrepareAfter > 0, prepared, "files as long as a prepared segment")
	return n
}

// TestCrashAnywhere (I5) cuts the power at every operation of the script, with every kind of survival of unsynced data,
// then at every operation of the run after that, and recovers once more.
func TestCrashAnywhere(t *testing.T) { growingAndPrepared(t, crashAnywhere) }

func crashAnywhere(t *testing.T, segments Options) {
	n := operations(t, segments, false)
	t.Logf("%d operations; survival seeds 0 to 7", n)
	for cut := 1; cut <= n; cut++ {
		for seed := range uint64(8) {
			first := newLife(seed, segments)
			first.fs.cutAt = cut
			script(t, first)

			clean := first.on(first.fs.afterCut(seed))
			clean.run(t, laterRun)
			requireNoErrors(t, clean, cut, seed)
			if seed < 4 && seed*2 == uint64(cut)%8 { // one of the kinds at every second operation, in turn
				crashAgain(t, first, clean.fs.ops, seed)
			}
		}
		if t.Failed() {
			t.Fatalf("power cut at operation %d", cut)
		}
	}
}

// crashAgain cuts the power at every operation of the run after the first crash.
func crashAgain(t *testing.T, first *life, operations int, seed uint64) {
	for cut := 1; cut <= operations; cut++ {
		second := first.on(first.fs.afterCut(seed))
		second.fs.cutAt = cut
		second.run(t, laterRun)
		third := second.on(second.fs.afterCut(seed + uint64(cut)))
		third.run(t, "a")
		requireNoErrors(t, third, cut, seed)
	}
}

// requireNoErrors allows the note of an unfinished group and nothing else.
func requireNoErrors(t *testing.T, l *life, cut int, seed uint64) {
	t.Helper()
	for _, err := range l.errs {
		if l.failedWrite && strings.Contains(err.Error(), ": this copy of the journal's end is invalid") {
			continue
		}
		require.Contains(t, err.Error(), "that are no complete group and are dropped",
			"after a cut at operation %d, seed %d", cut, seed)
	}
}

// TestKillThenPowerCut kills only the process, at every operation. The next process builds on what it reads, which need
// not be on disk. Then the power is cut.
func TestKillThenPowerCut(t *testing.T) { growingAndPrepared(t, killThenPowerCut) }

func killThenPowerCut(t *testing.T, segments Options) {
	for cut := 1; cut <= operations(t, segments, false); cut++ {
		for seed := range uint64(4) {
			first := newLife(seed, segments)
			first.fs.cutAt = cut
			script(t, first)
			second := first.on(first.fs.afterKill())
			second.run(t, "aa")
			requireNoErrors(t, second, cut, seed)
			third := second.on(second.fs.afterCut(seed))
			third.run(t, laterRun)
			requireNoErrors(t, third, cut, seed)
		}
	}
}

// TestEveryOperationFails makes every operation fail once. The caller gets an error, and no group is accepted after a
// failed one. A restart, with the doubtful content still in memory, and a power cut after it lose nothing acknowledged.
func TestEveryOperationFails(t *testing.T) { growingAndPrepared(t, everyOperationFails) }

func everyOperationFails(t *testing.T, segments Options) {
	n := operations(t, segments, true)
	for _, fault := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		for failing := 1; failing <= n; failing++ {
			where := fmt.Sprintf("%v at operation %d", fault, failing)
			first := newLife(uint64(failing), segments)
			first.fs.failAt, first.fs.failWith, first.fs.looks = failing, fault, true
			script(t, first)
			require.NotEmpty(t, first.errs, where)
			if acknowledging := first.acked < first.tried; acknowledging {
				require.Equal(t, fault != syscall.EIO, errors.Is(first.errs[0], journal.ErrFull), "%s: %v", where, first.errs[0])
				require.ErrorIs(t, first.errs[0], fault)
			}
			first.failedWrite = true
			second := first.on(first.fs.afterKill())
			second.run(t, "aa")
			requireNoErrors(t, second, failing, 0)
			for seed := range uint64(4) {
				third := second.on(second.fs.afterCut(seed))
				third.run(t, laterRun)
				requireNoErrors(t, third, failing, seed)
			}
		}
	}
}

// TestSuiteWithCrashes runs the common suite with real crashes: power cuts that lose all or a part of what was not
// synced.
func TestSuiteWithCrashes(t *testing.T) {
	var cuts uint64
	journaltest.Run(t, func(*testing.T) journaltest.Store {
		current := newCrashFS(0)
		return journaltest.Store{
			Open:            func() (journal.Backend, error) { return open(crashDir, smallSegments, current.seam()) },
			Kept:            func() (journaltest.Kept, error) { return store(crashDir, current.seam()).Kept() },
			SpoilCheckpoint: func() error { return store(crashDir, current.seam()).SpoilCheckpoint() },
			Crash: func(journal.Backend) {
				cuts++
				current = current.afterCut(cuts)
			},
		}
	})
	require.Positive(t, cuts)
}
