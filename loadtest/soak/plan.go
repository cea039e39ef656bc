package main

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// plan is what is soaked. All choices follow from the seed and the number of a hold.
type plan struct {
	seed    uint64
	holds   int
	alive   int
	rows    int
	callers int
	// patience is how long callers wait for rows that come back.
	patience time.Duration
	// measures is whether memory, look-ups and what is forgotten late are judged.
	measures bool
}

// Times on the sale clock, in ms. A caller comes back to a hold when a life is over. One that is to expire has expired
// by then and is still remembered; one that is changed then lives for another life.
const (
	life       = 60_000
	shortTTL   = 45_000
	usualTTL   = 90_000
	longTTL    = 150_000
	remembered = 30_000
)

const (
	minAlive   = 500
	minLives   = 30 // until memory is flat
	maxCallers = 1 << numberBits
	numberBits = 8
	reuseAfter = 8 // lives

	sessions       = 1000 // of which the last are scarce
	scarceSessions = 4
	categories     = 4
	pools          = sessions * categories
	usualSessions  = sessions - scarceSessions
	scarcePlaces   = 3
	accountCap     = 30
	sessionLimit   = 6
	perAccount     = 4 // holds
	hotAccounts    = 16
	keptShare      = 20 // one of so many that are alive is sold for good
)

// places returns how many places each of the usual pools has: more than are ever taken.
func (p plan) places() int { return max(1000, p.alive/100) }

// number is a hold's: its caller in the low bits, above it the how-manieth of the caller it is, from 1.
type number uint64

func numberOf(caller int, at uint64) number { return number(at<<numberBits | uint64(caller)) }

func (n number) at() uint64 { return uint64(n >> numberBits) }

// mix returns evenly spread bits of a number (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// kind is what a buyer tries.
type kind uint8

const (
	usual  kind = iota
	hot         // for an account that all callers share, and that has all it may have most of the time
	scarce      // a session with a few places among others
	greedy      // more of a session than the limit
	hoard       // more than the account cap
)

// fate is what becomes of a hold after its first life.
type fate uint8

const (
	expires fate = iota
	releases
	returns // it is sold, and some are sold for good
	extends
	reduces
	replaces
	late // it has expired and is confirmed all the same
)

// fates has each fate as often as it happens, of 16.
var fates = [16]fate{expires, expires, expires, releases, releases, releases, returns, returns, returns,
	extends, extends, reduces, reduces, replaces, replaces, late}

// choice is what follows from a number.
type choice struct {
	n    number
	kind kind
	fate fate
	bits uint64
}

func (p *plan) choose(n number) choice {
	c := choice{n: n, bits: mix(p.seed ^ uint64(n)*0x2545f4914f6cdd1d)}
	switch roll := c.bits & 1023; {
	case roll < 8:
		c.kind = hot
	case roll < 16:
		c.kind = scarce
	case roll < 20:
		c.kind = greedy
	case roll < 24:
		c.kind = hoard
	}
	c.fate = fates[c.bits>>10&15]
	if c.kind != usual {
		c.fate %= extends
	}
	return c
}

// ttl returns how long the hold lasts at first.
func (c *choice) ttl() int64 {
	switch c.fate {
	case expires, late:
		return shortTTL
	case reduces:
		return longTTL
	}
	return usualTTL
}

// isPack reports whether the hold takes three sessions together.
func (c *choice) isPack() bool { return c.kind == usual && c.bits>>14&3 < 2 }

// id returns the id of a hold, or of the one that takes its place.
func (p *plan) id(n number, other bool) (id inventory.ID) {
	x := uint64(n) << 1
	if other {
		x |= 1
	}
	binary.LittleEndian.PutUint64(id[:], mix(p.seed+x))
	binary.LittleEndian.PutUint64(id[8:], x)
	return id
}

// account returns the name of the hold's account. Some names are long.
func (p *plan) account(c *choice) string {
	if c.kind == hot {
		return "hot-" + strconv.Itoa(int(c.bits>>32%hotAccounts))
	}
	of := c.n.at() / perAccount
	name := "buyer-" + strconv.FormatUint(of<<numberBits|uint64(c.n)&(maxCallers-1), 36)
	if of%16 == 0 {
		name += longTail[:inventory.MaxAccount-len(name)]
	}
	return name
}

var longTail = ".at." + strings.Repeat("a-long-name.", 6)

// reference returns the reference of the hold's payment. Some are long.
func (c *choice) reference() string {
	text := "pay-" + strconv.FormatUint(uint64(c.n), 36)
	if c.bits>>40&3 == 0 {
		text += longTail[:inventory.MaxReference-len(text)]
	}
	return text
}

// lines appends what the hold has. The sessions of one account's holds differ.
func (p *plan) lines(to []inventory.Line, c *choice, f flags) []inventory.Line {
	base := mix(p.seed^c.n.at()/perAccount<<numberBits^uint64(c.n)&(maxCallers-1)) % usualSessions
	category, own := uint32(c.bits>>30&3), base+c.n.at()%perAccount*6
	line := func(session uint64, quantity uint32) {
		to = append(to, inventory.Line{Pool: uint32(session%usualSessions)*categories + category, Quantity: quantity})
	}
	keep := uint32(0)
	if f&reduced != 0 {
		keep = 1
	}
	switch {
	case f&replacement != 0:
		line(base+24+c.n.at()%perAccount, 2)
	case c.kind == hot:
		line(c.bits>>32, 1)
	case c.kind == scarce:
		line(own, 1)
		to = append(to, inventory.Line{Pool: (usualSessions+uint32(c.bits>>36%scarceSessions))*categories + category,
			Quantity: 1})
	case c.kind == greedy:
		line(base+29, sessionLimit+1)
	case c.kind == hoard:
		for i := range uint64(accountCap/sessionLimit + 1) {
			line(base+30+i, sessionLimit)
		}
	case c.isPack():
		for i := range uint64(3) {
			line(own+i, 1+uint32(c.bits>>18&1)-keep)
		}
	case c.bits>>14&3 == 2: // more lines than a row has room for
		for i := range uint64(6 - 3*keep) {
			line(own+i, 1)
		}
	default:
		line(own, 1+uint32(c.bits>>18&3)-keep)
	}
	return to
}

// isReducible reports whether the hold has something to give up. A pack keeps all its sessions.
func (c *choice) isReducible() bool {
	if !c.isPack() && c.bits>>14&3 == 2 {
		return true
	}
	if c.isPack() {
		return c.bits>>18&1 > 0
	}
	return c.bits>>18&3 > 0
}
