package embedded

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/seathold/seathold/engine/journal"
)

// formatVersion is written in the marker and in the header of every file. Any change of a layout below is a new
// version, with golden bytes of its own in testdata. Version 2 added the file end and the marker's copy; all that both
// versions have is laid out alike. A journal of version 1 becomes one of version 2 when it is next written.
const formatVersion = 2

const (
	segmentMagic    = "SHSG"
	frameMagic      = "SHGR"
	checkpointMagic = "SHCK"

	headerBytes      = 32
	chunkHeaderBytes = 8
	footerBytes      = 36

	// maxRunBytes is the limit for the records of one group and of one chunk. It has room for a few of the largest
	// records.
	maxRunBytes = 64 << 20
)

// castagnoli is the polynomial for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A fileHeader begins every segment and every checkpoint. All numbers are little-endian.
//
//	 0        4        8                16               24       28       32
//	 +--------+--------+----------------+----------------+--------+--------+
//	 | magic  | version| journal id     | sequence       | chain  | sum    |
//	 +--------+--------+----------------+----------------+--------+--------+
//
//	sequence  segment: the first record it holds; checkpoint: its start
//	chain     segment: the sum of the frame before its first one, 0 before record 1; checkpoint: 0
//	sum       CRC-32C of the 28 bytes before it; its offset is the same in every version
type fileHeader struct {
	magic    string
	id       uint64
	sequence uint64
	chain    uint32
}

// encode returns the header's bytes and its sum.
func (h fileHeader) encode() ([]byte, uint32) {
	b := make([]byte, 0, headerBytes)
	b = append(b, h.magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint64(b, h.id)
	b = binary.LittleEndian.AppendUint64(b, h.sequence)
	b = binary.LittleEndian.AppendUint32(b, h.chain)
	sum := crc32.Checksum(b, castagnoli)
	return binary.LittleEndian.AppendUint32(b, sum), sum
}

// decodeFileHeader reads the header of the file called name, which must have the given magic and journal id.
func decodeFileHeader(name, magic string, id uint64, b []byte) (h fileHeader, sum uint32, err error) {
	if len(b) < headerBytes {
		return h, 0, damaged(name, 0, "the file ends within its header, after %d bytes", len(b))
	}
	sum = binary.LittleEndian.Uint32(b[28:])
	if string(b[:4]) != magic || sum != crc32.Checksum(b[:28], castagnoli) {
		return h, 0, damaged(name, 0, "its header is invalid")
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v < 1 || v > formatVersion {
		return h, 0, fmt.Errorf("%w: %s has format version %d, this program reads 1 to %d",
			journal.ErrForeign, name, v, formatVersion)
	}
	h = fileHeader{
		magic:    magic,
		id:       binary.LittleEndian.Uint64(b[8:]),
		sequence: binary.LittleEndian.Uint64(b[16:]),
		chain:    binary.LittleEndian.Uint32(b[24:]),
	}
	if h.id != id {
		return h, 0, damaged(name, 0, "it belongs to journal %016x, not to %016x", h.id, id)
	}
	return h, sum, nil
}

// idIn returns the journal's id in an intact header of a segment or a checkpoint.
func idIn(b []byte) (id uint64, ok bool) {
	if len(b) < headerBytes || binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) ||
		string(b[:4]) != segmentMagic && string(b[:4]) != checkpointMagic {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[8:]), true
}

// A frameHeader precedes the records of a group in a segment.
//
//	 0        4        8                16       20       24       28       32
//	 +--------+--------+----------------+--------+--------+--------+--------+---------
//	 | magic  | length | first          | count  | chain  | records| sum    | records
//	 +--------+--------+----------------+--------+--------+--------+--------+---------
//
//	length   bytes of records after the header, 1 to maxRunBytes
//	first    sequence of the first record
//	count    number of records, at least 1
//	chain    the sum of the previous frame, or of the segment's header: a missing or an old frame breaks the chain
//	records  CRC-32C of the records
//	sum      CRC-32C of the journal's id and of the 28 bytes before it
//
// The id is a random number that no client knows. So bytes that a client puts into a record are never taken for a frame
// when the end of a segment is searched for one.
type frameHeader struct {
	length  uint32
	first   uint64
	count   uint32
	chain   uint32
	records uint32
}

// put writes the header over the first bytes of b and returns its sum.
func (h frameHeader) put(b []byte, salt uint32) uint32 {
	copy(b, frameMagic)
	binary.LittleEndian.PutUint32(b[4:], h.length)
	binary.LittleEndian.PutUint64(b[8:], h.first)
	binary.LittleEndian.PutUint32(b[16:], h.count)
	binary.LittleEndian.PutUint32(b[20:], h.chain)
	binary.LittleEndian.PutUint32(b[24:], h.records)
	sum := crc32.Update(salt, castagnoli, b[:28])
	binary.LittleEndian.PutUint32(b[28:], sum)
	return sum
}

// decodeFrameHeader returns ok only for a header that this journal wrote.
func decodeFrameHeader(b []byte, salt uint32) (h frameHeader, sum uint32, ok bool) {
	if len(b) < headerBytes || string(b[:4]) != frameMagic {
		return h, 0, false
	}
	sum = binary.LittleEndian.Uint32(b[28:])
	if sum != crc32.Update(salt, castagnoli, b[:28]) {
		return h, 0, false
	}
	return frameHeader{
		length:  binary.LittleEndian.Uint32(b[4:]),
		first:   binary.LittleEndian.Uint64(b[8:]),
		count:   binary.LittleEndian.Uint32(b[16:]),
		chain:   binary.LittleEndian.Uint32(b[20:]),
		records: binary.LittleEndian.Uint32(b[24:]),
	}, sum, true
}

// saltOf returns the initial value for the checksums of a journal's frames.
func saltOf(id uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, id), castagnoli)
}

// A checkpoint is a fileHeader, chunks, and a footer that ends the file.
//
//	chunk   0        4        8                     footer  0        4        8        16       24       32       36
//	        +--------+--------+----------                   +--------+--------+--------+--------+--------+--------+
//	        | length | sum    | records                     | 0      | chunks | bytes  | start  | end    | sum    |
//	        +--------+--------+----------                   +--------+--------+--------+--------+--------+--------+
//
//	length  bytes of records after the chunk's header, 1 to maxRunBytes; 0 marks the footer
//	sum     CRC-32C continued from the previous sum (for the first chunk, the header's) over the length and the records,
//	        or over the first 32 bytes of the footer: a missing, repeated or moved chunk breaks it
//	bytes   of records in all chunks
//	start   as in the header
//	end     the last record whose effects a chunk may hold

// putChunkHeader writes the header of a chunk over the first bytes of b and returns its sum.
func putChunkHeader(b, records []byte, before uint32) uint32 {
	binary.LittleEndian.PutUint32(b, uint32(len(records)))
	sum := chunkSum(b, records, before)
	binary.LittleEndian.PutUint32(b[4:], sum)
	return sum
}

func chunkSum(header, records []byte, before uint32) uint32 {
	return crc32.Update(crc32.Update(before, castagnoli, header[:4]), castagnoli, records)
}

// footer ends a checkpoint and proves that all of it was written.
type footer struct {
	chunks uint32
	bytes  uint64
	start  uint64
	end    uint64
}

func (f footer) encode(before uint32) []byte {
	b := make([]byte, 4, footerBytes)
	b = binary.LittleEndian.AppendUint32(b, f.chunks)
	b = binary.LittleEndian.AppendUint64(b, f.bytes)
	b = binary.LittleEndian.AppendUint64(b, f.start)
	b = binary.LittleEndian.AppendUint64(b, f.end)
	return binary.LittleEndian.AppendUint32(b, crc32.Update(before, castagnoli, b))
}

// decodeFooter returns ok only for the footer that follows the sum before.
func decodeFooter(b []byte, before uint32) (f footer, ok bool) {
	if len(b) != footerBytes || binary.LittleEndian.Uint32(b) != 0 {
		return f, false
	}
	if binary.LittleEndian.Uint32(b[32:]) != crc32.Update(before, castagnoli, b[:32]) {
		return f, false
	}
	return footer{
		chunks: binary.LittleEndian.Uint32(b[4:]),
		bytes:  binary.LittleEndian.Uint64(b[8:]),
		start:  binary.LittleEndian.Uint64(b[16:]),
		end:    binary.LittleEndian.Uint64(b[24:]),
	}, true
}
