package embedded

import (
	"bytes"
	"encoding/binary"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

var writeGolden = flag.Bool("write-golden", false, "write the testdata of a new format version")

const goldenDir, goldenID = "testdata/v2", 0x0123456789abcdef

// goldenDirs are the journals of all format versions. Their records are the same.
var goldenDirs = []string{"testdata/v1", goldenDir}

// TestGoldenBytes compares what is written with the golden bytes of this format version.
func TestGoldenBytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	writeGoldenJournal(t, dir)
	if *writeGolden {
		require.NoError(t, os.RemoveAll(goldenDir))
		require.NoError(t, os.CopyFS(goldenDir, os.DirFS(dir)))
	}
	require.Equal(t, contentOf(t, goldenDir), contentOf(t, dir))
}

// TestEveryVersionIsRead reads the golden bytes of every version, appends a group, and reads them once more: then the
// journal is one of this version.
func TestEveryVersionIsRead(t *testing.T) {
	for _, golden := range goldenDirs {
		copied := filepath.Join(t.TempDir(), "copied")
		require.NoError(t, os.CopyFS(copied, os.DirFS(golden)))
		groups := []journal.Group{goldenGroup(4, "four"), goldenGroup(5, "five", "six")}
		for _, more := range []journal.Group{goldenGroup(7, "seven"), goldenGroup(8, "eight")} {
			j, err := Open(copied, Options{})
			require.NoError(t, err)
			var got delivered
			sum, err := j.Recover(got.recovery())
			require.NoError(t, err)
			require.Empty(t, sum.Notes)
			require.Equal(t, journal.CheckpointInfo{Start: 3, End: 4, Bytes: 21}, sum.Checkpoint)
			require.Equal(t, goldenChunks(), got.chunks)
			require.Equal(t, groups, got.groups)
			require.NoError(t, j.Append(t.Context(), more))
			groups = append(groups, more)
			require.NoError(t, j.Close())
			for _, name := range []string{markerName, markerCopyName} {
				require.Equal(t, encodeMarker(goldenID), readFile(t, filepath.Join(copied, name)))
			}
			require.FileExists(t, filepath.Join(copied, endName))
		}
	}
}

// writeGoldenJournal makes a journal with a fixed id, three segments and a checkpoint.
func writeGoldenJournal(t *testing.T, dir string) {
	require.NoError(t, os.Mkdir(dir, 0o700))
	header, chain := fileHeader{magic: segmentMagic, id: goldenID, sequence: 1}.encode()
	for name, content := range map[string][]byte{
		segmentName(1): header, markerName: encodeMarker(goldenID), markerCopyName: encodeMarker(goldenID),
		endName: end{segment: 1, offset: headerBytes, chain: chain}.encode(goldenID),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	j := recovered(t, dir, Options{SegmentBytes: 108, PrepareAfter: -1})
	for _, g := range []journal.Group{goldenGroup(1, "one", ""), goldenGroup(3, "three"), goldenGroup(4, "four")} {
		require.NoError(t, j.Append(t.Context(), g))
	}
	c, err := j.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	require.NoError(t, c.Write(goldenChunks()[:10]))
	require.NoError(t, c.Write(goldenChunks()[10:]))
	require.NoError(t, c.Commit(4))
	require.NoError(t, j.Append(t.Context(), goldenGroup(5, "five", "six")))
	require.Len(t, j.segments, 3)
	require.NoError(t, j.Close())
}

func goldenGroup(first uint64, records ...string) journal.Group {
	g := journal.Group{First: first, Count: len(records)}
	for _, r := range records {
		g.Records = journal.AppendRecord(g.Records, []byte(r))
	}
	return g
}

func goldenChunks() []byte {
	return journal.AppendRecord(journal.AppendRecord(nil, []byte("confirmed")), []byte("released :"))
}

// FuzzSegment reads any bytes as the frames of a segment. With fix the first header gets the right checksum, so that
// its lengths and counts are tested too.
func FuzzSegment(f *testing.F) {
	segments, err := filepath.Glob(goldenDir + "/segment-*")
	require.NoError(f, err)
	require.NotEmpty(f, segments)
	for _, path := range segments {
		b := readFile(f, path)
		f.Add(b[headerBytes:], false, true)
		f.Add(b[headerBytes:], true, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, fix, newest bool) {
		s := segment{name: "fuzzed", data: data, salt: saltOf(goldenID), next: 1, newest: newest}
		data = bytes.Clone(data)
		s.data = data
		if fix && len(data) >= headerBytes {
			copy(data, frameMagic)
			h := headerOf(data)
			h.first, h.chain = s.next, s.chain
			h.put(data, s.salt)
		}
		s.written = withoutZeros(data)
		var again bytes.Buffer
		for {
			before := s
			g, ok, err := s.group()
			if err != nil {
				require.ErrorIs(t, err, journal.ErrDamaged)
				return
			}
			if !ok {
				require.Equal(t, before, s)
				break
			}
			require.Equal(t, before.next, g.First)
			require.Equal(t, g.Last()+1, s.next)
			header := make([]byte, headerBytes)
			headerOf(data[before.offset:]).put(header, s.salt)
			again.Write(header)
			again.Write(g.Records)
		}
		require.True(t, bytes.Equal(data[:s.offset], again.Bytes()), "the frames read are not those that would be written")
		require.True(t, newest || s.offset >= s.written, "an older segment ended early")
	})
}

// headerOf reads a frame's fields without checking its checksum.
func headerOf(b []byte) frameHeader {
	fixed := bytes.Clone(b[:headerBytes])
	binary.LittleEndian.PutUint32(fixed[28:], crc32.Update(saltOf(goldenID), castagnoli, fixed[:28]))
	h, _, ok := decodeFrameHeader(fixed, saltOf(goldenID))
	if !ok {
		panic("BUG: a header with the right checksum is refused")
	}
	return h
}

// FuzzCheckpoint reads any bytes as a checkpoint. The reader never allocates more than there are bytes.
func FuzzCheckpoint(f *testing.F) {
	whole := readFile(f, filepath.Join(goldenDir, checkpointName(3)))
	f.Add(whole)
	f.Add(whole[:len(whole)-footerBytes])
	f.Add(append(bytes.Clone(whole[:headerBytes]), 0xff, 0xff, 0xff, 0x03, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := checkpointReader{name: "fuzzed", read: bytes.NewReader(data).ReadAt, size: int64(len(data))}
		delivered := 0
		end, err := r.run(goldenID, 3, func(records []byte) error {
			delivered += len(records)
			return nil
		})
		require.LessOrEqual(t, cap(r.store), len(data))
		require.LessOrEqual(t, delivered, len(data))
		if err == nil {
			require.EqualValues(t, delivered, end.bytes)
			require.GreaterOrEqual(t, end.end, end.start)
		}
	})
}

// FuzzMarker reads any text as the marker. Only text that encodeMarkerOf writes is accepted.
func FuzzMarker(f *testing.F) {
	f.Add(encodeMarker(goldenID))
	f.Add(encodeMarkerOf(1, goldenID))
	f.Add([]byte("Seathold journal, format 1, id zz"))
	f.Fuzz(func(t *testing.T, content []byte) {
		id, version, err := decodeMarker(markerName, content)
		if err == nil {
			require.Equal(t, content, encodeMarkerOf(version, id))
			require.LessOrEqual(t, version, formatVersion)
		}
	})
}

// FuzzEnd reads any bytes as a page of the file end. Only what put writes is accepted.
func FuzzEnd(f *testing.F) {
	whole := end{7, 5, 108, 99}.encode(goldenID)
	f.Add(whole[:endPageBytes])
	f.Add(whole[:endBytes])
	f.Fuzz(func(t *testing.T, content []byte) {
		if e, ok := decodeEnd(content, goldenID); ok {
			require.Equal(t, e.encode(goldenID)[:endPageBytes], content)
		}
	})
}
