package embedded

import (
	"errors"
	"slices"

	"github.com/seathold/seathold/engine/journal"
)

// Check reads every file of the journal, those too that Recover does not need: older checkpoints and segments, and the
// second copies of the marker and of the end. It returns each place that is missing or unreadable, in the order of the
// files. Recover can be called before or after it.
func (o *ReadOnly) Check() ([]*Fault, error) {
	if o.closed {
		return nil, journal.ErrClosed
	}
	s, err := o.dir.survey()
	if err != nil {
		return nil, named(o.dir.path, err)
	}
	return s.faults(), nil
}

// survey is what all files of a journal are worth.
type survey struct {
	dir         *directory
	end         foundEnd
	segments    []numbered
	checkpoints []numbered
	footers     map[string]footer   // of the intact checkpoints, by name
	spoilt      map[string][]*Fault // of segments and checkpoints, by name
}

func (d *directory) survey() (*survey, error) {
	s := &survey{dir: d, footers: map[string]footer{}, spoilt: map[string][]*Fault{}}
	var err error
	if s.end, err = d.readEnd(); err != nil {
		return nil, err
	}
	if s.segments, s.checkpoints, err = d.files(); err != nil {
		return nil, err
	}
	for _, c := range s.checkpoints {
		footer, err := d.readCheckpoint(c, ignore.Chunk)
		if isAny(err, unreadable) {
			err = damaged(c.name, 0, "it cannot be read: %v", err)
		}
		if err == nil {
			s.footers[c.name] = footer
		} else if err := s.spoil(err); err != nil {
			return nil, err
		}
	}
	return s, s.readSegments()
}

// spoil adds the fault that the error is about. It returns an error that is about something else.
func (s *survey) spoil(err error) error {
	fault, ok := errors.AsType[*Fault](err)
	if !ok {
		return err
	}
	s.spoilt[fault.File] = append(s.spoilt[fault.File], fault)
	return nil
}

// readSegments reads every segment, past each fault.
func (s *survey) readSegments() error {
	for from := 0; from < len(s.segments); {
		r := s.recovery(footer{})
		err := r.deliverSegments(s.segments[from:])
		if err == nil {
			err = r.requireEnd()
		}
		if err == nil {
			return nil
		}
		fault, ok := errors.AsType[*Fault](err)
		if !ok {
			return err
		}
		at := slices.IndexFunc(s.segments, func(f numbered) bool { return f.name == fault.File })
		if at > from && r.newest.name != fault.File {
			// The fault is between two segments, or in the header of the second, which is read once more by itself.
			from = at
			if s.needless(s.segments[at].sequence - 1) {
				continue
			}
		} else {
			from = at + 1
		}
		if !slices.ContainsFunc(s.spoilt[fault.File], func(f *Fault) bool { return *f == *fault }) {
			s.spoilt[fault.File] = append(s.spoilt[fault.File], fault)
		}
	}
	return nil
}

// needless reports whether no intact checkpoint needs the records up to last: they may be missing.
func (s *survey) needless(last uint64) bool {
	for _, c := range s.checkpoints {
		if _, intact := s.footers[c.name]; intact {
			return last <= c.sequence
		}
	}
	return false
}

// recovery returns a recovery that begins with the given checkpoint, or without one where its start is 0.
func (s *survey) recovery(base footer) *recovery {
	r := &recovery{dir: s.dir, to: ignore, segments: s.segments, checkpoints: s.checkpoints, end: s.end}
	r.sum.Checkpoint = journal.CheckpointInfo{Start: base.start, End: base.end}
	return r
}

// ignore receives a recovery of which only the errors count.
var ignore = journal.Recovery{
	Begin: func(journal.CheckpointInfo) error { return nil },
	Chunk: func([]byte) error { return nil },
	Group: func(journal.Group) error { return nil },
}

// faults returns all faults: of the markers, the end, the checkpoints, the segments.
func (s *survey) faults() []*Fault {
	faults := slices.Clone(s.dir.faults)
	if s.end.fault != nil {
		faults = append(faults, s.end.fault)
	}
	for _, f := range slices.Concat(s.checkpoints, s.segments) {
		faults = append(faults, s.spoilt[f.name]...)
	}
	return faults
}
