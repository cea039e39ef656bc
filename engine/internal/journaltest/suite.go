// Package journaltest is the suite that every backend of package journal passes. It tests what the contract of
// journal.Backend guarantees and nothing else, so a directory and a Redis stream pass the same cases.
package journaltest

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// Store is where a test keeps one journal, such as a directory or a stream. Only Open is required. A case that needs
// another function is skipped where that is nil.
type Store struct {
	// Open opens the journal as a starting program does. The first call finds nothing, later calls find what earlier
	// backends wrote. No two backends of a store are open at once.
	Open func() (journal.Backend, error)

	// Crash ends a backend as kill -9 or a power cut ends its process: nothing is flushed and nothing unfinished is
	// removed. What Append or Commit acknowledged must survive. Where Crash is nil, the suite closes the backend instead.
	Crash func(journal.Backend)

	// Kept returns what the store holds now. It is called only while no backend is open.
	Kept func() (Kept, error)

	// SpoilCheckpoint damages the newest complete checkpoint so that its checksums are wrong. It is called only while no
	// backend is open and at least one checkpoint is complete.
	SpoilCheckpoint func() error
}

// Kept is what a store holds, which may be more than a recovery delivers.
type Kept struct {
	OldestRecord uint64 // sequence of the oldest record of any group; 0 when there is none
	NewestRecord uint64 // sequence of the newest record of any group; 0 when there is none
	Checkpoints  int    // complete ones
}

// Run runs every case of the suite, each with a store of its own. fresh returns an empty store and registers its
// removal with t, the *testing.T of the case. The random case calls it many times.
func Run(t *testing.T, fresh func(t *testing.T) Store) {
	cases := []struct {
		name string
		run  func(t *testing.T, store Store)
	}{
		{"an empty journal delivers nothing", emptyJournal},
		{"what was appended is recovered byte for byte", roundTrip},
		{"groups of 1 to 1000 records keep their boundaries", groupSizes},
		{"a group of several megabytes is one group", largeGroup},
		{"empty and large records are recovered", recordSizes},
		{"a group that does not follow is refused and changes nothing", sequenceMustFollow},
		{"appending continues after what was recovered", appendAfterRecover},
		{"a checkpoint can be written while groups are appended", checkpointWhileAppending},
		{"replay is the newest checkpoint and the groups after its start", checkpointAndTail},
		{"a checkpoint without a chunk is a checkpoint", emptyCheckpoint},
		{"a checkpoint of the same start replaces the earlier one", repeatedStart},
		{"an unfinished or aborted checkpoint is never delivered", unfinishedCheckpoint},
		{"Abort after Commit is a no-op", abortAfterCommit},
		{"a committed checkpoint survives a crash", commitThenCrash},
		{"acknowledged groups survive a crash", appendThenCrash},
		{"groups before the older checkpoint are removed, but never all groups", trimming},
		{"a damaged checkpoint is skipped for the older one", damagedCheckpoint},
		{"an error of a callback ends the recovery and is returned", callbackError},
		{"a cancelled context loses and damages nothing", cancelledContext},
		{"a closed journal returns ErrClosed from every call", closed},
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

// open opens the store and recovers all it holds.
func open(t tester, store Store) (journal.Backend, contents) {
	t.Helper()
	b, err := store.Open()
	require.NoError(t, err)
	c, err := recoverAll(t, b)
	if err != nil {
		b.Close()
	}
	require.NoError(t, err)
	return b, c
}

// recoverAll collects what Recover delivers and checks the rules of delivery: Begin comes before any chunk, every run
// is one of records, and the counts agree.
func recoverAll(t tester, b journal.Backend) (contents, error) {
	t.Helper()
	var c contents
	var err error
	c.sum, err = b.Recover(c.into(t))
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

// into returns the callbacks that collect what is delivered and check the rules of delivery.
func (c *contents) into(t tester) journal.Recovery {
	return journal.Recovery{
		Begin: func(info journal.CheckpointInfo) error {
			require.False(t, c.begun, "Begin was called twice")
			require.Empty(t, c.groups, "Begin was called after a group")
			c.begun, c.checkpoint = true, info
			return nil
		},
		Chunk: func(records []byte) error {
			require.True(t, c.begun, "a chunk came before Begin")
			require.Empty(t, c.groups, "a chunk came after a group")
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
	}
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

// reopen closes the backend, or crashes it where crash is true and the store can, and recovers all again.
func reopen(t tester, store Store, b journal.Backend, crash bool) (journal.Backend, contents) {
	t.Helper()
	if crash && store.Crash != nil {
		store.Crash(b)
	} else {
		require.NoError(t, b.Close())
	}
	return open(t, store)
}

// read opens the store, recovers all it holds and closes it.
func read(t tester, store Store) contents {
	t.Helper()
	b, c := open(t, store)
	require.NoError(t, b.Close())
	return c
}

// reread is reopen, and closes the backend afterwards.
func reread(t tester, store Store, b journal.Backend, crash bool) contents {
	t.Helper()
	b, c := reopen(t, store, b, crash)
	require.NoError(t, b.Close())
	return c
}

// requireGroups compares the groups of a recovery with the expected ones: none altered, none missing, no gap.
func requireGroups(t tester, want []journal.Group, got contents) {
	t.Helper()
	require.Equal(t, len(want), len(got.groups), "number of groups")
	for i := range want {
		require.Equal(t, want[i].First, got.groups[i].First, "first record of group %d", i)
		require.Equal(t, want[i].Count, got.groups[i].Count, "records of group %d", i)
		require.True(t, bytes.Equal(want[i].Records, got.groups[i].Records), "bytes of group %d, from record %d",
			i, want[i].First)
	}
	if len(want) > 0 {
		require.Equal(t, want[len(want)-1].Last(), got.sum.Last, "Recovered.Last")
	}
}

// requireReplay compares a recovery with the expected checkpoint and with the groups that are replayed after its start.
func requireReplay(t tester, start, end uint64, chunks []byte, groups []journal.Group, got contents) {
	t.Helper()
	require.True(t, got.begun, "no checkpoint was found")
	require.Equal(t, start, got.checkpoint.Start)
	require.Equal(t, end, got.checkpoint.End)
	require.True(t, bytes.Equal(chunks, got.chunks), "bytes of the checkpoint at %d", start)
	replayed := slices.DeleteFunc(slices.Clone(groups), func(g journal.Group) bool { return g.Last() <= start })
	requireGroups(t, replayed, got)
}
