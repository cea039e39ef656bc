//go:build seathold_yield

package accounts

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// TestClosedWhileItIsMade: the closer may come to a new row while its caller makes the account. It stays closed then,
// and counts once.
func TestClosedWhileItIsMade(t *testing.T) {
	accounts := newTable(10)
	c := accounts.NewCloser()
	defer func(random func(unsafe.Pointer, bool)) { table.Yield = random }(table.Yield)
	made := false
	table.Yield = func(word unsafe.Pointer, _ bool) {
		if word == unsafe.Pointer(&accounts.At(1).Head) && !made {
			made = true
			pass(c)
		}
	}
	row, ok := accounts.Ensure("ann")
	require.True(t, ok)
	require.EqualValues(t, 1, row)
	require.True(t, made)
	require.Zero(t, accounts.Lookup("ann"))
	again, ok := accounts.Ensure("ann")
	require.True(t, ok)
	require.EqualValues(t, 2, again)
	for range 3 {
		pass(c)
	}
	require.Zero(t, accounts.InUse())
	freed, closed := c.Counts()
	require.EqualValues(t, 2, freed)
	require.Zero(t, closed)
}
