package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
)

func requireRefused(t *testing.T, err error, code engine.Code) {
	t.Helper()
	var refusal *engine.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code)
}

// An entry is taken back until the entries are frozen. The account may enter again, with another group. Restarts, from
// the journal and from checkpoints between the records, and verify agree.
func TestEntriesAreWithdrawn(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	withdraw := func(account string) error { return r.e.WithdrawEntry(t.Context(), "draw1", account) }
	count := func(want int) {
		t.Helper()
		status, err := r.e.Draw("draw1")
		require.NoError(t, err)
		require.Equal(t, want, status.Entries)
	}
	requireRefused(t, r.e.WithdrawEntry(t.Context(), "draw9", "alice"), engine.DrawNotFound)
	requireRefused(t, withdraw("alice"), engine.EntryNotFound)
	for account, group := range map[string]string{"alice": "club", "bob": "", "carol": "", "dave": "club"} {
		r.enter(account, group)
	}
	r.checkpoint()
	require.NoError(t, withdraw("alice"))
	require.NoError(t, withdraw("bob"))
	count(2)
	requireRefused(t, withdraw("alice"), engine.EntryNotFound)
	_, err := r.e.Entry(t.Context(), "draw1", "alice")
	requireRefused(t, err, engine.EntryNotFound)
	_, err = r.e.Entry(t.Context(), "draw1", "carol")
	requireRefused(t, err, engine.DrawNotRun)

	r.restart() // a checkpoint with all four, and the withdrawals after it
	count(2)
	require.False(t, r.enter("alice", "").Repeated)
	count(3)
	r.checkpoint()
	require.NoError(t, withdraw("carol"))
	r.restart()
	count(2)
	again := r.enter("alice", "club")
	require.True(t, again.Repeated)
	require.Empty(t, again.Group, "with the group of the second entry")

	r.at(r.draw1.RegistrationCloses)
	require.NoError(t, withdraw("dave"), "the entries are not frozen yet")
	frozen, err := r.e.FreezeDraw(t.Context(), "draw1")
	require.NoError(t, err)
	require.Equal(t, 1, frozen.Entries)
	requireRefused(t, withdraw("alice"), engine.RegistrationClosed)
	_, err = r.e.RunDraw(t.Context(), "draw1", standIn(t, r.draw1))
	require.NoError(t, err)
	for range 2 {
		entry, err := r.e.Entry(t.Context(), "draw1", "alice")
		require.NoError(t, err)
		require.Equal(t, uint32(1), entry.Rank)
		_, err = r.e.Entry(t.Context(), "draw1", "dave")
		requireRefused(t, err, engine.EntryNotFound)
		requireRefused(t, withdraw("alice"), engine.RegistrationClosed)
		r.restart()
	}
	require.Equal(t, 1, r.audit().Entries[0])
}

// Without a journal nothing drains the record of a withdrawal.
func TestEntriesAreWithdrawnWithoutAJournal(t *testing.T) {
	sale := catalog.Paris2024()
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None, MaxAccounts: 1 << 10,
		MaxReservations: 1 << 10,
		Clock:           saleclock.Virtual(func() time.Time { return sale.Draws[0].RegistrationOpens })})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	for range 3 {
		entry, err := e.Enter(t.Context(), "draw1", "alice", "")
		require.NoError(t, err)
		require.False(t, entry.Repeated)
		require.NoError(t, e.WithdrawEntry(t.Context(), "draw1", "alice"))
		requireRefused(t, e.WithdrawEntry(t.Context(), "draw1", "alice"), engine.EntryNotFound)
	}
	status, err := e.Draw("draw1")
	require.NoError(t, err)
	require.Zero(t, status.Entries)
}

// I3, I5, I6: Entries and withdrawals of an account race with each other, with checkpoints and with the freeze. What
// was acknowledged last for an account is what is frozen, before and after a restart, and verify finds every step
// legal.
func TestWithdrawalsRace(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	r.at(r.draw1.RegistrationCloses.Add(-time.Second))
	const callers, each, accounts = 8, 60, 5
	stop, stopped := make(chan struct{}), make(chan error)
	go func() { stopped <- checkpointUntil(r.e, stop) }()
	entered := make([]map[string]string, callers) // each caller has accounts of its own, and their groups
	var all sync.WaitGroup
	for caller := range callers {
		mine := map[string]string{}
		entered[caller] = mine
		random := rand.New(rand.NewPCG(13, uint64(caller)))
		all.Go(func() {
			for range each {
				account := fmt.Sprintf("c%d-%d", caller, random.IntN(accounts))
				if _, there := mine[account]; there {
					if err := r.e.WithdrawEntry(context.Background(), "draw1", account); err != nil {
						t.Errorf("%s: %v", account, err)
					}
					delete(mine, account)
					continue
				}
				group := []string{"", "club"}[random.IntN(2)]
				entry, err := r.e.Enter(context.Background(), "draw1", account, group)
				if err != nil || entry.Repeated || entry.Group != group {
					t.Errorf("%s: %+v, %v", account, entry, err)
				}
				mine[account] = group
			}
		})
	}
	// These compete for one account; which of them succeed is open.
	for range 2 {
		all.Go(func() {
			for range each {
				_, err := r.e.Enter(context.Background(), "draw1", "shared", "")
				err = errors.Join(err, ignore(r.e.WithdrawEntry(context.Background(), "draw1", "shared"), engine.EntryNotFound))
				if ignore(err, engine.Overloaded) != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, ignore(r.e.WithdrawEntry(t.Context(), "draw1", "shared"), engine.EntryNotFound))
	close(stop)
	require.NoError(t, <-stopped)
	r.at(r.draw1.RegistrationCloses)
	want := 0
	for _, mine := range entered {
		want += len(mine)
	}
	for range 2 {
		frozen, err := r.e.FreezeDraw(t.Context(), "draw1")
		require.NoError(t, err)
		require.Equal(t, want, frozen.Entries)
		for caller, mine := range entered {
			for i := range accounts {
				account := fmt.Sprintf("c%d-%d", caller, i)
				group, there := mine[account]
				entry, err := r.e.Enter(t.Context(), "draw1", account, "")
				if !there {
					requireRefused(t, err, engine.RegistrationClosed)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, group, entry.Group, account)
			}
		}
		r.restart()
	}
	require.Equal(t, want, r.audit().Entries[0])
}

// ignore returns nil for a refusal with the code.
func ignore(err error, code engine.Code) error {
	if refusal := (*engine.Refusal)(nil); errors.As(err, &refusal) && refusal.Code == code {
		return nil
	}
	return err
}
