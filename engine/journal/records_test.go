package journal

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecords: Next splits a run into its records, empty and long ones. Appending to a record does not change the run.
func TestRecords(t *testing.T) {
	var records [][]byte
	var run []byte
	for _, size := range []int{0, 1, 127, 128, 300, 16_383, 16_384, 0, 70_000} {
		record := bytes.Repeat([]byte{byte(size)}, size)
		records = append(records, record)
		run = AppendRecord(run, record)
	}
	for _, want := range records {
		var got []byte
		var err error
		got, run, err = Next(run)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.Equal(t, len(got), cap(got))
	}
	require.Empty(t, run)
}

// TestDamagedRuns: Next refuses what is not a run of records, whatever length it begins with.
func TestDamagedRuns(t *testing.T) {
	for name, run := range map[string][]byte{
		"empty":                       {},
		"an unfinished length":        {0x80},
		"a length of eleven bytes":    bytes.Repeat([]byte{0xff}, 11),
		"a length of 2^64-1":          {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"one byte short":              {3, 1, 2},
		"longer than any record":      append([]byte{0x81, 0x80, 0x80, 0x04}, make([]byte, MaxRecord+1)...),
		"a length with two encodings": {0x81, 0x00, 7},
	} {
		_, _, err := Next(run)
		require.ErrorIs(t, err, ErrDamaged, name)
	}
}

// FuzzNext: Next does not panic, and accepts only what AppendRecord writes.
func FuzzNext(f *testing.F) {
	f.Add(AppendRecord(AppendRecord(nil, []byte("one")), bytes.Repeat([]byte("two"), 100)))
	f.Add([]byte{0x81, 0x00, 7})
	f.Fuzz(func(t *testing.T, run []byte) {
		record, rest, err := Next(run)
		if err != nil {
			return
		}
		if again := append(AppendRecord(nil, record), rest...); !bytes.Equal(again, run) {
			t.Fatalf("%x became %x", run, again)
		}
	})
}
