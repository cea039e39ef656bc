package inventory

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/inventory/internal/stock"
)

// Units is how many units a pool is to have: capacity minus withheld; below 2^31.
type Units = stock.Units

// StockChange is a change of the units of pools that is under way. See ChangeStock.
type StockChange struct{ change stock.Change }

// ChangeStock begins to change the units of several pools, each given once, all or nothing. Units that are to go are
// taken as by a reservation: so a pool never has fewer than are taken (I1), the call waits for what is undecided, and
// until the change has ended nobody is refused for want of them (I7). The caller then places the record of the change,
// and calls Commit; or, if that fails, Abort. One change is under way at a time.
//
// The error is a *TakenError for the first pool, in their order, of which too many units are taken, or ErrUndecided.
// Then nothing has changed. w is how long the call has waited; nil if it has not.
func (v *Inventory) ChangeStock(to []Units, w *Wait) (*StockChange, error) {
	w = begun(w)
	change, short, took := v.stock.Change(to, func() bool { return v.backOff(w) })
	switch {
	case took:
		return &StockChange{change}, nil
	case short.Open > 0:
		return nil, ErrUndecided
	}
	return nil, &TakenError{Pool: int(short.Pool), Units: int(short.Units.Units), Taken: short.Taken}
}

// Commit ends the change after its record has its place: only now units that come may be taken (I6).
func (c *StockChange) Commit() { c.change.Commit() }

// Abort ends the change without an effect.
func (c *StockChange) Abort() { c.change.Abort() }

// ErrUndecided is returned when other calls stayed undecided for too long. Nothing was done.
var ErrUndecided = errors.New("what other calls do stays undecided for too long: try again")

// TakenError is returned when more units of a pool are taken than it is to have: held, sold, or returned and withheld.
type TakenError struct{ Pool, Units, Taken int }

func (e *TakenError) Error() string {
	return fmt.Sprintf("pool %d cannot have %d units: %d are taken", e.Pool, e.Units, e.Taken)
}
