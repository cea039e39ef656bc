package inventory

import (
	"hash/maphash"

	"github.com/seathold/seathold/engine/inventory/internal/accounts"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// MaxAccount is the longest account name in bytes.
const MaxAccount = 64

const headRow, headClosed = accounts.HeadRow, accounts.HeadClosed

func (v *Inventory) hashID(id *ID) uint32 { return uint32(maphash.Bytes(v.seed, id[:]) >> 32) }

// FindAccount returns the account's row; 0 if there is no such account.
func (v *Inventory) FindAccount(name string) uint32 { return v.accounts.Lookup(name) }

// EnsureAccount returns the account's row and makes the account if it is new; false when the table is full. The name
// has 1 to MaxAccount bytes.
func (v *Inventory) EnsureAccount(name string) (uint32, bool) { return v.accounts.Ensure(name) }

// Keep makes sure that the account of a name stays, and returns its row; false when the table is full. It is called
// before the account gets something that its ledger does not show.
func (v *Inventory) Keep(name string) (uint32, bool) {
	for {
		row, ok := v.accounts.Ensure(name)
		if !ok {
			return 0, false
		}
		if v.accounts.Keep(row) {
			return row, true
		}
	}
}

// Kept returns how many accounts are kept.
func (v *Inventory) Kept() int { return v.accounts.Kept() }

// IsKept reports whether the row is of an account that stays.
func (v *Inventory) IsKept(row uint32) bool {
	return row != 0 && v.accounts.At(row).Head.Load()&accounts.HeadKept != 0
}

// AccountName returns the name of the account in the row. It shares the inventory's memory, which does not change
// during a call, or ever if the account is kept.
func (v *Inventory) AccountName(row uint32) string { return v.accounts.Name(row) }

// Accounts returns the row after the last account: rows 1 to Accounts()-1 may hold one.
func (v *Inventory) Accounts() uint32 { return v.accounts.End() }

// MostAccounts is a bound of the rows of accounts: more than Config.MaxAccounts, since a restore has spare ones.
func (v *Inventory) MostAccounts() int { return v.accounts.Chunks() * table.ChunkRows }
