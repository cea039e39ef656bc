package journaltest

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// record returns the content of the record with the sequence, the same in all tests: the sequence, then up to 112 bytes
// from a generator seeded with it. So a record delivered in place of another is always detected.
func record(sequence uint64) []byte {
	random := rand.New(rand.NewPCG(sequence, 0))
	r := binary.BigEndian.AppendUint64(nil, sequence)
	for range random.IntN(15) {
		r = binary.BigEndian.AppendUint64(r, random.Uint64())
	}
	return r
}

// group returns the group of count records that begins with first.
func group(first uint64, count int) journal.Group {
	g := journal.Group{First: first, Count: count}
	for i := range count {
		g.Records = journal.AppendRecord(g.Records, record(first+uint64(i)))
	}
	return g
}

// chunk returns a run of count records for a checkpoint. Chunks with different salts differ.
func chunk(salt uint64, count int) []byte {
	return group(salt<<32|1, count).Records
}

// appendGroups appends groups of the given counts after last and returns them.
func appendGroups(t tester, b journal.Backend, last uint64, counts ...int) []journal.Group {
	t.Helper()
	groups := make([]journal.Group, 0, len(counts))
	for _, count := range counts {
		g := group(last+1, count)
		require.NoError(t, b.Append(t.Context(), g))
		groups = append(groups, g)
		last = g.Last()
	}
	return groups
}

// writeCheckpoint writes a complete checkpoint of the given chunks.
func writeCheckpoint(t tester, b journal.Backend, start, end uint64, chunks ...[]byte) {
	t.Helper()
	c, err := b.Checkpoint(t.Context(), start)
	require.NoError(t, err)
	for _, chunk := range chunks {
		require.NoError(t, c.Write(chunk))
	}
	require.NoError(t, c.Commit(end))
}
