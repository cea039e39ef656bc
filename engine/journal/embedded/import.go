package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/journal"
)

// Import makes a journal that continues another one after its record last. Its only content is a checkpoint, which
// write fills; the next record is last+1. The directory must be missing or empty. After an error or a crash it is no
// journal, or the whole one; it can be removed. Open and a second Import refuse what is no journal.
func Import(path string, last uint64, write func(to journal.Checkpoint) error) error {
	return importInto(path, last, write, disk())
}

func importInto(path string, last uint64, write func(to journal.Checkpoint) error, fs fileSystem) error {
	path, err := absolute(path, fs)
	if err == nil {
		err = fs.makeDir(path)
	}
	if err != nil {
		return fmt.Errorf("journal directory %s: %w", path, storageError(err))
	}
	written := false
	d, err := lockDirectory(path, fs, false, func(d *directory) error {
		written = true
		return d.begin(last+1, func() error { return d.fill(last, write) })
	})
	if err == nil {
		if written {
			// The journal is whole without its trace. Where there can be none, the next Open says so.
			_ = d.leaveTrace()
		} else {
			err = errHasJournal
		}
		err = errors.Join(err, d.lock.unlock())
	}
	if errors.Is(err, journal.ErrForeign) {
		err = fmt.Errorf("%w; name another directory, or remove this one if an unfinished rescue left it", err)
	}
	if err != nil {
		return fmt.Errorf("journal directory %s: %w", path, storageError(err))
	}
	return nil
}

// errHasJournal is the error of an Import into a journal, which it leaves alone.
var errHasJournal = errors.New("it holds a journal already; name another directory")

// fill writes the checkpoint of an imported journal.
func (d *directory) fill(last uint64, write func(to journal.Checkpoint) error) error {
	options := Options{SegmentBytes: leastSegment, PrepareAfter: -1}.withDefaults() // there are no groups
	j := &Journal{dir: d, options: options, recovered: true, last: last}
	c, err := j.Checkpoint(context.Background(), last)
	if err != nil {
		return err
	}
	defer c.Abort()
	if err := write(c); err != nil {
		return err
	}
	return c.Commit(last)
}
