package engine

import (
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/internal/meter"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/outcomes"
)

// Stats are the engine's counts since it was opened. They are read while calls run, so related numbers may differ by
// what happened during the read.
type Stats struct {
	Calls []CallStats // every call of the engine, in a fixed order

	ClockAhead   time.Duration // of the sale clock from the wall, see saleclock.Clock.Difference
	Leads        bool
	Epoch        uint64           // this leader's term number; 0 if the journal is not shared
	StandbyLag   time.Duration    // on a standby: time since it last had all that the leader had made durable
	Reservations map[State]uint64 // by state: held, confirmed, released, returned, expired; nil on a standby
	Expired      uint64           // reservations that expired, also those that were taken again since
	Waits        WaitStats        // of calls for other callers
	Accounts     int              // of known reservations and of entries; for some passes after that still counted
	Tables       [3]TableFill     // the tables of limited size (I10)
	Forgetting   ForgettingStats  // of what has ended

	Definition DefinitionStats

	Journal *JournalStats // nil without a journal, and on a standby
	Slots   []SlotStats   // of every phase with access slots
}

// WaitStats count calls that waited for a step of another caller. The package documentation states the bound.
type WaitStats struct {
	Begun    uint64 // those that still wait included
	TimedOut uint64 // refused as Overloaded, because the step was not completed in time
}

// TableFill is how full a table is: Used of Limit rows.
type TableFill = inventory.Fill

// ForgettingStats are what was forgotten since the engine was opened, a replay included, and what is forgotten now: see
// Options.Forget.
type ForgettingStats = outcomes.Forgetting

// CallStats are the results of the calls of one method. An operation of a batch counts like a call.
type CallStats struct {
	// Call is `reserve`, `confirm`, `release`, `extend`, `reduce`, `return`, `reservation`, `account`, `enter` or `entry`.
	// A replace counts as reserve, and a confirm again as confirm.
	Call    string
	Results []ResultCount
	Engine  Durations // from the call to its answer, without waiting for the journal; empty unless Options.Timed
	Journal Durations // waiting for the journal, of calls that had to wait; likewise
}

// Durations is a histogram of how long calls took: Count, Sum, Quantile, and cumulative Buckets.
type Durations = meter.Durations

// ResultCount is the number of calls with a result: `ok`, `repeated`, `gave_up` or a refusal's code.
type ResultCount struct {
	Code  Code
	Count uint64
}

// JournalStats are the state of the journal and of its checkpoints.
type JournalStats struct {
	journal.WriterStats
	Placed  uint64 // sequence of the last outcome that is placed
	Durable uint64 // sequence of the last durable record
	Err     error  // why nothing becomes durable now; nil if the journal works

	Checkpointing     bool              // a checkpoint is being written
	Checkpoints       uint64            // complete ones since the start
	CheckpointsFailed uint64            // since the start
	Checkpoint        *CheckpointReport // the last complete one since the start; nil before
	CheckpointAge     time.Duration     // of the last complete one; before the first, since the start
	// ToReplay is how many records a restart would replay: those after the start of the last checkpoint that this engine
	// has read or written.
	ToReplay uint64
}

// SlotStats are the access slots of a phase that are open now.
type SlotStats struct {
	Phase   string
	Windows int // open access slots
	Winners int // accounts with one of these, as of the last check of conservation
}

// Stats returns the counts.
func (e *Engine) Stats() Stats {
	s := Stats{ClockAhead: e.o.Clock.Difference(), Leads: e.Leads(), Epoch: e.Epoch(), Expired: e.inventory.Expired(),
		Waits:        WaitStats{Begun: e.waits.Begun(), TimedOut: e.waits.TimedOut()},
		Tables:       e.inventory.Fills(),
		Forgetting:   e.memory.Forgetting(),
		Reservations: e.counts.reservations(e.inventory, e.memory.Reclaimer), Slots: e.openSlots(),
		Definition: e.definitionStats()}
	s.Accounts = max(0, s.Tables[inventory.Accounts-1].Used-s.Forgetting.Closed)
	for of := range call(calls) {
		s.Calls = append(s.Calls, e.counts.stats(of))
	}
	t := e.term.Load()
	if t == nil {
		s.StandbyLag = time.Since(e.counts.began) - time.Duration(e.caughtUpAt.Load())
	} else if t.writer != nil {
		s.Journal = e.journalStats(t.writer)
	}
	return s
}

// stats returns the counts of a call.
func (c *counts) stats(of call) CallStats {
	s := CallStats{Call: of.String()}
	for i, code := range countedCodes {
		if n := c.sum(of, i); n > 0 || awaited(code) {
			s.Results = append(s.Results, ResultCount{Code: code, Count: n})
		}
	}
	for i := range c.stripes {
		c.stripes[i].engine[of].AddTo(&s.Engine)
		c.stripes[i].journal[of].AddTo(&s.Journal)
	}
	return s
}

// awaited reports whether a result is listed while its count is 0. A rate over a count that is missing at first would
// not include its first increment.
func awaited(code Code) bool {
	switch code {
	case codeOK, codeGaveUp, SoldOut, Overloaded, Full, JournalUnavailable:
		return true
	}
	return false
}

// countBase counts the reservations at the moment when this engine begins to lead. Until then it changes none. What was
// forgotten before counts as if it were known, since reservations subtracts it.
func (c *counts) countBase(v *inventory.Inventory, r *inventory.Reclaimer) {
	base := v.States()
	for _, known := range base {
		c.atFirst += int(known)
	}
	for _, state := range []State{Released, Returned, Expired} {
		base[state] += r.Forgotten(state)
	}
	c.base.Store(&base)
}

// reservations returns the number of known reservations of each state. A call's change is counted when the call is
// answered. So a reservation may be counted as ended before it is counted as held, and subtractions are clamped to 0. A
// confirmation takes a reservation from those that are held, or from those that have expired; again is the number of
// the latter.
func (c *counts) reservations(v *inventory.Inventory, r *inventory.Reclaimer) map[State]uint64 {
	base := c.base.Load()
	if base == nil {
		return nil
	}
	confirmed, again, returned := c.changed(callConfirm), v.TakenAgain(), c.changed(callReturn)
	released, expired := c.changed(callRelease)+v.Replacements(), v.Expired()
	less := func(all, ended uint64) uint64 { return all - min(all, ended) }
	return map[State]uint64{
		Held:      less((*base)[Held]+c.changed(callReserve)+again, confirmed+released+expired),
		Confirmed: less((*base)[Confirmed]+confirmed, returned),
		Released:  less((*base)[Released]+released, r.Forgotten(Released)),
		Returned:  less((*base)[Returned]+returned, r.Forgotten(Returned)),
		Expired:   less((*base)[Expired]+expired, again+r.Forgotten(Expired)),
	}
}

func (e *Engine) journalStats(w *journal.Writer) *JournalStats {
	s := &JournalStats{WriterStats: w.Stats(), Err: w.Err(), Durable: w.Durable(), Placed: e.inventory.Placed(),
		Checkpointing: e.checkpoints.running.Load(),
		Checkpoints:   e.checkpoints.complete.Load(), CheckpointsFailed: e.checkpoints.failed.Load(),
		Checkpoint: e.checkpoints.last.Load(), CheckpointAge: time.Since(e.counts.began)}
	if s.Checkpoint != nil {
		s.CheckpointAge = time.Since(s.Checkpoint.At)
	}
	s.ToReplay = s.Durable - min(s.Durable, e.checkpointedAt.Load())
	return s
}

// openSlots returns the open access slots of each phase.
func (e *Engine) openSlots() []SlotStats {
	var all []SlotStats
	now, checked := e.Now(), e.conservation.last.Load()
	sale := e.Sale()
	for i := range sale.Phases {
		p := &sale.Phases[i]
		if p.Access != catalog.Slots {
			continue
		}
		s := SlotStats{Phase: p.ID}
		for slot := range p.SlotCount() {
			opens, closes := p.Slot(slot)
			if now.Before(opens) || !now.Before(closes) {
				continue
			}
			s.Windows++
			// The check may be older than the phase, or than its slots.
			if checked != nil && i < len(checked.SlotWinners) && slot < len(checked.SlotWinners[i]) {
				s.Winners += checked.SlotWinners[i][slot]
			}
		}
		all = append(all, s)
	}
	return all
}
