package peers

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Sale returns the bundled sale with more places in every pool than any measurement takes, but for the last place of
// Places: there nothing is left.
func Sale() *catalog.Sale {
	s := *catalog.Paris2024()
	s.Pools = slices.Clone(s.Pools)
	for i := range s.Pools {
		if p := &s.Pools[i]; s.Sessions[p.Session].OnSale {
			p.Capacity, p.Withheld = 1<<30, 0
		}
	}
	places := Places(&s)
	last := &s.Pools[places[len(places)-1].Pool]
	last.Capacity, last.Withheld = 1, 1
	return &s
}

// Phase returns the index of the phase that everything is sold in, to everybody, and an instant at which it is open.
func Phase(s *catalog.Sale) (phase int, open time.Time) {
	phase, ok := s.PhaseByID("all-venues")
	if !ok {
		panic("BUG: the bundled sale has no phase all-venues")
	}
	return phase, s.Phases[phase].OpensAt.Add(time.Hour)
}

// Place is one pool of a sale as its clients name it.
type Place struct {
	Session, Category string
	Pool              int
}

// Places returns what the phase sells, session by session.
func Places(s *catalog.Sale) []Place {
	phase, _ := Phase(s)
	var places []Place
	for i := range s.Pools {
		if p := &s.Pools[i]; s.Phases[phase].Sells(p.Session) {
			places = append(places, Place{Session: s.Sessions[p.Session].ID, Category: p.Category, Pool: i})
		}
	}
	return places
}

// Crowd says who asks for what. The n-th request is always the same, wherever it is made: benchmarks and client processes
// share nothing but numbers.
type Crowd struct {
	Accounts int
	Places   int // of which the last is left out
	Wants    Wants
	zipf     []uint32
}

// Wants is how requests spread over the pools.
type Wants string

const (
	Spread Wants = "spread" // every pool is asked for equally often
	Hot    Wants = "hot"    // everybody asks for the same
	Zipf   Wants = "zipf"   // the second most wanted pool is asked for about half as often as the first, and so on
	Gone   Wants = "gone"   // everybody asks for the same, of which the third line is sold out
)

// NewCrowd makes a crowd of accounts for a number of places.
func NewCrowd(accounts, places int, wants Wants) *Crowd {
	c := &Crowd{Accounts: accounts, Places: places - 1, Wants: wants}
	if wants == Zipf {
		dice := rand.New(rand.NewPCG(1, 2))
		z := rand.NewZipf(dice, 1.01, 1, uint64(c.Places/3-1))
		for range 1 << 16 {
			c.zipf = append(c.zipf, uint32(z.Uint64()))
		}
	}
	return c
}

// mixed returns n with its bits mixed: different numbers for different n, in no visible order.
func mixed(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// ID returns the id of the n-th reservation.
func (c *Crowd) ID(n uint64) (id ID) {
	binary.BigEndian.PutUint64(id[:8], mixed(n))
	binary.BigEndian.PutUint64(id[8:], mixed(^n)|1)
	return id
}

// Account returns the account that makes the n-th reservation. Each has its turn before any has its second.
func (c *Crowd) Account(n uint64) int {
	return int(n % uint64(c.Accounts) * 982_451_653 % uint64(c.Accounts))
}

// Place returns the place of the n-th reservation's line, 0 to 2. The three are in ascending order, and of different
// sessions.
func (c *Crowd) Place(n uint64, line int) int {
	third := c.Places / 3
	if c.Wants == Gone && line == 2 {
		return c.Places
	}
	first := 0
	switch c.Wants {
	case Spread:
		first = int(mixed(n^0x5eed) % uint64(third))
	case Zipf:
		// Neighbours in rank do not lie side by side.
		first = int(uint64(c.zipf[n%uint64(len(c.zipf))]) * 982_451_653 % uint64(third))
	}
	return first + line*third
}

// appendAccount appends an account's name.
func appendAccount(dst []byte, account int) []byte {
	dst = append(dst, "buyer-00000000"...)
	for i := len(dst) - 1; account > 0; i-- {
		dst[i] += byte(account % 10)
		account /= 10
	}
	return dst
}

// Names are the names of many accounts in one piece of memory, so that a million of them do not occupy the garbage
// collector.
type Names struct{ text string }

// NewNames writes the names of the accounts 0 to n-1.
func NewNames(n int) Names {
	const size = len("buyer-00000000")
	text := make([]byte, 0, n*size)
	for i := range n {
		text = appendAccount(text, i)
	}
	return Names{text: string(text)}
}

// Of returns the name of an account.
func (n Names) Of(account int) string {
	const size = len("buyer-00000000")
	return n.text[account*size : (account+1)*size]
}
