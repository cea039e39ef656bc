package ballot

import (
	"errors"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// Refuse turns an error of this package about a draw, by its id, into a *rules.Refusal where it is one. Others, and
// nil, are returned as they are.
func Refuse(sale *catalog.Sale, id string, err error) error {
	switch {
	case errors.Is(err, ErrClosed):
		i, there := sale.DrawByID(id)
		if !there {
			return &rules.Refusal{Code: rules.DrawNotFound, Where: id}
		}
		d := &sale.Draws[i]
		return &rules.Refusal{Code: rules.RegistrationClosed, OpensAt: d.RegistrationOpens, ClosesAt: d.RegistrationCloses}
	case errors.Is(err, ErrOverloaded):
		return &rules.Refusal{Code: rules.Overloaded}
	case errors.Is(err, ErrAccountsFull):
		return &rules.Refusal{Code: rules.Full, Table: inventory.Accounts.String()}
	case errors.Is(err, ErrNotesFull):
		return &rules.Refusal{Code: rules.Full, Table: inventory.Notes.String()}
	case errors.Is(err, ErrNoEntry):
		return &rules.Refusal{Code: rules.EntryNotFound}
	case errors.Is(err, ErrNotRun):
		return &rules.Refusal{Code: rules.DrawNotRun}
	}
	return err
}
