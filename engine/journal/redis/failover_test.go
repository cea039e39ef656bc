package redis

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// candidate is a standby of TestOneClaimPerFailover.
type candidate struct {
	journal *Journal
	got     contents
}

// TestOneClaimPerFailover (I8) has eight standbys claim at once whenever the leader has died or stepped down, through
// a network that loses requests and replies. One leads, in the next epoch. Each of the others gets
// ErrNotSilent, follows the new leader from where it was, and has every group once.
func TestOneClaimPerFailover(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t)
	proxy := redistest.NewProxy(t, s.Addr())
	plan := rand.New(rand.NewPCG(r.Uint64(), 0))
	proxy.Plan(func(redistest.Piece) redistest.Fault { return redistest.Fault{Lose: plan.IntN(7) == 0} })
	name := freshName()
	open := func() *candidate {
		j, err := Open(Options{Address: proxy.URL(), Name: name, Timeout: faultyTimeout})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, j.Close()) })
		return &candidate{journal: j}
	}
	standbys := make([]*candidate, 8)
	for i := range standbys {
		standbys[i] = open()
	}
	var want []journal.Group
	for round := range rounds(t, 12) {
		// The journal has no leader, so all find it silent, and then claim at once.
		errs := make([]error, len(standbys))
		var silent, claimed sync.WaitGroup
		silent.Add(len(standbys))
		for i, c := range standbys {
			claimed.Go(func() {
				_, errs[i] = c.journal.Follow(t.Context(), c.got.into(), 20*time.Millisecond, func(string) {})
				silent.Done()
				silent.Wait()
				if errs[i] == nil {
					errs[i] = c.journal.Claim(t.Context(), "http://leader.test:8080")
				}
			})
		}
		claimed.Wait()
		leader := -1
		for i, c := range standbys {
			require.Equal(t, want, c.got.groups, "standby %d in round %d", i, round)
			if errs[i] != nil {
				require.ErrorIs(t, errs[i], journal.ErrNotSilent)
				continue
			}
			require.Negative(t, leader, "two standbys lead after round %d", round)
			leader = i
		}
		require.GreaterOrEqual(t, leader, 0, "no standby leads after round %d", round)
		now := standbys[leader].journal
		require.EqualValues(t, round+1, now.Epoch())
		for range r.IntN(3) {
			g := testGroup(now.Status().Last+1, 1+r.IntN(9))
			require.NoError(t, now.Append(t.Context(), g))
			want = append(want, g)
		}
		if r.IntN(2) == 0 {
			require.NoError(t, now.StepDown(t.Context()))
		} else {
			abandon(now)
		}
		standbys[leader] = open()
	}
	proxy.Plan(nil)
	claims := 0
	for _, m := range messagesOf(t, standbys[0].journal.link) {
		if m.kind() == claimType {
			claims++
		}
	}
	require.Equal(t, rounds(t, 12), claims)
}
