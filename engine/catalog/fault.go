package catalog

import (
	"errors"
	"fmt"
)

// FieldError is the error of a faulty sale definition. It locates the first fault and states which rule it breaks and
// how to correct it. Load and LoadFS return it wrapped; errors.As finds it.
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

// report keeps the first fault of a definition and ignores later ones. Reads return a zero value after a fault, so a
// section is read in one go and checked once at its end.
type report struct{ fault *FieldError }

// faultf records a fault unless there is one already. A cause given with %w becomes the fault's Err.
func (r *report) faultf(file string, line int, field, format string, facts ...any) {
	if r.fault == nil {
		err := fmt.Errorf(format, facts...)
		r.fault = &FieldError{File: file, Line: line, Field: field, Rule: err.Error(), Err: errors.Unwrap(err)}
	}
}
