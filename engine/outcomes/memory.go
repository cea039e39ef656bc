// Package outcomes translates between the memory of a running sale and the records of its journal: Drain encodes
// outcomes in the order in which they were placed and keeps the durable stock, Replay restores the memory from records,
// Memory.Write writes a checkpoint, and Memory.Plan prepares a change of the sale.
package outcomes

import (
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/members"
	"github.com/seathold/seathold/engine/record"
)

// MostPools and MostSessions are how many a sale may come to have; catalog.Load refuses more.
const (
	MostPools    = 60_000
	MostSessions = 60_000
)

// Memory is the state of a running sale that its journal makes durable. Its fields do not change while the sale runs.
type Memory struct {
	Inventory *inventory.Inventory
	Ballots   *ballot.Ballots
	Members   *members.Members
	Reclaimer *inventory.Reclaimer

	Journalled  bool // the writer of a journal drains what is placed
	ShowsAtOnce bool // outcomes may be shown before they are durable

	// Forget is how long after its end a reservation is remembered.
	Forget time.Duration
	// Now is the instant on the sale clock, in ms since 1970.
	Now     func() int64
	judging atomic.Pointer[InForce] // the last one that is placed: by which calls are judged
	shown   atomic.Pointer[InForce] // the last one that may be shown (I5)
	pending pending
}

// Begin names a sale before anything is in force. The memory has none of its parts yet.
func (m *Memory) Begin(sale *catalog.Sale) {
	f := NewInForce(record.DefinitionOf(sale), record.Stamp{})
	m.judging.Store(f)
	m.shown.Store(f)
}

// Follow puts into force what is durable: in a replay, and at a start. No call is made meanwhile, but there may be
// readers. The error is an *inventory.OversoldError if more is taken than there is, once the stock is counted.
func (m *Memory) Follow(f *InForce) error {
	if err := m.List(f.Sale); err != nil {
		return err
	}
	for _, u := range m.Units(f) {
		if err := m.Inventory.RestoreUnits(int(u.Pool), u.Units); err != nil {
			return err
		}
	}
	m.Ballots.Follow(f.Sale)
	m.judging.Store(f)
	m.shown.Store(f)
	return nil
}

// List gives the inventory the pools, the sessions and the quotas of a sale.
func (m *Memory) List(sale *catalog.Sale) error {
	sessionOf, programmeOf := make([]uint32, len(sale.Pools)), make([]uint8, len(sale.Sessions))
	for i := range sale.Pools {
		sessionOf[i] = uint32(sale.Pools[i].Session)
	}
	for i := range sale.Sessions {
		programmeOf[i] = uint8(sale.Sessions[i].Programme)
	}
	return m.Inventory.ExtendListing(sessionOf, programmeOf, quotasOf(sale, 0))
}

func (m *Memory) restoreUnits(f *InForce, pool int) error {
	return m.Inventory.RestoreUnits(pool, uint32(f.Units(pool)))
}

// followChange is Follow for a pause or a pool's stock.
func (m *Memory) followChange(c Change, s record.Stamp) error {
	f := c.On(m.Shown(), s)
	if c.Stock != nil {
		if err := m.restoreUnits(f, c.Stock.Pool); err != nil {
			return err
		}
	}
	m.judging.Store(f)
	m.shown.Store(f)
	return nil
}

// Judging returns what is in force for calls. It may not be durable.
func (m *Memory) Judging() *InForce { return m.judging.Load() }

// Shown returns what is in force as far as it may be shown (I5).
func (m *Memory) Shown() *InForce { return m.shown.Load() }

// State is a point in the journal, and what is in force. The memory has the outcomes of every record up to that point,
// and perhaps later ones.
type State struct {
	Last uint64 // sequence of the record
	// InForce returns what is in force after the outcomes that are drained so far.
	InForce func() *InForce
}
