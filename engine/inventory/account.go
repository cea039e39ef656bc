package inventory

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// MaxAccount is the longest account name in bytes.
const MaxAccount = 64

const inlineName = 55

// account is a buyer, one cache line. The version in its head counts the reservations ever added. An unchanged head
// proves that none was added since, so the totals can only have fallen.
//
//	63             32 31 30 29         0
//	+----------------+--+--+-----------+
//	|    version     |k |c |    row    |   of the newest reservation, or of none; k: kept, c: closed
//	+----------------+--+--+-----------+
//
// A kept account has something outside its ledger. Others are closed some time after their last reservation has ended:
// then the name is free, and whoever needs the account makes it again, in another row.
type account struct {
	head table.Word64
	size uint8            // of the name; like the name, never written after the account is published
	name [inlineName]byte // of a longer name the first 8 bytes are its table.Ref
}

const (
	headRow    = 1<<indexBits - 1
	headClosed = 1 << 30
	headKept   = 1 << 31
)

// newHead returns the head of a ledger that the row has entered.
func newHead(head uint64, row uint32) uint64 { return (head>>32+1)<<32 | head&headKept | uint64(row) }

// accountName returns the account's name without copying it. It does not change during a call: see Begin.
func (v *Inventory) accountName(row uint32) string {
	a := v.accounts.At(row)
	if a.size <= inlineName {
		return unsafe.String(&a.name[0], int(a.size))
	}
	return v.texts.Text(a.longName())
}

// longName refers to a name of more than inlineName bytes.
func (a *account) longName() table.Ref { return table.Ref(binary.LittleEndian.Uint64(a.name[:8])) }

func (v *Inventory) hashText(name string) uint32 { return uint32(maphash.String(v.seed, name) >> 32) }

func (v *Inventory) hashID(id *ID) uint32 { return uint32(maphash.Bytes(v.seed, id[:]) >> 32) }

// FindAccount returns the account's row; 0 if there is no such account.
func (v *Inventory) FindAccount(name string) uint32 {
	return v.accountIndex.Find(v.hashText(name), func(row uint32) bool { return v.isAccount(row, name) })
}

// isAccount reports whether the row has the account.
func (v *Inventory) isAccount(row uint32, name string) bool {
	return v.accountName(row) == name && v.accounts.At(row).head.Load()&headClosed == 0
}

// Keep makes sure that the account of a name stays, and returns its row; false when the table is full. It is called
// before the account gets something that its ledger does not show.
func (v *Inventory) Keep(name string) (uint32, bool) {
	for {
		row, ok := v.EnsureAccount(name)
		if !ok {
			return 0, false
		}
		if v.keep(row) {
			return row, true
		}
	}
}

// keep makes sure that an account stays; false if it is closed.
func (v *Inventory) keep(row uint32) bool {
	head := &v.accounts.At(row).head
	for {
		w := head.Load()
		switch {
		case w&headClosed != 0:
			return false
		case w&headKept != 0:
			return true
		case head.CompareAndSwap(w, w|headKept):
			v.kept.Add(1)
			return true
		}
	}
}

// Kept returns how many accounts are kept.
func (v *Inventory) Kept() int { return int(v.kept.Load()) }

// IsKept reports whether the row is of an account that stays.
func (v *Inventory) IsKept(row uint32) bool {
	return row != 0 && v.accounts.At(row).head.Load()&headKept != 0
}

// AccountName returns the name of the account in the row. It shares the inventory's memory, which does not change
// during a call, or ever if the account is kept.
func (v *Inventory) AccountName(row uint32) string { return v.accountName(row) }

// Accounts returns the row after the last account: rows 1 to Accounts()-1 may hold one.
func (v *Inventory) Accounts() uint32 { return v.accounts.End() }

// EnsureAccount returns the account's row and makes the account if it is new; false when the table is full. The name
// has 1 to MaxAccount bytes.
func (v *Inventory) EnsureAccount(name string) (uint32, bool) {
	if row := v.FindAccount(name); row != 0 {
		return row, true
	}
	row, ok := v.accounts.Claim()
	if !ok {
		return 0, false
	}
	a := v.accounts.At(row)
	a.head.Store(0)
	a.size = uint8(len(name))
	if len(name) <= inlineName {
		copy(a.name[:], name)
	} else {
		binary.LittleEndian.PutUint64(a.name[:8], uint64(v.texts.Put(name)))
	}
	other := v.accountIndex.Insert(v.hashText(name), row, v.accounts.Claims(),
		func(row uint32) bool { return v.isAccount(row, name) })
	if other != 0 {
		return other, true // another caller made it first; our row will be closed
	}
	return row, true
}
