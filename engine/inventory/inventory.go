package inventory

import (
	"fmt"
	"hash/maphash"
)

// PoolConfig is one pool: the session it belongs to and how many units may be sold.
type PoolConfig struct {
	Session uint32
	Units   uint32 // capacity without what is withheld; below 2^31
}

// SessionConfig is one session: its programme and how many of its tickets an account may hold or have confirmed.
type SessionConfig struct {
	Programme uint8
	Limit     int
}

// Config says what is for sale and how large the tables may get.
type Config struct {
	Pools    []PoolConfig
	Sessions []SessionConfig
	Caps     []int // by programme: tickets an account may hold or have confirmed

	MaxReservations int // default 1<<25; each takes 112 bytes, from its first use on
	MaxAccounts     int // default 1<<24; each takes 64 bytes
	MaxNotes        int // default 1<<24; each takes 16 bytes
	ExpectAccounts  int // sizes the index from the start; it grows by itself all the same

	// Journalled inventories give every outcome a place in an order that somebody drains.
	Journalled bool
	// Wake is called by whoever places an outcome where none was waiting. It must not block.
	Wake func()
	// Pause is called before the attempt-th look again, from 0 on; false ends the looking, and the caller gets
	// Overloaded. It is how the owner of the goroutines and the clock decides on spinning, yielding and sleeping.
	Pause func(attempt int) bool
}

// poolFacts is what is fixed about a pool.
type poolFacts struct {
	session uint32
	units   uint32
}

// Inventory is the lock-free core: pools, reservations, ledgers. All methods may be called by any number of goroutines at
// once, but for Drain (one goroutine) and the Restore methods (one goroutine, before all others).
type Inventory struct {
	pools         []poolFacts
	stock         []pool
	sessions      []SessionConfig
	sessionLimits []int
	caps          []int
	journalled    bool
	wake          func()
	pause         func(int) bool
	seed          maphash.Seed

	reservations slab[reservation]
	details      slab[detail]
	overflows    slab[overflow]
	accounts     slab[account]
	notes        slab[note]
	texts        arena
	byID         index
	accountIndex index

	placed  stack
	drained word64   // sequence of the last outcome drained; the drainer writes it
	order   []uint32 // the drainer's scratch
	settled bool     // Restore methods keep the stock; set by CountStock
	expired word64   // reservations that Expire, Confirm or Release ended because their time was over
}

// New returns an inventory with all units available.
func New(c Config) (*Inventory, error) {
	if c.MaxReservations == 0 {
		c.MaxReservations = 1 << 25
	}
	if c.MaxAccounts == 0 {
		c.MaxAccounts = 1 << 24
	}
	if c.MaxNotes == 0 {
		c.MaxNotes = 1 << 24
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	v := &Inventory{sessions: c.Sessions, caps: c.Caps, journalled: c.Journalled, wake: c.Wake, pause: c.Pause,
		seed: maphash.MakeSeed()}
	v.pools = make([]poolFacts, len(c.Pools))
	v.stock = make([]pool, len(c.Pools))
	for i, p := range c.Pools {
		v.pools[i] = poolFacts{session: p.Session, units: p.Units}
		v.stock[i].word.Store(packPool(p.Units, 0))
	}
	for _, s := range c.Sessions {
		v.sessionLimits = append(v.sessionLimits, s.Limit)
	}
	v.reservations.init(c.MaxReservations)
	v.details.init(c.MaxReservations)
	v.overflows.init(c.MaxReservations)
	v.accounts.init(c.MaxAccounts)
	v.notes.init(c.MaxNotes)
	v.texts.init(64 * c.MaxReservations)
	v.byID.init(c.ExpectAccounts)
	v.accountIndex.init(c.ExpectAccounts)
	return v, nil
}

func (c *Config) validate() error {
	switch {
	case len(c.Pools) > MaxPools:
		return fmt.Errorf("%d pools, at most %d are possible", len(c.Pools), MaxPools)
	case c.MaxReservations < 1 || c.MaxReservations >= 1<<indexBits:
		return fmt.Errorf("room for %d reservations, between 1 and %d are possible", c.MaxReservations, 1<<indexBits-1)
	case c.MaxAccounts < 1 || c.MaxAccounts >= 1<<31:
		return fmt.Errorf("room for %d accounts, between 1 and %d are possible", c.MaxAccounts, 1<<31-1)
	case c.MaxNotes < 1 || c.MaxNotes >= 1<<indexBits:
		return fmt.Errorf("room for %d notes, between 1 and %d are possible", c.MaxNotes, 1<<indexBits-1)
	case c.Pause == nil:
		return fmt.Errorf("no Pause")
	}
	for i, p := range c.Pools {
		if int(p.Session) >= len(c.Sessions) || p.Units >= 1<<31 {
			return fmt.Errorf("pool %d: session %d of %d, %d units of less than 2^31", i, p.Session, len(c.Sessions), p.Units)
		}
	}
	for i, s := range c.Sessions {
		if int(s.Programme) >= len(c.Caps) {
			return fmt.Errorf("session %d: programme %d of %d", i, s.Programme, len(c.Caps))
		}
	}
	return nil
}

func (v *Inventory) programmeOf(pool uint32) uint8 {
	return v.sessions[v.pools[pool].session].Programme
}

// Stock is what a pool held at one moment. Available, Held and Sold add up to its units.
type Stock struct{ Available, Held, Sold int }

// Stock reads a pool. Units on their way from held to sold may still show as held.
func (v *Inventory) Stock(poolIndex int) Stock {
	p := &v.stock[poolIndex]
	sold := int(p.sold.Load()) // first: what is sold has left available, so held never comes out negative
	available, _ := unpackPool(p.word.Load())
	return Stock{Available: int(available), Held: int(v.pools[poolIndex].units) - int(available) - sold, Sold: sold}
}
