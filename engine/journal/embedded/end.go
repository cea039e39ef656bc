package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

// An end says which group is the last one known to be durable. Without it, damage to the last frame could not be
// distinguished from a group that a crash left unfinished. All numbers are little-endian.
//
//	 0        4        8                16               24               32               40       44       48
//	 +--------+--------+----------------+----------------+----------------+----------------+--------+--------+
//	 | SHEN   | version| journal id     | sequence       | segment        | offset         | chain  | sum    |
//	 +--------+--------+----------------+----------------+----------------+----------------+--------+--------+
//
//	sequence  the last record of that group; before the first group, 0 or the record before the oldest segment
//	segment   the first record of the segment that the group is in
//	offset    where its frame ends, in that segment
//	chain     the sum of its frame, or of the segment's header when the segment has no frame
//	sum       CRC-32C of the 44 bytes before it
//
// The file end has two copies, each at the beginning of a page that is otherwise zero. The first is written after each
// group, before the group is acknowledged, and not synced: it is exact when only the process ends, and may be late when
// the power fails. The second is written, and both are synced, when the journal has been idle for half a second, and by
// Close. One write never touches both, so a torn one spoils one copy at most. The copy with the higher sequence counts:
// whatever a copy says was durable when it was written.
type end struct {
	sequence uint64
	segment  uint64
	offset   int64
	chain    uint32
}

const (
	endMagic     = "SHEN"
	endBytes     = 48
	endPageBytes = 4 << 10
	endCopies    = 2
)

// put writes the end over the first bytes of b.
func (e end) put(b []byte, id uint64) {
	copy(b, endMagic)
	binary.LittleEndian.PutUint32(b[4:], formatVersion)
	binary.LittleEndian.PutUint64(b[8:], id)
	binary.LittleEndian.PutUint64(b[16:], e.sequence)
	binary.LittleEndian.PutUint64(b[24:], e.segment)
	binary.LittleEndian.PutUint64(b[32:], uint64(e.offset))
	binary.LittleEndian.PutUint32(b[40:], e.chain)
	binary.LittleEndian.PutUint32(b[44:], crc32.Checksum(b[:44], castagnoli))
}

// encode returns the content of the file end.
func (e end) encode(id uint64) []byte {
	b := make([]byte, endCopies*endPageBytes)
	for i := range endCopies {
		e.put(b[i*endPageBytes:], id)
	}
	return b
}

// decodeEnd reads one page of the file end.
func decodeEnd(page []byte, id uint64) (e end, ok bool) {
	if len(page) != endPageBytes || withoutZeros(page) > endBytes ||
		binary.LittleEndian.Uint32(page[44:]) != crc32.Checksum(page[:44], castagnoli) ||
		string(page[:4]) != endMagic || binary.LittleEndian.Uint32(page[4:]) != formatVersion ||
		binary.LittleEndian.Uint64(page[8:]) != id {
		return e, false
	}
	return end{
		sequence: binary.LittleEndian.Uint64(page[16:]),
		segment:  binary.LittleEndian.Uint64(page[24:]),
		offset:   int64(binary.LittleEndian.Uint64(page[32:])),
		chain:    binary.LittleEndian.Uint32(page[40:]),
	}, true
}

// foundEnd is what the file end says.
type foundEnd struct {
	end
	known    bool   // at least one copy is intact
	fault    *Fault // what is wrong with the file; nil for a journal of format 1 without one
	complete bool   // the file has its size, so that its copies can be overwritten in place
}

// readEnd reads the file end.
func (d *directory) readEnd() (found foundEnd, err error) {
	content, err := d.readFile(endName, endCopies*endPageBytes+1, nil)
	if errors.Is(err, os.ErrNotExist) {
		if d.version > 1 {
			found.fault = faultAt(endName, 0, "the file is missing")
		}
		return found, nil
	}
	if err != nil && !isAny(err, unreadable) {
		return found, err
	}
	found.complete = err == nil && len(content) == endCopies*endPageBytes
	if !found.complete {
		found.fault = faultAt(endName, 0, "it has %d bytes where %d belong", len(content), endCopies*endPageBytes)
	}
	for at := 0; at < endCopies*endPageBytes; at += endPageBytes {
		e, ok := decodeEnd(content[min(at, len(content)):min(at+endPageBytes, len(content))], d.id)
		switch {
		case !ok && found.fault == nil:
			found.fault = faultAt(endName, int64(at), "this copy of the journal's end is invalid")
		case ok && (!found.known || e.sequence > found.sequence):
			found.end, found.known = e, true
		}
	}
	return found, nil
}

// endFile is the open file end. The caller of its methods holds the journal's lock.
type endFile struct {
	file
	id     uint64
	synced bool // both copies have the last group, durably
	buffer [endBytes]byte
}

// openEnd writes and syncs the end, and leaves the file open. It makes the file anew where it cannot be overwritten.
func (d *directory) openEnd(e end, found foundEnd) (*endFile, error) {
	if !found.complete {
		if err := d.writeEnd(e); err != nil {
			return nil, err
		}
	}
	f, err := d.fs.open(d.join(endName))
	if err != nil {
		return nil, err
	}
	whole := e.encode(d.id)
	for at := 0; at < len(whole) && found.complete; at += endPageBytes {
		_, err := f.writeAt(whole[at:at+endPageBytes], int64(at))
		if err := errors.Join(err, f.sync()); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return &endFile{file: f, id: d.id, synced: true}, nil
}

// writeEnd replaces the file end.
func (d *directory) writeEnd(e end) error {
	return d.install(d.fs.createDurable, temporaryEnd, endName, e.encode(d.id))
}

// set writes the first copy, without a sync.
func (f *endFile) set(e end) error {
	f.synced = false
	e.put(f.buffer[:], f.id)
	_, err := f.writeAt(f.buffer[:], 0)
	return err
}

// seal writes the second copy like the first, and makes both durable.
func (f *endFile) seal() error {
	if f.synced {
		return nil
	}
	if _, err := f.writeAt(f.buffer[:], endPageBytes); err != nil {
		return err
	}
	err := f.sync()
	f.synced = err == nil
	return err
}

// setEnd stores that the last group is durable. Nothing depends on the file end as long as the last group is intact, so
// a failure is reported and then the file is left alone: its copies remain true.
func (j *Journal) setEnd() {
	if j.sealed == nil {
		return
	}
	j.endFailed(j.sealed.set(end{j.last, j.segments[len(j.segments)-1].sequence, j.end, j.chain}))
}

// sealEnd makes durable what setEnd stored.
func (j *Journal) sealEnd() {
	if j.sealed != nil {
		j.endFailed(j.sealed.seal())
	}
}

func (j *Journal) endFailed(err error) {
	if err == nil {
		return
	}
	j.options.Warn(fmt.Errorf("journal directory %s: the file %s cannot be written, so that damage to the last group "+
		"might not be noticed: %w", j.dir.path, endName, errors.Join(storageError(err), j.sealed.close())))
	j.sealed = nil
}

// compareWithEnd refuses a group that is not the one that the file end shows as the last.
func (r *recovery) compareWithEnd(s *segment, first, last uint64) error {
	if !r.end.known || r.end.sequence < first || r.end.sequence > last {
		return nil
	}
	elsewhere := s.name != segmentName(r.end.segment) // the segment after this one, which has no frame yet
	if r.end.sequence == last && (elsewhere || r.end.chain == s.chain) {
		return nil
	}
	return damaged(s.name, int64(s.last), "this is not the group that the file %s shows to end with record %d", endName,
		r.end.sequence)
}

// requireEnd refuses a journal that ends before a record that was durable: by the file end, or by a checkpoint.
func (r *recovery) requireEnd() error {
	why := r.newest.torn
	if why == "" {
		why = "the groups end"
	}
	if r.end.known && r.end.sequence > r.sum.Last {
		return r.newest.damaged("%s after record %d, and by the file %s record %d was durable", why, r.sum.Last, endName,
			r.end.sequence)
	}
	for _, c := range r.checkpoints {
		durable := c.sequence
		if c.sequence == r.sum.Checkpoint.Start {
			durable = max(durable, r.sum.Checkpoint.End)
		}
		if durable > r.sum.Last {
			return r.newest.damaged("%s after record %d, and %s was written when record %d was durable", why, r.sum.Last,
				c.name, durable)
		}
	}
	if !r.end.known && r.end.fault != nil && r.sum.TornBytes > 0 {
		return r.newest.damaged("%s after record %d, and whether more was durable is not known: %v", why, r.sum.Last,
			r.end.fault)
	}
	return nil
}

// noteEnd notes what a crash, or damage, left at the end of the journal.
func (r *recovery) noteEnd() {
	s := &r.newest
	r.sum.Last = s.next - 1
	r.sum.TornBytes = int64(max(0, s.written-s.offset))
	if r.end.fault != nil {
		r.note("%v; the journal ends with record %d", r.end.fault, r.sum.Last)
	}
	if r.sum.TornBytes == 0 {
		return
	}
	known := fmt.Sprintf("the file %s shows record %d as the last durable one", endName, r.end.sequence)
	if !r.end.known {
		known = "a journal of format 1 does not store whether they were acknowledged"
	}
	r.note("%s ends in %d bytes from offset %d, after record %d, that are no complete group and are dropped; %s",
		s.name, r.sum.TornBytes, s.offset, r.sum.Last, known)
}
