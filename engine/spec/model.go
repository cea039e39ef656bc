package spec

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Rules are the rules of a sale.
type Rules struct {
	Sale *catalog.Sale
	TTL  time.Duration // the duration of a hold, unless the request has a shorter one

	// Access refuses an account that may not buy at that instant in a phase with access by slots. If it is nil, no account
	// has a slot.
	Access func(account, phase string, at time.Time) Refusal
}

// Model is the state of a sale. New returns the initial one.
type Model struct {
	rules        *Rules
	reservations map[string]*reservation // by id; replaced, never changed in place
	byAccount    map[string][]string     // ids, oldest first
	held         map[int]int             // tickets by pool
	sold         map[int]int
}

// reservation is a reservation and the parameters of its request.
type reservation struct {
	Reservation
	phaseGiven string
	ttlGiven   time.Duration
	overAt     time.Time // ExpiresAt, or the earliest possible instant if that is not known
}

// New returns the model of a sale in which nothing is sold yet.
func New(rules *Rules) *Model {
	return &Model{rules: rules, reservations: map[string]*reservation{}, byAccount: map[string][]string{},
		held: map[int]int{}, sold: map[int]int{}}
}

// Clone returns an independent copy.
func (m *Model) Clone() *Model {
	return &Model{rules: m.rules, reservations: maps.Clone(m.reservations), byAccount: maps.Clone(m.byAccount),
		held: maps.Clone(m.held), sold: maps.Clone(m.sold)}
}

// WithRules returns the model under the rules of a sale that has grown, which numbers its pools anew. It replaces m.
func (m *Model) WithRules(rules *Rules) *Model {
	next := New(rules)
	next.reservations, next.byAccount = m.reservations, m.byAccount
	for _, r := range m.reservations {
		for _, l := range r.Lines {
			switch r.State {
			case "held":
				next.held[next.pool(l)] += l.Quantity
			case "confirmed":
				next.sold[next.pool(l)] += l.Quantity
			}
		}
	}
	return next
}

// Do executes one operation.
func (m *Model) Do(op Operation) Answer {
	switch op.Kind {
	case Reserve:
		return m.reserve(op)
	case Confirm:
		return m.confirm(op)
	case Release:
		return m.release(op)
	case ReadReservation:
		return m.read(op)
	case ReadAccount:
		return m.account(op)
	case ReadStock:
		return Answer{Stock: m.stock()}
	case Sweep:
		return Answer{Ended: m.sweep(op.At)}
	}
	panic(fmt.Sprintf("BUG: unknown operation kind %d", op.Kind))
}

// Restart does nothing: every answered outcome survives a restart. It makes Model a System.
func (m *Model) Restart() error { return nil }

func refuse(code string) Answer { return Answer{Refusal: Refusal{Code: code}} }

func (m *Model) confirm(op Operation) Answer {
	if !validReference(op.Reference) {
		return refuse("malformed_request")
	}
	r := m.current(op)
	if r == nil {
		return refuse("reservation_not_found")
	}
	switch r.State {
	case "released":
		return refuse("reservation_released")
	case "expired":
		return refuse("reservation_expired")
	case "confirmed":
		return Answer{Reservation: r.Reservation, Repeated: true}
	}
	next := *r
	next.State, next.ConfirmedAt, next.Reference = "confirmed", op.At, op.Reference
	m.reservations[op.ID] = &next
	for _, l := range next.Lines {
		m.held[m.pool(l)] -= l.Quantity
		m.sold[m.pool(l)] += l.Quantity
	}
	return Answer{Reservation: next.Reservation}
}

func (m *Model) release(op Operation) Answer {
	r := m.current(op)
	if r == nil {
		return refuse("reservation_not_found")
	}
	switch r.State {
	case "confirmed":
		return refuse("reservation_confirmed")
	case "expired":
		return refuse("reservation_expired")
	case "released":
		return Answer{Reservation: r.Reservation, Repeated: true}
	}
	m.end(op.ID, "released")
	return Answer{Reservation: m.reservations[op.ID].Reservation}
}

func (m *Model) read(op Operation) Answer {
	r := m.current(op)
	if r == nil {
		return refuse("reservation_not_found")
	}
	return Answer{Reservation: r.Reservation}
}

func (m *Model) account(op Operation) Answer {
	if !validAccount(op.Account) {
		return refuse("malformed_request")
	}
	a := Account{Account: op.Account}
	for i := range m.rules.Sale.Programmes {
		p := &m.rules.Sale.Programmes[i]
		a.Programmes = append(a.Programmes, ProgrammeTickets{Programme: p.ID, Cap: p.AccountCap})
	}
	for _, id := range m.byAccount[op.Account] {
		m.expireIfOver(id, op.At)
		switch r := m.reservations[id]; r.State {
		case "held":
			a.Programmes[m.programme(r)].Held += r.Tickets()
		case "confirmed":
			a.Programmes[m.programme(r)].Confirmed += r.Tickets()
		default:
			continue
		}
		a.Reservations = append(a.Reservations, m.reservations[id].Reservation)
	}
	slices.Reverse(a.Reservations)
	return Answer{Account: a}
}

func (m *Model) stock() []Stock {
	var all []Stock
	for i := range m.rules.Sale.Pools {
		p := &m.rules.Sale.Pools[i]
		all = append(all, Stock{Capacity: p.Capacity, Withheld: p.Withheld, Held: m.held[i], Sold: m.sold[i],
			Available: m.available(i)})
	}
	return all
}

func (m *Model) sweep(at time.Time) int {
	ended := 0
	for id := range m.reservations {
		if m.expireIfOver(id, at) {
			ended++
		}
	}
	return ended
}

// current returns the reservation that the operation names, expired if it is overdue; nil if there is none.
func (m *Model) current(op Operation) *reservation {
	m.expireIfOver(op.ID, op.At)
	return m.reservations[op.ID]
}

// expireIfOver expires an overdue hold.
func (m *Model) expireIfOver(id string, at time.Time) bool {
	r := m.reservations[id]
	if r == nil || r.State != "held" || at.Before(r.overAt) {
		return false
	}
	m.end(id, "expired")
	return true
}

// end moves a hold to its final state and gives its tickets back.
func (m *Model) end(id, state string) {
	next := *m.reservations[id]
	next.State = state
	m.reservations[id] = &next
	for _, l := range next.Lines {
		m.held[m.pool(l)] -= l.Quantity
	}
}

// available returns the number of available tickets, by conservation (I1).
func (m *Model) available(pool int) int {
	p := &m.rules.Sale.Pools[pool]
	return p.Capacity - p.Withheld - m.held[pool] - m.sold[pool]
}

// pool returns the index of a line's pool, which must exist.
func (m *Model) pool(l Line) int {
	session, _ := m.rules.Sale.SessionByID(l.Session)
	pool, ok := m.rules.Sale.PoolOf(session, l.Category)
	if !ok {
		panic(fmt.Sprintf("BUG: a reservation of the unknown pool %s/%s", l.Session, l.Category))
	}
	return pool
}

func (m *Model) programme(r *reservation) int {
	session, _ := m.rules.Sale.SessionByID(r.Lines[0].Session)
	return m.rules.Sale.Sessions[session].Programme
}

// Check checks I1 and I2 of the model itself.
func (m *Model) Check() error {
	for i := range m.rules.Sale.Pools {
		if m.available(i) < 0 || m.held[i] < 0 || m.sold[i] < 0 {
			return fmt.Errorf("I1: pool %d has %d available, %d held, %d sold", i, m.available(i), m.held[i], m.sold[i])
		}
	}
	for account := range m.byAccount {
		for i := range m.rules.Sale.Programmes {
			if held, confirmed := m.ofProgramme(account, i); held+confirmed > m.rules.Sale.Programmes[i].AccountCap {
				return fmt.Errorf("I2: account %s has %d+%d tickets of %s", account, held, confirmed, m.rules.Sale.Programmes[i].ID)
			}
		}
		for i := range m.rules.Sale.Sessions {
			if held, confirmed := m.ofSession(account, i); held+confirmed > m.rules.Sale.Sessions[i].Limit {
				return fmt.Errorf("I2: account %s has %d+%d tickets of %s", account, held, confirmed, m.rules.Sale.Sessions[i].ID)
			}
		}
	}
	return nil
}
