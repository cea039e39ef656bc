// Package catalog holds what is sold and by which rules: programmes, sessions, their pools of places, and the phases of
// the sale. All of it is data of a sale definition, a directory of four files; nothing of a particular sale is code. The
// sale of Paris 2024 is bundled.
//
// A sale definition is sale.yaml (names, caps, limits, exclusions, the stock rule, draws and phases) beside sessions.csv,
// prices.csv and venues.csv; the bundled paris2024/sale.yaml explains each of its keys and is the reference of the format.
// Load reads one and checks all of it: what it returns needs no further checks, and what it refuses it refuses with one
// *FieldError that names file, line, field and the rule that was broken.
//
// A Sale is immutable once loaded and may be shared by any number of goroutines.
package catalog

import "time"

// The limits of a sale definition. Load refuses what exceeds them, so the rest of the engine may size its words and
// tables by them.
const (
	MaxAccountCap   = 4095   // tickets; an account's totals fit in 12 bits
	MaxPackSessions = 30     // no reservation has more lines
	MaxPools        = 60_000 // a pool's index fits in 16 bits with room for marks
	MaxSessions     = 60_000
	MaxPlaces       = 1<<31 - 1 // of a venue, of a pool, and of all access slots of a phase together
	MaxProgrammes   = 16
	MaxPhases       = 64
	MaxDraws        = 64
	MaxGroups       = 64
	MaxSlots        = 65_535  // access slots of one phase
	MaxSlotPlaces   = 1 << 25 // winners of one access slot, as many as a draw can have entries
	MaxIDBytes      = 32
	MaxPriceCents   = 999_999_999
	maxTextBytes    = 1024
)

// Sale is one sale definition, checked: every reference between its parts resolves, every quantity is in range.
type Sale struct {
	Name       string // `paris2024`
	Title      string // for people: `Paris 2024`
	Programmes []Programme
	Sessions   []Session
	Pools      []Pool // grouped by session, sessions in the order of Sessions
	Phases     []Phase
	Draws      []Draw
	Groups     []Group // priority groups

	programmes map[string]int
	sessions   map[string]int
	phases     map[string]int
	draws      map[string]int
	groups     map[string]int
}

// Programme is a family of sessions with an account cap of its own.
type Programme struct {
	ID         string // `olympic`
	Title      string
	AccountCap int // tickets one account may hold or have confirmed over all phases of the programme, 1 to MaxAccountCap
}

// Session is a ticketed competition session, the thing people attend.
type Session struct {
	ID         string // `ATH10`
	Programme  int    // index into Sale.Programmes
	Discipline string
	Venue      string
	City       string
	StartsAt   time.Time // UTC
	EndsAt     time.Time // UTC
	Medal      bool
	Events     string // for people: what is contested
	Limit      int    // tickets one account may hold or have confirmed for this session, 1 to the programme's AccountCap
	OnSale     bool   // false: listed only
	Reason     string // why it is not on sale: "excluded" or "no published prices"; empty when OnSale
	FirstPool  int    // its pools are Sale.Pools[FirstPool : FirstPool+PoolCount]
	PoolCount  int
}

// Pool is the countable stock of one session and price category.
type Pool struct {
	Session    int    // index into Sale.Sessions
	Category   string // `First`, `A` … `E`, `PFR-A`
	PriceCents int    // euro cents
	Capacity   int    // places, 1 to MaxPlaces
	Withheld   int    // part of Capacity that is not sold to the public: all of it in an excluded session
	Derived    bool   // Capacity follows from the venue's gross capacity by the stock rule (see stock.go); it was never published
}

// The values of Session.Reason.
const (
	Excluded          = "excluded"
	NoPublishedPrices = "no published prices"
)

// Kind is the shape of reservations a phase accepts.
type Kind uint8

const (
	Single Kind = iota // any lines within the limits
	Pack               // exactly PackSessions different sessions, all or nothing
)

// Access says who may buy in a phase.
type Access uint8

const (
	Open  Access = iota // everybody
	Slots               // accounts with an access slot won in Phase.Draw
)

// Phase is a sale period with its rules.
type Phase struct {
	ID           string
	Title        string
	Programme    int // index into Sale.Programmes
	Kind         Kind
	PackSessions int // for Pack: how many different sessions a reservation must take
	OpensAt      time.Time
	ClosesAt     time.Time // the first instant at which the phase is closed
	Access       Access
	Draw         int      // for Slots: index into Sale.Draws, whose winners have the slots
	Slots        SlotRule // for Slots
	sells        []bool   // by session
}

// SlotRule says how the access slots of a phase follow one another: the first opens with the phase, each next one a step
// later, for as long as a whole slot still fits into the phase. Phase.SlotCount and Phase.Slot spell that out.
type SlotRule struct {
	Length       time.Duration // how long each slot lasts: 48 hours in Paris
	Step         time.Duration // from one slot's opening to the next one's
	Places       int           // winners a slot
	PriorityDays int           // slots opening in the first so many days of 24 hours belong to the priority group alone
	Group        int           // index into Sale.Groups; -1 without one
}

// Draw is a ballot for the access slots of one phase. How many accounts win is the phase's matter: SlotCount × Places.
type Draw struct {
	ID                 string
	Title              string
	RegistrationOpens  time.Time
	RegistrationCloses time.Time // the first instant at which no entry is taken; not after the phase opens
	Phase              int       // index into Sale.Phases: the one phase whose slots are won here
	Beacon             Beacon
}

// Beacon is the public randomness that decides a draw: one round of a drand chain.
type Beacon struct {
	Chain     string    // for people: `quicknet`
	ChainHash string    // hex
	PublicKey string    // hex, the chain's BLS public key
	Genesis   time.Time // of round 1
	Period    time.Duration
	Round     uint64 // the round that decides
	StandIn   bool   // the round was public before the draw was; see PublishedAt
	Signature string // hex, what the chain published for Round; empty unless StandIn
}

// PublishedAt is the instant at which the chain publishes the deciding round.
//
// Unless StandIn is set it lies after the close of registration and before the opening of the draw's phase, so nobody can
// know the randomness while the entries still change. A stand-in is free of that rule: it is a round long published, for
// a sale replayed after the fact, and proves how the result was computed but not that nobody chose it.
func (b *Beacon) PublishedAt() time.Time {
	seconds := int64(b.Round-1) * int64(b.Period/time.Second)
	return time.Unix(b.Genesis.Unix()+seconds, 0).UTC()
}

// Group is a priority group: accounts served first.
type Group struct {
	ID    string // `club`
	Title string
}

// ProgrammeByID returns the index of a programme in Programmes.
func (s *Sale) ProgrammeByID(id string) (int, bool) { i, ok := s.programmes[id]; return i, ok }

// SessionByID returns the index of a session in Sessions.
func (s *Sale) SessionByID(id string) (int, bool) { i, ok := s.sessions[id]; return i, ok }

// PhaseByID returns the index of a phase in Phases.
func (s *Sale) PhaseByID(id string) (int, bool) { i, ok := s.phases[id]; return i, ok }

// DrawByID returns the index of a draw in Draws.
func (s *Sale) DrawByID(id string) (int, bool) { i, ok := s.draws[id]; return i, ok }

// GroupByID returns the index of a priority group in Groups.
func (s *Sale) GroupByID(id string) (int, bool) { i, ok := s.groups[id]; return i, ok }

// PoolOf returns the index in Pools of a category of a session.
func (s *Sale) PoolOf(session int, category string) (int, bool) {
	of := &s.Sessions[session]
	for i := of.FirstPool; i < of.FirstPool+of.PoolCount; i++ {
		if s.Pools[i].Category == category {
			return i, true
		}
	}
	return 0, false
}

// Sells reports whether the phase offers the session: it belongs to the phase's programme, is on sale, and passes the
// phase's own filter (the sale of 5 July 2023 had only venues outside Paris).
func (p *Phase) Sells(session int) bool { return p.sells[session] }

// SlotCount is the number of access slots of the phase, at least 1 with Access Slots; 0 with Access Open.
func (p *Phase) SlotCount() int {
	room := p.ClosesAt.Sub(p.OpensAt) - p.Slots.Length
	if p.Access != Slots || room < 0 {
		return 0
	}
	return int(room/p.Slots.Step) + 1
}

// PrioritySlotCount is how many of the first slots belong to the priority group alone: those that open within
// PriorityDays of 24 hours from the phase's opening. There is at least one slot after them.
func (p *Phase) PrioritySlotCount() int {
	if p.Access != Slots || p.Slots.Group < 0 {
		return 0
	}
	days := time.Duration(p.Slots.PriorityDays) * 24 * time.Hour
	return min(int((days+p.Slots.Step-1)/p.Slots.Step), p.SlotCount())
}

// Slot returns the window of slot i, 0 to SlotCount-1; closes is the first instant outside it.
func (p *Phase) Slot(i int) (opens, closes time.Time) {
	opens = p.OpensAt.Add(time.Duration(i) * p.Slots.Step)
	return opens, opens.Add(p.Slots.Length)
}

// PlacesOnSale is the number of places the public can buy over all sessions on sale: capacity less withheld.
func (s *Sale) PlacesOnSale() int {
	places := 0
	for i := range s.Pools {
		if s.Sessions[s.Pools[i].Session].OnSale {
			places += s.Pools[i].Capacity - s.Pools[i].Withheld
		}
	}
	return places
}
