package embedded

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/seathold/seathold/engine/journal"
)

// RepairOptions say what Repair may do.
type RepairOptions struct {
	// DryRun only says what would be done.
	DryRun bool
	// LoseAfter permits that the records after this one are given up: the last one before damage that nothing can repair.
	// Repair refuses any other number, and names the right one. NoLoss permits no loss.
	LoseAfter uint64
	// Say receives what is found, and each step before it is taken, as a line.
	Say func(line string)
}

// NoLoss is a RepairOptions.LoseAfter that permits no loss.
const NoLoss = math.MaxUint64

// ErrLoss is returned by Repair where only a loss of acknowledged records would help.
var ErrLoss = errors.New("nothing in the directory can replace what is damaged")

// Repair makes a damaged journal one that can be opened, as far as that is possible without losing an acknowledged
// record: it restores a marker from the other one or from the segments, puts back a flipped bit of a group, writes the
// end anew, and sets aside checkpoints and segments that are damaged and not needed. It removes nothing: what it sets
// aside, or cuts off, is kept under a name that begins with quarantine-, which the journal ignores. A repair that was
// interrupted can be repeated.
//
// The directory must not be open. Repair returns ErrLoss, and has changed nothing, if records would be lost.
func Repair(path string, o RepairOptions) error { return repair(path, o, disk()) }

func repair(path string, o RepairOptions, fs fileSystem) error {
	d, err := openForRepair(path, fs)
	if err != nil {
		return fmt.Errorf("journal directory %s: %w", path, err)
	}
	err = d.repair(o)
	if err != nil {
		err = fmt.Errorf("journal directory %s: %w", path, storageError(err))
	}
	return errors.Join(err, d.lock.unlock())
}

// openForRepair locks a journal. Without a marker its id is that of the other files.
func openForRepair(path string, fs fileSystem) (*directory, error) {
	path, err := absolute(path, fs)
	if err != nil {
		return nil, err
	}
	lock, err := fs.lock(path, false)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, fs: fs, lock: lock}
	marked, err := d.readMarker()
	_, later := errors.AsType[foreignVersion](err)
	switch {
	case err == nil && marked || later:
	case err == nil || errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrForeign):
		err = d.identify()
	}
	if err != nil {
		return nil, errors.Join(err, lock.unlock())
	}
	return d, nil
}

// identify takes the journal's id from the headers of its segments and checkpoints, if those are all of one journal.
func (d *directory) identify() error {
	segments, checkpoints, err := d.files()
	if err != nil {
		return err
	}
	ids := map[uint64]bool{}
	for _, f := range slices.Concat(segments, checkpoints) {
		content, err := d.readFile(f.name, headerBytes, nil)
		if err != nil {
			return err
		}
		if id, ok := idIn(content); ok {
			ids[id] = true
		}
	}
	if len(ids) != 1 {
		return fmt.Errorf("%w: it has no intact marker, and its files have %d ids", journal.ErrForeign, len(ids))
	}
	for id := range ids {
		d.id, d.version, d.salt = id, formatVersion, saltOf(id)
	}
	for _, name := range []string{markerName, markerCopyName} {
		d.faults = append(d.faults, faultAt(name, 0, "the file is missing or damaged"))
	}
	return nil
}

// repairStep is one change.
type repairStep struct {
	text string
	do   func() error
}

// repairPlan collects the steps. The journal is whole once all are taken.
type repairPlan struct {
	*survey
	options RepairOptions
	steps   []repairStep
	aside   map[string]bool
}

func (p *repairPlan) step(do func() error, text string, args ...any) {
	p.steps = append(p.steps, repairStep{fmt.Sprintf(text, args...), do})
}

// setAside plans to rename a file.
func (p *repairPlan) setAside(f numbered, reason string) {
	if p.aside[f.name] {
		return
	}
	p.aside[f.name] = true
	p.step(func() error { return p.dir.quarantine(f.name) }, "set %s aside: %s", f.name, reason)
}

func (d *directory) repair(o RepairOptions) error {
	s, err := d.survey()
	if err != nil {
		return err
	}
	for _, fault := range s.faults() {
		o.Say("found: " + fault.Error())
	}
	if s, err = d.mendSegments(s); err != nil {
		return err
	}
	p := &repairPlan{survey: s, options: o, aside: map[string]bool{}}
	for _, bit := range d.patches {
		p.step(func() error { return d.write(bit) }, "%v", bit)
	}
	if err := p.plan(); err != nil {
		return err
	}
	if len(p.steps) == 0 {
		o.Say("there is nothing to repair")
		return nil
	}
	for _, step := range p.steps {
		if o.DryRun {
			o.Say("would " + step.text)
			continue
		}
		o.Say(step.text)
		if err := step.do(); err != nil {
			return err
		}
	}
	if o.DryRun {
		return nil
	}
	d.faults, d.notes, d.patches = nil, nil, nil
	r := recovery{dir: d, to: ignore}
	if err := r.run(); err != nil {
		return err
	}
	o.Say(fmt.Sprintf("the journal can be opened: its last record is %d", r.sum.Last))
	return nil
}

// plan decides what to do. It begins with the newest checkpoint from which everything can be replayed.
func (p *repairPlan) plan() error {
	best, err := p.bestBase()
	if err != nil {
		return err
	}
	if best.loss != nil {
		if err := p.planLoss(best); err != nil {
			return err
		}
	}
	for _, c := range slices.Backward(p.checkpoints) {
		for _, fault := range p.spoilt[c.name] {
			p.setAside(c, fault.Reason)
		}
		if base, intact := p.footers[c.name]; intact && c.sequence < best.base.start && best.loss == nil {
			older, err := p.reach(base)
			if err != nil {
				return err
			}
			if older.loss != nil {
				p.setAside(c, "records that follow it cannot be read, and "+checkpointName(best.base.start)+
					" makes them needless")
			}
		}
	}
	for i, f := range p.segments {
		for _, fault := range p.spoilt[f.name] {
			if i+1 < len(p.segments) && p.segments[i+1].sequence <= best.base.start+1 {
				p.setAside(f, fault.Reason)
			}
		}
	}
	p.planMarkers()
	if p.end.fault != nil && best.loss == nil {
		p.step(func() error { return p.dir.writeEnd(best.at) }, "write the file %s anew: the journal ends with record %d",
			endName, best.at.sequence)
	}
	return nil
}

func (p *repairPlan) planMarkers() {
	for _, fault := range p.dir.faults {
		p.step(func() error { return p.dir.writeMarker(fault.File) }, "write %s anew, with the journal's id %016x",
			fault.File, p.dir.id)
	}
}

// reached is how far a replay from a checkpoint comes.
type reached struct {
	base footer // start 0: without a checkpoint
	at   end    // of the last group that can be read; its segment is 0 when not even the first one can
	loss *Fault // what prevents more; nil if everything that was durable is read
}

// reach replays from a checkpoint.
func (s *survey) reach(base footer) (reached, error) {
	r := s.recovery(base)
	got := reached{base: base, at: end{sequence: base.start}}
	needed, err := r.neededSegments()
	if err == nil {
		err = r.deliverSegments(needed)
	}
	if r.newest.name != "" {
		first, _ := sequenceIn(r.newest.name, segmentPrefix)
		got.at = end{r.newest.next - 1, first, int64(r.newest.offset), r.newest.chain}
	}
	if err == nil {
		err = r.requireEnd()
	}
	fault, ok := errors.AsType[*Fault](err)
	if err != nil && !ok {
		return got, err
	}
	got.loss = fault
	return got, nil
}

// bestBase returns the newest checkpoint from which everything can be replayed, or else the one that comes furthest.
func (p *repairPlan) bestBase() (reached, error) {
	bases := []footer{}
	for _, c := range slices.Backward(p.checkpoints) {
		if f, intact := p.footers[c.name]; intact {
			bases = append(bases, f)
		}
	}
	bases = append(bases, footer{})
	var best reached
	usable := false
	for _, base := range bases {
		got, err := p.reach(base)
		if err != nil {
			return best, err
		}
		if got.loss == nil {
			return got, nil
		}
		begins := base.start > 0 || len(p.segments) > 0 && p.segments[0].sequence == 1
		switch {
		case begins && got.at.sequence >= base.end && (!usable || got.at.sequence > best.at.sequence):
			best, usable = got, true
		case usable && got.at.sequence == best.at.sequence && best.at.segment == 0:
			best.at = got.at // the segment that ends with that record
		}
	}
	if !usable {
		return best, fmt.Errorf("%w: no checkpoint is intact and followed by its records; restore the directory from a "+
			"backup", ErrLoss)
	}
	return best, nil
}

// planLoss cuts the journal after the last record that can be read, where that is permitted.
func (p *repairPlan) planLoss(best reached) error {
	last := best.at.sequence
	if p.options.LoseAfter != last {
		return fmt.Errorf("%w: %w. Restore the file from a backup, or give up every record after %d with --lose-after %d: "+
			"%s; what is given up stays in files whose names begin with quarantine-",
			ErrLoss, best.loss, last, last, p.known(last))
	}
	for _, c := range slices.Backward(p.checkpoints) {
		if f, intact := p.footers[c.name]; !intact || f.end > last || best.at.segment == 0 && f.start != best.base.start {
			p.setAside(c, fmt.Sprintf("it needs records after %d", last))
		}
	}
	for _, f := range slices.Backward(p.segments) {
		if f.sequence > last && f.sequence != best.at.segment || best.at.segment == 0 {
			p.setAside(f, fmt.Sprintf("the records after %d are given up", last))
		}
		if f.sequence == best.at.segment {
			p.step(func() error { return p.dir.cut(f, best.at.offset) },
				"cut %s at offset %d, and keep what follows in another file", f.name, best.at.offset)
		}
	}
	if best.at.segment == 0 {
		p.step(func() error {
			chain, err := p.dir.createSegment(last+1, 0, false)
			best.at = end{last, last + 1, headerBytes, chain}
			return err
		}, "make %s, for the records that will follow", segmentName(last+1))
	}
	p.step(func() error { return p.dir.writeEnd(best.at) }, "write the file %s anew: the journal ends with record %d",
		endName, last)
	return nil
}

// known says what is known of the records after last.
func (p *repairPlan) known(last uint64) string {
	durable := p.end.sequence
	for _, c := range p.checkpoints {
		durable = max(durable, c.sequence, p.footers[c.name].end)
	}
	if n := len(p.segments); n > 0 {
		durable = max(durable, p.segments[n-1].sequence-1)
	}
	switch {
	case durable == last+1:
		return fmt.Sprintf("at least record %d was acknowledged", durable)
	case durable > last:
		return fmt.Sprintf("at least the records %d to %d were acknowledged", last+1, durable)
	}
	return "whether there were any is not known"
}

// quarantine renames a file so that the journal ignores it.
func (d *directory) quarantine(name string) error {
	to, err := d.quarantineName(name)
	if err != nil {
		return err
	}
	return d.publish(name, to)
}

// quarantineName returns a name that no file has.
func (d *directory) quarantineName(name string) (string, error) {
	entries, err := d.fs.list(d.path)
	for n := 1; err == nil; n++ {
		to := fmt.Sprintf("%s%d-%s", quarantinePrefix, n, name)
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.name == to }) {
			return to, nil
		}
	}
	return "", err
}

// cut keeps what follows the offset in another file, and cuts it off.
func (d *directory) cut(s numbered, offset int64) error {
	content, err := d.readFile(s.name, s.bytes, nil)
	if err != nil {
		return err
	}
	tail := content[offset:]
	if withoutZeros(tail) == 0 {
		return nil
	}
	to, err := d.quarantineName(fmt.Sprintf("%s-from-%d", s.name, offset))
	if err != nil {
		return err
	}
	if err := d.install(d.fs.createDurable, temporarySegment, to, tail[:withoutZeros(tail)]); err != nil {
		return err
	}
	f, err := d.fs.open(d.join(s.name))
	if err != nil {
		return err
	}
	return errors.Join(f.truncate(offset), f.sync(), f.close())
}
