package table

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Index is a lock-free hash table from a key to the row that holds the key. It only grows: an entry, once there,
// stays and never changes. Keys are in the rows, not in the table; a caller compares them by eq.
//
// A table is open-addressed with linear probing. A larger table follows it while the entries move, one stripe with
// each insertion. A slot goes from empty either to an entry or to moved, once. So a key is never entered twice (I9):
// two callers with one key walk the same slots. Full slots stay full. At the first slot that is not full, both decide
// by compare-and-swap, or both find it moved and decide in the next table. An entry found in an old table stays
// right, so look-ups need not care about moves.
//
// One caller is elected to make the next table when this one is half full; making it takes long, and the others
// continue in this table meanwhile. Should the elected caller stall, another one is elected each time that half of the
// remaining room is used up. So at most log2(slots) tables are made for one, however many callers insert. A table that
// is full to its last slot while all of those stall is enlarged by each caller that needs a slot: none is ever stopped.
type Index struct {
	root atomic.Pointer[table] // the oldest table that is not all copied; only moves forward
	make func(slots int) *table
}

type table struct {
	slots []Word64 // hash<<32 | row, with a row that is not 0; or emptySlot, or movedSlot
	shift uint8    // a look-up begins at slot hash >> shift
	next  atomic.Pointer[table]

	elected Word32 // callers elected to make the next table

	claimed Word64   // stripes handed out for copying; continues in a circle until all are copied
	copied  Word64   // stripes copied
	done    []Word32 // by stripe: 1 once it is copied
}

const (
	emptySlot = uint64(0)
	movedSlot = uint64(0xffffffff) << 32
	stripe    = 1024
	minSlots  = 4096
	hugeSlots = 1 << 20 // from this size on, large pages pay
)

func newTable(slots int) *table {
	t := &table{
		slots: make([]Word64, slots),
		shift: uint8(32 - bits.TrailingZeros(uint(slots))),
		done:  make([]Word32, slots/stripe),
	}
	if slots >= hugeSlots {
		inHugePages(t.slots)
	}
	return t
}

// Init makes room for the expected number of keys before the table has to grow.
func (x *Index) Init(expected int) {
	slots := minSlots
	for slots < 2*expected && slots < 1<<31 {
		slots *= 2
	}
	x.make = newTable
	x.root.Store(x.make(slots))
}

// Prefetch prefetches the slot where a look-up of the hash begins.
func (x *Index) Prefetch(hash uint32) {
	t := x.root.Load()
	Prefetch(unsafe.Pointer(&t.slots[hash>>t.shift]))
}

// Guess returns the row that a look-up of the hash would probably find, or 0. It reads only the first slot.
func (x *Index) Guess(hash uint32) uint32 {
	t := x.root.Load()
	if w := t.slots[hash>>t.shift].Load(); w != movedSlot && uint32(w>>32) == hash {
		return uint32(w)
	}
	return 0
}

// Find returns the row of the key, or 0.
func (x *Index) Find(hash uint32, eq func(row uint32) bool) uint32 {
	for t := x.root.Load(); t != nil; t = t.next.Load() {
		mask := uint32(len(t.slots) - 1)
		i := hash >> t.shift
		for range t.slots {
			w := t.slots[i].Load()
			if w == emptySlot {
				return 0
			}
			if w == movedSlot {
				break
			}
			if uint32(w>>32) == hash && eq(uint32(w)) {
				return uint32(w)
			}
			i = (i + 1) & mask
		}
	}
	return 0
}

// Insert enters the row under its key and returns 0, or returns the row that has the key already. population is the
// number of rows ever claimed. It bounds the number of entries, which saves a counter.
func (x *Index) Insert(hash, row uint32, population uint64, eq func(row uint32) bool) uint32 {
	t := x.root.Load()
	if t.next.Load() != nil {
		x.move(t)
	} else if t.elects(population) {
		x.enlarge(t)
	}
	entry := uint64(hash)<<32 | uint64(row)
	for {
		if found, ok := t.put(entry, eq); ok {
			return found
		}
		t = x.enlarge(t)
	}
}

// put enters the entry in this table and returns 0, or returns the row that has its key already. Not ok means that
// the key belongs in the next table.
func (t *table) put(entry uint64, eq func(row uint32) bool) (found uint32, ok bool) {
	hash := uint32(entry >> 32)
	mask := uint32(len(t.slots) - 1)
	i := hash >> t.shift
	for range t.slots {
		w := t.slots[i].Load()
		if w == emptySlot {
			// From here on the key is this row's (I9): only one entry, or a move, can take the empty slot.
			if t.slots[i].CompareAndSwap(emptySlot, entry) {
				return 0, true
			}
			w = t.slots[i].Load()
		}
		if w == movedSlot {
			return 0, false
		}
		if uint32(w>>32) == hash && (w == entry || eq(uint32(w))) {
			return uint32(w), true
		}
		i = (i + 1) & mask
	}
	return 0, false
}

// elects reports whether the caller is the one to make the next table: the n-th one is elected, n from 0, when the room
// left is less than the slots divided by 2^(n+1).
func (t *table) elects(population uint64) bool {
	n := t.elected.Load()
	slots := uint64(len(t.slots))
	return population > slots-slots>>(n+1) && t.elected.CompareAndSwap(n, n+1)
}

// enlarge returns the next table and makes it if there is none. It is for an elected caller, and for one that found no
// slot in the table.
func (x *Index) enlarge(t *table) *table {
	if next := t.next.Load(); next != nil {
		return next
	}
	t.next.CompareAndSwap(nil, x.make(2*len(t.slots)))
	return t.next.Load()
}

// move copies one stripe of the table into the next table. Any number of callers may copy the same stripe. A stalled
// one delays nothing, since stripes are handed out in a circle until each is copied.
func (x *Index) move(t *table) {
	n := uint64(len(t.done))
	if t.copied.Load() < n {
		at := (t.claimed.Add(1) - 1) % n
		if t.done[at].Load() == 0 {
			x.copyStripe(t, int(at)*stripe)
			if t.done[at].CompareAndSwap(0, 1) {
				t.copied.Add(1)
			}
		}
	}
	if t.copied.Load() == n {
		// Every entry of t is in the next tables, so look-ups may start there.
		x.root.CompareAndSwap(t, t.next.Load())
	}
}

func (x *Index) copyStripe(t *table, from int) {
	for i := from; i < from+stripe; i++ {
		// From here on the slot is not empty: a key that would have taken it is decided in the next table.
		for t.slots[i].Load() == emptySlot && !t.slots[i].CompareAndSwap(emptySlot, movedSlot) {
		}
		entry := t.slots[i].Load()
		if entry == movedSlot {
			continue
		}
		same := func(row uint32) bool { return row == uint32(entry) }
		for to := t.next.Load(); ; to = x.enlarge(to) {
			if _, ok := to.put(entry, same); ok {
				break
			}
		}
	}
}
