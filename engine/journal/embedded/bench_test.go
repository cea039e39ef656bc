package embedded

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// outcomes returns a group of records of 60 bytes, about the size of an outcome.
func outcomes(first uint64, count int) journal.Group {
	g := journal.Group{First: first, Count: count}
	for i := range count {
		g.Records = journal.AppendRecord(g.Records, bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, 20))
	}
	return g
}

// TestAppendAllocatesNothing: an Append allocates nothing once its buffer has grown, unless it begins a segment.
func TestAppendAllocatesNothing(t *testing.T) {
	j := recovered(t, filepath.Join(t.TempDir(), "journal"), Options{PrepareAfter: -1})
	g := outcomes(1, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := j.Append(t.Context(), g); err != nil {
			t.Error(err)
		}
		g.First = g.Last() + 1
	}))
}

// BenchmarkAppend makes groups of records of 60 bytes durable on the disk that holds the temporary directory.
func BenchmarkAppend(b *testing.B) {
	for _, records := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			j := recovered(b, filepath.Join(b.TempDir(), "journal"), Options{})
			g := outcomes(1, records)
			b.SetBytes(int64(len(g.Records)))
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Append(b.Context(), g); err != nil {
					b.Fatal(err)
				}
				g.First = g.Last() + 1
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkRecover reads three million records of 60 bytes, as groups without a checkpoint and as a checkpoint.
func BenchmarkRecover(b *testing.B) {
	const records, perGroup = 3_000_000, 1000
	for _, from := range []string{"groups", "checkpoint"} {
		b.Run("from="+from, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "journal")
			j := recovered(b, dir, Options{})
			g := outcomes(1, perGroup)
			if from == "groups" {
				for ; g.First < records; g.First += perGroup {
					require.NoError(b, j.Append(b.Context(), g))
				}
			} else {
				c, err := j.Checkpoint(b.Context(), 0)
				require.NoError(b, err)
				for range records / perGroup {
					require.NoError(b, c.Write(g.Records))
				}
				require.NoError(b, c.Commit(0))
			}
			require.NoError(b, j.Close())
			b.SetBytes(int64(len(g.Records)) * records / perGroup)
			for b.Loop() {
				j, err := Open(dir, Options{})
				require.NoError(b, err)
				_, err = j.Recover(discard())
				require.NoError(b, err)
				require.NoError(b, j.Close())
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
