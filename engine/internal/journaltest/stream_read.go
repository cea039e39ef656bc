package journaltest

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// Recover is part of journal.Reader.
func (p *Process) Recover(to journal.Recovery) (journal.Recovered, error) {
	if err := p.enter(fresh); err != nil {
		return journal.Recovered{}, err
	}
	err := p.reach(context.Background())
	if err == nil {
		err = p.begin(to)
	}
	if err == nil {
		_, err = p.catchUp(to)
	}
	return p.read(err)
}

// read ends a call that reads.
func (p *Process) read(err error) (journal.Recovered, error) {
	p.stream.mu.Lock()
	p.stage = reading
	p.found.Led = p.found.Led && !p.resigned
	p.stream.mu.Unlock()
	return p.found, p.leave(err)
}

// begin delivers the newest checkpoint.
func (p *Process) begin(to journal.Recovery) error {
	p.stream.mu.Lock()
	all := p.stream.checkpoints
	p.stream.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	newest := all[len(all)-1]
	p.found.Checkpoint, p.found.Last = newest.info, newest.info.Start
	if err := to.Begin(newest.info); err != nil {
		return err
	}
	for _, chunk := range newest.chunks {
		if err := lend(chunk, to.Chunk); err != nil {
			return err
		}
	}
	return nil
}

// lend passes a copy of bytes that are valid during the call only.
func lend(b []byte, to func([]byte) error) error {
	lent := bytes.Clone(b)
	defer clear(lent)
	return to(lent)
}

// catchUp delivers what was added since the last delivery, and returns how many entries that were.
func (p *Process) catchUp(to journal.Recovery) (added int, err error) {
	p.stream.mu.Lock()
	entries := p.stream.entries
	p.stream.mu.Unlock()
	for ; p.at < len(entries); p.at++ {
		added++
		e := &entries[p.at]
		p.resigned = e.kind == Resigned
		switch e.kind {
		case Claimed:
			p.found.Led, p.found.Leader = true, e.leader
		case Appended:
			if e.group.Last() <= p.found.Last {
				continue // the checkpoint has it
			}
			p.found.Last = e.group.Last()
			p.found.Groups++
			p.found.Records += e.group.Count
			g := e.group
			if err := lend(g.Records, func(b []byte) error { g.Records = b; return to.Group(g) }); err != nil {
				return added, err
			}
		}
	}
	return added, nil
}

// Follow is part of journal.Shared.
func (p *Process) Follow(ctx context.Context, to journal.Recovery, silence time.Duration,
	alive func(leader string)) (journal.Recovered, error) {
	if err := p.enter(fresh, reading); err != nil {
		return journal.Recovered{}, err
	}
	if err := p.reach(ctx); err != nil {
		return p.read(err)
	}
	resumes := p.stage == reading
	if !resumes {
		if err := p.begin(to); err != nil {
			return p.read(err)
		}
	}
	added, err := p.catchUp(to)
	if err == nil && resumes && added > 0 && !p.resigned {
		alive(p.found.Leader)
	}
	for lastContact := time.Now(); err == nil && !p.resigned; {
		var silent bool
		if silent, err = p.wait(ctx, lastContact.Add(silence)); err != nil || silent {
			break
		}
		lastContact = time.Now()
		if added, err = p.catchUp(to); added > 0 && err == nil && !p.resigned {
			alive(p.found.Leader)
		}
	}
	return p.read(err)
}

// wait waits until entries were added, or until the process can reach the stream again. It reports whether neither
// happened until the deadline.
func (p *Process) wait(ctx context.Context, deadline time.Time) (silent bool, err error) {
	p.stream.mu.Lock()
	before := p.interruptions
	p.stream.mu.Unlock()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		p.stream.mu.Lock()
		away := p.cut || p.stream.frozen
		arrived := len(p.stream.entries) > p.at || p.interruptions != before
		failed, changed := p.failed, p.stream.changed
		p.stream.mu.Unlock()
		switch {
		case failed != nil:
			return false, failed
		case away:
			return false, p.reach(ctx)
		case arrived:
			return false, ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, ctx.Err()
		case <-timer.C:
			return true, nil
		}
	}
}

// Checkpoint is part of journal.Backend.
func (p *Process) Checkpoint(ctx context.Context, start uint64) (journal.Checkpoint, error) {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	if p.failed != nil {
		return nil, p.failed
	}
	if p.stage != leading {
		panic("BUG: a checkpoint of " + p.Name + ", which does not lead")
	}
	return &checkpoint{process: p, ctx: ctx, to: storedCheckpoint{info: journal.CheckpointInfo{Start: start}}}, nil
}

// checkpoint is one being written.
type checkpoint struct {
	process *Process
	ctx     context.Context
	to      storedCheckpoint
	aborted bool
}

func (c *checkpoint) Write(chunk []byte) error {
	c.process.stream.mu.Lock()
	defer c.process.stream.mu.Unlock()
	if c.process.failed != nil {
		return c.process.failed
	}
	c.to.chunks = append(c.to.chunks, bytes.Clone(chunk))
	c.to.info.Bytes += int64(len(chunk))
	return nil
}

func (c *checkpoint) Commit(end uint64) error {
	p, s := c.process, c.process.stream
	p.stream.mu.Lock()
	failed, mine := p.failed, p.epoch
	p.stream.mu.Unlock()
	if failed != nil {
		return failed
	}
	if c.aborted {
		return errors.New("the checkpoint was aborted")
	}
	c.to.info.End = end
	return p.send(c.ctx, Checkpoint, journal.Group{}, func() error {
		if s.epoch != mine {
			return journal.ErrFenced
		}
		if n := len(s.checkpoints); n > 0 && s.checkpoints[n-1].info.Start > c.to.info.Start {
			panic("BUG: a checkpoint older than the newest one")
		}
		s.checkpoints = append(s.checkpoints, c.to)
		return nil
	})
}

func (c *checkpoint) Abort() { c.aborted = true }
