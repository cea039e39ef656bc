package ballot

import (
	"fmt"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// postponement is published before its record is placed, and visible only once the record is durable (I5).
type postponement struct {
	draw.Postponement
	record announcement
}

// postponements returns them in their order. The slice is replaced and never changed.
func (b *Ballot) postponements() []*postponement {
	if all := b.postponed.Load(); all != nil {
		return *all
	}
	return nil
}

// moment returns the present instant by both clocks.
func (b *Ballot) moment() draw.Moment {
	machine := b.host.Machine().UTC()
	return draw.Moment{Sale: b.host.Now().Truncate(time.Millisecond), Machine: machine.Truncate(time.Millisecond)}
}

// timing returns the postponements and, if the entries are frozen, when. Only those that include accepts are part of
// it.
func (b *Ballot) timing(include func(*announcement) bool) (t draw.Timing) {
	for _, p := range b.postponements() {
		if include(&p.record) {
			t.Postponed = append(t.Postponed, p.Postponement)
		}
	}
	if f := b.frozen.Load(); f != nil && include(&f.record) {
		t.Frozen = f.moment()
	}
	return t
}

func always(*announcement) bool { return true }

// Postpone names a later round, before the present one is due: see draw.Timing.Postpone. The present round must not be
// due by the clock of the machine either. With a slow sale clock alone, the operator could drop a beacon that he has
// seen. Naming the present round of a postponed draw again changes nothing. The outcome is visible once
// the record with the returned sequence is durable. Errors are ErrAlreadyDrawn and those of draw.Timing.Postpone.
func (b *Ballot) Postpone(round uint64) (seq uint64, err error) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if b.drawn.Load() != nil {
		return 0, ErrAlreadyDrawn
	}
	if b.draw().Removed {
		return 0, ErrRemoved
	}
	all := b.postponements()
	if n := len(all); n > 0 && all[n-1].Round == round {
		return all[n-1].record.seq.Load(), nil
	}
	timing, now := b.timing(always), b.moment()
	present, due := timing.Round(b.terms()), timing.Due(b.terms())
	if err := timing.Postpone(b.terms(), round, now); err != nil {
		return 0, err
	}
	if !now.Machine.Before(due) {
		return 0, fmt.Errorf("%w: round %d was due at %s by the clock of the machine; the sale clock is behind it",
			draw.ErrRoundDue, present, due.Format(time.RFC3339))
	}
	p := &postponement{Postponement: draw.Postponement{Round: round, At: now}}
	p.record.atMs = now.Sale.UnixMilli()
	more := append(slices.Clip(all), p)
	b.postponed.Store(&more)
	seq, ok := b.host.Place(record.KindPostponed, b.index, uint32(len(all)), now.Sale)
	if !ok {
		b.postponed.Store(&all)
		return 0, ErrNotesFull
	}
	p.record.markPlaced(seq)
	return seq, nil
}

// restorePostponed restores a postponement. Restoring it twice changes nothing. It fails if the sale now has terms
// under which the round could not be postponed so.
func (b *Ballot) restorePostponed(f *record.Draw, s record.Stamp) error {
	at := draw.MomentOf(s.AtMs, f.MachineMs)
	timing := b.timing(always)
	if slices.ContainsFunc(timing.Postponed, func(p draw.Postponement) bool { return p.Round == f.Round }) {
		return nil
	}
	if err := timing.Postpone(b.terms(), f.Round, at); err != nil {
		return fmt.Errorf("draw %s: its round was postponed under other terms; restore the closing time, beacon and phase "+
			"that the sale definition had then: %w", b.draw().ID, err)
	}
	p := &postponement{Postponement: draw.Postponement{Round: f.Round, At: at}}
	p.record.restore(s)
	more := append(slices.Clip(b.postponements()), p)
	b.postponed.Store(&more)
	return nil
}

// isVoid reports whether no result can be fair any more: the round is due, and the entries are not frozen, or it is
// not known when they were. A stand-in never makes a draw void.
func (b *Ballot) isVoid(now time.Time) bool {
	f := b.frozen.Load()
	switch {
	case b.terms().StandIn || b.drawn.Load() != nil:
		return false
	case f != nil && !f.sealed():
		return true
	}
	timing := b.timing(always)
	if f == nil {
		timing.Frozen.Sale = now
	}
	return !timing.Frozen.Sale.Before(timing.Due(b.terms()))
}

// checkRevival refuses a definition that gives a void draw another round. Otherwise an operator who has seen a beacon
// that does not suit him could leave the entries unfrozen, and wait for one that does. If there are entries, a round
// that is due by the clock of the machine cannot be replaced either, since the sale clock is a flag and may be slow.
// was are the terms of the previous definition, is those of the next one.
func (b *Ballot) checkRevival(was, is *draw.Terms, now time.Time) error {
	timing := b.timing(always)
	due := timing.Due(was)
	same := was.Round == is.Round && was.StandIn == is.StandIn && was.Chain.PublicKey == is.Chain.PublicKey &&
		was.Chain.RoundTime(was.Round).Equal(is.Chain.RoundTime(is.Round))
	known := b.count.Load() > 0 && !b.host.Machine().Before(due)
	switch {
	case same || was.StandIn || b.frozen.Load() != nil || now.Before(due) && !known:
		return nil
	case now.Before(due):
		return fmt.Errorf("draw %s: %w: round %d was due at %s by the clock of the machine, so its beacon is known; the "+
			"draw cannot have another round, so restore its definition", is.Draw, draw.ErrRoundDue, timing.Round(was),
			due.Format(time.RFC3339))
	}
	return fmt.Errorf("draw %s: %w: round %d was due at %s; the draw is void and cannot have another round, so restore "+
		"its definition and announce another draw", is.Draw, draw.ErrLate, timing.Round(was), due.Format(time.RFC3339))
}

// BecameVoid reports, once, that the draw is void.
func (b *Ballot) BecameVoid() bool {
	return !b.draw().Removed && b.isVoid(b.host.Now()) && !b.noted.Swap(true)
}
