package table

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Index is a lock-free hash table from a key to the row that holds the key. Keys are in the rows, not in the table; a
// caller compares them by eq.
//
// A table is open-addressed with linear probing. Another table follows it while the entries move, one stripe with each
// insertion. A slot goes from empty either to an entry or to moved, once, and never back to empty. So a key is never
// entered twice (I9): two callers with one key walk the same slots. Full slots stay full. At the first slot that is not
// full, both decide by compare-and-swap, or both find it moved and decide in the next table.
//
// An entry is removed or led to another row by one goroutine, the reclaimer. What it removes leaves a tombstone, which
// is never filled again and is not copied to the next table. Before an entry is copied, it is frozen: the reclaimer
// changes it no more, and the copy is the same. The reclaimer changes entries of the root alone, and only if that table
// was the root already when the present grace period began. So no caller that copies entries can put one back that was
// removed: it has frozen the entry before, or it copied the entry into the root and has returned since.
//
// An entry found in an old table stays right as long as the call runs, since rows are not used again meanwhile. So
// look-ups need not care about moves.
//
// The reclaimer makes the next table shortly before this one is half full. If it is late, one caller is elected to when
// this one is half full; making it takes long, and the others continue in this table meanwhile. Should the elected
// caller stall, another one is elected each time that half of the remaining room is used up. So at most log2(slots)
// tables are made for one, however many callers insert. A table that is full to its last slot while all of those stall
// is enlarged by each caller that needs a slot: none is ever stopped.
type Index struct {
	root  atomic.Pointer[table] // the oldest table that is not all copied; only moves forward
	make  func(slots int) *table
	inUse func() int // rows that may have entries
}

type table struct {
	slots      []Word64 // an entry, or emptySlot, movedSlot or tombstone
	generation uint64   // 1 for the first table, one more for each next one
	from       uint64   // claims before the first for which the table must have room, see elects
	next       atomic.Pointer[table]

	elected Word32 // callers elected to make the next table

	claimed Word64   // stripes handed out for copying; continues in a circle until all are copied
	copied  Word64   // stripes copied
	done    []Word32 // by stripe: 1 once it is copied
}

// An entry names a row that is not 0.
//
//	63             32 31  30          0
//	+----------------+---+------------+
//	|      hash      | f |    row     |   f: frozen
//	+----------------+---+------------+
const (
	emptySlot = uint64(0)
	movedSlot = uint64(0xffffffff) << 32
	tombstone = uint64(0xfffffffe) << 32
	frozen    = 1 << 31

	stripe    = 1024
	minSlots  = 4096
	mostSlots = 1 << 31
	hugeSlots = 1 << 20 // from this size on, large pages pay
)

func newTable(slots int) *table {
	t := &table{
		slots: make([]Word64, slots),
		done:  make([]Word32, slots/stripe),
	}
	if slots >= hugeSlots {
		inHugePages(t.slots)
	}
	return t
}

// rowOf returns the row of an entry; 0 for a slot that has none.
func rowOf(w uint64) uint32 { return uint32(w) &^ frozen }

// Init makes room for the expected number of keys before another table is needed. inUse returns how many rows may have
// entries.
func (x *Index) Init(expected int, inUse func() int) {
	x.make, x.inUse = newTable, inUse
	first := x.make(slotsFor((expected + 1) * 32 / 15)) // see Prepare
	first.generation = 1
	x.root.Store(first)
}

// slotsFor returns the least number of slots a table may have that is not below the given one. From one power of two to
// the next there are eight sizes, fewer where a step would be less than a stripe: memory follows the rows in use
// closely, and what a table leaves fits another one.
func slotsFor(least int) int {
	least = min(max(least, minSlots), mostSlots)
	step := max(stripe, 1<<bits.Len(uint(least-1))/16)
	return (least + step - 1) / step * step
}

// home returns the slot where a look-up of the hash begins.
func (t *table) home(hash uint32) int { return int(uint64(hash) * uint64(len(t.slots)) >> 32) }

// after returns the slot after a slot.
func (t *table) after(slot int) int {
	if slot++; slot < len(t.slots) {
		return slot
	}
	return 0
}

// Prefetch prefetches the slot where a look-up of the hash begins.
func (x *Index) Prefetch(hash uint32) {
	t := x.root.Load()
	Prefetch(unsafe.Pointer(&t.slots[t.home(hash)]))
}

// Guess returns the row that a look-up of the hash would probably find, or 0. It reads only the first few slots.
func (x *Index) Guess(hash uint32) uint32 {
	t := x.root.Load()
	home := t.home(hash)
	slots := t.slots[home:min(home+guessed, len(t.slots))]
	for i := range slots {
		w := slots[i].Load()
		if uint32(w>>32) == hash {
			return rowOf(w)
		}
		if w == emptySlot {
			break
		}
	}
	return 0
}

// guessed is how many slots Guess reads: nearly always all that a look-up would.
const guessed = 4

// Find returns the row of the key, or 0.
func (x *Index) Find(hash uint32, eq func(row uint32) bool) uint32 {
	for t := x.root.Load(); t != nil; t = t.next.Load() {
		i := t.home(hash)
		for range t.slots {
			w := t.slots[i].Load()
			if w == emptySlot {
				return 0
			}
			if w == movedSlot {
				break
			}
			if uint32(w>>32) == hash {
				if row := rowOf(w); row != 0 && eq(row) {
					return row
				}
			}
			i = t.after(i)
		}
	}
	return 0
}

// Insert enters the row under its key and returns 0, or returns the row that has the key already. claims is how often a
// row was claimed: it bounds the number of slots that are not empty, which saves a counter.
func (x *Index) Insert(hash, row uint32, claims uint64, eq func(row uint32) bool) uint32 {
	t := x.root.Load()
	if t.next.Load() != nil {
		x.move(t)
	} else if t.elects(claims) {
		x.makeNext(t, claims)
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
	hash, row := uint32(entry>>32), uint32(entry)
	i := t.home(hash)
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
		if uint32(w>>32) == hash {
			if other := rowOf(w); other != 0 && (other == row || eq(other)) {
				return other, true
			}
		}
		i = t.after(i)
	}
	return 0, false
}

// elects reports whether the caller is the one to make the next table: the n-th one is elected, n from 0, when the room
// left is less than the slots divided by 2^(n+1).
func (t *table) elects(claims uint64) bool {
	n := t.elected.Load()
	slots := len(t.slots)
	return t.filled(claims) > slots-slots>>(n+1) && t.elected.CompareAndSwap(n, n+1)
}

// filled returns how many slots are not empty at most. It may be negative for a caller that counted the claims long
// ago.
func (t *table) filled(claims uint64) int { return int(claims - t.from) }

// Prepare makes the next table if callers would soon be elected to. It may be called by one goroutine beside the
// callers.
func (x *Index) Prepare(claims uint64) {
	t := x.root.Load()
	if slots := len(t.slots); t.next.Load() == nil && t.filled(claims) > slots/2-slots/32 {
		x.makeNext(t, claims)
	}
}

// makeNext makes the next table of a size for the rows in use, which may be smaller than this one.
func (x *Index) makeNext(t *table, claims uint64) {
	inUse := x.inUse()
	x.follow(t, 4*inUse, claims-uint64(inUse)) // so that it is a quarter full, or less
}

// follow makes a table with room for so many slots follow the table, unless one does.
func (x *Index) follow(t *table, least int, from uint64) {
	next := x.make(slotsFor(least))
	next.generation, next.from = t.generation+1, from
	t.next.CompareAndSwap(nil, next)
}

// enlarge returns the next table and makes a larger one if there is none. It is for a caller that found no slot in the
// table.
func (x *Index) enlarge(t *table) *table {
	if next := t.next.Load(); next != nil {
		return next
	}
	x.follow(t, 2*len(t.slots), t.from)
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
		} else if at == 0 { // a caller may have stalled before it has counted a stripe
			t.recount()
		}
	}
	if t.copied.Load() >= n {
		// Every entry of t is in the next tables, so look-ups may start there.
		x.root.CompareAndSwap(t, t.next.Load())
	}
}

// recount raises the number of copied stripes to all of them if every one is copied.
func (t *table) recount() {
	for i := range t.done {
		if t.done[i].Load() == 0 {
			return
		}
	}
	t.copied.Store(uint64(len(t.done)))
}

func (x *Index) copyStripe(t *table, from int) {
	for i := from; i < from+stripe; i++ {
		entry := t.freeze(i)
		if entry == 0 {
			continue
		}
		for to := t.next.Load(); ; to = x.enlarge(to) {
			if _, ok := to.put(entry, func(uint32) bool { return false }); ok {
				break
			}
		}
	}
}

// freeze ends the changes of a slot and returns the entry to copy; 0 for none.
func (t *table) freeze(i int) uint64 {
	for {
		switch w := t.slots[i].Load(); {
		case w == emptySlot:
			// From here on the slot is not empty: a key that would have taken it is decided in the next table.
			if t.slots[i].CompareAndSwap(emptySlot, movedSlot) {
				return 0
			}
		case rowOf(w) == 0:
			return 0
		case w&frozen != 0, t.slots[i].CompareAndSwap(w, w|frozen):
			return w &^ frozen
		}
	}
}

// MoveOn copies one stripe if the entries are moving to another table, and reports whether they were.
func (x *Index) MoveOn() bool {
	t := x.root.Load()
	if t.next.Load() == nil {
		return false
	}
	x.move(t)
	return true
}

// Root is which table was that of an index at one instant. It does not keep that table.
type Root struct{ generation uint64 }

// Root returns the present table. See Change.
func (x *Index) Root() Root { return Root{x.root.Load().generation} }

// Change leads the entry of a row to another row with the same key, or removes it if that is 0. It reports false, and
// has done nothing, if the entry cannot be changed now: it is moving to another table, or the root is no longer the
// given one. present is false if the row has no entry. Only the reclaimer calls Change, with the root of a grace
// period ago.
func (x *Index) Change(hash, row, to uint32, since Root) (present, ok bool) {
	t := x.root.Load()
	if t.generation != since.generation {
		return true, false
	}
	entry, become := uint64(hash)<<32|uint64(row), tombstone
	if to != 0 {
		become = uint64(hash)<<32 | uint64(to)
	}
	i := t.home(hash)
	for range t.slots {
		switch w := t.slots[i].Load(); w {
		case entry:
			return true, t.slots[i].CompareAndSwap(entry, become)
		case entry | frozen, movedSlot:
			return true, false
		case emptySlot:
			return false, true
		}
		i = t.after(i)
	}
	return true, false // the table is full, so the entry may be in the next one
}
