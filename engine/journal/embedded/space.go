package embedded

import (
	"fmt"

	"github.com/seathold/seathold/engine/journal"
)

const (
	// segmentsOnDisk is how many segments a disk has room for at least: on a small disk they are smaller.
	segmentsOnDisk = 16
	// leastSegment is the size in bytes below which no disk makes a segment.
	leastSegment = 64 << 10
	// prepareShare of a segment at most is filled before the next one is prepared.
	prepareShare = 4
)

// fit makes segments smaller on a disk that has no room for many of them, so that the next one can be prepared there
// too. bytes is the size of the disk.
func (o Options) fit(bytes int64) Options {
	o.SegmentBytes = min(o.SegmentBytes, max(leastSegment, bytes/segmentsOnDisk))
	o.PrepareAfter = min(o.PrepareAfter, o.SegmentBytes/prepareShare)
	return o
}

// hasRoom returns an error that wraps journal.ErrFull if so many more bytes would take room that is kept for groups:
// that of a segment, and that of the next one until it is prepared. What is prepared belongs to groups already, and no
// other program can take it. The caller holds mu.
func (j *Journal) hasRoom(bytes int64) error {
	kept := j.options.SegmentBytes
	if j.options.PrepareAfter > 0 && !j.next.ready {
		kept *= 2
	}
	free, _, err := j.dir.fs.space(j.dir.path)
	if err != nil {
		return err
	}
	if free < kept+bytes {
		return fmt.Errorf("%w: it needs %d bytes, and %d of the %d that are free are kept for groups", journal.ErrFull,
			bytes, kept, free)
	}
	return nil
}
