package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// ErrCrashed is returned by every call of a process that has crashed.
var ErrCrashed = errors.New("the process has crashed")

// Stream is a journal in memory that any number of processes share. It is what a Redis is to journal/redis: processes
// send it messages, which take time, may be cut off, and arrive even if their sender has crashed meanwhile. It works in
// the virtual time of testing/synctest. Set its functions before the first call.
type Stream struct {
	// Delay returns how long a message takes in one direction; nil for no time.
	Delay func() time.Duration
	// Before is called when a process is about to send a change, After when the change has been made and the process does
	// not know it yet. They may wait, and they may crash the process. After an error of Before nothing is sent.
	Before, After func(ctx context.Context, p *Process, kind Kind, g journal.Group) error

	mu          sync.Mutex
	changed     chan struct{} // closed when something below has changed
	frozen      bool
	entries     []entry // all that were ever added
	epoch       uint64  // of the newest claim
	checkpoints []storedCheckpoint
}

// Kind is what a process adds to a stream.
type Kind string

// The kinds of entries.
const (
	Claimed    Kind = "claim"
	Appended   Kind = "group"
	Beaten     Kind = "beat"
	Resigned   Kind = "resignation"
	Checkpoint Kind = "checkpoint"
)

type entry struct {
	kind   Kind
	epoch  uint64
	leader string        // of a claim
	group  journal.Group // of a group
}

type storedCheckpoint struct {
	info   journal.CheckpointInfo
	chunks [][]byte
}

// NewStream returns an empty journal.
func NewStream() *Stream { return &Stream{changed: make(chan struct{})} }

// Open begins a process.
func (s *Stream) Open(name string) *Process {
	return &Process{Name: name, stream: s, ended: make(chan struct{})}
}

// Freeze stops the journal, like a Redis that is paused, or lets it continue. Messages wait meanwhile.
func (s *Stream) Freeze(frozen bool) {
	s.change(func() { s.frozen = frozen })
}

// Groups returns all groups, with the epochs that added them.
func (s *Stream) Groups() (groups []journal.Group, epochs []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.kind == Appended {
			groups, epochs = append(groups, e.group), append(epochs, e.epoch)
		}
	}
	return groups, epochs
}

// Epoch returns the number of claims.
func (s *Stream) Epoch() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// change makes a change and wakes everyone who waits for one.
func (s *Stream) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// arrive makes the change of a message once it has arrived, whatever has become of its sender.
func (s *Stream) arrive(apply func() error) <-chan error {
	result := make(chan error, 1)
	take := func() (waits <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.frozen {
			return s.changed
		}
		result <- apply()
		close(s.changed)
		s.changed = make(chan struct{})
		return nil
	}
	arrive := func() {
		for waits := take(); waits != nil; waits = take() {
			<-waits
		}
	}
	if s.Delay == nil {
		if waits := take(); waits != nil {
			go arrive()
		}
	} else {
		time.AfterFunc(s.Delay(), arrive)
	}
	return result
}

// Process is one process's backend of a Stream. It panics when it is called in an order that journal.Shared excludes.
type Process struct {
	Name   string
	stream *Stream
	ended  chan struct{}

	// Guarded by Stream.mu.

	cut           bool
	interruptions int // how often the process was cut off
	stage         stage
	failed        error // what every later call returns
	busy          bool  // a call of the owner is in progress
	at            int   // entries that were delivered
	found         journal.Recovered
	resigned      bool
	epoch         uint64
}

type stage int

const (
	fresh stage = iota
	reading
	leading
)

var _ journal.Shared = (*Process)(nil)

// Cut cuts the process off from the stream, or reconnects it.
func (p *Process) Cut(cut bool) {
	p.stream.change(func() {
		p.cut = cut
		p.interruptions++
	})
}

// Crash ends the process. Its calls return ErrCrashed; what it has sent still arrives.
func (p *Process) Crash() { p.end(ErrCrashed) }

// Close ends the process's calls.
func (p *Process) Close() error {
	p.end(journal.ErrClosed)
	return nil
}

func (p *Process) end(why error) {
	p.stream.change(func() {
		select {
		case <-p.ended:
		default:
			p.failed = why
			close(p.ended)
		}
	})
}

// enter begins a call of the goroutine that owns the process.
func (p *Process) enter(stages ...stage) error {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	if !slices.Contains(stages, p.stage) || p.busy {
		panic(fmt.Sprintf("BUG: %s: a call at stage %d, busy %v", p.Name, p.stage, p.busy))
	}
	p.busy = true
	return nil
}

// leave ends a call. Its error is final, except where the journal has refused a claim.
func (p *Process) leave(err error) error {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	p.busy = false
	if err != nil && p.failed == nil && !errors.Is(err, journal.ErrNotSilent) {
		p.failed = err
	}
	return err
}

// reach waits until the process can reach the stream.
func (p *Process) reach(ctx context.Context) error {
	for {
		p.stream.mu.Lock()
		away, failed, changed := p.cut || p.stream.frozen, p.failed, p.stream.changed
		p.stream.mu.Unlock()
		if failed != nil {
			return failed
		}
		if !away {
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends a change and waits for the reply. After an error it is unknown whether the change is made, unless apply
// returned it.
func (p *Process) send(ctx context.Context, kind Kind, g journal.Group, apply func() error) error {
	if before := p.stream.Before; before != nil {
		if err := before(ctx, p, kind, g); err != nil {
			return err
		}
	}
	if err := p.reach(ctx); err != nil {
		return err
	}
	var err error
	select {
	case err = <-p.stream.arrive(apply):
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended:
		return p.failed
	}
	if after := p.stream.After; after != nil {
		if err := after(ctx, p, kind, g); err != nil {
			return err
		}
	}
	if unreached := p.reach(ctx); unreached != nil {
		return unreached
	}
	return err
}

// add returns the change that adds an entry of a leader. It is called with Stream.mu held.
func (p *Process) add(e entry) func() error {
	e.epoch = p.epoch
	return func() error {
		if p.stream.epoch != e.epoch {
			return fmt.Errorf("%w: epoch %d", journal.ErrFenced, p.stream.epoch)
		}
		p.stream.entries = append(p.stream.entries, e)
		return nil
	}
}

// Append is part of journal.Backend.
func (p *Process) Append(ctx context.Context, g journal.Group) error {
	if err := p.enter(leading); err != nil {
		return err
	}
	if g.First != p.found.Last+1 || g.Count < 1 {
		return p.leave(fmt.Errorf("BUG: a group of %d from record %d after record %d", g.Count, g.First, p.found.Last))
	}
	g.Records = bytes.Clone(g.Records)
	err := p.send(ctx, Appended, g, p.add(entry{kind: Appended, group: g}))
	if err == nil {
		p.found.Last = g.Last()
	}
	return p.leave(err)
}

// beatTimeout bounds a beat, because records wait while one is in flight.
const beatTimeout = time.Second

// Beat is part of journal.Shared.
func (p *Process) Beat(ctx context.Context) error {
	if err := p.enter(leading); err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	err := p.send(attempt, Beaten, journal.Group{}, p.add(entry{kind: Beaten}))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	return p.leave(err)
}

// StepDown is part of journal.Shared.
func (p *Process) StepDown(ctx context.Context) error {
	if err := p.enter(leading); err != nil {
		return err
	}
	err := p.send(ctx, Resigned, journal.Group{}, p.add(entry{kind: Resigned}))
	p.stream.change(func() {
		if err == nil {
			p.failed = journal.ErrClosed
		}
	})
	return p.leave(err)
}

// Claim is part of journal.Shared.
func (p *Process) Claim(ctx context.Context, address string) error {
	if err := p.enter(reading); err != nil {
		return err
	}
	s, at, epoch := p.stream, p.at, uint64(0)
	err := p.send(ctx, Claimed, journal.Group{}, func() error {
		if len(s.entries) != at {
			return journal.ErrNotSilent
		}
		s.epoch++
		epoch = s.epoch
		s.entries = append(s.entries, entry{kind: Claimed, epoch: epoch, leader: address})
		return nil
	})
	if err == nil {
		s.change(func() { p.stage, p.epoch = leading, epoch })
	}
	return p.leave(err)
}

// Epoch is part of journal.Shared.
func (p *Process) Epoch() uint64 {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.epoch
}
