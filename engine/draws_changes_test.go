package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// withGroup is withDraw for a sale that has a priority group; without is the same one without that group.
func withGroup(t testing.TB, was *catalog.Sale) (with, without *catalog.Sale) {
	with = withDraw(t, was, func(s *catalog.Sale) { s.Groups = []catalog.Group{{ID: "club"}} })
	return with, withDraw(t, was, func(s *catalog.Sale) { s.Groups = nil })
}

// An entry is made with a group of the definition in force, although that is not durable yet. Its refusal waits (I5).
func TestNobodyEntersWithAGroupThatIsRemoved(t *testing.T) {
	synctest.Test(t, nobodyEntersWithAGroupThatIsRemoved)
}

func nobodyEntersWithAGroupThatIsRemoved(t *testing.T) {
	ctx := t.Context()
	s, kept := newChanging(t, engine.Sync)
	with, without := withGroup(t, s.e.Sale())
	s.apply(t, with)
	end := s.undurable(t, kept, func() error { _, err := s.e.Apply(ctx, without, draw.Digest{}); return err })
	entered := begun(func() error { _, err := s.e.Enter(ctx, "late", "ann", "club"); return err })
	require.Empty(t, entered, "an answer before the removal is durable")
	require.NoError(t, end())
	require.Equal(t, engine.MalformedRequest, codeOf(t, <-entered))
	plan, err := s.e.Plan(without)
	require.NoError(t, err)
	require.Empty(t, plan.Objections)
	_, err = s.e.Enter(ctx, "late", "ann", "")
	require.NoError(t, err)
}

// Either accounts enter with a group, or it is removed.
func TestEntriesWhileTheirGroupIsRemoved(t *testing.T) {
	ctx := context.Background()
	s, _ := newChanging(t, engine.Sync)
	with, without := withGroup(t, s.e.Sale())
	removals := 0
	for i := range 40 {
		account := fmt.Sprint("account", i)
		s.apply(t, with)
		entered := make(chan error, 1)
		go func() { _, err := s.e.Enter(ctx, "late", account, "club"); entered <- err }()
		_, err := s.e.Apply(ctx, without, draw.Digest{})
		refusal := <-entered
		if err == nil {
			require.Equal(t, engine.MalformedRequest, codeOf(t, refusal))
			removals++
			continue
		}
		require.NoError(t, refusal)
		_, isRefused := errors.AsType[*engine.ChangeRefused](err)
		require.True(t, isRefused, "%v", err)
		require.ErrorContains(t, err, "group club: accounts have entered a draw with it; keep it")
		require.NoError(t, s.e.WithdrawEntry(ctx, "late", account))
	}
	t.Log("removed before the entry:", removals)
}

// I5: a refusal of the operator's call for a draw reveals only a definition that is durable.
func TestARefusedFreezeRevealsOnlyWhatIsDurable(t *testing.T) {
	synctest.Test(t, refusedFreezeRevealsOnlyWhatIsDurable)
}

func refusedFreezeRevealsOnlyWhatIsDurable(t *testing.T) {
	ctx := t.Context()
	s, kept := newChanging(t, engine.Sync)
	was := s.e.Sale()
	s.apply(t, withDraw(t, was, nil))
	s.clock.set(saleStart.Add(time.Hour))
	longer := withDraw(t, was, func(s *catalog.Sale) { s.Draws[0].RegistrationCloses = saleStart.Add(2 * time.Hour) })
	end := s.undurable(t, kept, func() error { _, err := s.e.Apply(ctx, longer, draw.Digest{}); return err })
	frozen := begun(func() error { _, err := s.e.FreezeDraw(ctx, "late"); return err })
	run := begun(func() error { _, err := s.e.RunDraw(ctx, "late", draw.Beacon{}); return err })
	require.Empty(t, frozen, "an answer before the change is durable")
	require.Empty(t, run, "an answer before the change is durable")
	require.NoError(t, end())
	require.ErrorIs(t, <-frozen, engine.ErrRegistrationOpen)
	require.ErrorIs(t, <-run, engine.ErrRegistrationOpen)
}
