package outcomes

import (
	"sync"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Change is one change of what is in force, and what its record says: exactly one of the fields is set.
type Change struct {
	Version *record.Definition // with the numbers of the one before
	Pause   *record.Pause
	Stock   *record.Stock
}

// On returns what is in force after the change. The stamp is that of its record.
func (c Change) On(f *InForce, s record.Stamp) *InForce {
	switch {
	case c.Version != nil:
		return f.Apply(*c.Version, s)
	case c.Pause != nil:
		return f.Pause(*c.Pause, s)
	}
	return f.SetStock(*c.Stock, s)
}

func (c Change) kind() record.Kind {
	switch {
	case c.Version != nil:
		return record.KindVersion
	case c.Pause != nil:
		return record.KindPaused
	}
	return record.KindStock
}

func (c Change) append(run []byte, atMs int64) []byte {
	switch {
	case c.Version != nil:
		return c.Version.Append(run, atMs)
	case c.Pause != nil:
		return c.Pause.Append(run, atMs)
	}
	return c.Stock.Append(run, atMs)
}

// pending are the changes whose records are placed, or about to be, and not yet drained, by the subjects of their
// notes. The lock is held for a look-up only, so the writer does not wait for a caller.
type pending struct {
	lock    sync.Mutex
	last    uint32
	changes map[uint32]Change
}

func (p *pending) add(c Change) (number uint32) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.changes == nil {
		p.changes = map[uint32]Change{}
	}
	p.last++
	p.changes[p.last] = c
	return p.last
}

func (p *pending) take(number uint32) Change {
	p.lock.Lock()
	defer p.lock.Unlock()
	c := p.changes[number]
	delete(p.changes, number)
	return c
}

// Place gives the record of a change its place in the journal, and puts the change into force for the calls that look
// at Judging from here on: for draws in the same step, since their records follow it. It returns what is in force
// then. It is shown once the record is durable (I5). The change must fit what Judging returns.
//
// Errors are ballot.ErrNotesFull and ballot.ErrTermsStand; nothing has changed then. After a version, the caller
// calls Ballots.Announce. One goroutine at a time calls Place.
func (m *Memory) Place(c Change, atMs int64) (*InForce, error) {
	var f *InForce
	place := func() (seq uint64, ok bool) {
		if seq, ok = m.note(c, atMs); ok {
			f = c.On(m.Judging(), record.Stamp{AtMs: atMs, Seq: seq})
			// The draws are locked until this is stored: whoever is refused by the new terms waits for the record (I5).
			m.judging.Store(f)
		}
		return seq, ok
	}
	if err := m.placeWithDraws(c, place); err != nil {
		return nil, err
	}
	if m.ShowsAtOnce {
		m.shown.Store(f)
	}
	return f, nil
}

// note gives the record of a change its place. ok is false if there is no room.
func (m *Memory) note(c Change, atMs int64) (seq uint64, ok bool) {
	if !m.Journalled {
		return 0, true
	}
	number := m.pending.add(c)
	seq, ok = m.Inventory.Note(inventory.Note{Subject: number, What: uint16(c.kind()), AtMs: atMs})
	if !ok {
		m.pending.take(number)
	}
	return seq, ok
}

func (m *Memory) placeWithDraws(c Change, place func() (uint64, bool)) error {
	if c.Version != nil {
		_, err := m.Ballots.Change(c.Version.Rules, place)
		return err
	}
	if _, ok := place(); !ok {
		return ballot.ErrNotesFull
	}
	return nil
}
