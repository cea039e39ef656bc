package outcomes

import (
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// What ended is forgotten Memory.Forget after its end: after it was released or returned, or its time was over. Its
// row is used again, a checkpoint leaves it out, and a start does not remember it. Held and confirmed reservations
// are never forgotten, nor are returned ones whose tickets are withheld, since they account for the places. Where
// the tables fill, what ended first is forgotten earlier.
//
// Outcomes do not depend on it; only what is remembered of ended reservations does. An id that is forgotten is free
// (I9): a repeat is a new reservation. A standby forgets by itself, and may know more or less than the leader of what
// has ended. So may a replay whose tables have more room, of what was forgotten early.

// leastRemembered is how long what ended is remembered however full the tables are, unless Memory.Forget is less:
// callers repeat calls whose answers they missed (I9).
const leastRemembered = time.Minute

// remembersFor returns for how long what ended is remembered now. From three quarters of a table on, it is half as long
// with every further hundredth. Accounts that stay leave less room to the others.
func (m *Memory) remembersFor() time.Duration {
	return max(m.Forget>>max(m.full()-enough, 0), min(m.Forget, leastRemembered))
}

// enough is how full a table is, in percent, until what ended is forgotten earlier.
const enough = 75

// full returns how full the fuller table is, in percent.
func (m *Memory) full() int {
	fills, kept := m.Inventory.Fills(), m.Inventory.Kept()
	rows, accounts := &fills[inventory.Reservations-1], &fills[inventory.Accounts-1]
	return max(100*rows.Used/rows.Limit, 100*(accounts.Used-kept)/max(accounts.Limit-kept, 1))
}

// Forgetting is what a memory has forgotten so far, and what it forgets now.
type Forgetting struct {
	inventory.Reclaimed
	// After is how long what has ended is remembered now: Limit, or less while a table is over three quarters full.
	After time.Duration
	Limit time.Duration // Memory.Forget
	// Forgotten is how many reservations were forgotten, by the state in which they had ended: released, returned,
	// expired.
	Forgotten    map[inventory.State]uint64
	KeptAccounts int // never forgotten, since they have entered a draw or a group
}

// Forgetting returns the counts. Any number of goroutines call it.
func (m *Memory) Forgetting() Forgetting {
	f := Forgetting{Reclaimed: m.Reclaimer.Reclaimed(), After: m.remembersFor(), Limit: m.Forget,
		KeptAccounts: m.Inventory.Kept(), Forgotten: map[inventory.State]uint64{}}
	for _, state := range []inventory.State{inventory.Released, inventory.Returned, inventory.Expired} {
		f.Forgotten[state] = m.Reclaimer.Forgotten(state)
	}
	return f
}

// Pressed reports whether a table is so full that what ended is to be forgotten soon: before its time, unless that is
// short anyway.
func (m *Memory) Pressed() bool { return m.full() > enough }

// Reclaim makes memory of what ended free again, in a piece of a fraction of a millisecond. now is an instant (ms) on
// the sale clock, and durable the last durable record. all is whether a pass begins at once. It returns false if there
// is nothing to do just now. One goroutine at a time calls it: the one that replays, and later one of the engine that
// leads.
func (m *Memory) Reclaim(now int64, durable uint64, all bool) (more bool) {
	t := m.terms(now, durable)
	t.All = all
	return m.Reclaimer.Step(t)
}

func (m *Memory) terms(now int64, durable uint64) inventory.Terms {
	return inventory.Terms{Before: now - m.remembersFor().Milliseconds(), Durable: durable, At: time.Since(started)}
}

var started = time.Now() // any instant
