package embedded

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// flipsOf returns how many bits TestFlips flips in each journal: SEATHOLD_FLIPS, or a few.
func flipsOf(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SEATHOLD_FLIPS")
	if text == "" {
		return 150
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "SEATHOLD_FLIPS")
	return n
}

// TestFlips (I5) flips one bit at a random place of a random file of a journal with two checkpoints and several
// segments: one that was closed, one whose process was killed. A start either refuses the journal and names the place,
// or delivers every acknowledged group, with a note if it has read the bit. What it has not read, Check finds. A repair
// restores everything: one bit of a group can be put back.
//
//	SEATHOLD_FLIPS=10000 go test ./engine/journal/embedded -run TestFlips -v
func TestFlips(t *testing.T) {
	for _, closed := range []bool{true, false} {
		name := "killed"
		if closed {
			name = "closed"
		}
		t.Run(name, func(t *testing.T) {
			model := filepath.Join(t.TempDir(), "model")
			j := recovered(t, model, Options{SegmentBytes: 4 << 10, PrepareAfter: 1 << 10})
			age(t, j)
			if closed {
				require.NoError(t, j.Close())
			}
			flips(t, copyOf(t, model), j.last)
		})
	}
}

func flips(t *testing.T, model string, last uint64) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	content := contentOf(t, model)
	maps.DeleteFunc(content, func(name, _ string) bool { return strings.HasSuffix(name, temporarySuffix) })
	names := slices.Sorted(maps.Keys(content))
	dir := filepath.Join(t.TempDir(), "journal")
	outcomes := map[string]int{}
	n := flipsOf(t)
	for range n {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.Mkdir(dir, 0o700))
		for name, whole := range content {
			replaceFile(t, dir, name, []byte(whole))
		}
		f := flipped{dir: dir, last: last, name: names[random.IntN(len(names))]}
		f.at = random.IntN(len(content[f.name]))
		bit := byte(1) << random.IntN(8)
		f.where = fmt.Sprintf("seed %d: bit %#x of byte %d of %s", seed, bit, f.at, f.name)
		spoilt := []byte(content[f.name])
		spoilt[f.at] ^= bit
		replaceFile(t, dir, f.name, spoilt)
		kind, _, _ := strings.Cut(f.name, "-0")
		f.whole = content[f.name]
		outcomes[fmt.Sprintf("%-21s %s; %s", kind, f.start(t), f.repair(t))]++
	}
	t.Logf("seed %d: %d flips, each in one of %d files", seed, n, len(names))
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%6d %s", outcomes[outcome], outcome)
	}
}

// flipped is a journal with one bit flipped.
type flipped struct {
	dir   string
	last  uint64 // the last acknowledged record
	name  string
	whole string // its content without the flip
	at    int
	where string
}

// start opens and verifies the journal, and says what came of it.
func (f *flipped) start(t *testing.T) string {
	t.Helper()
	got, sum, err := state(t, f.dir)
	if err != nil {
		require.ErrorIs(t, err, journal.ErrDamaged, f.where)
		fault, ok := errors.AsType[*Fault](err)
		require.True(t, ok, "%s: %v", f.where, err)
		require.Equal(t, f.name, fault.File, "%s: %v", f.where, err)
		require.LessOrEqual(t, fault.Offset, int64(f.at), "%s: %v", f.where, err)
		return "refused, with the place"
	}
	require.Equal(t, f.last, sum.Last, f.where)
	requireGroups(t, got, f.last)
	for _, note := range sum.Notes {
		require.Contains(t, note, f.name, f.where)
	}
	if sum.TornBytes > 0 {
		require.Contains(t, sum.Notes[0], fmt.Sprintf("shows record %d as the last durable one", f.last), f.where)
		return "recovered, with a note"
	}
	faults := check(t, f.dir)
	require.NotEmpty(t, faults, f.where)
	for _, fault := range faults {
		require.Equal(t, f.name, fault.File, f.where)
	}
	if len(sum.Notes) > 0 {
		return "recovered, with a note"
	}
	require.True(t, strings.HasPrefix(f.name, checkpointPrefix) || strings.HasPrefix(f.name, segmentPrefix), f.where)
	return "not read; verify names the place"
}

// repair repairs the journal, and says what came of it.
func (f *flipped) repair(t *testing.T) string {
	t.Helper()
	before := contentOf(t, f.dir)
	planned, err := repaired(t, f.dir, true, NoLoss)
	require.NoError(t, err, f.where)
	require.True(t, maps.Equal(before, contentOf(t, f.dir)), f.where)
	said, err := repaired(t, f.dir, false, NoLoss)
	require.NoError(t, err, f.where)
	require.GreaterOrEqual(t, len(planned)+1, len(said), f.where)
	sum := requireState(t, f.dir, f.last)
	require.Empty(t, check(t, f.dir), f.where)
	if sum.TornBytes > 0 {
		require.Equal(t, []string{"there is nothing to repair"}, said)
		return "bytes that belong to no group"
	}
	require.Empty(t, sum.Notes, f.where)
	if slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, "put back one bit of ") }) {
		require.True(t, f.whole == string(readFile(t, filepath.Join(f.dir, f.name))), f.where)
		return "the bit is put back"
	}
	return "repaired"
}
