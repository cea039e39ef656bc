package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/record"
)

// membersAt follows the members of the group club through a journal. It requires that whoever holds is one, and returns
// how many holds there are.
func membersAt(t testing.TB, kept *store) (holds int, is map[string]bool) {
	is = map[string]bool{}
	for _, g := range kept.groups {
		require.NoError(t, eachRecord(g.Records, func(b []byte) {
			var r record.Record
			require.NoError(t, r.Decode(b))
			switch r.Kind {
			case record.KindJoined, record.KindLeft:
				require.NotEqual(t, r.Kind == record.KindJoined, is[r.Member.Account], "a record that changes nothing")
				is[r.Member.Account] = r.Kind == record.KindJoined
			case record.KindTaken, record.KindReplaced, record.KindTakenAgain:
				holds++
				require.True(t, is[r.Request.Account], "%s holds and is no member", r.Request.Account)
			}
		}))
	}
	return holds, is
}

// I2, I5, I6: accounts join and leave while they buy, with checkpoints between and through restarts. No hold of an
// account stands in the journal after the end of its membership. Whoever was told that the account is a member may
// buy, and nobody who was told that it is none.
func TestMembersComeAndGoWhileTheyBuy(t *testing.T) {
	random := seeded(t)
	s, kept := newMembers(t, engine.Sync)
	refused, passed := 0, 0
	for range rounds(t, 6) {
		r, p := s.comeAndGo(t, random)
		refused, passed = refused+r, passed+p
		require.NoError(t, s.Restart())
		_, is := membersAt(t, kept)
		count := 0
		for account, member := range is {
			shown, err := s.e.Member("club", account)
			require.NoError(t, err)
			require.Equal(t, member, shown, account)
			if member {
				count++
			}
		}
		n, err := s.e.Members("club")
		require.NoError(t, err)
		require.Equal(t, count, n)
	}
	holds, _ := membersAt(t, kept)
	require.Positive(t, refused)
	require.Equal(t, passed, holds)
	t.Log("passed", passed, "refused", refused)
	verify(t, kept.open(), nil)
}

// comeAndGo has the operator of each account change its membership again and again, and its buyers buy. The operator
// knows whether the account is a member between its changes.
func (s *seller) comeAndGo(t testing.TB, random *rand.Rand) (refused, passed int) {
	var all sync.WaitGroup
	var lock sync.Mutex
	buy := func(account string) engine.Code {
		id, err := s.hold(account, "S0", 1)
		lock.Lock()
		defer lock.Unlock()
		if err != nil {
			refused++
			return codeOf(t, err)
		}
		passed++
		var r engine.Reservation
		require.NoError(t, s.e.Release(context.Background(), id, &r))
		return ""
	}
	for i := range 3 {
		account, random := fmt.Sprint("account", i), rand.New(rand.NewPCG(random.Uint64(), 0))
		all.Go(func() {
			for range 40 {
				ctx := context.Background()
				if random.IntN(2) == 0 {
					_, err := s.e.Join(ctx, "club", []string{account})
					require.NoError(t, err)
					require.NotEqual(t, engine.NoAccessSlot, buy(account))
				} else {
					_, err := s.e.Leave(ctx, "club", account)
					require.NoError(t, err)
					require.Equal(t, engine.NoAccessSlot, buy(account))
				}
			}
		})
		all.Go(func() {
			for range 300 { // a checkpoint has all of them, and pauses for the buyers
				buy(account)
			}
		})
	}
	all.Go(func() {
		for range 3 {
			_, err := s.e.Checkpoint(context.Background())
			require.NoError(t, err)
		}
	})
	all.Wait()
	return refused, passed
}
