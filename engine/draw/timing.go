package draw

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxPostponements is how often the round of a draw can be postponed.
const MaxPostponements = 16

// The range of Terms.PublishWithin.
const (
	MinPublishWithin = time.Minute
	MaxPublishWithin = 366 * 24 * time.Hour
)

// Errors of the order in which a draw happened. The first two make the draw void: its result could have been chosen.
// Announce another draw in the sale definition.
var (
	ErrLate       = errors.New("draw: the entries were not frozen before the round was due")
	ErrRoundDue   = errors.New("draw: the round is due; it can no longer be postponed")
	ErrPostponing = errors.New("draw: the draw cannot be postponed to this round")
	ErrMoment     = errors.New("draw: invalid instant")
	ErrBackdated  = errors.New("draw: the clock of the server's machine contradicts the sale clock")
)

// Moment is one instant by two clocks, in milliseconds. The sale clock decides what is permitted, as in the whole sale.
// A simulated sale clock may show any time. The clock of the machine is therefore recorded beside it.
type Moment struct {
	Sale    time.Time
	Machine time.Time
}

// MomentOf returns the instant with these milliseconds since 1970.
func MomentOf(saleMs, machineMs int64) Moment {
	return Moment{Sale: time.UnixMilli(saleMs).UTC(), Machine: time.UnixMilli(machineMs).UTC()}
}

func (m *Moment) check() error {
	for _, t := range []time.Time{m.Sale, m.Machine} {
		if t.Nanosecond()%int(time.Millisecond) != 0 || t.Unix() < 0 || t.UTC().Year() > 9999 {
			return fmt.Errorf("%w: it must be a whole millisecond in the years 1970 to 9999, not %v", ErrMoment, t)
		}
	}
	return nil
}

// Postponement replaces the round that decides, before that round is due.
type Postponement struct {
	Round uint64 // decides from now on
	At    Moment
}

// Timing is when the entries of a draw were frozen and its round postponed, as the server recorded it. Nothing in it is
// evidence against the server's operator. It binds an honest server, and it contradicts itself after a careless fraud.
type Timing struct {
	Postponed []Postponement // in their order, at most MaxPostponements
	Frozen    Moment
}

// Round returns the round that decides.
func (t *Timing) Round(terms *Terms) uint64 {
	if n := len(t.Postponed); n > 0 {
		return t.Postponed[n-1].Round
	}
	return terms.Round
}

// Due returns when the round that decides is published.
func (t *Timing) Due(terms *Terms) time.Time { return terms.Chain.RoundTime(t.Round(terms)) }

// Postpone adds a postponement. It requires, by the sale clock, that the present round is not due, that the new one is
// due at least PublishWithin later and after the close, and that it is due before the phase opens. The round of a
// stand-in is public already, so it cannot be postponed. Errors are ErrRoundDue, ErrPostponing and ErrMoment.
func (t *Timing) Postpone(terms *Terms, round uint64, at Moment) error {
	if err := at.check(); err != nil {
		return err
	}
	now, due := at.Sale, t.Due(terms)
	switch {
	case terms.StandIn:
		return fmt.Errorf("%w: a stand-in decides the draw, and no later round", ErrPostponing)
	case !now.Before(due):
		return fmt.Errorf("%w: round %d was due at %s", ErrRoundDue, t.Round(terms), stamp(due))
	case len(t.Postponed) == MaxPostponements:
		return fmt.Errorf("%w: it was postponed %d times, which is the most", ErrPostponing, MaxPostponements)
	case round <= t.Round(terms) || round > maxRound:
		return fmt.Errorf("%w: the round must be above %d and at most %d, not %d", ErrPostponing, t.Round(terms),
			uint64(maxRound), round)
	}
	earliest := now
	if terms.ClosesAt.After(now) {
		earliest = terms.ClosesAt
	}
	earliest = earliest.Add(terms.PublishWithin)
	switch at := terms.Chain.RoundTime(round); {
	case at.Before(earliest):
		return fmt.Errorf("%w: round %d is due at %s; the first one %s ahead is %d", ErrPostponing, round, stamp(at),
			terms.PublishWithin, terms.Chain.RoundFrom(earliest))
	case !at.Before(terms.Slots.OpensAt):
		return fmt.Errorf("%w: round %d is due at %s, and the phase opens at %s", ErrPostponing, round, stamp(at),
			stamp(terms.Slots.OpensAt))
	}
	t.Postponed = append(slices.Clip(t.Postponed), Postponement{Round: round, At: at})
	return nil
}

// CheckFrozen refuses entries that were frozen before the close, or not before the round was due. A stand-in was public
// anyway.
func (t *Timing) CheckFrozen(terms *Terms) error {
	if err := t.Frozen.check(); err != nil {
		return err
	}
	at, due := t.Frozen.Sale, t.Due(terms)
	if at.Before(terms.ClosesAt) {
		return fmt.Errorf("%w: the entries were frozen at %s, before registration closed at %s", ErrMoment, precise(at),
			stamp(terms.ClosesAt))
	}
	if !terms.StandIn && !at.Before(due) {
		return fmt.Errorf("%w: frozen at %s, round %d due at %s", ErrLate, precise(at), t.Round(terms), stamp(due))
	}
	return nil
}

// check refuses a timing that no server with these terms permits.
func (t *Timing) check(terms *Terms) error {
	var again Timing
	for _, p := range t.Postponed {
		if err := again.Postpone(terms, p.Round, p.At); err != nil {
			return err
		}
	}
	return t.CheckFrozen(terms)
}

// Backdated compares the timing with the clock of the machine. It returns an ErrBackdated if by that clock the round
// was public before the entries were frozen or a postponement was made: the sale clock was simulated or set back, and
// the result could have been chosen. It returns nil for a stand-in, which claims nothing.
func (t *Timing) Backdated(terms *Terms) error {
	if terms.StandIn {
		return nil
	}
	var before Timing
	for _, p := range t.Postponed {
		if due := before.Due(terms); !p.At.Machine.Before(due) {
			return fmt.Errorf("%w: there it was %s when round %d, due at %s, was postponed", ErrBackdated,
				precise(p.At.Machine), before.Round(terms), stamp(due))
		}
		before.Postponed = append(before.Postponed, p)
	}
	if due := t.Due(terms); !t.Frozen.Machine.Before(due) {
		return fmt.Errorf("%w: there it was %s when the entries were frozen, and round %d was public since %s",
			ErrBackdated, precise(t.Frozen.Machine), t.Round(terms), stamp(due))
	}
	return nil
}

// preciseLayout formats a millisecond as all files of an export do.
const preciseLayout = "2006-01-02T15:04:05.000Z"

func precise(t time.Time) string { return t.UTC().Format(preciseLayout) }
