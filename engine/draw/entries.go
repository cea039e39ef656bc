package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// The limits of a draw.
const (
	MaxEntries = 1 << 25 // with names of maxName bytes, offsets into the accounts' bytes still fit in 32 bits
	MaxGroups  = 255     // an entry's group is one byte, and 0 is none
	maxName    = 64      // bytes of an account or of a group's name
	handleSize = len(Digest{})
)

// ErrEntries is the error for entries that [Freeze] refuses. The text names the entry and the rule that it breaks.
var ErrEntries = errors.New("draw: invalid entries")

var (
	errAccount          = fmt.Errorf("%w: invalid account", ErrEntries)
	errDuplicateAccount = fmt.Errorf("%w: account entered twice", ErrEntries)
	errGroup            = fmt.Errorf("%w: invalid group", ErrEntries)
	errWeight           = fmt.Errorf("%w: invalid weight", ErrEntries)
	errTooManyEntries   = fmt.Errorf("%w: too many entries", ErrEntries)
)

// Entries are the frozen registrations of a draw, sorted by the bytes of their handles, or in format 1 of their
// accounts. They are immutable and may be read by any number of goroutines. Four million entries take about 150 MB.
type Entries struct {
	names  []byte   // concatenated: handles, or the accounts of format 1
	ends   []uint32 // format 1: ends[i] is the end of account i and the start of account i+1; nil otherwise
	group  []uint8  // 0: none; otherwise 1 + index into groups
	order  []uint32 // the caller's index of entry i
	groups []string
	tree   tree
}

// Freeze replaces n accounts, at most [MaxEntries], by their handles, sorts these and builds their Merkle tree. account
// appends the account of index i, from 0 to n-1, to a slice, and group returns its group. Both may be called by several
// goroutines at once and several times for an index. An account is a name, see [IsName], and no two are equal. A group
// of 0 is none; otherwise it is 1 + an index into groups, which are up to [MaxGroups] different names.
//
// Four million entries take about 2 seconds on two cores, and together with [Run] less than 600 MiB at the peak: see
// BenchmarkDraw.
//
// The error is an [ErrEntries]. The draw cannot be held until the entry that it names is removed or corrected.
func Freeze(secret *Secret, n int, account func(into []byte, i int) []byte, group func(i int) uint8,
	groups []string) (*Entries, error) {
	unsorted, err := newEntries(n, groups)
	if err != nil {
		return nil, err
	}
	unsorted.names, unsorted.group = make([]byte, n*handleSize), make([]uint8, n)
	var lowest firstFault
	inParallel(n, 4096, func() func(first, end int) {
		seal, name := newSealer(secret), make([]byte, 0, maxName)
		return func(first, end int) {
			for i := first; i < end; i++ {
				name = account(name[:0], i)
				if err := unsorted.checkEntry(i, name, group(i)); err != nil {
					lowest.note(i, err)
					return
				}
				handle := seal.handle(name)
				copy(unsorted.names[i*handleSize:], handle[:])
				unsorted.group[i] = group(i)
			}
		}
	})
	if lowest.err != nil {
		return nil, lowest.err
	}
	frozen, twin := unsorted.freezeHandles()
	if twin >= 0 {
		first := int(frozen.order[twin])
		return nil, fmt.Errorf("%w: %q, entries %d and %d", errDuplicateAccount, account(nil, first), first,
			frozen.order[twin+1])
	}
	return frozen, nil
}

// firstFault keeps the error of the lowest index.
type firstFault struct {
	sync.Mutex
	index int
	err   error
}

func (f *firstFault) note(index int, err error) {
	f.Lock()
	defer f.Unlock()
	if f.err == nil || index < f.index {
		f.index, f.err = index, err
	}
}

// FreezeAccounts is [Freeze] as format 1 had it: the entries are the accounts themselves. It calls account and group
// once for each index, in order and on one goroutine.
func FreezeAccounts(n int, account func(into []byte, i int) []byte, group func(i int) uint8,
	groups []string) (*Entries, error) {
	unsorted, err := newEntries(n, groups)
	if err != nil {
		return nil, err
	}
	unsorted.names = make([]byte, 0, 24*n) // most accounts are shorter; unwritten pages take no memory
	unsorted.ends, unsorted.group = make([]uint32, 0, n), make([]uint8, 0, n)
	name := make([]byte, 0, maxName)
	for i := range n {
		name = account(name[:0], i)
		member := group(i)
		if err := unsorted.checkEntry(i, name, member); err != nil {
			return nil, err
		}
		unsorted.add(name, member)
	}
	return unsorted.freezeAccounts()
}

func newEntries(n int, groups []string) (*Entries, error) {
	if n > MaxEntries {
		return nil, fmt.Errorf("%w: %d of at most %d", errTooManyEntries, n, MaxEntries)
	}
	if err := checkGroups(groups); err != nil {
		return nil, err
	}
	return &Entries{groups: append([]string(nil), groups...)}, nil
}

func (e *Entries) checkEntry(i int, name []byte, member uint8) error {
	if !IsName(name) {
		return fmt.Errorf("%w: entry %d must be %s, not %q", errAccount, i, nameRule, name)
	}
	if int(member) > len(e.groups) {
		return fmt.Errorf("%w: entry %d, %q, has group %d of %d", errGroup, i, name, member, len(e.groups))
	}
	return nil
}

// add appends an account of format 1.
func (e *Entries) add(account []byte, member uint8) {
	e.names = append(e.names, account...)
	e.ends = append(e.ends, uint32(len(e.names)))
	e.group = append(e.group, member)
}

// freezeAccounts returns the entries in the order of their accounts, with the tree built over them.
func (e *Entries) freezeAccounts() (*Entries, error) {
	order, twin := sortAccounts(e)
	if twin >= 0 {
		return nil, fmt.Errorf("%w: %q, entries %d and %d", errDuplicateAccount, e.name(int(order[twin])), order[twin],
			order[twin+1])
	}
	sorted := &Entries{
		names: make([]byte, 0, len(e.names)), ends: make([]uint32, 0, len(order)),
		group: make([]uint8, 0, len(order)), order: order, groups: e.groups,
	}
	for _, i := range order {
		sorted.add(e.name(int(i)), e.group[i])
	}
	sorted.tree = newTree(len(order), sorted.leafHashes)
	return sorted, nil
}

// freezeHandles is freezeAccounts for handles. If a handle occurs twice, twin is the position of the first one;
// otherwise it is -1.
func (e *Entries) freezeHandles() (sorted *Entries, twin int) {
	order, twin := sortHandles(e)
	sorted = &Entries{
		names: make([]byte, 0, len(e.names)), group: make([]uint8, 0, len(order)), order: order, groups: e.groups,
	}
	if twin >= 0 {
		return sorted, twin
	}
	for _, i := range order {
		sorted.names = append(sorted.names, e.name(int(i))...)
		sorted.group = append(sorted.group, e.group[i])
	}
	sorted.tree = newTree(len(order), sorted.leafHashes)
	return sorted, -1
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

// sealed reports whether the entries are handles.
func (e *Entries) sealed() bool { return e.ends == nil }

// Len returns how many entries were frozen.
func (e *Entries) Len() int { return len(e.group) }

// Root returns the Merkle tree hash to publish when registration closes.
func (e *Entries) Root() Digest { return e.tree.root() }

// name returns the handle, or in format 1 the account, at a position in the sorted order. The caller must not modify
// it.
func (e *Entries) name(position int) []byte {
	if e.sealed() {
		return e.names[position*handleSize : (position+1)*handleSize : (position+1)*handleSize]
	}
	start := uint32(0)
	if position > 0 {
		start = e.ends[position-1]
	}
	return e.names[start:e.ends[position]:e.ends[position]]
}

// Group returns the group of the entry at a position in the sorted order, "" if it has none.
func (e *Entries) Group(position int) string {
	if member := e.group[position]; member > 0 {
		return e.groups[member-1]
	}
	return ""
}

// Find returns the position of a handle, or in format 1 of an account, in the sorted order; false if it has no entry.
// Among millions of entries it takes one to two microseconds.
func (e *Entries) Find(name []byte) (int, bool) {
	return sort.Find(e.Len(), func(position int) int { return bytes.Compare(name, e.name(position)) })
}

// Proof returns the inclusion proof of the entry at a position in the sorted order. It takes about 50 µs for any number
// of entries.
func (e *Entries) Proof(position int) Proof {
	return Proof{Leaf: uint64(position), Size: uint64(e.Len()), Path: e.tree.path(position)}
}

func (e *Entries) leafHashes(first int, into []Digest) {
	if e.sealed() {
		for i := range into {
			into[i] = leafHash((*Digest)(e.name(first+i)), e.Group(first+i))
		}
		return
	}
	for i := range into {
		into[i] = accountLeafHash(e.name(first+i), e.Group(first+i))
	}
}

// weight is that of every entry. It is one byte of a leaf and at most 255.
const weight = 1

// leafHash hashes an entry as a leaf: the 32 bytes of the handle, the weight as one byte, the group. The parts before
// the group have a fixed size, so no separator is needed.
func leafHash(handle *Digest, group string) Digest {
	var buffer [1 + handleSize + 1 + maxName]byte
	leaf := append(buffer[:0], leafPrefix)
	leaf = append(leaf, handle[:]...)
	leaf = append(leaf, weight)
	leaf = append(leaf, group...)
	return sha256.Sum256(leaf)
}

// leafSeparator separates account and group in a leaf of format 1. No name can contain it.
const leafSeparator = 0x1f

// accountLeafHash hashes an entry of format 1 as a leaf: account, 0x1f, group.
func accountLeafHash(account []byte, group string) Digest {
	var buffer [1 + maxName + 1 + maxName]byte
	leaf := append(buffer[:0], leafPrefix)
	leaf = append(leaf, account...)
	leaf = append(leaf, leafSeparator)
	leaf = append(leaf, group...)
	return sha256.Sum256(leaf)
}
