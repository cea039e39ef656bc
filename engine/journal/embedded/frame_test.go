package embedded

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// frame returns the bytes of a frame with a valid checksum of its header, after change has changed the header.
func frame(g journal.Group, chain uint32, change func(h *frameHeader)) []byte {
	h := frameHeader{length: uint32(len(g.Records)), first: g.First, count: uint32(g.Count), chain: chain,
		records: crc32.Checksum(g.Records, castagnoli)}
	if change != nil {
		change(&h)
	}
	b := make([]byte, headerBytes, headerBytes+len(g.Records))
	h.put(b, saltOf(goldenID))
	return append(b, g.Records...)
}

// TestValidFramesInTheWrongPlace: this journal wrote every header with a valid checksum. So a header that does not fit
// its position is damage, never an unfinished group.
func TestValidFramesInTheWrongPlace(t *testing.T) {
	const next, chain = 10, 77
	g := scriptGroup(next, 0)
	noise := bytes.Repeat([]byte("noise"), 20)
	spoilt := frame(g, chain, nil)
	spoilt[headerBytes] ^= 1
	cases := []struct {
		name    string
		data    []byte
		damaged bool
	}{
		{"a frame", frame(g, chain, nil), false},
		{"another sequence", frame(g, chain, func(h *frameHeader) { h.first++ }), true},
		{"another chain", frame(g, chain+1, nil), true},
		{"no records", frame(g, chain, func(h *frameHeader) { h.count = 0 }), true},
		{"no bytes", frame(g, chain, func(h *frameHeader) { h.length = 0 }), true},
		{"more than the limit of a group", frame(g, chain, func(h *frameHeader) { h.length = maxRunBytes + 1 }), true},
		{"longer than the file", frame(g, chain, func(h *frameHeader) { h.length++ }), false},
		{"a wrong checksum of records", spoilt, false},
		{"a wrong checksum of records, and more after them", append(bytes.Clone(spoilt), 1), true},
		{"a wrong checksum of records, and zeros after them", append(bytes.Clone(spoilt), make([]byte, 100)...), false},
		{"zeros", make([]byte, 9000), false},
		{"noise", noise, false},
		{"noise and the next group", append(bytes.Clone(noise), frame(g, chain, nil)...), true},
		{"noise and the header of a later group",
			append(bytes.Clone(noise), frame(scriptGroup(99, 0), 0, nil)[:headerBytes]...), true},
		{"noise and an earlier group", append(bytes.Clone(noise), frame(scriptGroup(next-1, 0), 0, nil)...), false},
	}
	for _, c := range cases {
		for _, newest := range []bool{true, false} {
			s := segment{name: "s", data: c.data, written: withoutZeros(c.data), salt: saltOf(goldenID), next: next,
				chain: chain, newest: newest}
			got, ok, err := s.group()
			if c.name == "a frame" {
				require.True(t, ok)
				require.Equal(t, g, got)
			} else if c.damaged || !newest && c.name != "zeros" {
				require.ErrorIs(t, err, journal.ErrDamaged, c.name)
			} else {
				require.NoError(t, err, c.name)
				require.False(t, ok, c.name)
			}
		}
	}
}

// TestValidHeadersInTheWrongPlace adds to an intact journal an empty segment with a valid header.
func TestValidHeadersInTheWrongPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	written(t, dir, 2)
	j := recovered(t, dir, Options{})
	right := fileHeader{magic: segmentMagic, id: j.dir.id, sequence: j.last + 1, chain: j.chain}
	require.NoError(t, j.Close())
	cases := []struct {
		name   string
		change func(h *fileHeader) (fileName string)
		line   string
	}{
		{"none", func(h *fileHeader) string { return segmentName(h.sequence) }, ""},
		{"a gap before it", func(h *fileHeader) string { h.sequence++; return segmentName(h.sequence) }, "records 7 to 7"},
		{"another sequence than its name", func(h *fileHeader) string { h.sequence++; return segmentName(h.sequence - 1) },
			"begins with record 8"},
		{"another chain", func(h *fileHeader) string { h.chain++; return segmentName(h.sequence) },
			"does not follow the last group"},
		{"another journal", func(h *fileHeader) string { h.id++; return segmentName(h.sequence) }, "belongs to journal"},
		{"a checkpoint", func(h *fileHeader) string { h.magic = checkpointMagic; return segmentName(h.sequence) },
			"its header is invalid"},
	}
	for _, c := range cases {
		h := right
		path := filepath.Join(dir, c.change(&h))
		content, _ := h.encode()
		require.NoError(t, os.WriteFile(path, content, 0o600))
		o, err := OpenReadOnly(dir)
		require.NoError(t, err)
		sum, err := o.Recover(discard())
		require.NoError(t, o.Close())
		if c.line == "" {
			require.NoError(t, err)
			require.Equal(t, right.sequence-1, sum.Last)
		} else {
			require.ErrorIs(t, err, journal.ErrDamaged, c.name)
			require.ErrorContains(t, err, c.line)
		}
		require.NoError(t, os.Remove(path))
	}
}

// TestValidCheckpointsInTheWrongPlace: checkpoints of another journal, under another name, or with a wrong footer.
func TestValidCheckpointsInTheWrongPlace(t *testing.T) {
	whole := func(id, start uint64, f footer) []byte {
		b, sum := fileHeader{magic: checkpointMagic, id: id, sequence: start}.encode()
		header := make([]byte, chunkHeaderBytes)
		records := journal.AppendRecord(nil, []byte("a reservation"))
		sum = putChunkHeader(header, records, sum)
		return append(append(append(b, header...), records...), f.encode(sum)...)
	}
	right := footer{chunks: 1, bytes: 14, start: 2, end: 2}
	cases := map[string][]byte{
		"":                              whole(goldenID, 2, right),
		"belongs to journal":            whole(goldenID+1, 2, right),
		"by its header it starts":       whole(goldenID, 3, right),
		"its footer is invalid: chunks": whole(goldenID, 2, footer{chunks: 2, bytes: 14, start: 2, end: 2}),
		"its footer is invalid: bytes":  whole(goldenID, 2, footer{chunks: 1, bytes: 13, start: 2, end: 2}),
		"its footer is invalid: start":  whole(goldenID, 2, footer{chunks: 1, bytes: 14, start: 1, end: 2}),
		"its footer is invalid: end":    whole(goldenID, 2, footer{chunks: 1, bytes: 14, start: 2, end: 1}),
	}
	for line, content := range cases {
		r := checkpointReader{name: "c", read: bytes.NewReader(content).ReadAt, size: int64(len(content))}
		end, err := r.run(goldenID, 2, func([]byte) error { return nil })
		if line == "" {
			require.NoError(t, err)
			require.Equal(t, right, end)
			continue
		}
		before, _, _ := bytes.Cut([]byte(line), []byte(": "))
		require.ErrorIs(t, err, journal.ErrDamaged, line)
		require.ErrorContains(t, err, string(before))
	}
}
