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
		{entered: true, placed: true, withdrawn: true, group: draw.MaxGroups, slot: record.MaxSlot, rank: 1<<32 - 1},
		{entered: true, group: 1, slot: 1, rank: 1}} {
		require.Equal(t, p, unpackEntry(p.pack()))
	}
	r := newRegister(1 << 16)
	last := uint32(1 << 16)
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
	h := &Host{Inventory: v, Accounts: 1 << 10,
		Now:     func() time.Time { return sale.Draws[0].RegistrationOpens },
		Machine: time.Now, Random: rand.Reader,
		Place: func(kind record.Kind, _ int, _ uint32, at time.Time) (uint64, bool) {
			return v.Note(inventory.Note{What: uint16(kind), AtMs: at.UnixMilli()})
		},
		Visible: func(uint64) bool { return true },
		Pause:   func(w inventory.Wait) (inventory.Wait, bool) { return w, false }}
	return New(h, sale).Of(0), v
}

// countEntries counts the entries that a checkpoint has. The draw's secret is in it, too.
func countEntries(written *int) func(record.Kind, record.Stamp, *record.Draw) error {
	return func(kind record.Kind, _ record.Stamp, _ *record.Draw) error {
		if kind == record.KindEntry {
			*written++
		}
		return nil
	}
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
	count := countEntries(&written)
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
	b.register.remove(row) // that call found no room
	got = <-answers
	require.NoError(t, got.err)
	require.Equal(t, Entry{Draw: "draw1", Account: "bob"}, got.entry, "so this call makes the entry")

	failed := errors.New("the disk is full")
	require.ErrorIs(t, b.Write(func(record.Kind, record.Stamp, *record.Draw) error { return failed }), failed)
}

// I5, I6: A withdrawn entry stays until the writer has drained the record of that. The record of the entry, which the
// writer drains before, has its group still; a checkpoint has the entry; the account cannot enter again before.
func TestWithdrawalThatIsNotDrained(t *testing.T) {
	b, v := newBallot(t)
	b.host.Journalled = true
	_, _, err := b.Enter("alice", 1)
	require.NoError(t, err)
	_, err = b.Withdraw("alice")
	require.NoError(t, err)
	require.Zero(t, b.Status().Entries)
	_, err = b.Withdraw("alice")
	require.ErrorIs(t, err, ErrNoEntry)
	_, _, err = b.Enter("alice", 0)
	require.ErrorIs(t, err, ErrOverloaded)
	_, err = b.Entry("alice")
	require.ErrorIs(t, err, ErrNotRun)
	written := 0
	require.NoError(t, b.Write(countEntries(&written)))
	require.Equal(t, 1, written)

	row := v.FindAccount("alice")
	decode := func(kind record.Kind) (r record.Record) {
		run := b.Append(nil, kind, row, 7)
		require.NoError(t, r.Decode(run[1:]))
		return r
	}
	require.Equal(t, 1, decode(record.KindEntry).Draw.Group)
	require.Equal(t, "alice", decode(record.KindWithdrawn).Draw.Account)
	b.MadeDurable()
	require.Zero(t, b.durable.Load())
	_, err = b.Entry("alice")
	require.ErrorIs(t, err, ErrNoEntry)
	entry, _, err := b.Enter("alice", 0)
	require.NoError(t, err)
	require.Equal(t, Entry{Draw: "draw1", Account: "alice"}, entry)
}

// The record of a withdrawal precedes that of the freeze, whether or not the writer has drained it: the frozen entries,
// and those of a checkpoint that has the freeze, are without it.
func TestFreezeWithoutWithdrawn(t *testing.T) {
	b, _ := newBallot(t)
	b.host.Journalled = true
	secret, err := b.Announcement()
	require.NoError(t, err)
	require.NoError(t, b.Restore(record.KindAnnounced, secret, record.Stamp{}))
	for _, account := range []string{"alice", "bob"} {
		_, _, err := b.Enter(account, 0)
		require.NoError(t, err)
	}
	_, err = b.Withdraw("alice")
	require.NoError(t, err)
	b.host.Now = func() time.Time { return b.draw().RegistrationCloses }
	_, err = b.Freeze()
	require.NoError(t, err)
	require.Equal(t, 1, b.Status().Entries)
	_, err = b.Withdraw("bob")
	require.ErrorIs(t, err, ErrClosed)
	var entries []string
	require.NoError(t, b.Write(func(kind record.Kind, _ record.Stamp, f *record.Draw) error {
		if kind == record.KindEntry {
			entries = append(entries, f.Account)
		}
		return nil
	}))
	require.Equal(t, []string{"bob"}, entries)
}
