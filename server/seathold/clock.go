package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
)

// openingPhase is the phase at whose opening the clock of the bundled sale starts: 30 November 2023, all venues.
const openingPhase = "all-venues"

// saleClock is the flag --clock: unset, wall time, or an instant to start from.
type saleClock struct {
	real bool
	from time.Time
}

// UnmarshalText reads the flag.
func (c *saleClock) UnmarshalText(text []byte) error {
	if string(text) == "real" {
		*c = saleClock{real: true}
		return nil
	}
	from, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf(`%q is neither "real" nor an instant such as 2023-11-30T09:00:00Z`, text)
	}
	*c = saleClock{from: from.UTC()}
	return nil
}

// orDefaultOf returns the default clock if the flag is unset: the bundled sale starts when openingPhase opens, any
// other runs on wall time.
func (c saleClock) orDefaultOf(definition string, sale *catalog.Sale) saleClock {
	if c != (saleClock{}) {
		return c
	}
	if definition == catalog.Bundled {
		if phase, ok := sale.PhaseByID(openingPhase); ok {
			return saleClock{from: sale.Phases[phase].OpensAt}
		}
	}
	return saleClock{real: true}
}

// start starts the clock.
func (c saleClock) start(log *slog.Logger) *saleclock.Clock {
	if c.real {
		return saleclock.Real(log)
	}
	return saleclock.From(c.from)
}
