package inventory

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// extended moves the end of the hold with the id by a millisecond.
func extended(t *testing.T, v *Inventory, id ID) {
	old, verdict := v.Decide(v.Find(id), 0, &Wait{})
	require.Equal(t, Done, verdict)
	require.Equal(t, Done, v.Extend(old, 0, v.Expires(old.Row)+1).Verdict)
}

// TestReplacedIsKept: however often a hold that took the place of another one has changed, its record and its repeats
// find that other one, also when its row was used again.
func TestReplacedIsKept(t *testing.T) {
	v := testInventory(t, 1, 10, true)
	d, c := &drained{t: t, v: v}, v.NewReclaimer()
	first := v.Reserve(&Request{ID: idOf(1), Account: "ann", Lines: lines(0, 1), Expires: 10})
	require.Equal(t, Done, first.Verdict)
	next := Request{ID: idOf(2), Account: "ann", Lines: lines(0, 1), Expires: 10, Flags: FlagReplaces}
	require.Equal(t, Done, v.Replace(&next, Decided{first.Row, Held}).Verdict)
	for range 50 {
		extended(t, v, next.ID)
		require.Equal(t, idOf(1), v.replaced(v.reservations.At(v.Find(next.ID))))
		d.drain()
		c.pass(Terms{Before: 20, Durable: v.Placed()})
		require.Zero(t, v.Find(idOf(1)))
	}
	require.Equal(t, 1, v.reservations.InUse())
	require.Equal(t, 1, v.overflows.InUse())
	var s Snapshot
	require.True(t, v.ReadLogged(v.Find(next.ID), &s))
	require.Equal(t, idOf(1), s.Replaces)
	require.EqualValues(t, 60, s.ExpiresMs)
}

// TestReadersUnlinkChangedRows: changes that check no caps leave dead rows in the ledger, also between those of other
// holds. A reader of the account passes over each of them once.
func TestReadersUnlinkChangedRows(t *testing.T) {
	v := testInventory(t, 1, 1<<20, false)
	const holds = 3
	for n := range uint64(holds) {
		reserveIn(t, v, n, 0)
	}
	for n := range uint64(50 * holds) {
		extended(t, v, idOf(n%holds))
	}
	require.Greater(t, linked(v, "gateway"), holds)
	ledger, ok := v.Ledger(v.FindAccount("gateway"), nil, nil)
	require.True(t, ok)
	require.Len(t, ledger, holds)
	require.Equal(t, holds, linked(v, "gateway"))
}
