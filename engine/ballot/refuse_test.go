package ballot

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
)

// Every error of a ballot that is a refusal has its code; other errors are returned unchanged.
func TestDrawRefusalCodes(t *testing.T) {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	for from, want := range map[error]*rules.Refusal{
		ErrClosed: {Code: rules.RegistrationClosed, OpensAt: sale.Draws[0].RegistrationOpens,
			ClosesAt: sale.Draws[0].RegistrationCloses},
		ErrOverloaded:   {Code: rules.Overloaded},
		ErrAccountsFull: {Code: rules.Full, Table: "accounts"},
		ErrNotesFull:    {Code: rules.Full, Table: "notes"},
		ErrNoEntry:      {Code: rules.EntryNotFound},
		ErrNotRun:       {Code: rules.DrawNotRun},
	} {
		require.Equal(t, want, Refuse(sale, "draw1", from))
	}
	other := errors.New("the disk is full")
	require.Equal(t, other, Refuse(sale, "draw1", other))
}
