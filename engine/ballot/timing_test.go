package ballot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// standIn is the beacon that the sale definition has for the ballot.
func standIn(t *testing.T, b *Ballot) draw.Beacon {
	beacon := draw.Beacon{Round: b.terms().Round}
	_, err := hex.Decode(beacon.Signature[:], []byte(b.draw().Beacon.Signature))
	require.NoError(t, err)
	beacon.Randomness = sha256.Sum256(beacon.Signature[:])
	return beacon
}

// restoreEntries restores the entries of alice, of the Club, and bob.
func restoreEntries(t *testing.T, b *Ballot) {
	for i, account := range []string{"alice", "bob"} {
		row, ok := b.host.Inventory.Keep(account)
		require.True(t, ok)
		b.RestoreEntry(row, &record.Draw{Account: account, Group: 1 - i})
	}
}

type memoryFile struct{ bytes.Buffer }

func (*memoryFile) Close() error { return nil }

func exportOf(t *testing.T, b *Ballot) fstest.MapFS {
	written := map[string]*memoryFile{}
	require.NoError(t, b.Export(func(name string) (io.WriteCloser, error) {
		written[name] = &memoryFile{}
		return written[name], nil
	}))
	files := fstest.MapFS{}
	for name, file := range written {
		files[name] = &fstest.MapFile{Data: file.Bytes()}
	}
	return files
}

// What a journal of version 1 froze and drew replays to the same result, in format 1.
func TestVersion1ReplaysToTheSameResult(t *testing.T) {
	account := func(into []byte, i int) []byte { return append(into, []string{"alice", "bob"}[i]...) }
	entries, err := draw.FreezeAccounts(2, account, func(i int) uint8 { return uint8(1 - i) }, []string{"club"})
	require.NoError(t, err)
	for _, drawn := range []bool{true, false} {
		b, _ := newBallot(t)
		b.host.Now = func() time.Time { return b.draw().RegistrationCloses.Add(time.Hour) }
		b.terms().StandIn = drawn
		want, err := draw.Run(entries, *b.unsealedTerms(), draw.Timing{}, standIn(t, b))
		require.NoError(t, err)
		restoreEntries(t, b)
		frozen := record.Draw{Size: 2, Root: entries.Root(), Terms: record.TermsDigest(b.terms())}
		require.NoError(t, b.Restore(record.KindFrozen, &frozen, record.Stamp{}))
		if !drawn {
			_, err := b.Run(standIn(t, b))
			require.ErrorIs(t, err, ErrUndated, "nobody knows when its entries were frozen")
			require.Equal(t, Void, b.Status().State)
			continue
		}
		require.NoError(t, b.Restore(record.KindDrawn, &record.Draw{Beacon: standIn(t, b)}, record.Stamp{}))
		require.Equal(t, want.Seed, b.Status().Seed)
		for i, name := range []string{"alice", "bob"} {
			entry, err := b.Entry(name)
			require.NoError(t, err)
			require.Equal(t, want.Rank[i], entry.Rank)
			require.Zero(t, entry.Salt)
			require.True(t, entry.Proof.VerifyAccount(entries.Root(), name, entry.Group))
		}
		summary, err := draw.Verify(exportOf(t, b))
		require.NoError(t, err)
		require.Equal(t, 1, summary.Format)
		require.NoError(t, b.EachWinner(func(w Winner) error { require.Zero(t, w.Salt); return nil }))
		require.False(t, b.NeedsSecret(), "frozen entries need none")
	}
}

// The entries of a journal whose freeze is dated after the round are not run, whatever program wrote it.
func TestLateFreezeOfAJournalIsNotRun(t *testing.T) {
	for _, late := range []bool{false, true} {
		b, _ := newBallot(t)
		b.terms().StandIn = false // round 1000 is of August 2023
		due := b.terms().Chain.RoundTime(b.terms().Round)
		b.host.Now = func() time.Time { return due.Add(time.Hour) }
		announced := record.Draw{Secret: draw.Secret{5}}
		require.NoError(t, b.Restore(record.KindAnnounced, &announced, record.Stamp{}))
		require.NoError(t, b.Restore(record.KindAnnounced, &announced, record.Stamp{}), "twice")
		restoreEntries(t, b)
		sorted, err := b.sort(true)
		require.NoError(t, err)
		terms, err := b.sealedTerms().Digest()
		require.NoError(t, err)
		at := due.Add(-time.Millisecond)
		if late {
			at = due
		}
		frozen := record.Draw{Size: 2, Root: sorted.Root(), Terms: terms, MachineMs: at.UnixMilli()}
		require.NoError(t, b.Restore(record.KindFrozen, &frozen, record.Stamp{AtMs: at.UnixMilli()}))
		_, err = b.Run(standIn(t, b))
		if !late {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, draw.ErrLate)
		require.Equal(t, Void, b.Status().State)
		require.True(t, b.BecameVoid())
		require.False(t, b.BecameVoid(), "it is reported once")
	}
}

// Records that contradict each other are refused at the start: a second secret, sealed entries without one, another
// root.
func TestContradictingRecordsAreRefused(t *testing.T) {
	b, _ := newBallot(t)
	frozen := record.Draw{MachineMs: 1}
	require.ErrorIs(t, b.Restore(record.KindFrozen, &frozen, record.Stamp{}), record.ErrInvalid)
	require.NoError(t, b.Restore(record.KindAnnounced, &record.Draw{Secret: draw.Secret{5}}, record.Stamp{}))
	require.ErrorIs(t, b.Restore(record.KindAnnounced, &record.Draw{Secret: draw.Secret{6}}, record.Stamp{}),
		record.ErrInvalid)
	require.ErrorContains(t, b.Restore(record.KindFrozen, &frozen, record.Stamp{}), "frozen under other terms")
	require.ErrorContains(t, b.Restore(record.KindPostponed, &record.Draw{Round: 2000, MachineMs: 1}, record.Stamp{}),
		"postponed under other terms", "a stand-in is not postponed")

	// The secret was changed after the freeze: the handles have another root than the published one.
	terms, err := b.sealedTerms().Digest()
	require.NoError(t, err)
	restoreEntries(t, b)
	frozen = record.Draw{Size: 2, Root: draw.Digest{1}, Terms: terms, MachineMs: b.draw().RegistrationCloses.UnixMilli()}
	at := record.Stamp{AtMs: b.draw().RegistrationCloses.UnixMilli()}
	require.NoError(t, b.Restore(record.KindFrozen, &frozen, at))
	_, err = b.Run(standIn(t, b))
	require.ErrorContains(t, err, "published were 2 and 0100")
}
