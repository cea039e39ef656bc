// Package accounts has the accounts of an inventory: their names and the heads of their ledgers.
package accounts

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

const inlineName = 55

// Account is a buyer, one cache line. The version in its head counts the reservations ever added. An unchanged head
// proves that none was added since, so the totals can only have fallen.
//
//	63             32 31 30 29         0
//	+----------------+--+--+-----------+
//	|    version     |k |c |    row    |   of the newest reservation, or of none; k: kept, c: closed
//	+----------------+--+--+-----------+
//
// A kept account has something outside its ledger. Others are closed some time after their last reservation has ended:
// then the name is free, and a caller that needs the account makes it again, in another row. See Closer.
type Account struct {
	Head table.Word64
	size uint8            // of the name; like the name, never written after the account is published
	name [inlineName]byte // of a longer name the first 8 bytes are its table.Ref
}

// Parts of a head.
const (
	HeadRow    = 1<<30 - 1
	HeadClosed = 1 << 30
	HeadKept   = 1 << 31
)

// NewHead returns the head of a ledger that the row has entered.
func NewHead(head uint64, row uint32) uint64 { return (head>>32+1)<<32 | head&HeadKept | uint64(row) }

// LongName refers to a name of more than 55 bytes; 0 for shorter ones.
func (a *Account) LongName() table.Ref {
	if a.size <= inlineName {
		return 0
	}
	return table.Ref(binary.LittleEndian.Uint64(a.name[:8]))
}

// Table has a row for each account, and the index of their names.
type Table struct {
	table.Slab[Account]
	Index table.Index // of those that are not closed

	// Sparing allows Ensure to use spare rows. It changes only while no other goroutine calls Ensure.
	Sparing bool

	texts *table.Texts
	kept  table.Word64
	seed  maphash.Seed
}

// Init sets the number of accounts and of spare rows, and for how many the index has room at first. Long names are kept
// in texts.
func (t *Table) Init(accounts, spare, expected int, texts *table.Texts) {
	t.InitSpare(accounts, spare)
	t.Index.Init(expected, t.InUse)
	t.texts, t.seed = texts, maphash.MakeSeed()
}

// Name returns the account's name without copying it.
func (t *Table) Name(row uint32) string {
	a := t.At(row)
	if a.size <= inlineName {
		return unsafe.String(&a.name[0], int(a.size))
	}
	return t.texts.Text(a.LongName())
}

func (t *Table) hash(name string) uint32 { return uint32(maphash.String(t.seed, name) >> 32) }

// Lookup returns the row of the account with the name; 0 for none.
func (t *Table) Lookup(name string) uint32 {
	return t.Index.Find(t.hash(name), func(row uint32) bool { return t.has(row, name) })
}

// has reports whether the row has the account with the name.
func (t *Table) has(row uint32, name string) bool {
	return t.Name(row) == name && t.At(row).Head.Load()&HeadClosed == 0
}

// Ensure returns the account's row and makes the account if it is new; false when the table is full.
func (t *Table) Ensure(name string) (uint32, bool) {
	if row := t.Lookup(name); row != 0 {
		return row, true
	}
	row, ok := t.Claim()
	if !ok && t.Sparing {
		row, ok = t.ClaimSpare()
	}
	if !ok {
		return 0, false
	}
	a := t.At(row)
	if a.Head.Load() == free { // otherwise the row is new. The closer may close it already: then the account is made again
		a.Head.Store(0)
	}
	a.size = uint8(len(name))
	if len(name) <= inlineName {
		copy(a.name[:], name)
	} else {
		binary.LittleEndian.PutUint64(a.name[:8], uint64(t.texts.Put(name)))
	}
	other := t.Index.Insert(t.hash(name), row, t.Claims(), func(row uint32) bool { return t.has(row, name) })
	if other != 0 {
		return other, true // another caller made it first; this row will be closed
	}
	return row, true
}

// Keep makes sure that an account stays; false if it is closed.
func (t *Table) Keep(row uint32) bool {
	head := &t.At(row).Head
	for {
		w := head.Load()
		switch {
		case w&HeadClosed != 0:
			return false
		case w&HeadKept != 0:
			return true
		case head.CompareAndSwap(w, w|HeadKept):
			t.kept.Add(1)
			return true
		}
	}
}

// Kept returns how many accounts are kept.
func (t *Table) Kept() int { return int(t.kept.Load()) }

// PrefetchIndex prefetches the slot of the index where a look-up of the name begins.
func (t *Table) PrefetchIndex(name string) { t.Index.Prefetch(t.hash(name)) }

// PrefetchRow prefetches the row that the slot names.
func (t *Table) PrefetchRow(name string) {
	if row := t.Index.Guess(t.hash(name)); row != 0 {
		table.Prefetch(unsafe.Pointer(t.At(row)))
	}
}
