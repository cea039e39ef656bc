package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sort"
)

// Limits on what can be frozen. Offsets into the accounts' bytes have 32 bits: MaxEntries names of MaxName bytes fit.
const (
	MaxEntries = 1 << 25
	MaxName    = 64  // bytes of an account or of a group's name
	MaxGroups  = 255 // an entry's group is one byte, and 0 means none
)

// What Freeze refuses. Each is wrapped with the entry it was found at.
var (
	ErrAccount          = errors.New("draw: not an account")
	ErrDuplicateAccount = errors.New("draw: account entered twice")
	ErrGroup            = errors.New("draw: not a group")
	ErrTooManyEntries   = errors.New("draw: too many entries")
)

// leafSeparator stands between account and group in a leaf. No name can contain it.
const leafSeparator = 0x1f

// Entries are the frozen registrations of a draw, sorted by the bytes of the account. They are immutable and may be
// read by any number of goroutines. Four million accounts of 16 bytes take some 105 MB.
type Entries struct {
	accounts []byte   // one after another
	ends     []uint32 // ends[i] is where account i ends and account i+1 begins
	group    []uint8  // 0: none; otherwise 1 + index into groups
	order    []uint32 // the caller's index of account i
	groups   []string
	tree     tree
}

// Freeze sorts n entries and grows their Merkle tree. account and group are asked once for each index from 0 to n-1, in
// this order and by one goroutine; what account returns need only be valid until the next call. A group of 0 is
// none, otherwise it is 1 + an index into groups, of which there are at most [MaxGroups], all different.
//
// Four million entries take some 2 seconds on two cores, and with the draw after it less than 600 MiB at the peak:
// BenchmarkDraw.
//
// Errors: [ErrAccount], [ErrDuplicateAccount], [ErrGroup], [ErrTooManyEntries]. The caller has let something into its
// register that must not be there and cannot hold the draw before it is out again.
func Freeze(n int, account func(i int) []byte, group func(i int) uint8, groups []string) (*Entries, error) {
	if n > MaxEntries {
		return nil, fmt.Errorf("%w: %d of at most %d", ErrTooManyEntries, n, MaxEntries)
	}
	if err := checkGroups(groups); err != nil {
		return nil, err
	}
	unsorted := &Entries{
		accounts: make([]byte, 0, 24*n), // most are shorter; what is not written takes no memory
		ends:     make([]uint32, 0, n), group: make([]uint8, 0, n), groups: append([]string(nil), groups...),
	}
	for i := range n {
		name, member := account(i), group(i)
		if !IsName(name) {
			return nil, fmt.Errorf("%w: entry %d, %q is not 1 to %d of A-Z a-z 0-9 . _ : @ -", ErrAccount, i, name, MaxName)
		}
		if int(member) > len(groups) {
			return nil, fmt.Errorf("%w: entry %d, %q, group %d of %d", ErrGroup, i, name, member, len(groups))
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

// freeze returns the entries in the order of their accounts, with the tree grown over them.
func (e *Entries) freeze() (*Entries, error) {
	order, twin := sortAccounts(e)
	if twin >= 0 {
		return nil, fmt.Errorf("%w: %q, entries %d and %d", ErrDuplicateAccount, e.Account(int(order[twin])), order[twin], order[twin+1])
	}
	sorted := &Entries{
		accounts: make([]byte, 0, len(e.accounts)), ends: make([]uint32, 0, len(order)), group: make([]uint8, 0, len(order)),
		order: order, groups: e.groups,
	}
	for _, i := range order {
		sorted.add(e.Account(int(i)), e.group[i])
	}
	sorted.tree = growTree(len(order), sorted.leafHashes)
	return sorted, nil
}

func checkGroups(groups []string) error {
	if len(groups) > MaxGroups {
		return fmt.Errorf("%w: %d groups of at most %d", ErrGroup, len(groups), MaxGroups)
	}
	for i, name := range groups {
		if !IsName([]byte(name)) {
			return fmt.Errorf("%w: the name %q is not 1 to %d of A-Z a-z 0-9 . _ : @ -", ErrGroup, name, MaxName)
		}
		for _, other := range groups[:i] {
			if name == other {
				return fmt.Errorf("%w: %q is named twice", ErrGroup, name)
			}
		}
	}
	return nil
}

// IsName reports whether bytes are an account's or a group's name, 1 to 64 of A-Z a-z 0-9 . _ : @ -, and so
// can neither contain the separator of a leaf nor need quoting in a CSV or JSON file.
func IsName(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(name) && len(name) <= MaxName
}

// Len returns how many entries were frozen.
func (e *Entries) Len() int { return len(e.ends) }

// Root returns the Merkle tree hash to publish at the close of registration.
func (e *Entries) Root() Digest { return e.tree.root() }

// Account returns the account at a position in the sorted order. The caller must not change it.
func (e *Entries) Account(position int) []byte {
	start := uint32(0)
	if position > 0 {
		start = e.ends[position-1]
	}
	return e.accounts[start:e.ends[position]:e.ends[position]]
}

// Group returns the name of the group at a position in the sorted order, "" for none.
func (e *Entries) Group(position int) string {
	if member := e.group[position]; member > 0 {
		return e.groups[member-1]
	}
	return ""
}

// Find returns the position of an account in the sorted order; false when it has no entry. It takes a microsecond or
// two among millions.
func (e *Entries) Find(account []byte) (int, bool) {
	return sort.Find(e.Len(), func(position int) int { return bytes.Compare(account, e.Account(position)) })
}

// Proof returns the inclusion proof of the entry at a position. It takes some 50 µs, whatever the number of entries.
func (e *Entries) Proof(position int) Proof {
	return Proof{Leaf: uint64(position), Size: uint64(e.Len()), Path: e.tree.path(position)}
}

func (e *Entries) leafHashes(first int, into []Digest) {
	for i := range into {
		into[i] = leafHash(e.Account(first+i), e.Group(first+i))
	}
}

// leafHash hashes account 0x1f group as a leaf.
func leafHash(account []byte, group string) Digest {
	var buffer [1 + MaxName + 1 + MaxName]byte
	leaf := append(buffer[:0], leafPrefix)
	leaf = append(leaf, account...)
	leaf = append(leaf, leafSeparator)
	leaf = append(leaf, group...)
	return sha256.Sum256(leaf)
}
