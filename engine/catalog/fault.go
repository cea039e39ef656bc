package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// FieldError is one fault of a sale definition. It locates the fault and states which rule it breaks and how to correct
// it.
type FieldError struct {
	File  string // `sale.yaml`
	Line  int    // from 1; 0 if the file as a whole is at fault
	Field string // a column, or a path of keys: `phases.packs.slots.step`
	Rule  string // the rule, the value found and, unless the rule makes it obvious, the remedy; a sentence for people
	Err   error  // the cause if the file could not be read, otherwise nil
}

// Error returns `file:line: field: rule`.
func (e *FieldError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", e.File, e.Field, e.Rule)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Field, e.Rule)
}

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Faults is the error of a faulty sale definition: all of its faults. Load and LoadFS return it wrapped; errors.As
// finds it, and its first FieldError.
//
// A fault that follows from another one is not among them, such as a reference to what could not be read. It may show
// once the other one is mended.
type Faults struct {
	List []*FieldError // at least one, by file and line; at most 100, and of each file the first 100 that were found
	More int           // further ones
}

// Error returns the fault if there is one, otherwise their number and each on a line of its own.
func (f *Faults) Error() string {
	if len(f.List) == 1 && f.More == 0 {
		return f.List[0].Error()
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d faults:", len(f.List)+f.More)
	for _, fault := range f.List {
		text.WriteString("\n" + fault.Error())
	}
	if f.More > 0 {
		fmt.Fprintf(&text, "\nand %d more", f.More)
	}
	return text.String()
}

// Unwrap returns the faults.
func (f *Faults) Unwrap() []error {
	all := make([]error, len(f.List))
	for i := range all {
		all[i] = f.List[i]
	}
	return all
}

// maxFaults bounds Faults.List.
const maxFaults = 100

// report collects the faults of a definition. A value that cannot be read is reported and reads as a zero value. Checks
// of several values skip those that were not read, so that one mistake is one fault.
type report struct {
	faults []*FieldError
	found  map[string]int    // by file
	more   int               // that are not in faults
	unread map[string]bool   // files that were not read whole: what refers to them is not checked
	kept   map[string][]byte // the files that were read, as they are
}

// faultf records a fault. A cause given with %w becomes the fault's Err.
func (r *report) faultf(file string, line int, field, format string, facts ...any) {
	if r.found == nil {
		r.found = map[string]int{}
	}
	if r.found[file]++; r.found[file] > maxFaults {
		r.more++
		return
	}
	err := fmt.Errorf(format, facts...)
	r.faults = append(r.faults, &FieldError{File: file, Line: line, Field: field, Rule: visible(err.Error()),
		Err: errors.Unwrap(err)})
}

// visible returns a text with the code points of what cannot be seen, or changes how the rest is shown.
func visible(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return forbidden(c) != "" }) {
		return text
	}
	var shown strings.Builder
	for _, c := range text {
		if forbidden(c) != "" {
			fmt.Fprintf(&shown, "<U+%04X>", c)
		} else {
			shown.WriteRune(c)
		}
	}
	return shown.String()
}

// count returns the number of faults so far.
func (r *report) count() int { return len(r.faults) + r.more }

// markUnread notes that a file was not read whole.
func (r *report) markUnread(file string) {
	if r.unread == nil {
		r.unread = map[string]bool{}
	}
	r.unread[file] = true
}

// all returns the faults; nil if there is none.
func (r *report) all() *Faults {
	if len(r.faults) == 0 {
		return nil
	}
	files := []string{saleFile, venuesFile, sessionsFile, pricesFile, stockFile}
	slices.SortStableFunc(r.faults, func(a, b *FieldError) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), cmp.Compare(a.Line, b.Line))
	})
	shown := min(len(r.faults), maxFaults)
	return &Faults{List: r.faults[:shown], More: r.more + len(r.faults) - shown}
}
