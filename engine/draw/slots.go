package draw

import (
	"fmt"
	"slices"
	"time"
)

// Limits of a slot rule. With them no sum of durations can overflow.
const (
	maxSlots = 1 << 20 // one a minute for almost two years
	maxDays  = 3650    // of a phase, and so of its slots
	day      = 24 * time.Hour
)

// The ways in which a slot rule can be invalid.
var (
	errSlotRule = fmt.Errorf("%w: slot rule", ErrTerms)
	errNoSlot   = fmt.Errorf("%w: no access slot fits into the phase", ErrTerms)
	errNoPlaces = fmt.Errorf("%w: access slots need at least one place each", ErrTerms)
)

// SlotRule lays out the access slots of a phase. Times and durations are whole seconds.
//
// Slot k opens at OpensAt + k*Step and lasts for Length. The slots of the phase are those that close at ClosesAt or
// before.
//
// Priority slots are those that open before OpensAt + PriorityDays*24h, even if they close after that instant. Their
// places are reserved for members of Group, in the order of their ranks, and stay empty if there are too few members.
// The remaining members and all other entries share the slots after the priority slots, again in the order of their
// ranks.
type SlotRule struct {
	OpensAt      time.Time     // of the phase
	ClosesAt     time.Time     // of the phase: the first instant at which it is closed
	Length       time.Duration // of a slot: 1 second to 3650 days
	Step         time.Duration // from the opening of one slot to that of the next: 1 second to 3650 days
	Places       int           // winners per slot: 1 to [MaxEntries]
	PriorityDays int           // of 24 hours, 1 to 3650; 0 without a priority group
	Group        string        // name of the priority group; "" without one
}

// schedule is a slot rule with the numbers of slots that follow from it.
type schedule struct {
	rule     SlotRule
	slots    int32 // of the phase
	priority int32 // the first ones, reserved for the priority group
}

func (r SlotRule) schedule() (schedule, error) {
	if err := r.check(); err != nil {
		return schedule{}, err
	}
	window := r.ClosesAt.Sub(r.OpensAt)
	if window < r.Length {
		return schedule{}, fmt.Errorf("%w: the phase from %s to %s is shorter than a slot of %s", errNoSlot,
			r.OpensAt.UTC().Format(time.RFC3339), r.ClosesAt.UTC().Format(time.RFC3339), r.Length)
	}
	slots := (window-r.Length)/r.Step + 1
	if slots > maxSlots {
		return schedule{}, fmt.Errorf("%w: %d slots of at most %d", errSlotRule, slots, maxSlots)
	}
	priority := min(slots, (time.Duration(r.PriorityDays)*day+r.Step-1)/r.Step)
	return schedule{rule: r, slots: int32(slots), priority: int32(priority)}, nil
}

func (r *SlotRule) check() error {
	longest := maxDays * day
	switch {
	case !isWholeSecond(r.OpensAt) || !isWholeSecond(r.ClosesAt):
		return fmt.Errorf("%w: the phase must open and close on a %s, not from %v to %v", errSlotRule, secondRule, r.OpensAt,
			r.ClosesAt)
	case r.ClosesAt.Sub(r.OpensAt) > longest:
		return fmt.Errorf("%w: the phase must last at most %d days, not from %v to %v", errSlotRule, maxDays,
			r.OpensAt, r.ClosesAt)
	case r.Length < time.Second || r.Length > longest || r.Length%time.Second != 0:
		return fmt.Errorf("%w: the length must be whole seconds from 1s to %d days, not %s", errSlotRule, maxDays, r.Length)
	case r.Step < time.Second || r.Step > longest || r.Step%time.Second != 0:
		return fmt.Errorf("%w: the step must be whole seconds from 1s to %d days, not %s", errSlotRule, maxDays, r.Step)
	case r.Places < 1:
		return fmt.Errorf("%w, not %d", errNoPlaces, r.Places)
	case r.Places > MaxEntries:
		return fmt.Errorf("%w: a slot must have at most %d places, not %d", errSlotRule, MaxEntries, r.Places)
	case r.PriorityDays < 0 || r.PriorityDays > maxDays:
		return fmt.Errorf("%w: priority days must be 0 to %d, not %d", errSlotRule, maxDays, r.PriorityDays)
	case r.Group != "" && !IsName([]byte(r.Group)):
		return fmt.Errorf("%w: the name of the priority group must be %s, not %q", errSlotRule, nameRule, r.Group)
	case (r.PriorityDays == 0) != (r.Group == ""):
		return fmt.Errorf("%w: %d priority days for the group %q; set both or neither", errSlotRule, r.PriorityDays, r.Group)
	}
	return nil
}

// opensAt returns when a slot opens.
func (s *schedule) opensAt(slot int32) time.Time {
	return s.rule.OpensAt.UTC().Add(time.Duration(slot) * s.rule.Step)
}

// assign gives the places to the entries in the order of their ranks. It returns the slots by the caller's entry index,
// -1 for none.
func (s *schedule) assign(entries *Entries, byRank []uint32) []int32 {
	member := uint8(slices.Index(entries.groups, s.rule.Group) + 1) // 0 without a priority group
	places := int64(s.rule.Places)
	reserved, total := int64(s.priority)*places, int64(s.slots)*places
	nextReserved, next := int64(0), reserved // the next free place among the reserved ones, and among the others
	slot := make([]int32, entries.Len())
	for _, position := range byRank {
		at := int32(-1)
		switch {
		case member != 0 && entries.group[position] == member && nextReserved < reserved:
			at = int32(nextReserved / places)
			nextReserved++
		case next < total:
			at = int32(next / places)
			next++
		}
		slot[entries.order[position]] = at
	}
	return slot
}
