package draw

import (
	"errors"
	"fmt"
	"time"
)

// Limits of a slot rule. They keep every sum of durations far from overflow.
const (
	maxSlots = 1 << 20 // one a minute for almost two years
	maxDays  = 3650    // of a phase, and so of its slots
	day      = 24 * time.Hour
)

// What a slot rule is refused for.
var (
	ErrSlotRule = errors.New("draw: slot rule")
	ErrNoSlot   = errors.New("draw: no access slot fits into the phase")
	ErrNoPlaces = errors.New("draw: access slots without places")
)

// SlotRule says how the access slots of a phase follow one another. Times and durations are whole seconds.
//
// Slot k opens at OpensAt + k*Step and lasts for Length. Only slots that lie inside the phase whole exist, that is,
// end at ClosesAt or before.
//
// The priority days hold the slots that open before OpensAt + PriorityDays*24h; a slot that opens within them and ends
// after them belongs to them, one that opens at that instant does not. Their places go to members of Group alone, in the
// order of their ranks, and stay empty when there are too few. Members beyond them and everyone else share the
// slots after, again in the order of their ranks.
type SlotRule struct {
	OpensAt      time.Time     // of the phase
	ClosesAt     time.Time     // of the phase: the first instant at which it is closed
	Length       time.Duration // of a slot
	Step         time.Duration // from one slot's opening to the next one's
	Places       int           // winners a slot
	PriorityDays int           // of 24 hours; 0 without a priority group
	Group        string        // name of the priority group; "" without one
}

// schedule is a slot rule worked out.
type schedule struct {
	rule     SlotRule
	slots    int32 // how many there are
	priority int32 // how many of them, from the first on, belong to the priority group
}

func (r SlotRule) schedule() (schedule, error) {
	if err := r.check(); err != nil {
		return schedule{}, err
	}
	window := r.ClosesAt.Sub(r.OpensAt)
	if window < r.Length {
		return schedule{}, fmt.Errorf("%w: the phase from %s to %s is shorter than a slot of %s", ErrNoSlot,
			r.OpensAt.UTC().Format(time.RFC3339), r.ClosesAt.UTC().Format(time.RFC3339), r.Length)
	}
	slots := (window-r.Length)/r.Step + 1
	if slots > maxSlots {
		return schedule{}, fmt.Errorf("%w: %d slots of at most %d", ErrSlotRule, slots, maxSlots)
	}
	priority := min(slots, (time.Duration(r.PriorityDays)*day+r.Step-1)/r.Step)
	return schedule{rule: r, slots: int32(slots), priority: int32(priority)}, nil
}

func (r *SlotRule) check() error {
	switch {
	case !isWholeSecond(r.OpensAt) || !isWholeSecond(r.ClosesAt):
		return fmt.Errorf("%w: the phase from %v to %v is not in whole seconds of the years 1970 to 9999", ErrSlotRule, r.OpensAt, r.ClosesAt)
	case r.ClosesAt.Sub(r.OpensAt) > maxDays*day:
		return fmt.Errorf("%w: the phase from %v to %v is longer than %d days", ErrSlotRule, r.OpensAt, r.ClosesAt, maxDays)
	case r.Length < time.Second || r.Length > maxDays*day || r.Length%time.Second != 0:
		return fmt.Errorf("%w: a length of %s is not in whole seconds from 1s to %d days", ErrSlotRule, r.Length, maxDays)
	case r.Step < time.Second || r.Step > maxDays*day || r.Step%time.Second != 0:
		return fmt.Errorf("%w: a step of %s is not in whole seconds from 1s to %d days", ErrSlotRule, r.Step, maxDays)
	case r.Places < 1:
		return fmt.Errorf("%w: %d a slot", ErrNoPlaces, r.Places)
	case r.Places > MaxEntries:
		return fmt.Errorf("%w: %d places a slot, of at most %d", ErrSlotRule, r.Places, MaxEntries)
	case r.PriorityDays < 0 || r.PriorityDays > maxDays:
		return fmt.Errorf("%w: %d priority days, not 0 to %d", ErrSlotRule, r.PriorityDays, maxDays)
	case r.Group != "" && !IsName([]byte(r.Group)):
		return fmt.Errorf("%w: the priority group's name %q is not 1 to 64 of A-Z a-z 0-9 . _ : @ -", ErrSlotRule, r.Group)
	case (r.PriorityDays == 0) != (r.Group == ""):
		return fmt.Errorf("%w: %d priority days for the group %q; a group needs days, and days need a group", ErrSlotRule, r.PriorityDays, r.Group)
	}
	return nil
}

// opensAt returns when a slot opens.
func (s *schedule) opensAt(slot int32) time.Time {
	return s.rule.OpensAt.UTC().Add(time.Duration(slot) * s.rule.Step)
}

// assign hands out the places in the order of the ranks and returns the slots by the caller's entry index, -1 for
// none.
func (s *schedule) assign(entries *Entries, byRank []uint32) []int32 {
	member := uint8(0)
	for i, name := range entries.groups {
		if name == s.rule.Group {
			member = uint8(i) + 1
		}
	}
	places := int64(s.rule.Places)
	reserved, rest := int64(s.priority)*places, int64(s.slots)*places
	nextReserved, next := int64(0), reserved
	slot := make([]int32, entries.Len())
	for _, position := range byRank {
		at := int32(-1)
		switch {
		case member != 0 && entries.group[position] == member && nextReserved < reserved:
			at = int32(nextReserved / places)
			nextReserved++
		case next < rest:
			at = int32(next / places)
			next++
		}
		slot[entries.order[position]] = at
	}
	return slot
}
