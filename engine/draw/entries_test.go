package draw

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
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

// For any accounts, sealed entries are in the order of their handles, the root is that of the RFC, and every entry is
// found, proved and opened. No byte of an account is left.
func TestFreezeSealsSortsAndProves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []entry
		for _, account := range names(40).Draw(t, "accounts") {
			group := rapid.SampledFrom([]string{"", "club", "family"}).Draw(t, "group")
			entries = append(entries, entry{account, group})
		}
		frozen := sealAs(t, entries, []string{"club", "family"})
		handle := func(account string) Digest {
			mac := hmac.New(sha256.New, secret()[:])
			mac.Write([]byte(account))
			return sha([]byte("e"), mac.Sum(nil), []byte(account))
		}
		sorted := slices.SortedFunc(slices.Values(entries), func(a, b entry) int {
			first, second := handle(a.account), handle(b.account)
			return bytes.Compare(first[:], second[:])
		})
		leaves := make([][]byte, len(sorted))
		for position, one := range sorted {
			of := handle(one.account)
			leaves[position] = []byte(string(of[:]) + "\x01" + one.group)
			require.Equal(t, of[:], frozen.name(position))
			require.Equal(t, one.group, frozen.Group(position))
			require.Equal(t, one, entries[frozen.order[position]])
		}
		require.Equal(t, naiveRoot(leaves), frozen.Root())
		for position, one := range sorted {
			of := HandleOf(secret().Salt(one.account), one.account)
			found, ok := frozen.Find(of[:])
			require.True(t, ok)
			require.Equal(t, position, found)
			proof := frozen.Proof(position)
			require.True(t, proof.Verify(frozen.Root(), of, one.group))
			require.False(t, proof.Verify(frozen.Root(), of, one.group+"x"))
			other := HandleOf(secret().Salt(one.account), one.account+"x")
			require.False(t, proof.Verify(frozen.Root(), other, one.group), "the salt opens the handle to one account")
		}
		_, ok := frozen.Find(make([]byte, handleSize))
		require.False(t, ok)
	})
}

// Another secret, another account or another group gives another root: the root fixes them all before the beacon.
func TestRootFixesTheSecret(t *testing.T) {
	entries := []entry{{"ann", ""}, {"bob", "club"}, {"eve", ""}}
	root := sealAs(t, entries, []string{"club"}).Root()
	other := *secret()
	other[31] ^= 1
	changed, err := Freeze(&other, 3, func(into []byte, i int) []byte { return append(into, entries[i].account...) },
		func(i int) uint8 { return uint8(i % 2) }, []string{"club"})
	require.NoError(t, err)
	require.NotEqual(t, root, changed.Root())
	require.NotEqual(t, secret().Commitment(), other.Commitment())
	require.NotContains(t, fmt.Sprintf("%v %+v %s %x %q", &other, other, &other, other, struct{ Of Secret }{other}),
		fmt.Sprintf("%x", other[:4]), "it is not printed")
}

// For any accounts of format 1, the order is that of their bytes, the root is that of the RFC, and every entry is found
// and proved.
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
			require.Equal(t, one.account, string(frozen.name(position)))
			require.Equal(t, one.group, frozen.Group(position))
			require.Equal(t, one, entries[frozen.order[position]])
		}
		require.Equal(t, naiveRoot(leaves), frozen.Root())
		for position, one := range sorted {
			found, ok := frozen.Find([]byte(one.account))
			require.True(t, ok)
			require.Equal(t, position, found)
			proof := frozen.Proof(position)
			require.True(t, proof.VerifyAccount(frozen.Root(), one.account, one.group))
			require.False(t, proof.VerifyAccount(frozen.Root(), one.account, one.group+"x"))
			require.False(t, proof.VerifyAccount(frozen.Root(), one.account+"x", one.group))
		}
		_, ok := frozen.Find([]byte("none~"))
		require.False(t, ok)
	})
}

// freezer is Freeze with the secret of the tests, or FreezeAccounts.
type freezer func(n int, account func([]byte, int) []byte, group func(int) uint8, groups []string) (*Entries, error)

// freezers are those of both formats, by name.
var freezers = map[string]freezer{"accounts": FreezeAccounts,
	"sealed": func(n int, account func([]byte, int) []byte, group func(int) uint8, groups []string) (*Entries, error) {
		return Freeze(secret(), n, account, group, groups)
	}}

func (f freezer) of(t require.TestingT, entries []entry, groups []string) *Entries {
	frozen, err := f(len(entries), func(into []byte, i int) []byte { return append(into, entries[i].account...) },
		func(i int) uint8 { return uint8(slices.Index(groups, entries[i].group) + 1) }, groups)
	require.NoError(t, err)
	return frozen
}

// freezeAs freezes entries of the given groups in format 1, sealAs in format 2.
func freezeAs(t require.TestingT, entries []entry, groups []string) *Entries {
	return freezers["accounts"].of(t, entries, groups)
}

func sealAs(t require.TestingT, entries []entry, groups []string) *Entries {
	return freezers["sealed"].of(t, entries, groups)
}

// The radix sort is used from 4,096 entries on. For accounts this covers it at three depths of eight bytes.
func TestFreezeSortsMany(t *testing.T) {
	entries := make([]entry, 30_000)
	for i := range entries {
		entries[i].account = fmt.Sprintf("%.*s%d", i%3*8, "common-beginning", i*7919%len(entries))
	}
	for format, freezer := range freezers {
		frozen := freezer.of(t, entries, nil)
		for position := 1; position < len(entries); position++ {
			require.Negative(t, bytes.Compare(frozen.name(position-1), frozen.name(position)))
		}
		for i, one := range entries {
			name := []byte(one.account)
			if format == "sealed" {
				handle := HandleOf(secret().Salt(one.account), one.account)
				name = handle[:]
			}
			position, found := frozen.Find(name)
			require.True(t, found)
			require.EqualValues(t, i, frozen.order[position])
		}
	}
}

func TestFreezeRefuses(t *testing.T) {
	for format, freezer := range freezers {
		freezeThree := func(account string, group uint8, groups ...string) error {
			accounts := []string{"a", account, "c"}
			_, err := freezer(3, func(into []byte, i int) []byte { return append(into, accounts[i]...) },
				func(int) uint8 { return group }, groups)
			return err
		}
		require.NoError(t, freezeThree("b", 1, "club"))
		require.NoError(t, freezeThree(strings.Repeat("x", maxName), 0))
		for _, account := range []string{"", strings.Repeat("x", maxName+1), "b\x1f", "b,", `"b"`, "b\n", "b\r", "b c",
			"\xff", "é", "b\x00"} {
			require.ErrorIs(t, freezeThree(account, 0), errAccount, "%s: %q", format, account)
			require.ErrorContains(t, freezeThree(account, 0), "entry 1 ")
		}
		for _, twin := range []string{"a", "c"} {
			require.ErrorIs(t, freezeThree(twin, 0), errDuplicateAccount)
		}
		require.ErrorIs(t, freezeThree("b", 1), errGroup)
		require.ErrorIs(t, freezeThree("b", 2, "club"), errGroup)
		for _, groups := range [][]string{{""}, {"club\x1f"}, {"club", "club"}, make([]string, MaxGroups+1)} {
			require.ErrorIs(t, freezeThree("b", 0, groups...), errGroup, "%q", groups)
		}
		_, err := freezer(MaxEntries+1, nil, nil, nil)
		require.ErrorIs(t, err, errTooManyEntries)
	}
}

// A duplicate is found at any position, also among names longer than the eight bytes that are compared at a time.
func TestFreezeFindsEveryDuplicate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		accounts := names(30).Filter(func(all []string) bool { return len(all) > 0 }).Draw(t, "accounts")
		accounts = append(accounts, rapid.SampledFrom(accounts).Draw(t, "twin"))
		for format, freezer := range freezers {
			_, err := freezer(len(accounts), func(into []byte, i int) []byte { return append(into, accounts[i]...) },
				func(int) uint8 { return 0 }, nil)
			require.ErrorIs(t, err, errDuplicateAccount, format)
			require.ErrorContains(t, err, fmt.Sprintf("%q", accounts[len(accounts)-1]))
		}
	})
}

// The separator of format 1 makes the leaf of (ab, "") different from that of (a, b).
func TestLeavesAreUnambiguous(t *testing.T) {
	require.NotEqual(t, accountLeafHash([]byte("ab"), ""), accountLeafHash([]byte("a"), "b"))
	require.Equal(t, sha([]byte("\x00a\x1fb")), accountLeafHash([]byte("a"), "b"))
	handle := sha(nil)
	require.Equal(t, sha([]byte("\x00"), handle[:], []byte("\x01b")), leafHash(&handle, "b"))
}
