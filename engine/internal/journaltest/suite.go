// Package journaltest is the suite that every backend of package journal passes. It speaks of what the contract of
// journal.Backend promises and of nothing else, so a directory and a Redis stream are held to the same sentences.
package journaltest

import (
	"bytes"
	"context"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// Place is where one journal is kept for the time of a test: a directory, a stream. Only Open is required; a case that
// needs another function is left out for a backend that does not give it.
type Place struct {
	// Open opens the journal kept there, as a starting program does: the first call finds nothing, later ones find what
	// the earlier backends left. No two backends of a place are open at once.
	Open func() (journal.Backend, error)

	// Crash ends a backend as kill -9 or a power cut ends its process: nothing is flushed, nothing unfinished is tidied
	// up. What Append or Commit acknowledged must survive it. Without it the suite closes the backend instead.
	Crash func(journal.Backend)

	// Kept tells what the place holds now. It is called only while no backend is open.
	Kept func() (Kept, error)

	// SpoilCheckpoint damages the newest complete checkpoint so that its checksums no longer hold. It is called only while
	// no backend is open and at least one checkpoint is complete.
	SpoilCheckpoint func() error
}

// Kept is what a place holds, whatever a recovery would deliver of it.
type Kept struct {
	OldestRecord uint64 // sequence of the oldest record of any group; 0 when there is none
	NewestRecord uint64 // sequence of the newest record of any group; 0 when there is none
	Checkpoints  int    // complete ones
}

// Run runs every case of the suite, each in a place of its own. fresh returns an empty place and registers with t what
// must be tidied up behind it; it is called with the *testing.T of the case, and often by the random one.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	cases := []struct {
		name string
		run  func(t *testing.T, place Place)
	}{
		{"an empty journal delivers nothing", emptyJournal},
		{"what was appended is recovered byte for byte", roundTrip},
		{"groups of 1 to 1000 records keep their bounds", groupSizes},
		{"a group of several megabytes is one group", largeGroup},
		{"records of no and of many bytes are kept", recordSizes},
		{"a group that does not follow is refused and does no harm", sequenceMustFollow},
		{"appending goes on behind what was recovered", appendAfterRecover},
		{"a checkpoint can be written while groups are appended", checkpointWhileAppending},
		{"replay is the newest checkpoint and the groups behind its start", checkpointAndTail},
		{"a checkpoint with no chunk counts", emptyCheckpoint},
		{"a checkpoint of the same start replaces the earlier one", repeatedStart},
		{"an unfinished or aborted checkpoint is never seen", unfinishedCheckpoint},
		{"Abort behind Commit takes nothing back", abortAfterCommit},
		{"a committed checkpoint survives a crash", commitThenCrash},
		{"acknowledged groups survive a crash", appendThenCrash},
		{"groups behind the older checkpoint go, never all of them", trimming},
		{"a damaged checkpoint is passed over for the older one", damagedCheckpoint},
		{"an error of a callback ends the recovery and is returned", callbackError},
		{"a cancelled context loses and tears nothing", cancelledContext},
		{"a closed journal refuses all with ErrClosed", closed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t)) })
	}
	t.Run("random operations agree with a list of groups", func(t *testing.T) { model(t, fresh) })
}

// tester is what the cases need of *testing.T and of *rapid.T.
type tester interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// contents is what one recovery delivered.
type contents struct {
	begun      bool
	checkpoint journal.CheckpointInfo
	chunks     []byte
	groups     []journal.Group
	sum        journal.Recovered
}

// open opens the place and recovers all it holds, which must succeed.
func open(t tester, place Place) (journal.Backend, contents) {
	t.Helper()
	b, err := place.Open()
	require.NoError(t, err)
	c, err := recoverAll(t, b)
	if err != nil {
		b.Close()
	}
	require.NoError(t, err)
	return b, c
}

// recoverAll collects what Recover delivers and holds it against the rules of delivery: Begin before any chunk, runs of
// records only, counts that agree.
func recoverAll(t tester, b journal.Backend) (contents, error) {
	t.Helper()
	var c contents
	var err error
	c.sum, err = b.Recover(journal.Recovery{
		Begin: func(info journal.CheckpointInfo) error {
			require.False(t, c.begun, "Begin was called twice")
			require.Empty(t, c.groups, "Begin was called behind a group")
			c.begun, c.checkpoint = true, info
			return nil
		},
		Chunk: func(records []byte) error {
			require.True(t, c.begun, "a chunk came before Begin")
			require.Empty(t, c.groups, "a chunk came behind a group")
			countRecords(t, records)
			c.chunks = append(c.chunks, records...)
			return nil
		},
		Group: func(g journal.Group) error {
			require.Equal(t, g.Count, countRecords(t, g.Records), "records of the group from %d", g.First)
			g.Records = bytes.Clone(g.Records)
			c.groups = append(c.groups, g)
			return nil
		},
	})
	if err != nil {
		return c, err
	}
	records := 0
	for _, g := range c.groups {
		records += g.Count
	}
	require.Equal(t, len(c.groups), c.sum.Groups, "Recovered.Groups")
	require.Equal(t, records, c.sum.Records, "Recovered.Records")
	require.Equal(t, c.checkpoint, c.sum.Checkpoint, "Recovered.Checkpoint")
	return c, nil
}

func countRecords(t tester, run []byte) int {
	t.Helper()
	n := 0
	for len(run) > 0 {
		var err error
		_, run, err = journal.Next(run)
		require.NoError(t, err)
		n++
	}
	return n
}

// reopen closes the backend, or crashes it where crash is set and the place can, and recovers all again.
func reopen(t tester, place Place, b journal.Backend, crash bool) (journal.Backend, contents) {
	t.Helper()
	if crash && place.Crash != nil {
		place.Crash(b)
	} else {
		require.NoError(t, b.Close())
	}
	return open(t, place)
}

// requireGroups holds the groups of a recovery against the expected ones: none altered, none missing, no hole.
func requireGroups(t tester, want []journal.Group, got contents) {
	t.Helper()
	require.Equal(t, len(want), len(got.groups), "number of groups")
	for i := range want {
		require.Equal(t, want[i].First, got.groups[i].First, "first record of group %d", i)
		require.Equal(t, want[i].Count, got.groups[i].Count, "records of group %d", i)
		require.True(t, bytes.Equal(want[i].Records, got.groups[i].Records), "bytes of group %d, from record %d", i, want[i].First)
	}
	if len(want) > 0 {
		require.Equal(t, want[len(want)-1].Last(), got.sum.Last, "Recovered.Last")
	}
}

// requireCheckpoint holds the checkpoint of a recovery against the expected one.
func requireCheckpoint(t tester, start, end uint64, chunks []byte, got contents) {
	t.Helper()
	require.True(t, got.begun, "no checkpoint was found")
	require.Equal(t, start, got.checkpoint.Start)
	require.Equal(t, end, got.checkpoint.End)
	require.True(t, bytes.Equal(chunks, got.chunks), "bytes of the checkpoint at %d", start)
}
