package embedded

import (
	"errors"
	"time"
)

const (
	// preparePiece is how many zeros are written together. While they are on their way to the disk a group waits behind
	// them: 256 KiB take about as long as one.
	preparePiece = 256 << 10
	// prepareRest is how many times as long as a piece took the disk is left to the groups before the next.
	prepareRest = 2
	// prepareRoom is how many times the size of a segment must be free for one to be prepared: what little room there is
	// belongs to records.
	prepareRoom = 4
)

// preparation is the making of the next segment while groups go into this one: a file of zeros. What is written over them
// changes nothing but these bytes, where a file that grows has its size and its place on the disk to be kept, too: see the
// package's comment for what that saves. Nothing waits for it, and nothing depends on it: a journal without a prepared
// segment goes on in one that grows.
//
// Its methods belong to whoever holds the journal's lock; the making itself goes on beside it.
type preparation struct {
	tried bool // for this segment: a failure is not tried again at every group
	under bool // the making has begun, and done has yet to tell
	done  chan prepared
	stop  chan struct{}
	ready file // close is nil where there is none
}

// prepared is what came of a preparation: neither, where there is little room on the disk.
type prepared struct {
	file file
	err  error
}

// begin starts the making, unless that was done for this segment before.
func (p *preparation) begin(d *directory, size int64) {
	if p.tried || p.under || p.ready.close != nil {
		return
	}
	p.tried, p.under = true, true
	p.done, p.stop = make(chan prepared, 1), make(chan struct{})
	d.fs.aside(func() { p.done <- d.prepare(size, p.stop) })
}

// look takes up a preparation that is done, and returns why it failed.
func (p *preparation) look() error {
	if !p.under {
		return nil
	}
	select {
	case made := <-p.done:
		p.under, p.ready = false, made.file
		return made.err
	default:
		return nil
	}
}

// take returns the prepared segment's file, once; there is one when ready.close is not nil.
func (p *preparation) take() file {
	f := p.ready
	p.ready, p.tried = file{}, false
	return f
}

// end stops the making and removes what there is of it.
func (p *preparation) end(d *directory) error {
	var err error
	if p.under {
		close(p.stop)
		made := <-p.done
		p.under, p.ready = false, made.file
		if !errors.Is(made.err, errStopped) {
			err = made.err
		}
	}
	if p.ready.close != nil {
		err = errors.Join(err, p.take().close(), d.fs.remove(d.join(temporaryPrepared)))
	}
	return err
}

var errStopped = errors.New("the journal was closed")

// prepare makes a durable file of zeros under its temporary name, opened for writes that are durable when they return.
func (d *directory) prepare(size int64, stop <-chan struct{}) prepared {
	free, err := d.fs.free(d.path)
	if err != nil || free < prepareRoom*size {
		return prepared{err: err}
	}
	f, err := d.fs.create(d.join(temporaryPrepared))
	if err != nil {
		return prepared{err: err}
	}
	err = errors.Join(fillWithZeros(f, size, stop), f.close())
	if err == nil {
		f, err = d.fs.openDurable(d.join(temporaryPrepared))
	}
	if err != nil {
		return prepared{err: errors.Join(err, d.fs.remove(d.join(temporaryPrepared)))}
	}
	return prepared{file: f}
}

// fillWithZeros writes and syncs, in pieces, and leaves the disk to others in between.
func fillWithZeros(f file, size int64, stop <-chan struct{}) error {
	zeros := make([]byte, min(size, preparePiece))
	rest := time.NewTimer(0)
	defer rest.Stop()
	for at := int64(0); at < size; at += int64(len(zeros)) {
		select {
		case <-rest.C:
		case <-stop:
			return errStopped
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
