package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// I6: a journal whose definitions of kind 1 have the sessions in two orders replays to the same sale, from all records
// and from a checkpoint, whichever order a start is given. Later changes are those of the sessions that they name.
func TestKind1InTwoOrders(t *testing.T) {
	first := stressSale(t, 3, 10)
	first.Files = nil
	second := edited(t, first, func(s *catalog.Sale) {
		slices.Reverse(s.Sessions) // pool 0 is that of S2 now
	})
	for _, checkpoint := range []bool{false, true} {
		for _, given := range []*catalog.Sale{first, second} {
			where := fmt.Sprintf("checkpoint %t, %s is first", checkpoint, given.Sessions[0].ID)
			kept := ofKind1(first, second)
			if checkpoint {
				kept.checkpoints = []storedCheckpoint{checkpointOfKind1(second)}
			}
			s := sellerOn(given, kept)
			s.clock.set(saleStart)
			s.changeKind1(t, where)
			verify(t, kept.open(), given)
			kept.checkpoints = nil
			s.capKind1(t, where)
			verify(t, kept.open(), given)
			kept.checkpoints = nil
			verify(t, kept.open(), given)
		}
	}
}

// ofKind1 returns a journal with two definitions. After each, tickets of its first pool are held: 1 of S0, and 2 of S2.
func ofKind1(first, second *catalog.Sale) *store {
	at := saleStart.UnixMilli()
	d1, d2 := record.DefinitionOf(first), record.DefinitionOf(second)
	one, two := heldOfPool("a", 0, 1), heldOfPool("b", 0, 2)
	run := record.AppendTaken(d1.Append(nil, at), &one)
	run = record.AppendTaken(d2.Append(run, at), &two)
	kept := newStore()
	kept.groups = []journal.Group{{First: 1, Count: 4, Records: run}}
	return kept
}

// checkpointOfKind1 returns a checkpoint after all records of ofKind1.
func checkpointOfKind1(second *catalog.Sale) storedCheckpoint {
	at := saleStart.UnixMilli()
	d := record.DefinitionOf(second)
	one, two := heldOfPool("a", 2, 1), heldOfPool("b", 0, 2)
	one.Seq, two.Seq = 2, 4
	chunk := record.AppendClock(d.AppendRow(nil, record.Stamp{AtMs: at, Seq: 3}), at, 4)
	chunk = record.AppendReservation(record.AppendReservation(chunk, &one), &two)
	return storedCheckpoint{info: journal.CheckpointInfo{Start: 4, End: 4}, chunks: [][]byte{chunk}}
}

func heldOfPool(name string, pool, n uint32) inventory.Snapshot {
	at := saleStart.UnixMilli()
	return inventory.Snapshot{ID: inventory.ID(idOf(name)), Account: "ann", State: engine.Held, CreatedMs: at, AtMs: at,
		ExpiresMs: at + 1_000_000, Lines: []inventory.Line{{Pool: pool, Quantity: n}}}
}

// changeKind1 sets the stock of S0 and pauses S2.
func (s *seller) changeKind1(t *testing.T, where string) {
	require.NoError(t, s.start(), where)
	require.Equal(t, engine.Start{Version: 1}, s.e.Recovery().Sale, where)
	eight := 8
	_, err := s.e.SetStock(t.Context(), "S0", "A", &eight, nil)
	require.NoError(t, err, where)
	require.NoError(t, s.e.Pause(t.Context(), engine.Pausable{Session: "S2"}, true), where)
	s.requireKind1(t, where)
	require.NoError(t, s.e.Close())
}

// capKind1 starts again, applies another cap and takes a checkpoint, from which it starts once more.
func (s *seller) capKind1(t *testing.T, where string) {
	require.NoError(t, s.start(), where)
	s.requireKind1(t, where)
	s.apply(t, edited(t, s.e.Sale(), capped(3)))
	_, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	shown := inForceOf(t, s.e)
	s.options.Sale = edited(t, s.e.Sale(), capped(3))
	require.NoError(t, s.Restart(), where)
	require.Equal(t, shown, inForceOf(t, s.e), where)
	require.NoError(t, s.e.Close())
}

// requireKind1 requires what is in force after changeKind1.
func (s *seller) requireKind1(t *testing.T, where string) {
	require.Equal(t, engine.Stock{Capacity: 8, Held: 1, Available: 7}, s.stockOf(t, "S0"), where)
	require.Equal(t, engine.Stock{Capacity: 10, Available: 10}, s.stockOf(t, "S1"), where)
	require.Equal(t, engine.Stock{Capacity: 10, Held: 2, Available: 8}, s.stockOf(t, "S2"), where)
	d, err := s.e.Definition()
	require.NoError(t, err)
	require.Equal(t, []string{"S2"}, d.Paused.Sessions, where)
}
