// Package catalog holds what is sold and by which rules: programmes, sessions, the pools of their price categories, and
// the phases of the sale. All of it is data of a sale definition, a directory of up to five files; none of it is code.
// The sale of Paris 2024 is bundled.
//
// Load reads a definition and checks all of it. A Sale that Load returns needs no further checks: every reference
// between its parts resolves and every quantity is in range. A definition that breaks a rule is refused with *Faults,
// which names file, line, field and rule of all of its faults. The README of this package describes the format.
//
// A Sale is immutable and may be shared by any number of goroutines.
package catalog

import "time"

// The limits of a sale definition. Load refuses what exceeds them; the words and tables of the engine are sized by
// them.
const (
	maxAccountCap   = 4095   // tickets; an account's totals fit in 12 bits
	maxPackSessions = 30     // no reservation has more lines
	maxPools        = 60_000 // a pool's index fits in 16 bits with room for marks
	maxSessions     = 60_000
	maxPlaces       = 1<<31 - 1 // of a venue, of a pool, and of all access slots of a phase together
	maxProgrammes   = 16
	maxPhases       = 64
	maxDraws        = 64
	maxGroups       = 64
	maxQuotas       = 60_000  // of all phases together, with removed ones
	maxSlots        = 65_535  // access slots of one phase
	maxSlotPlaces   = 1 << 25 // winners of one access slot; a draw has no more entries
	maxIDBytes      = 32
	maxPriceCents   = 999_999_999 // minor units
	maxTextBytes    = 1024
)

// Sale is a sale definition that has been checked. Its parts refer to one another by index.
type Sale struct {
	Name       string   // `paris2024`
	Title      string   // for people: `Paris 2024`
	Currency   Currency // of all prices; the zero value if no session has one
	Programmes []Programme
	Sessions   []Session
	Pools      []Pool // grouped by session in a loaded sale; what Continue adds comes last
	Phases     []Phase
	Draws      []Draw
	Groups     []Group
	Quotas     []Quota // in a loaded sale in the order of phases and sessions; what Continue adds comes last

	// Files is what the sale was loaded from, as it was written; nil for a sale that was assembled.
	Files *Files

	sessions, phases, draws, groups map[string]int // positions by id, without removed phases, draws and groups
	quotas                          [][]int32      // positions plus 1, by phase and session; nil: none. See QuotaOf
	unstated                        []bool         // by pool: the files leave its stock as it is; see Continue
}

// Programme is a family of sessions with an account cap of its own.
type Programme struct {
	ID         string // `olympic`
	Title      string
	AccountCap int // tickets that one account may hold or have confirmed over all phases of the programme: 1 to 4095

	// WithholdReturned keeps the places of returned reservations withheld. Without it they are on sale again. Only a
	// return withholds: the tickets that a reduced reservation no longer has are always on sale again.
	WithholdReturned bool

	// Removed: the definition no longer has the programme, and no session that is on sale belongs to it. It keeps its
	// number. See Continue.
	Removed bool
}

// Session is a ticketed competition session, which people attend.
type Session struct {
	ID         string // `ATH10`
	Programme  int    // index into Sale.Programmes
	Discipline string
	Venue      string
	City       string
	StartsAt   time.Time      // UTC
	EndsAt     time.Time      // UTC
	Zone       *time.Location // of the venue: the day of a session is a day there
	Medal      bool
	Events     string // for people: what is contested
	// SalesEndAt is the first instant at which nothing of the session is sold any more, UTC: its start, unless the
	// definition says otherwise. What is held then can still be confirmed. Zero: its sales have no end, in definitions of
	// journals from before there were ends.
	SalesEndAt time.Time
	Limit      int    // tickets that one account may hold or have confirmed for this session: 1 to the AccountCap
	OnSale     bool   // false: the session is listed only
	Reason     string // why it is not on sale: "excluded", "no published prices" or "removed"; empty when OnSale
	Pools      []int  // indices into Sale.Pools, ascending, with removed pools

	// Removed: the definition no longer has the session. It is listed with the facts and the stock that it had last, and
	// not on sale. See Continue.
	Removed bool
}

// Pool is the countable stock of one session and price category.
type Pool struct {
	Session    int    // index into Sale.Sessions
	Category   string // `First`, `A` … `E`, `PFR-A`
	PriceCents int    // in minor units of Sale.Currency: cents of EUR; NoPrice if there is none. A fact for display only
	Capacity   int    // tickets, 0 to 2^31-1; prices.csv and the stock rule give 1 or more, so 0 comes from stock.csv
	Withheld   int    // the part of Capacity that is not sold to the public. See Continue for sessions off sale
	Derived    bool   // the stock rule derived Capacity from the venue's gross capacity; no source states it

	// Removed: the session no longer has the category. Nothing of the pool is sold, and it keeps its stock. A removed
	// session's pools need not be removed. See Continue.
	Removed bool
}

// NoPrice is Pool.PriceCents of a category without a published price. 0 is a price: the tickets are free.
const NoPrice = -1

// The values of Session.Reason.
const (
	excludedReason = "excluded"
	unpricedReason = "no published prices"
	removedReason  = "removed"
)

// Kind is the shape of the reservations that a phase accepts.
type Kind uint8

// The kinds of phases.
const (
	Single Kind = iota // any lines within the limits
	Pack               // exactly PackSessions different sessions, all or nothing; see PackEqual
)

// Access determines which accounts may buy in a phase.
type Access uint8

// The kinds of access.
const (
	Open    Access = iota // every account
	Slots                 // accounts with an access slot won in Phase.Draw, each during its slot
	Members               // accounts that are members of Phase.Group
)

// Phase is a sale period with its rules.
type Phase struct {
	ID           string
	Title        string
	Programme    int // index into Sale.Programmes
	Kind         Kind
	PackSessions int  // with Pack: how many different sessions a reservation takes
	PackEqual    bool // with Pack: a reservation takes equally many tickets for each of its sessions
	OpensAt      time.Time
	ClosesAt     time.Time // the first instant at which the phase is closed
	Access       Access
	Draw         int      // with Slots: index into Sale.Draws; its winners get the slots. Otherwise -1
	Slots        SlotRule // with Slots
	Group        int      // with Members: index into Sale.Groups. Otherwise -1; Assemble sees to that

	// Removed: the definition no longer has the phase. It is never open and sells nothing, whatever its times say. See
	// Continue.
	Removed bool

	sells []bool // by session
}

// SlotRule lays out the access slots of a phase. The first slot opens with the phase and each next one a step later, as
// long as a whole slot fits into the phase. See Phase.SlotCount and Phase.Slot.
type SlotRule struct {
	Length       time.Duration // of each slot: 48 hours in Paris
	Step         time.Duration // from the opening of one slot to that of the next
	Places       int           // winners per slot
	PriorityDays int           // slots that open within this many days of 24 hours are reserved for the priority group
	Group        int           // index into Sale.Groups; -1 without a priority group
}

// Draw is a ballot for the access slots of one phase. The phase determines how many accounts win: SlotCount × Places.
type Draw struct {
	ID                 string
	Title              string
	RegistrationOpens  time.Time
	RegistrationCloses time.Time // the first instant at which no entry is accepted; not after the phase opens
	Phase              int       // index into Sale.Phases: the phase whose slots are won
	Beacon             Beacon

	// PublishWithin is the time to publish the digest of the entries: the beacon's round is due at least this long after
	// registration closes, unless it is a stand-in. Whole minutes, 10 by default.
	PublishWithin time.Duration

	// Removed: the definition no longer has the draw. It takes no entries. See Continue.
	Removed bool
}

// Beacon is the public randomness that decides a draw: one round of a drand chain.
type Beacon struct {
	Chain     string    // for people: `quicknet`
	ChainHash string    // hexadecimal
	PublicKey string    // hexadecimal: the chain's BLS public key
	Genesis   time.Time // of round 1
	Period    time.Duration
	Round     uint64 // the round that decides
	StandIn   bool   // the round was published before the draw was defined; see PublishedAt
	Signature string // hexadecimal: what the chain published for Round; empty unless StandIn
}

// PublishedAt returns the instant at which the chain publishes the deciding round.
//
// It is at least Draw.PublishWithin after the close of registration and before the opening of the draw's phase, so
// the randomness is unpredictable while entries can still change, and the digest of the entries can be published
// before. A stand-in is exempt: it is a round published long ago, for a sale that is replayed afterwards. It proves
// how the result was computed, but not that the result was not chosen.
func (b *Beacon) PublishedAt() time.Time {
	seconds := int64(b.Round-1) * int64(b.Period/time.Second)
	return time.Unix(b.Genesis.Unix()+seconds, 0).UTC()
}

// Group is a group of accounts: of those that are served first in phases with slots, or of those that alone buy in a
// phase with Access Members.
type Group struct {
	ID    string // `club`
	Title string

	// Removed: the definition no longer has the group. See Continue.
	Removed bool
}

// SessionByID returns the index of a session in Sessions. It finds removed sessions, since they are listed.
func (s *Sale) SessionByID(id string) (int, bool) { i, ok := s.sessions[id]; return i, ok }

// PhaseByID returns the index of a phase in Phases. It does not find removed ones.
func (s *Sale) PhaseByID(id string) (int, bool) { i, ok := s.phases[id]; return i, ok }

// DrawByID returns the index of a draw in Draws. It does not find removed ones.
func (s *Sale) DrawByID(id string) (int, bool) { i, ok := s.draws[id]; return i, ok }

// GroupByID returns the index of a group in Groups. It does not find removed ones.
func (s *Sale) GroupByID(id string) (int, bool) { i, ok := s.groups[id]; return i, ok }

// PoolOf returns the index in Pools of a session's category; the session is an index into Sessions. It does not find
// removed pools.
func (s *Sale) PoolOf(session int, category string) (int, bool) {
	for _, i := range s.Sessions[session].Pools {
		if p := &s.Pools[i]; p.Category == category && !p.Removed {
			return i, true
		}
	}
	return 0, false
}

// Sells reports whether the phase sells the session: the session belongs to the phase's programme, is on sale and
// passes the phase's own filter. The sale of 5 July 2023, for example, had only venues outside Paris. A removed phase
// sells nothing, and a removed session is sold in no phase.
func (p *Phase) Sells(session int) bool { return p.sells[session] }

// SlotCount returns the number of access slots of the phase: 1 to 65535 with Access Slots, 0 with any other Access.
func (p *Phase) SlotCount() int {
	room := p.ClosesAt.Sub(p.OpensAt) - p.Slots.Length
	if p.Access != Slots || room < 0 {
		return 0
	}
	return int(room/p.Slots.Step) + 1
}

// PrioritySlotCount returns how many of the first slots are reserved for the priority group: those that open within
// PriorityDays of 24 hours after the phase opens. At least one slot follows them.
func (p *Phase) PrioritySlotCount() int {
	if p.Access != Slots || p.Slots.Group < 0 {
		return 0
	}
	days := time.Duration(p.Slots.PriorityDays) * 24 * time.Hour
	return min(int((days+p.Slots.Step-1)/p.Slots.Step), p.SlotCount())
}

// Slot returns the window of slot i, from 0 to SlotCount-1. closes is the first instant after it.
func (p *Phase) Slot(i int) (opens, closes time.Time) {
	opens = p.OpensAt.Add(time.Duration(i) * p.Slots.Step)
	return opens, opens.Add(p.Slots.Length)
}

// PlacesOnSale returns the number of tickets that the public can buy: capacity less withheld, over all sessions on
// sale.
func (s *Sale) PlacesOnSale() int {
	places := 0
	for i := range s.Pools {
		if s.Sessions[s.Pools[i].Session].OnSale && !s.Pools[i].Removed {
			places += s.Pools[i].Capacity - s.Pools[i].Withheld
		}
	}
	return places
}
