package peers

import (
	"slices"
	"sync"

	"github.com/seathold/seathold/engine/inventory"
)

// The limits of all peers, in tickets.
const (
	accountCap   = 30
	sessionLimit = 6
)

// verdict is the result of an operation.
type verdict string

// The verdicts, a subset of those of Seathold.
const (
	done          verdict = "done"
	repeated      verdict = "repeated"  // an earlier call with the same content took effect
	reused        verdict = "id_reused" // the id was used with other content
	capExceeded   verdict = "account_cap_exceeded"
	limitExceeded verdict = "session_limit_exceeded"
	soldOut       verdict = "sold_out"
	notFound      verdict = "reservation_not_found"
	expired       verdict = "reservation_expired"
)

// Baseline is the job in plain Go: maps, and one mutex around all of them. It is what most programmers would write
// first, and what most would keep.
type Baseline struct {
	mu           sync.Mutex
	available    []uint32 // by pool
	session      []uint32 // by pool
	accounts     map[string]*baselineLedger
	reservations map[inventory.ID]*baselineReservation
}

type baselineLedger struct {
	tickets   uint32
	bySession map[uint32]uint32
}

type baselineReservation struct {
	account   *baselineLedger
	lines     []inventory.Line
	expires   int64
	confirmed bool
	over      bool
}

// newBaseline makes a sale of pools with the given sessions and tickets.
func newBaseline(session, tickets []uint32) *Baseline {
	return &Baseline{available: slices.Clone(tickets), session: session,
		accounts: map[string]*baselineLedger{}, reservations: map[inventory.ID]*baselineReservation{}}
}

// enrol makes an account.
func (s *Baseline) enrol(account string) {
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

// reserve holds all lines or none until expires (ms).
func (s *Baseline) reserve(id inventory.ID, account string, lines []inventory.Line, expires int64) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger(account)
	if other := s.reservations[id]; other != nil {
		if other.account == l && slices.Equal(other.lines, lines) {
			return repeated
		}
		return reused
	}
	tickets := l.tickets
	for i, line := range lines {
		session, requested := s.session[line.Pool], uint32(0)
		for _, other := range lines[:i+1] {
			if s.session[other.Pool] == session {
				requested += other.Quantity
			}
		}
		if l.bySession[session]+requested > sessionLimit {
			return limitExceeded
		}
		tickets += line.Quantity
	}
	if tickets > accountCap {
		return capExceeded
	}
	for _, line := range lines {
		if s.available[line.Pool] < line.Quantity {
			return soldOut
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
	return done
}

// confirm sells what is held, unless the hold has expired at now (ms).
func (s *Baseline) confirm(id inventory.ID, now int64) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reservations[id]
	switch {
	case r == nil:
		return notFound
	case r.confirmed:
		return repeated
	case r.over:
		return expired
	case now >= r.expires:
		s.giveBack(r)
		return expired
	}
	r.confirmed = true
	return done
}

// giveBack returns the tickets of an expired reservation.
func (s *Baseline) giveBack(r *baselineReservation) {
	r.over = true
	for _, line := range r.lines {
		s.available[line.Pool] += line.Quantity
		r.account.bySession[s.session[line.Pool]] -= line.Quantity
		r.account.tickets -= line.Quantity
	}
}
