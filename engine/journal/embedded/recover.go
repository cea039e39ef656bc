package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/seathold/seathold/engine/journal"
)

// recovery reads a directory once. It changes nothing there.
type recovery struct {
	dir         *directory
	to          journal.Recovery
	sum         journal.Recovered
	segments    []numbered
	checkpoints []numbered // in ascending order of their starts; all after the delivered one are damaged
	intact      int        // how many of checkpoints are not known to be damaged
	end         foundEnd
	newest      segment // read to the end of its last frame, where appending continues
}

func (r *recovery) run() error {
	var err error
	r.segments, r.checkpoints, err = r.dir.files()
	if err != nil {
		return err
	}
	r.sum.Notes = append(r.sum.Notes, r.dir.notes...)
	if r.end, err = r.dir.readEnd(); err != nil {
		return err
	}
	if err := r.chooseCheckpoint(); err != nil {
		return err
	}
	needed, err := r.neededSegments()
	if err != nil {
		return err
	}
	if err := r.deliverCheckpoint(); err != nil {
		return err
	}
	if err := r.deliverSegments(needed); err != nil {
		return err
	}
	return r.requireEnd()
}

// chooseCheckpoint finds the newest checkpoint whose checksums are all right. It reads a checkpoint completely before
// any of it is delivered, since a delivered chunk cannot be revoked. It falls back to an older one only where the newer
// is known to be damaged, not where it could not be read for another reason, which may be gone at the next start.
func (r *recovery) chooseCheckpoint() error {
	for r.intact = len(r.checkpoints); r.intact > 0; r.intact-- {
		f := r.checkpoints[r.intact-1]
		end, err := r.dir.readCheckpoint(f, ignore.Chunk)
		if err == nil {
			r.sum.Checkpoint = journal.CheckpointInfo{Start: end.start, End: end.end, Bytes: int64(end.bytes)}
			return nil
		}
		if !errors.Is(err, journal.ErrDamaged) && !isAny(err, unreadable) {
			return err
		}
		r.note("the checkpoint %s is skipped for an older one and a longer replay: %v", f.name, err)
	}
	return nil
}

func (r *recovery) note(format string, args ...any) {
	r.sum.Notes = append(r.sum.Notes, fmt.Sprintf(format, args...))
}

// neededSegments returns the segments from the one that holds the first record after the checkpoint. A crash kept the
// checkpoint from removing the segments before that one, so any of those may be gone.
func (r *recovery) neededSegments() ([]numbered, error) {
	next := r.sum.Checkpoint.Start + 1
	for i := len(r.segments) - 1; i >= 0; i-- {
		if r.segments[i].sequence <= next {
			return r.segments[i:], nil
		}
	}
	if len(r.segments) == 0 {
		return nil, damaged(segmentName(next), 0, "the directory has no segment")
	}
	first := r.segments[0]
	return nil, damaged(first.name, 0,
		"it is the oldest segment, and records %d to %d are missing", next, first.sequence-1)
}

func (r *recovery) deliverCheckpoint() error {
	if r.intact == 0 {
		return nil
	}
	if err := r.to.Begin(r.sum.Checkpoint); err != nil {
		return err
	}
	_, err := r.dir.readCheckpoint(r.checkpoints[r.intact-1], r.to.Chunk)
	return err
}

// deliverSegments delivers every group with a record after the checkpoint's start.
func (r *recovery) deliverSegments(needed []numbered) error {
	var buffer []byte
	next, chain := needed[0].sequence, uint32(0)
	for i, f := range needed {
		data, err := r.dir.readFile(f.name, f.bytes, buffer)
		if isAny(err, unreadable) {
			return damaged(f.name, 0, "it cannot be read: %v", err)
		}
		if err != nil {
			return err
		}
		buffer = data
		header, sum, err := decodeFileHeader(f.name, segmentMagic, r.dir.id, data)
		if err != nil {
			return err
		}
		if header.sequence != f.sequence {
			return damaged(f.name, 0, "by its header it begins with record %d", header.sequence)
		}
		if f.sequence != next {
			return damaged(f.name, 0, "records %d to %d, which precede it, are missing", next, f.sequence-1)
		}
		if i > 0 && header.chain != chain {
			return damaged(f.name, 0, "it does not follow the last group of %s", needed[i-1].name)
		}
		r.newest = segment{name: f.name, data: data, written: withoutZeros(data), salt: r.dir.salt, offset: headerBytes,
			next: next, chain: sum, newest: i == len(needed)-1}
		if err := r.deliverGroups(&r.newest); err != nil {
			return err
		}
		next, chain = r.newest.next, r.newest.chain
	}
	r.noteEnd()
	return nil
}

func (r *recovery) deliverGroups(s *segment) error {
	for {
		g, ok, err := s.group()
		if err != nil || !ok {
			return err
		}
		if err := r.compareWithEnd(s, g.First, g.Last()); err != nil {
			return err
		}
		if g.Last() <= r.sum.Checkpoint.Start {
			continue
		}
		if err := r.to.Group(g); err != nil {
			return err
		}
		r.sum.Groups++
		r.sum.Records += g.Count
	}
}

// segment is the content of a segment file that is being read.
type segment struct {
	name    string
	data    []byte
	written int // where the zeros that end the file begin: those of a prepared segment, or of a frame
	salt    uint32
	offset  int    // of the next frame
	last    int    // offset of the previous frame; 0 when there is none
	next    uint64 // first record of the next frame
	chain   uint32 // the sum of the previous frame
	torn    string // why what follows the last frame of the newest segment is no frame
	newest  bool   // only the newest segment may end in an unfinished group
}

// group returns the next group. It returns ok false after the last intact frame.
func (s *segment) group() (g journal.Group, ok bool, err error) {
	rest := s.data[s.offset:]
	if s.offset >= s.written {
		return g, false, nil
	}
	h, sum, intact := decodeFrameHeader(rest, s.salt)
	if !intact {
		return g, false, s.unfinished("a group's header is invalid")
	}
	if h.first != s.next || h.chain != s.chain {
		return g, false, s.damaged("a group from record %d is where the one from record %d belongs", h.first, s.next)
	}
	if h.length == 0 || h.length > maxRunBytes || h.count == 0 {
		return g, false, s.damaged("a group of %d records in %d bytes", h.count, h.length)
	}
	end := headerBytes + int(h.length)
	if end > len(rest) {
		return g, false, s.unfinished("a group is cut short")
	}
	records := rest[headerBytes:end:end]
	if crc32.Checksum(records, castagnoli) != h.records {
		if s.offset+end < s.written {
			return g, false, s.damaged("the checksum of a group's records is wrong, and more was written after it")
		}
		return g, false, s.unfinished("the checksum of a group's records is wrong")
	}
	g = journal.Group{First: h.first, Count: int(h.count), Records: records}
	s.last, s.offset, s.next, s.chain = s.offset, s.offset+end, s.next+uint64(h.count), sum
	return g, true, nil
}

// unfinished returns nil when an invalid frame was never completed, and an error when it is damage to durable records.
// One group is written at a time, and the next only when it is durable. So an unfinished one is in the newest segment,
// is not longer than a frame, and has no frame after it.
func (s *segment) unfinished(reason string) error {
	if !s.newest {
		return s.damaged("%s, and a newer segment follows", reason)
	}
	rest := s.data[s.offset:s.written]
	if len(rest) > headerBytes+maxRunBytes {
		return s.damaged("%s, and %d bytes follow, more than one group has", reason, len(rest))
	}
	for at := 1; ; at++ {
		found := bytes.Index(rest[at:], []byte(frameMagic))
		if found < 0 {
			s.torn = reason
			return nil
		}
		at += found
		if h, _, ok := decodeFrameHeader(rest[at:], s.salt); ok && h.first >= s.next {
			return s.damaged("%s, and the group from record %d follows at offset %d", reason, h.first, s.offset+at)
		}
	}
}

// withoutZeros returns the length of b without the zeros at its end.
func withoutZeros(b []byte) int {
	const block = 4 << 10
	var zeros [block]byte
	for len(b) >= block && bytes.Equal(b[len(b)-block:], zeros[:]) {
		b = b[:len(b)-block]
	}
	return len(bytes.TrimRight(b, "\x00"))
}

func (s *segment) damaged(reason string, args ...any) error {
	return damaged(s.name, int64(s.offset), reason, args...)
}
