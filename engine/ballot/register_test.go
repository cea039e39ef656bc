package ballot

import (
	"crypto/rand"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

func TestRegisterWord(t *testing.T) {
	for _, p := range []entryState{{}, {entered: true},
		{entered: true, placed: true, group: draw.MaxGroups, slot: record.MaxSlot, rank: 1<<32 - 1},
		{entered: true, group: 1, slot: 1, rank: 1}} {
		require.Equal(t, p, unpackEntry(p.pack()))
	}
	r := newRegister(3 * registerChunk)
	last := uint32(3*registerChunk - 1)
	require.Equal(t, entryState{}, r.of(last))
	require.True(t, r.enter(last, 7))
	require.False(t, r.enter(last, 8))
	r.markPlaced(last)
	r.drew(last, 5, 6)
	require.Equal(t, entryState{entered: true, placed: true, group: 7, slot: 6, rank: 5}, r.of(last))
}

// newBallot returns the first draw of Paris 2024 on the first day of its registration, without a journal.
func newBallot(t *testing.T) (*Ballot, *inventory.Inventory) {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	v, err := inventory.New(inventory.Config{MaxReservations: 1 << 10, MaxAccounts: 1 << 10, MaxNotes: 1 << 10,
		Pause: func(w inventory.Wait) (inventory.Wait, bool) { return w, false }})
	require.NoError(t, err)
	h := &Host{Sale: sale, Inventory: v, Accounts: 1 << 10,
		Now:     func() time.Time { return sale.Draws[0].RegistrationOpens },
		Machine: time.Now, Random: rand.Reader,
		Place: func(kind record.Kind, _ int, _ uint32, at time.Time) (uint64, bool) {
			return v.Note(inventory.Note{What: uint16(kind), AtMs: at.UnixMilli()})
		},
		Visible: func(uint64) bool { return true },
		Pause:   func(w inventory.Wait) (inventory.Wait, bool) { return w, false }}
	return New(h)[0], v
}

// I5, I7: An entry whose record is not yet placed may still fail. No reader sees it: a repeat waits until it is
// decided, a read does not find it, a checkpoint does not contain it.
func TestEntryThatIsNotPlaced(t *testing.T) {
	b, v := newBallot(t)
	row, ok := v.EnsureAccount("alice")
	require.True(t, ok)
	require.True(t, b.register.enter(row, 1), "a call that stalls right after this")

	_, _, err := b.Enter("alice", 0)
	require.ErrorIs(t, err, ErrOverloaded, "it waits for the other call in vain")
	_, err = b.Entry("alice")
	require.ErrorIs(t, err, ErrNoEntry)
	written := 0
	count := func(record.Kind, record.Stamp, *record.Draw) error { written++; return nil }
	require.NoError(t, b.Write(count))
	require.Zero(t, written)

	type answer struct {
		entry Entry
		err   error
	}
	answers := make(chan answer)
	// From here on the other call is decided.
	b.host.Pause = func(w inventory.Wait) (inventory.Wait, bool) { runtime.Gosched(); return w, true }
	enter := func(account string) {
		entry, _, err := b.Enter(account, 0)
		answers <- answer{entry, err}
	}
	go enter("alice")
	b.register.markPlaced(row) // the stalled call continues
	got := <-answers
	require.NoError(t, got.err)
	require.Equal(t, Entry{Draw: "draw1", Account: "alice", Group: "club", Repeated: true}, got.entry)
	require.NoError(t, b.Write(count))
	require.Equal(t, 1, written)

	row, ok = v.EnsureAccount("bob")
	require.True(t, ok)
	require.True(t, b.register.enter(row, 1))
	go enter("bob")
	b.register.withdraw(row) // that call found no room
	got = <-answers
	require.NoError(t, got.err)
	require.Equal(t, Entry{Draw: "draw1", Account: "bob"}, got.entry, "so this call makes the entry")

	failed := errors.New("the disk is full")
	require.ErrorIs(t, b.Write(func(record.Kind, record.Stamp, *record.Draw) error { return failed }), failed)
}
