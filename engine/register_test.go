package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

func TestRegisterWord(t *testing.T) {
	for _, p := range []place{{}, {entered: true}, {entered: true, placed: true, group: record.MaxGroups, slot: record.MaxSlot, rank: 1<<32 - 1},
		{entered: true, group: 1, slot: 1, rank: 1}} {
		require.Equal(t, p, unpackPlace(p.pack()))
	}
	r := newRegister(3 * registerChunk)
	last := uint32(3*registerChunk - 1)
	require.Equal(t, place{}, r.of(last))
	require.True(t, r.enter(last, 7))
	require.False(t, r.enter(last, 8))
	r.placed(last)
	r.drew(last, 5, 6)
	require.Equal(t, place{entered: true, placed: true, group: 7, slot: 6, rank: 5}, r.of(last))
}

// I5, I7: An entry whose record has no place yet may still fail. Nobody is told of it: a repeat waits until it is decided,
// a read does not see it, a checkpoint does not hold it.
func TestEntryWithoutAPlace(t *testing.T) {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	now := sale.Draws[0].RegistrationOpens
	e, err := Open(t.Context(), Options{Sale: sale, Durability: None, SweepEvery: -1, MaxAccounts: 1 << 10, MaxReservations: 1 << 10,
		Clock: func(time.Time) func() time.Time { return func() time.Time { return now } }})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	b := e.ballots[0]
	row, ok := e.inventory.EnsureAccount("alice")
	require.True(t, ok)
	require.True(t, b.register.enter(row, 1), "a caller that stalls right behind this")

	_, err = e.Enter(t.Context(), "draw1", "alice", "")
	refusal := (*Refusal)(nil)
	require.ErrorAs(t, err, &refusal, "it waits for the other, in vain")
	require.Equal(t, Overloaded, refusal.Code)
	_, err = e.Entry(t.Context(), "draw1", "alice")
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, EntryNotFound, refusal.Code)
	dumped := 0
	count := func(*record.Draw, record.Kind) error { dumped++; return nil }
	require.NoError(t, b.dump(e, 0, count))
	require.Zero(t, dumped)

	type answer struct {
		entry Entry
		err   error
	}
	answers := make(chan answer)
	enter := func() {
		entry, err := e.Enter(context.Background(), "draw1", "alice", "")
		answers <- answer{entry, err}
	}
	go enter()
	b.register.placed(row) // the caller goes on
	got := <-answers
	require.NoError(t, got.err)
	require.Equal(t, Entry{Draw: "draw1", Account: "alice", Group: "club", Repeated: true}, got.entry)
	require.NoError(t, b.dump(e, 0, count))
	require.Equal(t, 1, dumped)

	row, ok = e.inventory.EnsureAccount("bob")
	require.True(t, ok)
	require.True(t, b.register.enter(row, 1))
	go func() { entry, err := e.Enter(context.Background(), "draw1", "bob", ""); answers <- answer{entry, err} }()
	b.register.withdraw(row) // that caller found no room
	got = <-answers
	require.NoError(t, got.err)
	require.Equal(t, Entry{Draw: "draw1", Account: "bob"}, got.entry, "so this one makes the entry")

	failed := errors.New("the disk is full")
	require.ErrorIs(t, b.dump(e, 0, func(*record.Draw, record.Kind) error { return failed }), failed)
}
