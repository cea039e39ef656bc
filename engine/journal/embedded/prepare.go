package embedded

import (
	"cmp"
	"errors"
	"time"
)

const (
	// preparePiece is how many zeros are written at a time. A group that arrives meanwhile waits for them: 256 KiB take
	// about as long as a group.
	preparePiece = 256 << 10
	// prepareRest is how long the disk is left to groups after each piece, as a multiple of the time the piece took.
	prepareRest = 2
	// prepareRoom is how many times the size of a segment must be free before one is prepared: the current one may have to
	// grow meanwhile.
	prepareRoom = 2
)

// preparation makes the next segment, a file of zeros, while groups go into the current one. Overwriting zeros changes
// no more than those bytes, where a file that grows must also store its new size and location: the package comment has
// what that saves. No group waits for a preparation, and none depends on it: without a prepared segment the journal
// continues in one that grows.
//
// The caller of its methods holds the journal's lock. The zeros are written without it.
type preparation struct {
	tried bool       // for the current segment: a failure is not retried with every group
	ready bool       // the prepared file is complete
	done  chan error // receives the result of a preparation that runs; nil while none does
	stop  chan struct{}
}

// errNotPrepared reports that nothing was prepared, since the disk has little room or the journal was closed.
var errNotPrepared = errors.New("no segment was prepared")

// begin starts a preparation unless there was one for the current segment.
func (p *preparation) begin(d *directory, size int64) {
	if p.tried || p.done != nil || p.ready {
		return
	}
	done, stop := make(chan error, 1), make(chan struct{})
	p.tried, p.done, p.stop = true, done, stop
	d.fs.spawn(func() { done <- d.prepare(size, stop) })
}

// retry lets the next begin prepare a segment even if that failed before.
func (p *preparation) retry() { p.tried = false }

// poll notes the result of a preparation that has ended and returns why it failed.
func (p *preparation) poll() error {
	select {
	case err := <-p.done:
		return p.finish(err)
	default:
		return nil
	}
}

func (p *preparation) finish(err error) error {
	p.done, p.ready = nil, err == nil
	if errors.Is(err, errNotPrepared) {
		return nil
	}
	return err
}

// take reports whether a prepared segment is ready, and leaves it to the caller. The next segment may then be prepared.
func (p *preparation) take() bool {
	ready := p.ready
	p.ready, p.tried = false, false
	return ready
}

// end stops a preparation and removes its file.
func (p *preparation) end(d *directory) error {
	var err error
	if p.done != nil {
		close(p.stop)
		err = p.finish(<-p.done)
	}
	if p.take() {
		err = errors.Join(err, d.remove(temporaryPrepared))
	}
	return err
}

// prepare makes a durable file of zeros under its temporary name.
func (d *directory) prepare(size int64, stop <-chan struct{}) error {
	free, _, err := d.fs.space(d.path)
	if err != nil {
		return cmp.Or(d.lock.present(), err) // the directory may be gone
	}
	if free < prepareRoom*size {
		return errNotPrepared
	}
	f, err := d.create(temporaryPrepared)
	if err != nil {
		return err
	}
	if err := errors.Join(fillWithZeros(f, size, stop), f.close()); err != nil {
		return errors.Join(err, d.remove(temporaryPrepared))
	}
	return nil
}

// fillWithZeros writes and syncs piece by piece, and leaves the disk to groups in between.
func fillWithZeros(f file, size int64, stop <-chan struct{}) error {
	zeros := make([]byte, min(size, preparePiece))
	rest := time.NewTimer(0)
	defer rest.Stop()
	for at := int64(0); at < size; at += int64(len(zeros)) {
		select {
		case <-rest.C:
		case <-stop:
			return errNotPrepared
		}
		began := time.Now()
		if _, err := f.writeAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
		if err := f.sync(); err != nil {
			return err
		}
		rest.Reset(prepareRest * time.Since(began))
	}
	return nil
}
