package draw

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naiveDraw ranks and assigns literally as the rule is written: sort by HMAC, then give each rank the first slot with a
// free place, in the order of the opening instants.
func naiveDraw(entries []entry, seed Digest, rule SlotRule) (rank []uint32, slot []int32) {
	mac := func(i int) string {
		salt := hmac.New(sha256.New, secret()[:])
		salt.Write([]byte(entries[i].account))
		handle := sha([]byte("e"), salt.Sum(nil), []byte(entries[i].account))
		h := hmac.New(sha256.New, seed[:])
		h.Write(append(handle[:], 0))
		return string(h.Sum(nil))
	}
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if mac(a) < mac(b) {
			return -1
		}
		return 1
	})
	taken := map[int32]int{}
	firstFree := func(reserved bool) int32 {
		for k := int32(0); ; k++ {
			opens := rule.OpensAt.Add(time.Duration(k) * rule.Step)
			if opens.Add(rule.Length).After(rule.ClosesAt) {
				return -1
			}
			early := opens.Before(rule.OpensAt.AddDate(0, 0, rule.PriorityDays))
			if early == reserved && taken[k] < rule.Places {
				return k
			}
		}
	}
	rank, slot = make([]uint32, len(entries)), make([]int32, len(entries))
	for place, i := range order {
		rank[i], slot[i] = uint32(place)+1, -1
		if rule.Group != "" && entries[i].group == rule.Group {
			slot[i] = firstFree(true)
		}
		if slot[i] < 0 {
			slot[i] = firstFree(false)
		}
		taken[slot[i]]++
	}
	return rank, slot
}

// For any rule and any entries the draw equals the naive one, no slot is overfilled, and no non-member gets a priority
// slot.
func TestDrawEqualsTheNaiveDraw(t *testing.T) {
	beacon := published(t, 1000)
	rapid.Check(t, func(t *rapid.T) {
		var entries []entry
		for _, account := range names(60).Draw(t, "accounts") {
			entries = append(entries, entry{account, rapid.SampledFrom([]string{"", "", "club", "family"}).Draw(t, "group")})
		}
		terms := sealed(paris())
		terms.Slots = anyRule(t)
		result, err := Run(sealAs(t, entries, []string{"family", "club"}), terms, promptly(terms), beacon)
		require.NoError(t, err)
		rank, slot := naiveDraw(entries, result.Seed, terms.Slots)
		require.Equal(t, rank, result.Rank)
		require.Equal(t, slot, result.Slot)
		checkWinners(t, entries, result)
	})
}

func anyRule(t *rapid.T) SlotRule {
	hour := rapid.Int64Range(1, 60)
	opens := time.Date(2023, 2, 15, 9, 0, 0, 0, time.UTC)
	rule := SlotRule{
		OpensAt: opens, Length: time.Duration(hour.Draw(t, "length")) * time.Hour,
		Step: time.Duration(hour.Draw(t, "step")) * time.Hour, Places: rapid.IntRange(1, 5).Draw(t, "places"),
	}
	rule.ClosesAt = opens.Add(rule.Length + time.Duration(rapid.Int64Range(0, 300).Draw(t, "room"))*time.Hour)
	if rapid.Bool().Draw(t, "priority") {
		rule.Group, rule.PriorityDays = "club", rapid.IntRange(1, 10).Draw(t, "days")
	}
	return rule
}

func checkWinners(t require.TestingT, entries []entry, result *Result) {
	rule, filled, last := result.Terms.Slots, map[int32]int{}, uint32(0)
	for access := range result.Winners {
		require.Greater(t, access.Rank, last, "winners are ordered by rank")
		last = access.Rank
		filled[access.Slot]++
		require.LessOrEqual(t, filled[access.Slot], rule.Places)
		require.False(t, access.OpensAt.Before(rule.OpensAt))
		require.False(t, access.ClosesAt.After(rule.ClosesAt))
		require.Equal(t, rule.Length, access.ClosesAt.Sub(access.OpensAt))
		early := access.OpensAt.Before(rule.OpensAt.Add(time.Duration(rule.PriorityDays) * 24 * time.Hour))
		require.Equal(t, early, access.Priority)
		if early {
			require.Equal(t, rule.Group, entries[access.Entry].group, "a non-member in a priority slot")
		}
		again, won := result.Access(access.Entry)
		require.True(t, won)
		require.Equal(t, access, again)
	}
	won := 0
	for _, slot := range result.Slot {
		if slot >= 0 {
			won++
		}
	}
	total := 0
	for _, count := range filled {
		total += count
	}
	require.Equal(t, won, total)
}

// With the Paris rule and a slot every six hours, the sixteenth slot opens at hour 90 and is reserved for the Club. The
// next one, at hour 96, is not.
func TestFirstFourDays(t *testing.T) {
	terms := paris()
	plan, err := terms.Slots.schedule()
	require.NoError(t, err)
	require.EqualValues(t, 16, plan.priority)
	require.Equal(t, terms.Slots.OpensAt.Add(96*time.Hour), plan.opensAt(16))
	require.False(t, plan.opensAt(plan.slots-1).Add(48*time.Hour).After(terms.Slots.ClosesAt))
	require.True(t, plan.opensAt(plan.slots).Add(48*time.Hour).After(terms.Slots.ClosesAt))

	terms.Slots.Step = 7 * time.Hour // hour 91 opens within the four days, hour 98 does not
	plan, err = terms.Slots.schedule()
	require.NoError(t, err)
	require.EqualValues(t, 14, plan.priority)
}

func TestTermsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Terms)
		want   error
	}{
		{"no id", func(t *Terms) { t.Draw = "" }, ErrTerms},
		{"id to be quoted", func(t *Terms) { t.Draw = `a"b` }, ErrTerms},
		{"no phase", func(t *Terms) { t.Phase = "" }, ErrTerms},
		{"half a second", func(t *Terms) { t.ClosesAt = t.ClosesAt.Add(time.Second / 2) }, ErrTerms},
		{"chain hash", func(t *Terms) { t.Chain.Hash = "52DB" }, ErrTerms},
		{"genesis", func(t *Terms) { t.Chain.Genesis = time.Time{} }, ErrTerms},
		{"period", func(t *Terms) { t.Chain.Period = 0 }, ErrTerms},
		{"period of half a second", func(t *Terms) { t.Chain.Period = time.Second / 2 }, ErrTerms},
		{"round 0", func(t *Terms) { t.Round = 0 }, ErrTerms},
		{"round past the calendar", func(t *Terms) { t.Round = maxRound }, ErrTerms},
		{"public key", func(t *Terms) { t.Chain.PublicKey = "00" }, errPublicKey},
		{"round before the close", func(t *Terms) { t.StandIn, t.ClosesAt = false, t.Chain.RoundTime(1000) },
			errRoundBeforeClose},
		{"phase shorter than a slot", func(t *Terms) { t.Slots.ClosesAt = t.Slots.OpensAt.Add(48*time.Hour - time.Second) },
			errNoSlot},
		{"phase ends before it begins", func(t *Terms) { t.Slots.ClosesAt = t.Slots.OpensAt.Add(-time.Hour) }, errNoSlot},
		{"no time to publish", func(t *Terms) { t.PublishWithin = 0 }, ErrTerms},
		{"little time to publish", func(t *Terms) { t.PublishWithin = MinPublishWithin - time.Second }, ErrTerms},
		{"a year to publish", func(t *Terms) { t.PublishWithin = MaxPublishWithin + time.Second }, ErrTerms},
		{"fractions of a second", func(t *Terms) { t.PublishWithin++ }, ErrTerms},
		{"no commitment", func(t *Terms) { t.Commitment = Digest{} }, ErrTerms},
		{"a round too soon", func(t *Terms) {
			t.StandIn, t.ClosesAt = false, t.Chain.RoundTime(t.Round).Add(-10*time.Minute+time.Second)
		}, errPublishWithin},
		{"no places", func(t *Terms) { t.Slots.Places = 0 }, errNoPlaces},
		{"too many places", func(t *Terms) { t.Slots.Places = MaxEntries + 1 }, errSlotRule},
		{"no step", func(t *Terms) { t.Slots.Step = 0 }, errSlotRule},
		{"no length", func(t *Terms) { t.Slots.Length = 0 }, errSlotRule},
		{"a century", func(t *Terms) { t.Slots.ClosesAt = t.Slots.OpensAt.AddDate(100, 0, 0) }, errSlotRule},
		{"a slot a second", func(t *Terms) { t.Slots.Step = time.Second }, errSlotRule},
		{"days without a group", func(t *Terms) { t.Slots.Group = "" }, errSlotRule},
		{"a group without days", func(t *Terms) { t.Slots.PriorityDays = 0 }, errSlotRule},
		{"negative days", func(t *Terms) { t.Slots.PriorityDays = -1 }, errSlotRule},
		{"group to be quoted", func(t *Terms) { t.Slots.Group = "a,b" }, errSlotRule},
		{"phase in nanoseconds", func(t *Terms) { t.Slots.OpensAt = t.Slots.OpensAt.Add(1) }, errSlotRule},
	} {
		terms := sealed(paris())
		c.change(&terms)
		_, err := Run(sealAs(t, []entry{{"a", ""}}, nil), terms, promptly(terms), published(t, 1000))
		require.ErrorIs(t, err, c.want, c.name)
	}
}

// Equal keys are ordered by the whole value, and equal whole values by the account.
func TestTies(t *testing.T) {
	whole := map[uint32][]byte{4: {1, 9}, 0: {1, 7}, 2: {1, 8}, 3: {1, 7}, 1: {2}, 5: {0}}
	keys := []keyed{{0, 5}, {1, 4}, {1, 3}, {1, 2}, {1, 0}, {2, 1}}
	breakTies(keys, func(position uint32) []byte { return whole[position] })
	require.Equal(t, []keyed{{0, 5}, {1, 0}, {1, 3}, {1, 2}, {1, 4}, {2, 1}}, keys)
}

// The radix sort, which only larger draws use, is stable and equals a comparison sort.
func TestSortKeys(t *testing.T) {
	for _, bits := range []int{64, 40, 11, 3, 0} {
		keys := make([]keyed, 10_000)
		for i := range keys {
			digest := sha(fmt.Appendf(nil, "sort %d %d", bits, i))
			keys[i] = keyed{binary.BigEndian.Uint64(digest[:]) >> (64 - bits), uint32(i)}
		}
		want := slices.SortedStableFunc(slices.Values(keys), func(a, b keyed) int {
			switch {
			case a.key < b.key:
				return -1
			case a.key > b.key:
				return 1
			}
			return 0
		})
		sortKeys(keys, make([]keyed, len(keys)))
		require.Equal(t, want, keys, "%d bits", bits)
	}
}

// Without entries, the root is the hash of the empty string, and there are no winners.
func TestEmptyDraw(t *testing.T) {
	result, err := Run(sealAs(t, nil, nil), sealed(paris()), promptly(paris()), published(t, 1000))
	require.NoError(t, err)
	require.Equal(t, sha(), result.Root)
	for range result.Winners {
		t.Fatal("a winner")
	}
}
