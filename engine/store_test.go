package engine_test

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/seathold/seathold/engine/journal"
)

// errCrashed is what a journal returns once its process has crashed.
var errCrashed = errors.New("the process has crashed")

// store is the durable part of a journal in memory. Backends are opened on it one after another; it outlives them.
type store struct {
	mu          sync.Mutex
	groups      []journal.Group
	checkpoints []storedCheckpoint
	life        int // backends of earlier lives can no longer write

	// before is called with each group before it becomes durable, after when it is durable and not yet acknowledged. Their
	// errors are returned by Append. Either may block.
	before, after func(ctx context.Context, g journal.Group) error
}

type storedCheckpoint struct {
	info   journal.CheckpointInfo
	chunks [][]byte
}

func newStore() *store {
	nothing := func(context.Context, journal.Group) error { return nil }
	return &store{before: nothing, after: nothing}
}

// until returns a store with the groups that end at a record or before it, and without checkpoints.
func (s *store) until(end uint64) *store {
	cut := newStore()
	for _, g := range s.groups {
		if g.Last() <= end {
			cut.groups = append(cut.groups, g)
		}
	}
	return cut
}

// open begins a life. The one before can no longer write.
func (s *store) open() *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life++
	return &memory{store: s, life: s.life}
}

// memory is one life of a journal in memory.
type memory struct {
	store *store
	life  int
}

func (m *memory) Recover(to journal.Recovery) (journal.Recovered, error) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	var sum journal.Recovered
	if n := len(m.store.checkpoints); n > 0 {
		c := m.store.checkpoints[n-1]
		sum.Checkpoint, sum.Last = c.info, c.info.Start
		if err := to.Begin(c.info); err != nil {
			return sum, err
		}
		for _, chunk := range c.chunks {
			if err := to.Chunk(chunk); err != nil {
				return sum, err
			}
		}
	}
	for _, g := range m.store.groups {
		sum.Last = g.Last()
		if g.Last() <= sum.Checkpoint.Start {
			continue
		}
		sum.Groups++
		sum.Records += g.Count
		if err := to.Group(g); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (m *memory) Append(ctx context.Context, g journal.Group) error {
	if err := m.store.before(ctx, g); err != nil {
		return err
	}
	g.Records = bytes.Clone(g.Records)
	if err := m.keep(func() { m.store.groups = append(m.store.groups, g) }); err != nil {
		return err
	}
	return m.store.after(ctx, g)
}

// keep changes the store, unless a later life has begun.
func (m *memory) keep(change func()) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if m.life != m.store.life {
		return errCrashed
	}
	change()
	return nil
}

func (m *memory) Checkpoint(_ context.Context, start uint64) (journal.Checkpoint, error) {
	return &writing{memory: m, to: storedCheckpoint{info: journal.CheckpointInfo{Start: start}}}, nil
}

func (m *memory) Close() error { return nil }

// writing is a checkpoint being written.
type writing struct {
	memory *memory
	to     storedCheckpoint
}

func (w *writing) Write(chunk []byte) error {
	w.to.chunks = append(w.to.chunks, bytes.Clone(chunk))
	w.to.info.Bytes += int64(len(chunk))
	return nil
}

func (w *writing) Commit(end uint64) error {
	w.to.info.End = end
	return w.memory.keep(func() { w.memory.store.checkpoints = append(w.memory.store.checkpoints, w.to) })
}

func (w *writing) Abort() {}
