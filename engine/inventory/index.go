package inventory

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// index is a lock-free hash table from a key to the row that holds the key. It only grows: an entry, once there, stays
// and never changes. Keys are not in the table, they are in the rows; a caller compares them by eq.
//
// Entries lie open-addressed with linear probing in a table; a larger table hangs behind it while the entries move over,
// a stripe with each insertion. A slot goes from empty either to an entry or to moved, once. That gives the argument that
// a key is never entered twice (I9): of two callers with one key both walk the same slots, full ones, which stay; at the
// first slot that is not full both decide by one compare-and-swap, or both find it moved and decide in the next table.
// An entry found in an old table is right for ever, so look-ups need no care for the moving.
type index struct {
	root atomic.Pointer[table]
}

type table struct {
	slots []word64 // hash<<32 | row; rows are not 0
	shift uint8    // position = hash >> shift
	next  atomic.Pointer[table]

	claimed word64   // stripes handed out to be copied; runs on in a circle until all are done
	copied  word64   // stripes done
	done    []word32 // by stripe: 1 once it is copied
}

const (
	emptySlot = uint64(0)
	movedSlot = uint64(0xffffffff) << 32
	stripe    = 1024
	minSlots  = 4096
	hugeSlots = 1 << 20 // in tables of so many, large pages pay
)

func newTable(slots int) *table {
	t := &table{
		slots: make([]word64, slots),
		shift: uint8(32 - bits.TrailingZeros(uint(slots))),
		done:  make([]word32, slots/stripe),
	}
	if slots >= hugeSlots {
		inHugePages(t.slots)
	}
	return t
}

// init makes room for so many keys before the table has to grow.
func (x *index) init(expected int) {
	slots := minSlots
	for slots < 2*expected && slots < 1<<31 {
		slots *= 2
	}
	x.root.Store(newTable(slots))
}

// prefetch begins to load the slot where a look-up of the hash begins.
func (x *index) prefetch(hash uint32) {
	t := x.root.Load()
	prefetch(unsafe.Pointer(&t.slots[hash>>t.shift]))
}

// guess returns the row that a look-up of the hash would probably find, by its first slot alone, or 0.
func (x *index) guess(hash uint32) uint32 {
	t := x.root.Load()
	if w := t.slots[hash>>t.shift].Load(); w != movedSlot && uint32(w>>32) == hash {
		return uint32(w)
	}
	return 0
}

// find returns the row of the key, or 0.
func (x *index) find(hash uint32, eq func(row uint32) bool) uint32 {
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

// insert enters the row under its key unless the key is there; then it returns the row that has it. population is the
// number of rows ever claimed, which bounds the number of entries and spares a counter of its own.
func (x *index) insert(hash, row uint32, population uint64, eq func(row uint32) bool) uint32 {
	t := x.root.Load()
	if t.next.Load() != nil {
		x.move(t)
	} else if population > uint64(len(t.slots)/2) {
		t.enlarge()
	}
	entry := uint64(hash)<<32 | uint64(row)
	for {
		found, settled := t.put(entry, eq)
		if settled {
			return found
		}
		t = t.enlarge()
	}
}

// put enters the entry in this table; not settled means that its place is in the next one.
func (t *table) put(entry uint64, eq func(row uint32) bool) (found uint32, settled bool) {
	hash := uint32(entry >> 32)
	mask := uint32(len(t.slots) - 1)
	i := hash >> t.shift
	for range t.slots {
		w := t.slots[i].Load()
		if w == emptySlot {
			// Decides whose the key is: one entry, or the moving, takes the empty slot.
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

// enlarge returns the table behind this one, making it where there is none.
func (t *table) enlarge() *table {
	if next := t.next.Load(); next != nil {
		return next
	}
	t.next.CompareAndSwap(nil, newTable(2*len(t.slots)))
	return t.next.Load()
}

// move copies one stripe of the table into the next. Any number of callers may copy the same stripe: a stalled one
// delays nothing, since the stripes are handed out in a circle until each is done.
func (x *index) move(t *table) {
	n := uint64(len(t.done))
	if t.copied.Load() < n {
		at := (t.claimed.Add(1) - 1) % n
		if t.done[at].Load() == 0 {
			t.copyStripe(int(at) * stripe)
			if t.done[at].CompareAndSwap(0, 1) {
				t.copied.Add(1)
			}
		}
	}
	if t.copied.Load() == n {
		// Every entry of t stands in the tables behind it: look-ups may start there.
		x.root.CompareAndSwap(t, t.next.Load())
	}
}

func (t *table) copyStripe(from int) {
	for i := from; i < from+stripe; i++ {
		// Closes an empty slot for good: from here on its key is decided in the next table.
		for t.slots[i].Load() == emptySlot && !t.slots[i].CompareAndSwap(emptySlot, movedSlot) {
		}
		entry := t.slots[i].Load()
		if entry == movedSlot {
			continue
		}
		same := func(row uint32) bool { return row == uint32(entry) }
		for to := t.enlarge(); ; to = to.enlarge() {
			if _, settled := to.put(entry, same); settled {
				break
			}
		}
	}
}
