package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
)

// I6: a checkpoint taken while callers buy and the definition, the stock and pauses change replays to the same as all
// records, wherever the journal ends after it. A start with another definition then has the same result, too.
func TestCheckpointsOfAChangingSale(t *testing.T) {
	random := seeded(t)
	sale := stressSale(t, 4, 40)
	kept := checkpointed(t, random, sale)
	t.Logf("%d checkpoints, %d groups", len(kept.checkpoints), len(kept.groups))
	for range rounds(t, 16) {
		c := kept.checkpoints[random.IntN(len(kept.checkpoints))]
		end := drawnEnd(random, kept.groups, c.info.End)
		where := fmt.Sprintf("checkpoint %d to %d, records to %d", c.info.Start, c.info.End, end)
		other := drawnSale(random, sale)
		other.Files = nil
		all, later := kept.until(end), kept.until(end)
		later.checkpoints = []storedCheckpoint{c}
		require.Equal(t, startsOf(t, all, sale, other), startsOf(t, later, sale, other), where)
	}
}

// checkpointed returns the journal of a sale, with the checkpoints taken during calls and changes of every kind.
func checkpointed(t *testing.T, random *rand.Rand, sale *catalog.Sale) *store {
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart.Add(time.Second))
	require.NoError(t, s.start())
	stop := s.sellMeanwhile(t, random, 3, &tally{n: map[engine.Code]int{}}, func() bool {
		_, err := s.e.Checkpoint(context.Background())
		return assert.NoError(t, err)
	})
	for range rounds(t, 200) {
		_ = s.changeAnything(random, sale) // TestEverythingChangesAtOnce judges the errors
	}
	stop()
	require.NoError(t, s.e.Close())
	return kept
}

// drawnEnd returns the end of a group that is at first or after it: mostly of one of the first three, as later changes
// hide what a checkpoint lacks.
func drawnEnd(random *rand.Rand, groups []journal.Group, first uint64) uint64 {
	at := slices.IndexFunc(groups, func(g journal.Group) bool { return g.Last() >= first })
	next := len(groups) - at
	if random.IntN(4) > 0 {
		next = min(next, 3)
	}
	return groups[at+random.IntN(next)].Last()
}

// startsOf returns what a start shows that changes nothing, how it plans another definition, and what a start with that
// shows, unless there are objections.
func startsOf(t *testing.T, kept *store, sale, other *catalog.Sale) (shown []any) {
	found, groups := verify(t, kept.open(), nil), len(kept.groups)
	s := sellerOn(sale, kept)
	s.clock.set(saleStart.Add(time.Second))
	require.NoError(t, s.start())
	inForce := allInForce(t, s.e)
	require.Equal(t, inForce.Digest, found.Digest)
	require.Equal(t, inForce.Version, found.Version)
	require.True(t, s.soundly(t))
	plan, err := s.e.Plan(other)
	require.NoError(t, err)
	shown = append(shown, inForce, s.counted(t), plan)
	require.NoError(t, s.e.Close())
	s.options.Sale = other
	if err = s.start(); len(plan.Objections) > 0 {
		require.Error(t, err)
		require.Len(t, kept.groups, groups, "something is written")
		return shown
	}
	require.NoError(t, err)
	shown = append(shown, allInForce(t, s.e), s.counted(t))
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), nil)
	return shown
}

// counted returns the tickets of the accounts of buyAndGiveBack.
func (s *seller) counted(t *testing.T) (all []engine.Account) {
	for i := range 12 {
		a, err := s.e.Account(t.Context(), fmt.Sprint("a", i))
		require.NoError(t, err)
		a.Reservations = nil // a checkpoint does not have those that are forgotten
		all = append(all, a)
	}
	return all
}
