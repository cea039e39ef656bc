package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// The limits of a draw.
const (
	MaxEntries = 1 << 25 // with names of maxName bytes, offsets into the accounts' bytes still fit in 32 bits
	MaxGroups  = 255     // an entry's group is one byte, and 0 is none
	maxName    = 64      // bytes of an account or of a group's name
)

// ErrEntries is the error for entries that [Freeze] refuses. The text names the entry and the rule that it breaks.
var ErrEntries = errors.New("draw: invalid entries")

var (
	errAccount          = fmt.Errorf("%w: invalid account", ErrEntries)
	errDuplicateAccount = fmt.Errorf("%w: account entered twice", ErrEntries)
	errGroup            = fmt.Errorf("%w: invalid group", ErrEntries)
	errTooManyEntries   = fmt.Errorf("%w: too many entries", ErrEntries)
)

// leafSeparator separates account and group in a leaf. No name can contain it.
const leafSeparator = 0x1f

// Entries are the frozen registrations of a draw, sorted by the bytes of the account. They are immutable and may be
// read by any number of goroutines. Four million accounts of 16 bytes take about 105 MB.
type Entries struct {
	accounts []byte   // concatenated
	ends     []uint32 // ends[i] is the end of account i and the start of account i+1
	group    []uint8  // 0: none; otherwise 1 + index into groups
	order    []uint32 // the caller's index of account i
	groups   []string
	tree     tree
}

// Freeze sorts n entries, at most [MaxEntries], and builds their Merkle tree. It calls account and group once for each
// index from 0 to n-1, in this order and on one goroutine. An account is a name, see [IsName], and no two are equal;
// the slice that account returns must be valid until the next call. A group of 0 is none; otherwise it is 1 + an index
// into groups, which are up to [MaxGroups] different names.
//
// Four million entries take about 2 seconds on two cores, and together with [Run] less than 600 MiB at the peak: see
// BenchmarkDraw.
//
// The error is an [ErrEntries]. The draw cannot be held until the entry that it names is removed or corrected.
func Freeze(n int, account func(i int) []byte, group func(i int) uint8, groups []string) (*Entries, error) {
	if n > MaxEntries {
		return nil, fmt.Errorf("%w: %d of at most %d", errTooManyEntries, n, MaxEntries)
	}
	if err := checkGroups(groups); err != nil {
		return nil, err
	}
	unsorted := &Entries{
		accounts: make([]byte, 0, 24*n), // most accounts are shorter; unwritten pages take no memory
		ends:     make([]uint32, 0, n), group: make([]uint8, 0, n), groups: append([]string(nil), groups...),
	}
	for i := range n {
		name, member := account(i), group(i)
		if !IsName(name) {
			return nil, fmt.Errorf("%w: entry %d must be %s, not %q", errAccount, i, nameRule, name)
		}
		if int(member) > len(groups) {
			return nil, fmt.Errorf("%w: entry %d, %q, has group %d of %d", errGroup, i, name, member, len(groups))
		}
		unsorted.add(name, member)
	}
	return unsorted.freeze()
}

func (e *Entries) add(account []byte, member uint8) {
	e.accounts = append(e.accounts, account...)
	e.ends = append(e.ends, uint32(len(e.accounts)))
	e.group = append(e.group, member)
}

// freeze returns the entries in the order of their accounts, with the tree built over them.
func (e *Entries) freeze() (*Entries, error) {
	order, twin := sortAccounts(e)
	if twin >= 0 {
		return nil, fmt.Errorf("%w: %q, entries %d and %d", errDuplicateAccount, e.Account(int(order[twin])), order[twin],
			order[twin+1])
	}
	sorted := &Entries{
		accounts: make([]byte, 0, len(e.accounts)), ends: make([]uint32, 0, len(order)),
		group: make([]uint8, 0, len(order)), order: order, groups: e.groups,
	}
	for _, i := range order {
		sorted.add(e.Account(int(i)), e.group[i])
	}
	sorted.tree = newTree(len(order), sorted.leafHashes)
	return sorted, nil
}

func checkGroups(groups []string) error {
	if len(groups) > MaxGroups {
		return fmt.Errorf("%w: %d groups of at most %d", errGroup, len(groups), MaxGroups)
	}
	for i, name := range groups {
		if !IsName([]byte(name)) {
			return fmt.Errorf("%w: a name must be %s, not %q", errGroup, nameRule, name)
		}
		if slices.Contains(groups[:i], name) {
			return fmt.Errorf("%w: duplicate name %q", errGroup, name)
		}
	}
	return nil
}

// IsName reports whether name is valid for an account, a group, a draw or a phase: 1 to 64 characters from A-Z a-z 0-9
// . _ : @ -. A name cannot contain the separator of a leaf and needs no quoting in CSV and JSON files.
func IsName(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(name) && len(name) <= maxName
}

// Len returns how many entries were frozen.
func (e *Entries) Len() int { return len(e.ends) }

// Root returns the Merkle tree hash to publish when registration closes.
func (e *Entries) Root() Digest { return e.tree.root() }

// Account returns the account at a position in the sorted order. The caller must not modify it.
func (e *Entries) Account(position int) []byte {
	start := uint32(0)
	if position > 0 {
		start = e.ends[position-1]
	}
	return e.accounts[start:e.ends[position]:e.ends[position]]
}

// Group returns the group of the entry at a position in the sorted order, "" if it has none.
func (e *Entries) Group(position int) string {
	if member := e.group[position]; member > 0 {
		return e.groups[member-1]
	}
	return ""
}

// Find returns the position of an account in the sorted order; false if it has no entry. Among millions of entries it
// takes one to two microseconds.
func (e *Entries) Find(account []byte) (int, bool) {
	return sort.Find(e.Len(), func(position int) int { return bytes.Compare(account, e.Account(position)) })
}

// Proof returns the inclusion proof of the entry at a position in the sorted order. It takes about 50 µs for any number
// of entries.
func (e *Entries) Proof(position int) Proof {
	return Proof{Leaf: uint64(position), Size: uint64(e.Len()), Path: e.tree.path(position)}
}

func (e *Entries) leafHashes(first int, into []Digest) {
	for i := range into {
		into[i] = leafHash(e.Account(first+i), e.Group(first+i))
	}
}

// leafHash hashes an entry as a leaf: account, 0x1f, group.
func leafHash(account []byte, group string) Digest {
	var buffer [1 + maxName + 1 + maxName]byte
	leaf := append(buffer[:0], leafPrefix)
	leaf = append(leaf, account...)
	leaf = append(leaf, leafSeparator)
	leaf = append(leaf, group...)
	return sha256.Sum256(leaf)
}
