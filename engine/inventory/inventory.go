package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/seathold/seathold/engine/inventory/internal/accounts"
	"github.com/seathold/seathold/engine/inventory/internal/epoch"
	"github.com/seathold/seathold/engine/inventory/internal/listing"
	"github.com/seathold/seathold/engine/inventory/internal/order"
	"github.com/seathold/seathold/engine/inventory/internal/stock"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// PoolConfig is one pool: its session and how many units may be sold.
type PoolConfig struct {
	Session uint32
	Units   uint32 // capacity minus withheld; below 2^31
}

// SessionConfig is one session: its programme, and the limit of requests without Limits.
type SessionConfig struct {
	Programme uint8 // below MaxProgrammes
	Limit     int   // tickets of the session that an account may hold or have confirmed
}

// MaxProgrammes is how many programmes a sale may have.
const MaxProgrammes = listing.MaxProgrammes

// Config is what is for sale and how large the tables may get.
type Config struct {
	Pools    []PoolConfig
	Sessions []SessionConfig
	Caps     []int // of requests without Limits: by programme, tickets that an account may hold or have confirmed

	// MaxPools, MaxSessions and MaxQuotas are how many there may come to be; see ExtendListing. Default: those that are
	// given, and no quotas.
	MaxPools, MaxSessions, MaxQuotas int

	// MaxReservations is the number of rows: one for each reservation, and one for each change of one. Default 1<<25. Each
	// takes 128 bytes once it is used, and its reference once it is confirmed.
	MaxReservations int
	MaxAccounts     int // default 1<<24; each takes 64 bytes, and as many again if its name is longer than 55
	MaxNotes        int // default 1<<24; each takes 16 bytes
	ExpectAccounts  int // initial size of the indexes, which grow by themselves

	// Journalled inventories give every outcome a sequence and a place in the order that one goroutine drains.
	Journalled bool
	// Wake is called by a caller that places an outcome where none was waiting. It must not block.
	Wake func()
	// Pause is called before each retry with what the call has waited so far, and returns that with this pause added;
	// false ends the retries, and the operation returns Overloaded. With it the owner of the goroutines and the clock
	// decides about spinning, yielding and sleeping, and bounds by its clock how long a call may wait for others.
	Pause func(Wait) (Wait, bool)
}

// Inventory is the lock-free core: pools, reservations, ledgers. All methods may be called by any number of
// goroutines at once, except Drain (one goroutine), Resume and the Restore methods (one goroutine, before all
// others).
type Inventory struct {
	listing    listing.Listing
	stock      stock.Pools // those of quotas come last
	firstQuota uint32      // number of its pool
	limits     Limits      // of requests that have none of their own
	journalled bool
	wake       func()
	pause      func(Wait) (Wait, bool)
	seed       maphash.Seed

	reservations table.Slab[reservation]
	details      table.Slab[detail]
	overflows    table.Slab[overflow]
	accounts     accounts.Table
	notes        table.Slab[order.NoteRow]
	texts        table.Texts
	byID         table.Index
	summaries    [summarySlots]table.Pointer[summary] // of long ledgers
	long         longLedgers

	earliest []table.Word64 // by chunk of rows; see Sweep
	calls    epoch.Epoch    // that may access rows
	freeing  table.Word32   // 1 while rows are given back, or while none may be; see PauseFreeing
	longWay  table.Word32   // a row from which many others lead to the one that has its id; 0 for none

	placed  order.Stack
	taken   []order.Link // the drainer's scratch
	counted bool         // the stock has been counted after a restore; set by CountStock
	sparing bool         // a restore may use spare rows; its own
	ended   endCounts
}

// New returns an inventory with all units available.
func New(c Config) (*Inventory, error) {
	c.MaxReservations = cmp.Or(c.MaxReservations, 1<<25)
	c.MaxAccounts = cmp.Or(c.MaxAccounts, 1<<24)
	c.MaxNotes = cmp.Or(c.MaxNotes, 1<<24)
	c.MaxPools, c.MaxSessions = cmp.Or(c.MaxPools, len(c.Pools)), cmp.Or(c.MaxSessions, len(c.Sessions))
	if err := c.validate(); err != nil {
		return nil, err
	}
	v := &Inventory{limits: Limits{Caps: c.Caps}, journalled: c.Journalled, wake: c.Wake, pause: c.Pause,
		seed: maphash.MakeSeed(), long: usualLedgers}
	if err := v.list(&c); err != nil {
		return nil, err
	}
	spareRows, spareAccounts := spareOf(c.MaxReservations, order.MaxIndex), spareOf(c.MaxAccounts, 1<<31-1)
	v.reservations.InitSpare(c.MaxReservations, spareRows)
	v.details.Init(c.MaxReservations + spareRows)
	v.overflows.Init(c.MaxReservations + spareRows)
	v.accounts.Init(c.MaxAccounts, spareAccounts, c.ExpectAccounts, &v.texts)
	v.notes.Init(c.MaxNotes)
	// Each account has one name, and only a name of more than 55 bytes is a text. Each row gets a reference at
	// most once: from the caller that made it, or from the one that confirms it. So the texts never run out of room.
	v.texts.Init(c.MaxAccounts + spareAccounts + c.MaxReservations + spareRows)
	v.byID.Init(c.ExpectAccounts, v.reservations.InUse)
	v.earliest = make([]table.Word64, v.reservations.Chunks())
	return v, nil
}

// list fills the listing and the stock.
func (v *Inventory) list(c *Config) error {
	sessionOf, programmeOf := make([]uint32, len(c.Pools)), make([]uint8, len(c.Sessions))
	for i, p := range c.Pools {
		sessionOf[i] = p.Session
	}
	for i, s := range c.Sessions {
		programmeOf[i] = s.Programme
		v.limits.Sessions = append(v.limits.Sessions, s.Limit)
	}
	v.listing.Init(c.MaxPools, c.MaxSessions, c.MaxQuotas)
	if err := v.listing.Extend(sessionOf, programmeOf, nil); err != nil {
		return err
	}
	v.stock, v.firstQuota = make(stock.Pools, c.MaxPools+c.MaxQuotas), uint32(c.MaxPools)
	for i, p := range c.Pools {
		v.stock[i].Fill(p.Units, p.Units, 0, 0)
	}
	return nil
}

// spareOf returns how many rows a table has beyond its limit: as many again, or less where numbers of rows end. Only a
// restore uses them, until the stock is counted. At any of its records there may be a full table of what was there
// then, beside a full checkpoint of what came into the same rows while it was written. They take no memory until then.
func spareOf(limit, most int) int { return min(limit+64, most-limit) }

// Call is a running call. See Begin.
type Call = epoch.Call

// Begin announces a call: all from the look-up of a name to the last access to a row, a text or a snapshot's text. No
// row changes its meaning meanwhile. So every method that takes or returns a row, an account row or a Decided is called
// between a Begin and its End, except those of Drain and Restore. A call does not wait for the journal in between.
// Calls that run at a time should have different spreads.
func (v *Inventory) Begin(spread uint32) Call { return v.calls.Begin(spread) }

// Grace is a grace period: the time until every call that ran at its beginning has returned.
type Grace = epoch.Grace

// NewGrace begins a grace period. Its Passed is called until it returns true; it does not wait. There may be any
// number of them at a time, each used by one goroutine. If the caller has changed a word before, which calls load
// after Begin, then no call that loaded what it was before runs after the grace period.
func (v *Inventory) NewGrace() *Grace {
	g := v.calls.Grace()
	g.Begin()
	return &g
}

func (c *Config) validate() error {
	switch {
	case c.MaxPools > MaxPools:
		return fmt.Errorf("%d pools: at most %d are supported", c.MaxPools, MaxPools)
	case c.MaxQuotas > MaxPools:
		return fmt.Errorf("%d quotas: at most %d are supported", c.MaxQuotas, MaxPools)
	case c.MaxReservations < 1 || c.MaxReservations > order.MaxIndex:
		return fmt.Errorf("room for %d reservations: 1 to %d are supported", c.MaxReservations, order.MaxIndex)
	case c.MaxAccounts < 1 || c.MaxAccounts >= 1<<31:
		return fmt.Errorf("room for %d accounts: 1 to %d are supported", c.MaxAccounts, 1<<31-1)
	case c.MaxNotes < 1 || c.MaxNotes > order.MaxIndex:
		return fmt.Errorf("room for %d notes: 1 to %d are supported", c.MaxNotes, order.MaxIndex)
	case c.Pause == nil:
		return errors.New("no Pause")
	}
	for i, p := range c.Pools {
		if p.Units >= 1<<31 {
			return fmt.Errorf("pool %d: %d units (must be below 2^31)", i, p.Units)
		}
	}
	return nil
}

func (v *Inventory) programmeOf(pool uint32) uint8 {
	return v.listing.ProgrammeOf(v.listing.SessionOf(pool))
}

// ExtendListing makes the listing longer while calls run: with the session of each pool, the programme of each session
// and the quotas. A pool that is new has no units (see ChangeStock), and nor has the pool of a new quota. One goroutine
// at a time calls it, before any call can name what is new. A pool that a call may name keeps its session. A session
// may change its programme only while none of its tickets is held or sold, and while no call that names it runs. When
// it may get a quota is in quotas.go; a quota is never taken away. If an extension is not used after all, the next one
// may use the same numbers otherwise. The error is that there is no room, or that two quotas are of one phase and
// session.
func (v *Inventory) ExtendListing(sessionOf []uint32, programmeOf []uint8, quotas []Quota) error {
	return v.listing.Extend(sessionOf, programmeOf, quotas)
}

// Stock is the state of a pool. Available, Held, Sold and Withheld add up to its units.
type Stock struct {
	Available, Held, Sold int
	Withheld              int // returned, and not for sale again
}

// Stock reads a pool. Units whose reservation is being confirmed or returned may still count as held or as sold. Those
// that are about to go by a ChangeStock still count as available.
func (v *Inventory) Stock(pool int) (s Stock) {
	s.Available, s.Held, s.Sold, s.Withheld = v.stock[pool].Count()
	return s
}
