package peers

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// plenty is more tickets of a pool than any measurement takes.
const plenty = 1 << 30

// Sale returns the bundled sale with plenty of tickets in every pool but the last of Pools, which is sold out.
func Sale() *catalog.Sale {
	s := *catalog.Paris2024()
	s.Pools = slices.Clone(s.Pools)
	for i := range s.Pools {
		if p := &s.Pools[i]; s.Sessions[p.Session].OnSale {
			p.Capacity, p.Withheld = plenty, 0
		}
	}
	pools := Pools(&s)
	last := &s.Pools[pools[len(pools)-1].Index]
	last.Capacity, last.Withheld = 1, 1
	return &s
}

// openPhase returns the index of the phase that sells everything to every account, and a time at which it is open.
func openPhase(s *catalog.Sale) (phase int, open time.Time) {
	phase, ok := s.PhaseByID("all-venues")
	if !ok {
		panic("BUG: the bundled sale has no phase all-venues")
	}
	return phase, s.Phases[phase].OpensAt.Add(time.Hour)
}

// Pool is a pool of a sale with the names that clients use.
type Pool struct {
	Session, Category string
	Index             int // in the sale's pools
}

// Pools returns the pools that the open phase sells, session by session.
func Pools(s *catalog.Sale) []Pool {
	phase, _ := openPhase(s)
	var pools []Pool
	for i := range s.Pools {
		if p := &s.Pools[i]; s.Phases[phase].Sells(p.Session) {
			pools = append(pools, Pool{Session: s.Sessions[p.Session].ID, Category: p.Category, Index: i})
		}
	}
	return pools
}

// Crowd defines the account, id and pools of every request. The n-th request is the same in every process: benchmarks
// and client processes share nothing but numbers.
type Crowd struct {
	accounts int
	pools    int // without the last one, which is sold out
	demand   Demand
	zipf     []uint32
}

// Demand is how requests are distributed over the pools.
type Demand string

// The demands.
const (
	Spread Demand = "spread" // uniform over all pools
	Hot    Demand = "hot"    // all requests want the same pools
	Zipf   Demand = "zipf"   // the pool of rank n is wanted about 1/n times as often as the first
	Gone   Demand = "gone"   // all requests want the same pools, and the third is sold out
)

// NewCrowd makes a crowd of a number of accounts for a number of pools, the last of which is wanted with demand Gone
// only.
func NewCrowd(accounts, pools int, demand Demand) *Crowd {
	c := &Crowd{accounts: accounts, pools: pools - 1, demand: demand}
	if demand == Zipf {
		dice := rand.New(rand.NewPCG(1, 2))
		z := rand.NewZipf(dice, 1.01, 1, uint64(c.pools/3-1))
		for range 1 << 16 {
			c.zipf = append(c.zipf, uint32(z.Uint64()))
		}
	}
	return c
}

// mixed mixes the bits of n: a bijection without a visible order.
func mixed(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// id returns the id of the n-th reservation.
func (c *Crowd) id(n uint64) (id inventory.ID) {
	binary.BigEndian.PutUint64(id[:8], mixed(n))
	binary.BigEndian.PutUint64(id[8:], mixed(^n)|1)
	return id
}

// account returns the account of the n-th reservation. Every account has a turn before any has its second.
func (c *Crowd) account(n uint64) int {
	return int(n % uint64(c.accounts) * 982_451_653 % uint64(c.accounts))
}

// pool returns the pool of a line, 0 to 2, of the n-th reservation. The three are in ascending order and of different
// sessions.
func (c *Crowd) pool(n uint64, line int) int {
	third := c.pools / 3
	if c.demand == Gone && line == 2 {
		return c.pools
	}
	first := 0
	switch c.demand {
	case Spread:
		first = int(mixed(n^0x5eed) % uint64(third))
	case Zipf:
		// Pools of neighbouring ranks are apart in memory.
		first = int(uint64(c.zipf[n%uint64(len(c.zipf))]) * 982_451_653 % uint64(third))
	}
	return first + line*third
}

const nameLength = len("buyer-00000000")

// appendAccount appends an account's name.
func appendAccount(dst []byte, account int) []byte {
	dst = append(dst, "buyer-00000000"...)
	for i := len(dst) - 1; account > 0; i-- {
		dst[i] += byte(account % 10)
		account /= 10
	}
	return dst
}

// Names holds the names of many accounts in one string, so that the garbage collector need not scan a million of them.
type Names struct{ text string }

// NewNames returns the names of accounts 0 to n-1.
func NewNames(n int) Names {
	text := make([]byte, 0, n*nameLength)
	for i := range n {
		text = appendAccount(text, i)
	}
	return Names{text: string(text)}
}

func (n Names) of(account int) string {
	return n.text[account*nameLength : (account+1)*nameLength]
}
