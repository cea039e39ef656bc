// Package outcomes translates between the memory of a running sale and the records of its journal: Drain encodes
// outcomes in the order in which they were placed and keeps the durable stock, Replay restores the memory from records,
// and Memory.Write writes a checkpoint.
package outcomes

import (
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// MostPools is how many pools a sale may come to have.
const MostPools = 60_000

// Memory is the state of a running sale that its journal makes durable. Its fields do not change while the sale runs.
type Memory struct {
	Inventory *inventory.Inventory
	Ballots   *ballot.Ballots
	Reclaimer *inventory.Reclaimer

	Journalled  bool // the writer of a journal drains what is placed
	ShowsAtOnce bool // outcomes may be shown before they are durable

	// Forget is how long after its time was over a reservation that has ended is remembered.
	Forget time.Duration
	// Now is the instant on the sale clock, in ms since 1970.
	Now func() int64
	// Above accepts and returns what accounts have beyond the caps and limits of the sale.
	Above func() record.Above

	judging atomic.Pointer[InForce] // the last one that is placed: by which calls are judged
	shown   atomic.Pointer[InForce] // the last one that may be shown (I5)
	pending pending
}

// Begin puts what is in force at first into force.
func (m *Memory) Begin(f *InForce) {
	m.judging.Store(f)
	m.shown.Store(f)
}

// Judging returns what is in force for calls. It may not be durable.
func (m *Memory) Judging() *InForce { return m.judging.Load() }

// Shown returns what is in force as far as it may be shown (I5).
func (m *Memory) Shown() *InForce { return m.shown.Load() }

// State is the definition in force and a point in the journal. The memory has the outcomes of every record up to that
// point, and perhaps later ones.
type State struct {
	Last       uint64 // sequence of the record
	Definition record.Definition
	Since      record.Stamp // when the definition came into force, and its record
}
