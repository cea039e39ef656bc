package engine

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/catalog"
)

// Every error of a ballot that is a refusal has its code; other errors are returned unchanged.
func TestDrawRefusalCodes(t *testing.T) {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	e, err := Open(t.Context(), Options{Sale: sale, Durability: None, SweepEvery: -1, MaxAccounts: 1 << 10,
		MaxReservations: 1 << 10})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	for from, want := range map[error]*Refusal{
		ballot.ErrClosed: {Code: RegistrationClosed, OpensAt: sale.Draws[0].RegistrationOpens,
			ClosesAt: sale.Draws[0].RegistrationCloses},
		ballot.ErrOverloaded:   {Code: Overloaded},
		ballot.ErrAccountsFull: {Code: Full, Table: "accounts"},
		ballot.ErrNotesFull:    {Code: Full, Table: "notes"},
		ballot.ErrNoEntry:      {Code: EntryNotFound},
		ballot.ErrNotRun:       {Code: DrawNotRun},
	} {
		require.Equal(t, want, drawRefusal(sale, "draw1", from))
	}
	other := errors.New("the disk is full")
	require.Equal(t, other, drawRefusal(sale, "draw1", other))
}
