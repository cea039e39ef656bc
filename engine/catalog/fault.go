package catalog

import "fmt"

// FieldError is the one error of a faulty sale definition: which rule is broken, and where to mend it. Load and LoadFS
// return it wrapped once with the name of the definition; errors.As finds it.
type FieldError struct {
	File  string // `sale.yaml`
	Line  int    // from 1; 0 where the fault is the file as a whole
	Field string // a column, or a path of keys: `phases.packs.slots.step`
	Rule  string // what must hold and what was found instead, for people
	Err   error  // the cause where the file could not be read; otherwise nil
}

func (e *FieldError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", e.File, e.Field, e.Rule)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Field, e.Rule)
}

func (e *FieldError) Unwrap() error { return e.Err }
