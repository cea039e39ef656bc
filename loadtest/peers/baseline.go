package peers

import (
	"slices"
	"sync"
)

// ID is a reservation's id.
type ID [16]byte

// Line is a quantity of one pool.
type Line struct {
	Pool     uint32
	Quantity uint32
}

// The rules that all peers keep.
const (
	AccountCap   = 30
	SessionLimit = 6
)

// Verdict is the answer to an operation.
type Verdict string

// The verdicts. Seathold has the same, and some more.
const (
	Done          Verdict = "done"
	Repeated      Verdict = "repeated"  // the call had this effect before
	Reused        Verdict = "id_reused" // the id was used with other content
	CapExceeded   Verdict = "account_cap_exceeded"
	LimitExceeded Verdict = "session_limit_exceeded"
	SoldOut       Verdict = "sold_out"
	NotFound      Verdict = "reservation_not_found"
	Expired       Verdict = "reservation_expired"
)

// Baseline is the job in plain Go: maps, and one mutex around all of them. It is what most people would write first, and
// what most would keep.
type Baseline struct {
	mu           sync.Mutex
	available    []uint32 // by pool
	session      []uint32 // by pool
	accounts     map[string]*baselineLedger
	reservations map[ID]*baselineReservation
}

type baselineLedger struct {
	tickets   uint32
	bySession map[uint32]uint32
}

type baselineReservation struct {
	account   *baselineLedger
	lines     []Line
	expires   int64
	confirmed bool
	over      bool
}

// NewBaseline makes a sale of pools, each with its session and its places.
func NewBaseline(session, places []uint32) *Baseline {
	return &Baseline{available: slices.Clone(places), session: session,
		accounts: map[string]*baselineLedger{}, reservations: map[ID]*baselineReservation{}}
}

// Enrol makes an account.
func (s *Baseline) Enrol(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger(account)
}

func (s *Baseline) ledger(account string) *baselineLedger {
	l := s.accounts[account]
	if l == nil {
		l = &baselineLedger{}
		s.accounts[account] = l
	}
	return l
}

// Reserve holds all lines or none until expires (ms).
func (s *Baseline) Reserve(id ID, account string, lines []Line, expires int64) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger(account)
	if other := s.reservations[id]; other != nil {
		if other.account == l && slices.Equal(other.lines, lines) {
			return Repeated
		}
		return Reused
	}
	tickets := l.tickets
	for i, line := range lines {
		session, asked := s.session[line.Pool], uint32(0)
		for _, other := range lines[:i+1] {
			if s.session[other.Pool] == session {
				asked += other.Quantity
			}
		}
		if l.bySession[session]+asked > SessionLimit {
			return LimitExceeded
		}
		tickets += line.Quantity
	}
	if tickets > AccountCap {
		return CapExceeded
	}
	for _, line := range lines {
		if s.available[line.Pool] < line.Quantity {
			return SoldOut
		}
	}
	if l.bySession == nil {
		l.bySession = map[uint32]uint32{}
	}
	for _, line := range lines {
		s.available[line.Pool] -= line.Quantity
		l.bySession[s.session[line.Pool]] += line.Quantity
	}
	l.tickets = tickets
	s.reservations[id] = &baselineReservation{account: l, lines: slices.Clone(lines), expires: expires}
	return Done
}

// Confirm sells what is held, unless its time is over at now (ms).
func (s *Baseline) Confirm(id ID, now int64) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reservations[id]
	switch {
	case r == nil:
		return NotFound
	case r.confirmed:
		return Repeated
	case r.over:
		return Expired
	case now >= r.expires:
		s.giveBack(r)
		return Expired
	}
	r.confirmed = true
	return Done
}

// Available returns how many places of a pool are left.
func (s *Baseline) Available(pool int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.available[pool])
}

func (s *Baseline) giveBack(r *baselineReservation) {
	r.over = true
	for _, line := range r.lines {
		s.available[line.Pool] += line.Quantity
		r.account.bySession[s.session[line.Pool]] -= line.Quantity
		r.account.tickets -= line.Quantity
	}
}
