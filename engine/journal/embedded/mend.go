package embedded

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/seathold/seathold/engine/journal"
)

// patch is a bit of a file that Repair puts back, or bytes after the last frame of a segment that it clears.
type patch struct {
	file    string
	offset  int64
	was, is []byte
	clears  bool
}

func (p patch) String() string {
	if p.clears {
		return fmt.Sprintf("clear %d bytes of %s from offset %d: by the next segment no group is there", len(p.is), p.file,
			p.offset)
	}
	return fmt.Sprintf("put back one bit of %s: byte %d, %#02x, becomes %#02x, with which everything there is right again",
		p.file, p.offset, p.was[0], p.is[0])
}

// apply changes what was read of the file.
func (p patch) apply(name string, content []byte) {
	if p.file == name && p.offset < int64(len(content)) {
		copy(content[p.offset:], p.is)
	}
}

// mendable bounds the records, in bytes, in which a bit is searched for. Damage to several bits of so many looks like
// damage to one with a probability of one in 512; the usual group has a few thousand bytes, and one in 100,000. The
// records must also have the form of a run.
const mendable = 1 << 20

// mend looks for the one bit whose flip explains the fault of a segment: a CRC-32C distinguishes all single bits of a
// frame. Only bits at the fault are tried: of the frame, of the file's header, or of the zeros after the last frame.
func (d *directory) mend(f numbered, fault *Fault) (patch, bool, error) {
	data, err := d.readFile(f.name, f.bytes, nil)
	if err != nil || fault.Offset >= int64(len(data)) {
		return patch{}, false, err
	}
	frame := data[fault.Offset:]
	// What is in the zeros after the last frame, if this is their place. The next segment follows that frame only if it
	// is.
	tail := frame[:withoutZeros(frame)]
	zeros := patch{f.name, fault.Offset, tail, make([]byte, len(tail)), true}
	if len(frame) < headerBytes {
		return zeros, fault.Offset > 0, nil
	}
	right := func() bool {
		h, _, ok := decodeFrameHeader(frame, d.salt)
		return ok && int(h.length) <= len(frame)-headerBytes &&
			crc32.Checksum(frame[headerBytes:headerBytes+int(h.length)], castagnoli) == h.records
	}
	if fault.Offset == 0 {
		right = func() bool {
			h, _, err := decodeFileHeader(f.name, segmentMagic, d.id, frame)
			return err == nil && h.sequence == f.sequence
		}
	}
	at, bit, found := bitOfHeader(frame[:headerBytes], right)
	if !found && fault.Offset > 0 {
		at, bit, found = bitOfRecords(frame, d.salt)
	}
	if !found {
		return zeros, fault.Offset > 0, nil
	}
	return patch{f.name, fault.Offset + int64(at), []byte{frame[at]}, []byte{frame[at] ^ bit}, false}, true, nil
}

// bitOfHeader tries every bit of a header.
func bitOfHeader(header []byte, right func() bool) (at int, bit byte, found bool) {
	for i := range 8 * len(header) {
		at, bit = i/8, byte(1)<<(i%8)
		header[at] ^= bit
		found = right()
		header[at] ^= bit
		if found {
			return at, bit, true
		}
	}
	return 0, 0, false
}

// bitOfRecords finds the bit of a frame's records that makes their checksum right. A CRC is linear: flipping a bit
// changes it by a value that depends only on how far the bit is from the end.
func bitOfRecords(frame []byte, salt uint32) (at int, bit byte, found bool) {
	h, _, ok := decodeFrameHeader(frame, salt)
	if !ok || h.length > mendable || int(h.length) > len(frame)-headerBytes {
		return 0, 0, false
	}
	records := slices.Clone(frame[headerBytes : headerBytes+int(h.length)])
	difference := crc32.Checksum(records, castagnoli) ^ h.records
	var change [8]uint32 // of each bit of the byte
	for b := range change {
		change[b] = castagnoli[byte(1)<<b]
	}
	for at = len(records) - 1; at >= 0; at-- {
		for b, c := range change {
			if c == difference {
				records[at] ^= 1 << b
				return headerBytes + at, 1 << b, isRun(records, int(h.count))
			}
			change[b] = c>>8 ^ castagnoli[byte(c)]
		}
	}
	return 0, 0, false
}

// isRun reports whether the bytes are so many records.
func isRun(records []byte, count int) bool {
	for range count {
		var err error
		if _, records, err = journal.Next(records); err != nil {
			return false
		}
	}
	return len(records) == 0
}

// mendSegments puts bits back in what is read of the surveyed journal for as long as that mends a segment.
func (d *directory) mendSegments(s *survey) (*survey, error) {
	for {
		mended := false
		for i, f := range s.segments {
			for _, fault := range s.spoilt[f.name] {
				p, ok, err := d.mend(f, fault)
				if err != nil && !isAny(err, unreadable) {
					return nil, err
				}
				if !ok || p.clears && i+1 == len(s.segments) { // only the next segment shows where the groups end
					continue
				}
				d.patches = append(d.patches, p)
				next, err := d.survey()
				if err != nil {
					return nil, err
				}
				if !next.better(p, i, fault) {
					d.patches = d.patches[:len(d.patches)-1] // what is there now does not belong there
					continue
				}
				s, mended = next, true
				break
			}
		}
		if !mended {
			return s, nil
		}
	}
}

// better reports whether a patch has mended the fault of the segment i: the fault is gone, and where bytes were
// cleared, the next segment follows the last group that is left.
func (s *survey) better(p patch, i int, fault *Fault) bool {
	if slices.ContainsFunc(s.spoilt[fault.File], func(left *Fault) bool { return left.Offset <= fault.Offset }) {
		return false
	}
	return !p.clears || s.recovery(footer{}).deliverSegments(s.segments[i:i+2]) == nil
}

// write makes the patch durable.
func (d *directory) write(p patch) error {
	f, err := d.fs.openDurable(d.join(p.file))
	if err != nil {
		return err
	}
	_, err = f.writeAt(p.is, p.offset)
	return errors.Join(err, f.close())
}
