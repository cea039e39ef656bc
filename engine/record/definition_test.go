package record

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// decodeRun decodes a run of records and returns the last one.
func decodeRun(t *testing.T, d *Decoder, run []byte) (last *Record, err error) {
	t.Helper()
	require.NoError(t, each(run, func(b []byte) error {
		if err == nil {
			last, err = d.Decode(b)
		}
		return nil
	}))
	return last, err
}

// A journal whose definition lists the same names in another order means the same.
func TestDecoderTranslates(t *testing.T) {
	sale := catalog.Paris2024()
	d := NewDecoder(sale)
	require.False(t, d.Current())
	was := DefinitionOf(sale)
	_, err := decodeRun(t, d, was.Append(nil))
	require.NoError(t, err)
	require.True(t, d.Current())

	slices.Reverse(was.Phases)
	slices.Reverse(was.Draws)
	slices.Reverse(was.Pools)
	s := inventory.Snapshot{Account: "ann", State: inventory.Held, Phase: 1, ExpiresMs: 1000,
		Lines: []inventory.Line{{Pool: 0, Quantity: 2}, {Pool: 3, Quantity: 1}}}
	r, err := decodeRun(t, d, AppendTaken(was.Append(nil), &s))
	require.NoError(t, err)
	require.False(t, d.Current())
	require.EqualValues(t, len(sale.Phases)-2, r.Request.Phase)
	last := uint32(len(sale.Pools) - 1)
	require.Equal(t, []inventory.Line{{Pool: last, Quantity: 2}, {Pool: last - 3, Quantity: 1}}, r.Request.Lines)

	entry := Draw{Index: 0, Group: 1, Account: "ann"}
	r, err = decodeRun(t, d, entry.Append(nil, KindEntry))
	require.NoError(t, err)
	require.Equal(t, Draw{Index: len(sale.Draws) - 1, Group: 1, Account: "ann"}, r.Draw)
}

// What the sale no longer has is an error that names it, and so is a number that the definition does not have.
func TestDecoderRefuses(t *testing.T) {
	sale := catalog.Paris2024()
	held := inventory.Snapshot{Account: "ann", State: inventory.Held, ExpiresMs: 1000,
		Lines: []inventory.Line{{Pool: 0, Quantity: 2}}}
	taken := AppendTaken(nil, &held)
	entry := Draw{Group: 1, Account: "ann"}
	entered := entry.Append(nil, KindEntry)
	for want, change := range map[string]struct {
		of     func(d *Definition)
		record []byte
	}{
		`belongs to the sale "other", not to`:         {func(d *Definition) { d.Sale = "other" }, nil},
		`no longer has the phase "gone"`:              {func(d *Definition) { d.Phases[0] = "gone" }, taken},
		"no longer has session GONE, category Z":      {func(d *Definition) { d.Pools[0] = Pool{"GONE", "Z"} }, taken},
		`no longer has the draw "gone"`:               {func(d *Definition) { d.Draws[0] = "gone" }, entered},
		`no longer has the priority group "gone"`:     {func(d *Definition) { d.Groups[0] = "gone" }, entered},
		ErrInvalid.Error() + ": phase 0 of 0":         {func(d *Definition) { d.Phases = nil }, taken},
		ErrInvalid.Error() + ": pool 0 of 0":          {func(d *Definition) { d.Pools = nil }, taken},
		ErrInvalid.Error() + ": draw 0 of 0, group 1": {func(d *Definition) { d.Draws = nil }, entered},
	} {
		definition := DefinitionOf(sale)
		change.of(&definition)
		_, err := decodeRun(t, NewDecoder(sale), append(definition.Append(nil), change.record...))
		require.ErrorContains(t, err, want)
	}
	_, err := decodeRun(t, NewDecoder(sale), taken)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "before any definition")
}

// Replay numbers the records of groups, not those of a checkpoint, and names the record of an error.
func TestReplay(t *testing.T) {
	run := journal.AppendRecord(journal.AppendRecord(nil, []byte("a")), []byte("b"))
	var got []uint64
	to := Replay(nil, func(seq uint64, _ []byte) error {
		got = append(got, seq)
		if seq == 8 {
			return ErrInvalid
		}
		return nil
	})
	require.NoError(t, to.Chunk(run))
	require.NoError(t, to.Group(journal.Group{First: 5, Count: 2, Records: run}))
	err := to.Group(journal.Group{First: 7, Count: 2, Records: run})
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "record 8: ")
	require.ErrorIs(t, to.Chunk(run[:1]), journal.ErrDamaged)
	require.Equal(t, []uint64{0, 0, 5, 6, 7, 8}, got)
}
