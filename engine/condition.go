package engine

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/journal"
)

// Condition returns how the store of the journal is doing, on a leader and on a standby. It is the zero value if the
// journal has none that could be in trouble: a directory, or no journal at all.
func (e *Engine) Condition() journal.Condition {
	if m, ok := e.o.Journal.(journal.Monitored); ok {
		return m.Condition()
	}
	return journal.Condition{}
}

// explain adds the cause to the error of a journal that does not respond.
func (e *Engine) explain(err error) error {
	if !errors.Is(err, journal.ErrStalled) {
		return err
	}
	if cause := e.Condition().Retrying; cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
