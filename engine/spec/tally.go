package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tally counts answers by the name of their call. A reserve that replaces is a replace; a confirm with Again is an
// again, unless it confirmed a hold. The zero value is ready to use.
type Tally struct{ calls map[string]answers }

// answers are numbers of answers.
type answers struct{ succeeded, repeated, refused int }

// changes are the calls that change a reservation after it was made, and do not merely end a hold.
var changes = []string{"extend", "reduce", "return", "replace", "again"}

// reads are the calls that change nothing.
var reads = []string{ReadReservation.String(), ReadAccount.String(), ReadStock.String(), ReadPlaces.String()}

// Add counts an answer. Answers that do not show the outcome are not counted.
func (t *Tally) Add(op Operation, a Answer) {
	if a.Code == Overloaded || a.Code == Unknown {
		return
	}
	name := op.Kind.String()
	switch {
	case op.Kind == Reserve && op.Replaces != "":
		name = "replace"
	case op.Kind == Confirm && op.Again && (!a.OK() || !a.Reservation.ConfirmedAt.Before(a.Reservation.ExpiresAt)):
		name = "again"
	}
	if t.calls == nil {
		t.calls = map[string]answers{}
	}
	n := t.calls[name]
	switch {
	case !a.OK():
		n.refused++
	case a.Repeated:
		n.repeated++
	default:
		n.succeeded++
	}
	t.calls[name] = n
}

// Merge adds another tally.
func (t *Tally) Merge(o *Tally) {
	if t.calls == nil {
		t.calls = map[string]answers{}
	}
	for name, n := range o.calls {
		sum := t.calls[name]
		t.calls[name] = answers{sum.succeeded + n.succeeded, sum.repeated + n.repeated, sum.refused + n.refused}
	}
}

// Share returns how many of the calls that write are one of extend, reduce, return, replace and again, as a part of 1.
// Reads are left out: a history ends with some, however many writes came before.
func (t *Tally) Share() float64 {
	all, of := 0, 0
	for name, n := range t.calls {
		if slices.Contains(reads, name) {
			continue
		}
		sum := n.succeeded + n.repeated + n.refused
		all += sum
		if slices.Contains(changes, name) {
			of += sum
		}
	}
	return float64(of) / float64(max(all, 1))
}

// Untried returns an error that names the calls among extend, reduce, return, replace and again that never succeeded or
// were never refused.
func (t *Tally) Untried() error { return t.UntriedOf(changes...) }

// UntriedOf returns an error that names the calls among these that never succeeded or were never refused.
func (t *Tally) UntriedOf(names ...string) error {
	for _, name := range names {
		if n := t.calls[name]; n.succeeded == 0 || n.refused == 0 {
			return fmt.Errorf("%s: %d succeeded, %d were refused", name, n.succeeded, n.refused)
		}
	}
	return nil
}

// Failed returns an error that names the calls among these that never succeeded.
func (t *Tally) Failed(names ...string) error {
	for _, name := range names {
		if n := t.calls[name]; n.succeeded == 0 {
			return fmt.Errorf("%s never succeeded: %d were repeated, %d refused", name, n.repeated, n.refused)
		}
	}
	return nil
}

// String lists the calls as name=succeeded+repeated/refused.
func (t *Tally) String() string {
	b := &strings.Builder{}
	for _, name := range slices.Sorted(maps.Keys(t.calls)) {
		n := t.calls[name]
		fmt.Fprintf(b, " %s=%d+%d/%d", name, n.succeeded, n.repeated, n.refused)
	}
	return "succeeded+repeated/refused:" + b.String()
}
