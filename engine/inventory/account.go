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
type account struct {
	head table.Word64     // version<<32 | row of the newest reservation, or of none
	size uint8            // of the name; like the name, never written after the account is published
	name [inlineName]byte // of a longer name the first 8 bytes are its table.Ref
}

// accountName returns the account's name without copying it. It never changes once the account is published.
func (v *Inventory) accountName(row uint32) string {
	a := v.accounts.At(row)
	if a.size <= inlineName {
		return unsafe.String(&a.name[0], int(a.size))
	}
	return v.texts.Text(table.Ref(binary.LittleEndian.Uint64(a.name[:8])))
}

func (v *Inventory) hashText(name string) uint32 { return uint32(maphash.String(v.seed, name) >> 32) }

func (v *Inventory) hashID(id *ID) uint32 { return uint32(maphash.Bytes(v.seed, id[:]) >> 32) }

// FindAccount returns the account's row; 0 if there is no such account.
func (v *Inventory) FindAccount(name string) uint32 {
	return v.accountIndex.Find(v.hashText(name), func(row uint32) bool { return v.accountName(row) == name })
}

// AccountName returns the name of the account in the row. It shares the inventory's memory, which never changes.
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
	a.size = uint8(len(name))
	if len(name) <= inlineName {
		copy(a.name[:], name)
	} else {
		binary.LittleEndian.PutUint64(a.name[:8], uint64(v.texts.Put(name)))
	}
	other := v.accountIndex.Insert(v.hashText(name), row, v.accounts.Claimed(),
		func(row uint32) bool { return v.accountName(row) == name })
	if other != 0 {
		return other, true // another caller made it first; our row stays unused
	}
	return row, true
}
