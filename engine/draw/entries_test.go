package draw

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// entry is an entry of a test.
type entry struct{ account, group string }

// names generates accounts of different lengths, many of which share a prefix.
func names(most int) *rapid.Generator[[]string] {
	account := rapid.OneOf(
		rapid.StringMatching(`[a-b]{1,4}`),
		rapid.StringMatching(`[a-b]{7,9}`),
		rapid.StringMatching(`same-beginning-[a-c]{0,3}`),
		rapid.StringMatching(`[A-Za-z0-9._:@-]{1,64}`),
	)
	return rapid.SliceOfNDistinct(account, 0, most, rapid.ID)
}

// For any accounts, the order is that of their bytes, the root is that of the RFC, and every entry is found and proved.
func TestFreezeSortsAndProves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []entry
		for _, account := range names(40).Draw(t, "accounts") {
			group := rapid.SampledFrom([]string{"", "club", "family"}).Draw(t, "group")
			entries = append(entries, entry{account, group})
		}
		frozen := freezeAs(t, entries, []string{"club", "family"})

		sorted := slices.SortedFunc(slices.Values(entries),
			func(a, b entry) int { return strings.Compare(a.account, b.account) })
		leaves := make([][]byte, len(sorted))
		for position, one := range sorted {
			leaves[position] = []byte(one.account + "\x1f" + one.group)
			require.Equal(t, one.account, string(frozen.Account(position)))
			require.Equal(t, one.group, frozen.Group(position))
			require.Equal(t, one, entries[frozen.order[position]])
		}
		require.Equal(t, naiveRoot(leaves), frozen.Root())
		for position, one := range sorted {
			found, ok := frozen.Find([]byte(one.account))
			require.True(t, ok)
			require.Equal(t, position, found)
			proof := frozen.Proof(position)
			require.True(t, proof.Verify(frozen.Root(), one.account, one.group))
			require.False(t, proof.Verify(frozen.Root(), one.account, one.group+"x"))
			require.False(t, proof.Verify(frozen.Root(), one.account+"x", one.group))
		}
		_, ok := frozen.Find([]byte("none~"))
		require.False(t, ok)
	})
}

// freezeAs freezes entries of the given groups.
func freezeAs(t require.TestingT, entries []entry, groups []string) *Entries {
	frozen, err := Freeze(len(entries), func(i int) []byte { return []byte(entries[i].account) },
		func(i int) uint8 { return uint8(slices.Index(groups, entries[i].group) + 1) }, groups)
	require.NoError(t, err)
	return frozen
}

// The radix sort is used from 4,096 entries on. This covers it at three depths of eight bytes.
func TestFreezeSortsMany(t *testing.T) {
	entries := make([]entry, 30_000)
	for i := range entries {
		entries[i].account = fmt.Sprintf("%.*s%d", i%3*8, "common-beginning", i*7919%len(entries))
	}
	frozen := freezeAs(t, entries, nil)
	for position := 1; position < len(entries); position++ {
		require.Negative(t, bytes.Compare(frozen.Account(position-1), frozen.Account(position)))
	}
	for i, one := range entries {
		position, found := frozen.Find([]byte(one.account))
		require.True(t, found)
		require.EqualValues(t, i, frozen.order[position])
	}
}

func TestFreezeRefuses(t *testing.T) {
	freezeThree := func(account string, group uint8, groups ...string) error {
		accounts := []string{"a", account, "c"}
		_, err := Freeze(3, func(i int) []byte { return []byte(accounts[i]) }, func(int) uint8 { return group }, groups)
		return err
	}
	require.NoError(t, freezeThree("b", 1, "club"))
	require.NoError(t, freezeThree(strings.Repeat("x", maxName), 0))
	for _, account := range []string{"", strings.Repeat("x", maxName+1), "b\x1f", "b,", `"b"`, "b\n", "b\r", "b c",
		"\xff", "é", "b\x00"} {
		require.ErrorIs(t, freezeThree(account, 0), errAccount, "%q", account)
	}
	for _, twin := range []string{"a", "c"} {
		require.ErrorIs(t, freezeThree(twin, 0), errDuplicateAccount)
	}
	require.ErrorIs(t, freezeThree("b", 1), errGroup)
	require.ErrorIs(t, freezeThree("b", 2, "club"), errGroup)
	for _, groups := range [][]string{{""}, {"club\x1f"}, {"club", "club"}, make([]string, MaxGroups+1)} {
		require.ErrorIs(t, freezeThree("b", 0, groups...), errGroup, "%q", groups)
	}
	_, err := Freeze(MaxEntries+1, nil, nil, nil)
	require.ErrorIs(t, err, errTooManyEntries)
}

// A duplicate is found at any position, also among names longer than the eight bytes that are compared at a time.
func TestFreezeFindsEveryDuplicate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		accounts := names(30).Filter(func(all []string) bool { return len(all) > 0 }).Draw(t, "accounts")
		accounts = append(accounts, rapid.SampledFrom(accounts).Draw(t, "twin"))
		_, err := Freeze(len(accounts), func(i int) []byte { return []byte(accounts[i]) }, func(int) uint8 { return 0 }, nil)
		require.ErrorIs(t, err, errDuplicateAccount)
		require.ErrorContains(t, err, fmt.Sprintf("%q", accounts[len(accounts)-1]))
	})
}

// The separator makes the leaf of (ab, "") different from that of (a, b).
func TestLeavesAreUnambiguous(t *testing.T) {
	require.NotEqual(t, leafHash([]byte("ab"), ""), leafHash([]byte("a"), "b"))
	require.Equal(t, sha([]byte("\x00a\x1fb")), leafHash([]byte("a"), "b"))
}
