package inventory

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"
)

// MaxAccount is the longest account name in bytes.
const MaxAccount = 64

const inlineName = 55

// account is a buyer: one cache line. The head packs a version and the account's newest reservation; the version counts
// the reservations ever added, so a head that is unchanged says that none was (the totals can only have fallen).
type account struct {
	head word64 // version<<32 | row
	size uint8
	name [inlineName]byte // or, for longer names, a textRef in the first 8 bytes
}

// accountName returns the account's name without copying it: it never changes once the account is published.
func (v *Inventory) accountName(row uint32) string {
	a := v.accounts.at(row)
	if a.size <= inlineName {
		return unsafe.String(&a.name[0], int(a.size))
	}
	return v.texts.text(textRef(binary.LittleEndian.Uint64(a.name[:8])))
}

func (v *Inventory) hashText(name string) uint32 { return uint32(maphash.String(v.seed, name) >> 32) }

func (v *Inventory) hashID(id *ID) uint32 { return uint32(maphash.Bytes(v.seed, id[:]) >> 32) }

// FindAccount returns the account's row; 0 for one that never reserved.
func (v *Inventory) FindAccount(name string) uint32 {
	return v.accountIndex.find(v.hashText(name), func(row uint32) bool { return v.accountName(row) == name })
}

// AccountName returns the name of the account in the row.
func (v *Inventory) AccountName(row uint32) string { return v.accountName(row) }

// Accounts returns the index behind the last account.
func (v *Inventory) Accounts() uint32 { return v.accounts.end() }

// EnsureAccount returns the account's row, making the account where it is new; false when the table is full. name is 1 to
// MaxAccount bytes.
func (v *Inventory) EnsureAccount(name string) (uint32, bool) {
	if row := v.FindAccount(name); row != 0 {
		return row, true
	}
	row, ok := v.accounts.claim()
	if !ok {
		return 0, false
	}
	a := v.accounts.at(row)
	a.size = uint8(len(name))
	if len(name) <= inlineName {
		copy(a.name[:], name)
	} else {
		ref, ok := v.texts.put(name)
		if !ok {
			return 0, false
		}
		binary.LittleEndian.PutUint64(a.name[:8], uint64(ref))
	}
	other := v.accountIndex.insert(v.hashText(name), row, v.accounts.used.Load(), func(row uint32) bool { return v.accountName(row) == name })
	if other != 0 {
		return other, true
	}
	return row, true
}
