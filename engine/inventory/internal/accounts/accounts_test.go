package accounts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

func newTable(most int) *Table {
	var texts table.Texts
	texts.Init(most)
	t := &Table{}
	t.Init(most, 0, most, &texts)
	return t
}

// pass makes a pass over the accounts after one over the reservations, which name the marked accounts.
func pass(c *Closer, marked ...uint32) {
	c.Begin(true)
	for _, row := range marked {
		c.Mark(row)
	}
	for c.Step() {
	}
}

// TestNames: accounts are found by their names, short and long ones, and the table has a limit (I10).
func TestNames(t *testing.T) {
	names := []string{"a", strings.Repeat("b", inlineName), strings.Repeat("c", inlineName+1), strings.Repeat("d", 64)}
	accounts := newTable(len(names))
	for i, name := range names {
		require.Zero(t, accounts.Lookup(name))
		for range 2 {
			row, ok := accounts.Ensure(name)
			require.True(t, ok)
			require.EqualValues(t, i+1, row)
		}
	}
	for i, name := range names {
		require.EqualValues(t, i+1, accounts.Lookup(name))
		require.Equal(t, name, accounts.Name(uint32(i+1)))
	}
	_, ok := accounts.Ensure("e")
	require.False(t, ok)
}

// TestCloser: an account that no reservation names is closed in the first pass, and then its name is free. Its row is
// free after the third one, unless a reservation that failed still names it. Accounts that are kept, that a reservation
// names, or whose ledger has one stay.
func TestCloser(t *testing.T) {
	accounts := newTable(10)
	c := accounts.NewCloser()
	row := func(name string) uint32 {
		row, ok := accounts.Ensure(name)
		require.True(t, ok)
		return row
	}
	idle, named, kept, used := row(strings.Repeat("i", 64)), row("named"), row("kept"), row("used")
	require.True(t, accounts.Keep(kept))
	accounts.At(used).Head.Store(NewHead(0, 7))
	pass(c, named)
	require.Zero(t, accounts.Lookup(strings.Repeat("i", 64)))
	require.False(t, accounts.Keep(idle))
	pass(c, named)
	pass(c, named, idle)
	require.Equal(t, 4, accounts.InUse())
	pass(c, named)
	require.Equal(t, 3, accounts.InUse())
	require.Zero(t, accounts.texts.InUse())
	require.Equal(t, idle, row("another one"), "its row is used again")
	require.Equal(t, []uint32{named, kept, used}, []uint32{row("named"), row("kept"), row("used")})
	require.Equal(t, 1, accounts.Kept())
}
